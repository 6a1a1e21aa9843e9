"""Writes docs/reference/api.md and api.zh-CN.md: what stands before the marker by hand, every operation after it.

    tools/draw_api.py

The table of operations is the source; a test compares the pages with it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from servha.console.openapi import document

PAGES = {"en": "docs/reference/api.md", "zh-CN": "docs/reference/api.zh-CN.md"}
MARK = "<!-- generated -->"
WORDS = {
    "en": ("Operation", "What it does", "Who", "Request", "Answer", "everybody", "session", "token: {scope}"),
    "zh-CN": ("操作", "作用", "权限", "请求", "应答", "无需登录", "登录", "令牌：{scope}"),
}


def table(language: str) -> str:
    """Return every operation as a row."""
    operation, does, who, request, answer, everybody, session, token = WORDS[language]
    lines = [f"| {operation} | {does} | {who} | {request} | {answer} |", "| --- " * 5 + "|"]
    for path, methods in document(language)["paths"].items():
        for method, row in methods.items():
            ways = {way for one in row["security"] for way in one}
            may = [session] if "session" in ways else [everybody]
            if "token" in ways:
                may.append(token.format(scope=row["x-servha-scope"]))
            body = row.get("requestBody", {"content": {"application/json": {"schema": {}}}})
            cells = (
                f"`{method.upper()} {path}`",
                row["summary"].replace("|", "\\|"),
                ", ".join(may),
                _named(body["content"]["application/json"]["schema"]),
                _named(next(iter(row["responses"]["200"]["content"].values()))["schema"]),
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def page(root: Path, language: str) -> str:
    """Return the whole page: its words as they stand, and the table of today."""
    words, mark, _ = (root / PAGES[language]).read_text(encoding="utf-8").partition(MARK)
    return f"{words}{mark}\n\n{table(language)}"


def _named(schema: dict[str, Any]) -> str:
    return f"`{schema['$ref'].rpartition('/')[2]}`" if "$ref" in schema else "-"


if __name__ == "__main__":
    here = Path(__file__).parent.parent
    for tongue, name in PAGES.items():
        (here / name).write_text(page(here, tongue), encoding="utf-8")
    sys.exit(0)
