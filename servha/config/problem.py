"""One thing that is wrong with a configuration: where, why, and what to do about it.

Whether something is wrong is decided by whoever looks (reading.py, checks.py, the kinds); here it only gets
a shape.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from servha.core.words import NOTHING_SAID, Text, say


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason not to accept a configuration.

    `path` names the place, as in "trees.web.resources.app.after".
    """

    path: str
    because: Text
    remedy: Text = NOTHING_SAID

    def __str__(self) -> str:
        remedy = str(self.remedy)
        return f"{self.path}: {self.because}" + (f"; {remedy}" if remedy else "")


def suggestion(word: str, known: Iterable[str]) -> Text:
    """Return the remedy for a word that is not known: the nearest one that is, or all there are."""
    words = sorted(known)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return say("did you mean {word}?", word=near[0])
    if not words:
        return say("there is none yet: create it first")
    return say("choose one of: {words}", words=", ".join(words[:20]))
