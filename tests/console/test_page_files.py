"""The console's files: libraries as published, every word in both languages, nothing that the policy forbids."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from servha.console.page import inline_hashes

WEB = Path(__file__).parents[2] / "web"
STATIC = WEB / "static"
OURS = sorted(STATIC.glob("*.js"))
PLACE = re.compile(r"\{(\w+)\}")


def catalogue(language: str) -> dict[str, str]:
    words: dict[str, str] = json.loads((STATIC / f"words/{language}.json").read_text(encoding="utf-8"))
    return words


def test_the_libraries_are_what_the_manifest_says_and_nothing_else_is_there() -> None:
    vendor = STATIC / "vendor"
    manifest = json.loads((vendor / "manifest.json").read_text(encoding="utf-8"))
    for one in manifest:
        assert hashlib.sha256((vendor / one["file"]).read_bytes()).hexdigest() == one["sha256"], one["file"]
    assert {p.name for p in vendor.iterdir()} == {one["file"] for one in manifest} | {
        "manifest.json",
        "LICENSES",
    }
    pinned = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    licences = (vendor / "LICENSES").read_text(encoding="utf-8")
    for one in manifest:
        assert pinned[f"node_modules/{one['package']}"]["version"] == one["version"]
        assert f"{one['package']}\n" in licences


def test_every_word_is_there_in_both_languages_with_the_same_places() -> None:
    chinese, english = catalogue("zh-CN"), catalogue("en")
    assert list(chinese) == list(english) == sorted(chinese)
    different = [
        key for key in chinese if set(PLACE.findall(chinese[key])) != set(PLACE.findall(english[key]))
    ]
    assert not different
    assert not [key for key, words in (chinese | english).items() if not words.strip()]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_every_word_that_a_screen_asks_for_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("// "), "the first comment says what the file shows"
    asked = set(re.findall(r"""\bt\(\s*"([\w.-]+)\"""", text))
    families = set(re.findall(r"\bt\(\s*`([\w.-]+)\$\{", text)) | {
        f"{group}." for group in re.findall(r'group="(\w+)"', text)
    }
    known = catalogue("en")
    assert not asked - known.keys()
    assert not {family for family in families if not any(key.startswith(family) for key in known)}


def test_the_page_keeps_the_policy() -> None:
    page = (WEB / "index.html").read_bytes()
    assert len(inline_hashes(page)) == 1, "the import map is the only script inside the page"
    imports = json.loads(re.findall(rb'importmap">(.*?)</script>', page, re.DOTALL)[0])["imports"]
    for address in imports.values():
        assert (WEB / address.lstrip("/")).is_file(), address
    for path in OURS:
        for imported in re.findall(r'from "([^"]+)"', path.read_text(encoding="utf-8")):
            assert imported in imports or (STATIC / imported).is_file(), f"{path.name}: {imported}"
    written = b"".join(p.read_bytes() for p in (WEB / "index.html", *OURS))
    assert not re.search(rb"\beval\(|new Function|innerHTML| style=|\son\w+=\"", written)
