"""Text in columns on a terminal, where a Chinese character takes two places.

Decides how wide a string is and where it is cut. Knows no colour and no language.

>>> width("心跳 ok"), fit("心跳正常", 5), pad("心跳", 6) + "|"
(7, '心跳…', '心跳  |')
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

WIDE = ("W", "F")


def width(text: str) -> int:
    """Places that `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in WIDE else 1 for c in text
    )


def pad(text: str, places: int) -> str:
    """Return `text` followed by spaces up to `places`; never cut."""
    return text + " " * max(0, places - width(text))


def fit(text: str, places: int) -> str:
    """Return `text` cut to `places`, with an ellipsis where something is missing."""
    if width(text) <= places:
        return text
    kept, used = [], 0
    for character in text:
        used += width(character)
        if used > places - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def wrap(text: str, places: int) -> list[str]:
    """Return `text` in lines of at most `places`, broken at spaces, or between two wide characters."""
    lines: list[str] = []
    line = ""
    for piece in _pieces(text):
        if line and width(line) + width(piece.rstrip()) > places:
            lines.append(line.rstrip())
            line = ""
        line += piece if line else piece.lstrip()
    if line.strip() or not lines:
        lines.append(line.rstrip())
    return lines


def _pieces(text: str) -> list[str]:
    """Cut where a line may break: after a space, and around every wide character."""
    pieces: list[str] = []
    word = ""
    for character in text:
        if character in "，。；：、）》」！？":
            # Chinese punctuation never begins a line.
            if word or not pieces:
                word += character
            else:
                pieces[-1] += character
        elif width(character) == 2:
            if word:
                pieces.append(word)
            pieces.append(character)
            word = ""
        else:
            word += character
            if character == " ":
                pieces.append(word)
                word = ""
    if word:
        pieces.append(word)
    return pieces


def widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the places each column needs."""
    count = max((len(row) for row in rows), default=0)
    return [max((width(row[i]) for row in rows if i < len(row)), default=0) for i in range(count)]
