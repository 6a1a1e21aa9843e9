"""Reference pages in both languages: commands from the parser, kinds from their fields.

    python -m servha.cli.pages --out FOLDER

writes FOLDER/commands.en.md, kinds.en.md, and the same in zh-CN. Man pages and shell completion come from the same
parser (tools/make_pages.py). Nothing is described here.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from servha.cli.main import make_parser
from servha.cli.resource_kinds import sentence_of, settings_rows
from servha.cli.screen import Cell, Screen
from servha.config.kinds import DETECTORS, RESOURCES
from servha.core.words import say
from servha.language import LANGUAGES

COLUMNS = "100"
"""Width of the commands' help on the page, whatever the terminal's."""


def write_pages(folder: Path) -> list[Path]:
    """Write every page; return what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for language in LANGUAGES:
        for name, text in (("commands", commands(language)), ("kinds", kinds(language))):
            path = folder / f"{name}.{language}.md"
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def commands(language: str) -> str:
    """Return the page of all commands: each one's help."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = COLUMNS
    try:
        parts = [
            f"{'#' * min(3, len(path) + 1)} {' '.join(('servha', *path))}\n\n```text\n{parser.format_help()}```\n"
            for path, parser in verbs_of(make_parser(language))
        ]
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return "\n".join(parts)


def verbs_of(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Yield the parser and every parser below it, with the words that lead there."""
    yield path, parser
    for action in parser._actions:  # noqa: SLF001 - argparse gives its subparsers no other way out
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, inner in action.choices.items():
                yield from verbs_of(inner, (*path, name))


def kinds(language: str) -> str:
    """Return the page of all kinds of resources and detectors with their settings."""
    screen = Screen(language=language, out=io.StringIO(), err=io.StringIO())
    head = [screen.words(text) for text in (say("setting"), say("type"), say("default"), say("meaning"))]
    parts = []
    for title, table in ((say("Resources"), RESOURCES), (say("Detectors"), DETECTORS)):
        parts.append(f"# {screen.words(title)}\n")
        for name, kind in table.items():
            parts.append(f"## {name}\n\n{sentence_of(kind, screen)}\n")
            rows: list[Sequence[Cell | str]] = [head, ["---"] * 4, *settings_rows(kind, screen)]
            parts.append("\n".join(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows) + "\n")
    return "\n".join(parts)


def _cell(cell: Cell | str) -> str:
    return (cell.text if isinstance(cell, Cell) else cell).replace("|", "\\|").replace("\n", " ")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages into the folder that was named."""
    parser = argparse.ArgumentParser(
        prog="python -m servha.cli.pages", description="Write the reference pages."
    )
    parser.add_argument("--out", metavar="FOLDER", type=Path, required=True)
    for path in write_pages(parser.parse_args(argv).out):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
