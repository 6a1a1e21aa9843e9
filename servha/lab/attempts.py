"""What a client saw: single attempts, and the blackouts that follow from them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try, by CLOCK_MONOTONIC. `result` is `200` and the like, or what went wrong in a word."""

    start_s: float
    end_s: float
    result: str
    who: str  # the node that answered, if it said so; else a digest of the body

    @property
    def good(self) -> bool:
        """Whether it was answered as it should be."""
        return self.result in {"200", "echo"}


@dataclass(frozen=True, slots=True)
class Blackout:
    """From the last good answer to the first good answer, as the client saw it."""

    start_s: float
    end_s: float | None  # None: there was no answer any more
    failed: int
    before: str
    after: str

    @property
    def length_s(self) -> float:
        """How long; endless if there was no answer any more."""
        return float("inf") if self.end_s is None else self.end_s - self.start_s


PATIENCE_S = 0.1
"""A gap between two good answers that nobody calls a blackout, on a machine that has time."""


def blackouts(attempts: Iterable[Attempt], *, patience_s: float = PATIENCE_S) -> list[Blackout]:
    """Return every time in which the client tried and got nothing.

    A gap between two good answers counts if an attempt made in it failed, or if it is longer than `patience_s`
    although the client tried. A gap without any attempt is the client's own pause, not the server's.

    >>> seen = [Attempt(0.00, 0.01, "200", "node1"), Attempt(0.01, 0.51, "timeout", ""),
    ...         Attempt(0.50, 0.52, "200", "node2"), Attempt(0.60, 0.61, "200", "node2")]
    >>> [(one.start_s, one.end_s, one.failed, one.after) for one in blackouts(seen)]
    [(0.01, 0.52, 1, 'node2')]
    """
    everything = sorted(attempts, key=lambda attempt: attempt.start_s)
    good = sorted((attempt for attempt in everything if attempt.good), key=lambda attempt: attempt.end_s)
    found = []
    at = 0
    for last, following in zip(good, [*good[1:], None], strict=True):
        end_s = following.end_s if following else float("inf")
        # Attempts are consumed in order: each belongs to the first gap that ends after it began.
        tried = failed = 0
        while at < len(everything) and everything[at].start_s < end_s:
            tried += everything[at].start_s >= last.end_s and everything[at] is not following
            failed += not everything[at].good
            at += 1
        if failed or (following and tried and end_s - last.end_s > patience_s):
            end = following.end_s if following else None
            found.append(Blackout(last.end_s, end, failed, last.who, following.who if following else ""))
    return found
