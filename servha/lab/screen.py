"""What a verb needs of the command line's screen; the real one is servha/cli/screen.py, which calls us."""

from __future__ import annotations

from typing import Any, Protocol

from servha.core.words import Text


class Screen(Protocol):
    """Where words go, in the reader's language."""

    language: str
    json: bool

    def words(self, text: Text) -> str:
        """Return `text` in the reader's language."""

    def line(self, text: Text | str = "", *, mood: str = "", indent: int = 0) -> None:
        """Write a paragraph."""

    def complain(self, text: Text, *, indent: int = 0) -> None:
        """Write a line to standard error."""

    def answer(self, result: Any) -> None:
        """Write a result as JSON."""
