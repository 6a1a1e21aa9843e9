"""Every sentence that servha/ can say, read from the source with ast. Shared by the tests of the catalogue.

    python -m tests.cli.templates [FILE.json ...]

takes translations ({template: translation}) into servha/catalogues/zh-CN.json, drops what is no longer said, sorts,
and prints what is still missing.
"""

from __future__ import annotations

import ast
import json
import re
import string
import sys
from collections.abc import Iterator
from pathlib import Path

import servha

ROOT = Path(servha.__file__).parent
SAYING = ("say", "Text", "fill")
TABLE_ROW = "Row"
ROW_SENTENCES = {3: "because", 4: "otherwise"}


def templates() -> dict[str, str]:
    """Return each template with the place where it stands first: "core/rules.py:40"."""
    found: dict[str, str] = {}
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                for literal in _sentences(node):
                    if has_words(str(literal.value)):
                        found.setdefault(str(literal.value), f"{path.relative_to(ROOT)}:{literal.lineno}")
    return found | kind_sentences(found)


def kind_sentences(already: dict[str, str]) -> dict[str, str]:
    """What a kind is and what its settings mean: docstrings and descriptions, shown by `servha resource kinds`."""
    found: dict[str, str] = {}
    for folder in ("resources", "detectors", "apps"):
        for path in sorted((ROOT / folder).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _name(node) == "Meta":
                    words = [k.value for k in node.keywords if k.arg == "description"]
                elif isinstance(node, ast.ClassDef) and _has_kind_name(node):
                    words = [ast.Constant(" ".join((ast.get_docstring(node) or "").split("\n\n")[0].split()))]
                else:
                    continue
                for word in words:
                    if isinstance(word, ast.Constant) and word.value and word.value not in already:
                        found[str(word.value)] = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
    return found


def unliteral() -> list[str]:
    """Return the places where a sentence is put together at run time, so that no catalogue can hold it."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node) == "say" and node.args:
                first = node.args[0]
                if isinstance(first, ast.JoinedStr | ast.BinOp):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def placeholders(template: str) -> list[str]:
    """Return the names (with their format) that a template mentions, sorted."""
    return sorted(
        {f"{name}:{spec}" for _, name, spec, _ in string.Formatter().parse(template) if name is not None}
    )


def has_words(template: str) -> bool:
    """Whether anything is left to translate besides the values."""
    return bool(re.search(r"[A-Za-z]", re.sub(r"\{[^}]*\}", "", template)))


def _sentences(call: ast.Call) -> Iterator[ast.Constant]:
    name = _name(call)
    if name in SAYING and call.args:
        yield from _literals(call.args[0])
    elif name == TABLE_ROW:
        for place, word in ROW_SENTENCES.items():
            if len(call.args) > place:
                yield from _literals(call.args[place])
            for keyword in call.keywords:
                if keyword.arg == word:
                    yield from _literals(keyword.value)


def _literals(node: ast.expr) -> Iterator[ast.Constant]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
    elif isinstance(node, ast.IfExp):
        yield from _literals(node.body)
        yield from _literals(node.orelse)


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _has_kind_name(node: ast.ClassDef) -> bool:
    if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
        return False
    return any(
        isinstance(part, ast.AnnAssign)
        and isinstance(part.target, ast.Name)
        and part.target.id == "name"
        and part.value
        for part in node.body
    )


def merge(files: list[str]) -> dict[str, str]:
    """Take the translations in `files` into the catalogue; return what is missing, with its place."""
    path = ROOT / "catalogues" / "zh-CN.json"
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    for file in files:
        known |= json.loads(Path(file).read_text(encoding="utf-8"))
    said = templates()
    kept = {template: known[template] for template in sorted(known) if template in said}
    path.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return {template: place for template, place in said.items() if template not in kept}


if __name__ == "__main__":
    print(json.dumps(merge(sys.argv[1:]), ensure_ascii=False, indent=1))
