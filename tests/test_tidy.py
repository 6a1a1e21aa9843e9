"""What holds for every file that is committed: size, words, addresses, folders.

Looks at the files git knows, committed or about to be. A limit that a file has good reason to pass is entered
here with the reason; the entry is a defect as soon as the file is gone or small again.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINES_MAX = 400

# path -> why this one may be longer
LONG_FOR_A_REASON: dict[str, str] = {}

# The brackets keep these from matching themselves.
UNFINISHED = re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X)\b")
MACHINE_PATHS = re.compile(r"(?<![\w.{}*-])/wor[k]/|" + re.escape(f"{ROOT}/"))

# Where a named host may be pointed at. Anything else would be the address of a registry or of a mirror, which
# every machine sets for itself, or an advertisement.
HOSTS_KNOWN = {"www.apache.org", "json-schema.org", "keepachangelog.com", "semver.org", "www.w3.org"}
NAMED_HOST = re.compile(r"https?://([A-Za-z][\w-]*(?:\.[\w-]+)*\.[A-Za-z]{2,})")
NOT_TEXT = {".png", ".ico", ".woff2", ".gz", ".xz"}


@cache
def tracked() -> tuple[str, ...]:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return tuple(name for name in listing if (ROOT / name).is_file())


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def texts() -> list[str]:
    return [name for name in tracked() if Path(name).suffix not in NOT_TEXT]


def places(pattern: re.Pattern[str], names: list[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:80]}"
        for name in names
        for number, line in enumerate(text_of(name).splitlines(), start=1)
        if pattern.search(line)
    ]


def test_a_file_is_short_or_says_why_not() -> None:
    """Lists are as long as what they list: pinned packages, translated sentences."""
    lengths = {
        name: text_of(name).count("\n")
        for name in texts()
        if name != "LICENSE" and not name.endswith((".lock", ".json"))
    }
    long = {
        name: lines for name, lines in lengths.items() if lines > LINES_MAX and name not in LONG_FOR_A_REASON
    }
    assert not long, f"over {LINES_MAX} lines: split, or enter with a reason"


def test_every_entry_for_a_long_file_is_still_needed() -> None:
    needless = [
        name for name in LONG_FOR_A_REASON if name not in tracked() or text_of(name).count("\n") <= LINES_MAX
    ]
    assert not needless


def test_nothing_is_left_half_done() -> None:
    assert not places(UNFINISHED, texts())


def test_only_known_hosts_are_named() -> None:
    strange = {
        f"{name}: {host}"
        for name in texts()
        for host in NAMED_HOST.findall(text_of(name))
        if host not in HOSTS_KNOWN and not re.search(r"(^|\.)(example(\.\w+)?|test|invalid|localhost)$", host)
    }
    assert not strange


def test_no_path_of_one_machine_is_committed() -> None:
    assert not places(MACHINE_PATHS, texts())


@pytest.mark.parametrize("name", [name for name in tracked() if re.match(r"servha/.*\.py$", name)])
def test_a_module_says_what_it_is_for(name: str) -> None:
    said = ast.get_docstring(ast.parse(text_of(name)))
    assert said is not None
    assert len(said) > 20


def test_no_folder_is_an_empty_package() -> None:
    packages = {str(Path(name).parent) for name in tracked() if name.endswith("/__init__.py")}
    empty = [
        package
        for package in packages
        if not any(
            name.startswith(f"{package}/") and name.endswith((".py", ".toml", ".json"))
            for name in tracked()
            if name != f"{package}/__init__.py"
        )
    ]
    assert not empty, "a folder appears when it gets content"


def test_every_python_folder_below_servha_is_a_package() -> None:
    folders = {str(Path(name).parent) for name in tracked() if re.match(r"servha/.*\.py$", name)}
    assert not [folder for folder in folders if f"{folder}/__init__.py" not in tracked()]


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "misc", "manager", "handler"])
def test_no_file_is_named_after_nothing(word: str) -> None:
    """Save where Ansible looks for what modules share and for what a role does at its end."""
    names = (re.sub("/module_utils/|/roles/[a-z_]+/handlers/", "/", name) for name in tracked())
    assert not [name for name in names if re.search(rf"(^|[/_.-]){word}s?([/_.-]|$)", name)]


def test_what_must_stay_pure_is_under_contract() -> None:
    """A contract cannot name a folder that does not exist yet, so this asks for it when the folder comes."""
    settings = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]
    contracts = {contract["id"]: contract for contract in settings["contracts"]}
    for folder, contract in (("core", "pure"), ("wire", "pure"), ("console", "console")):
        if any(name.startswith(f"servha/{folder}/") for name in tracked()):
            assert f"servha.{folder}" in contracts[contract]["source_modules"]
