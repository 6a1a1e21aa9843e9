"""Where a command's words go: the reader's language, colour only where a person looks, or JSON.

Decides nothing about the cluster. Every colour has a word beside it, so nothing is lost without colour.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from servha.cli import columns
from servha.core.words import Text
from servha.language import preferred_language, render, spoken

COLOURS: Final[Mapping[str, str]] = {
    "good": "32",
    "calm": "34",
    "warn": "33",
    "bad": "31",
    "quiet": "2",
    "strong": "1",
}
SCHEMA_VERSION: Final = 1
GAP: Final = 2


@dataclass(slots=True)
class Cell:
    """One cell of a table: its words, and the mood that colours them."""

    text: str
    mood: str = ""


@dataclass(slots=True)
class Screen:
    """The reader's side of a command. `places` is the width of the terminal in characters."""

    language: str = field(default_factory=preferred_language)
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    colour: bool = False
    places: int = 100
    json: bool = False

    @property
    def interactive(self) -> bool:
        """Whether a person is there to answer a question."""
        return sys.stdin.isatty() and self.out.isatty()

    def words(self, text: Text) -> str:
        """Return `text` in the reader's language."""
        return render(text, self.language)

    def paint(self, text: str, mood: str) -> str:
        """Return `text` in the colour of `mood`, where colour is wanted."""
        code = COLOURS.get(mood)
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and code and text else text

    def line(self, text: Text | str = "", *, mood: str = "", indent: int = 0) -> None:
        """Write a paragraph: wrapped at the width of the terminal, each line indented."""
        words = self.words(text) if isinstance(text, Text) else text
        for part in columns.wrap(words, self.places - indent) if words else [""]:
            print(" " * indent + self.paint(part, mood), file=self.out, flush=True)

    def complain(self, text: Text, *, indent: int = 0) -> None:
        """Write a line to standard error."""
        print(" " * indent + self.words(text), file=self.err, flush=True)

    def table(self, rows: Sequence[Sequence[Cell | str]], *, indent: int = 2) -> None:
        """Write aligned columns; the last one wraps. Widths count Chinese characters as two."""
        cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
        count = max((len(row) for row in cells), default=0)
        if not count:
            return
        full = [[*row, *(Cell("") for _ in range(count - len(row)))] for row in cells]
        needed = columns.widths([[cell.text for cell in row] for row in full])
        hang = indent + sum(place + GAP for place in needed[:-1])
        room = max(24, self.places - hang)
        for *head, last in full:
            lead = " " * indent
            for place, cell in zip(needed[:-1], head, strict=True):
                lead += self.paint(cell.text, cell.mood) + " " * (place - columns.width(cell.text) + GAP)
            for number, part in enumerate(columns.wrap(last.text, room)):
                start = lead if number == 0 else " " * hang
                print((start + self.paint(part, last.mood)).rstrip(), file=self.out)
        self.out.flush()

    def answer(self, result: Any) -> None:
        """Write a result as JSON: with a schema version, and every sentence also rendered, as `text`."""
        whole = result if isinstance(result, Mapping) else {"result": result}
        print(
            json.dumps(
                {"schema_version": SCHEMA_VERSION, **spoken(whole, self.language)},
                ensure_ascii=False,
                indent=2,
            ),
            file=self.out,
            flush=True,
        )

    def answer_line(self, result: Mapping[str, Any]) -> None:
        """Write one result as one line of JSON."""
        whole = {"schema_version": SCHEMA_VERSION, **spoken(result, self.language)}
        print(json.dumps(whole, ensure_ascii=False, separators=(",", ":")), file=self.out, flush=True)

    def agreed(self, question: Text) -> bool:
        """Ask a person; only y or yes (是) is a yes."""
        print(self.words(question) + " [y/N] ", end="", file=self.out, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes", "是")


def screen_for(language: str, *, as_json: bool) -> Screen:
    """Return the screen of this process: colour on a terminal unless NO_COLOR is set."""
    is_terminal = sys.stdout.isatty()
    return Screen(
        language=language,
        out=sys.stdout,
        err=sys.stderr,
        colour=is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
        places=max(60, min(160, shutil.get_terminal_size((100, 40)).columns)) if is_terminal else 120,
        json=as_json,
    )
