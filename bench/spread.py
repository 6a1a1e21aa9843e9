"""Least, middle and most of some figures. Pure; judges nothing."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """What remains of a series of figures; the unit is the series'."""

    least: float
    middle: float
    most: float
    count: int

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread | None:
        """Return the spread, None of nothing.

        >>> Spread.of([3.0, 1.0, 2.0, 10.0])
        Spread(least=1.0, middle=2.5, most=10.0, count=4)
        >>> Spread.of([]) is None
        True
        """
        series = sorted(figures)
        if not series:
            return None
        return cls(series[0], statistics.median(series), series[-1], len(series))

    def text(self, *, factor: float = 1000.0, places: int = 0) -> str:
        """Write it as it stands in the tables.

        >>> Spread(0.2701, 0.314, 0.3551, 10).text()
        '270 / 314 / 355'
        """
        return " / ".join(f"{figure * factor:.{places}f}" for figure in (self.least, self.middle, self.most))


def ratio(ours: Spread | None, theirs: Spread | None) -> float | None:
    """Return our middle as a multiple of theirs; None where one is missing or theirs is nothing.

    >>> ratio(Spread(1, 2, 3, 3), Spread(1, 4, 5, 3))
    0.5
    >>> ratio(Spread(1, 2, 3, 3), Spread(0, 0, 0, 3)) is None
    True
    """
    if ours is None or theirs is None or theirs.middle <= 0:
        return None
    return ours.middle / theirs.middle


class Book:
    """All figures of a run, by contestant and measure, and what went wrong."""

    def __init__(self) -> None:
        self._figures: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.failures: list[str] = []

    def add(self, contestant: str, measure: str, figure: float) -> None:
        """Note one figure, in seconds or bytes as the measure says."""
        self._figures[contestant, measure].append(figure)

    def spread(self, contestant: str, measure: str) -> Spread | None:
        """Return what was noted, None if nothing."""
        return Spread.of(self._figures.get((contestant, measure), ()))

    def contestants(self) -> tuple[str, ...]:
        """Everybody of whom there is a figure, in the order of appearance."""
        return tuple(dict.fromkeys(contestant for contestant, _ in self._figures))

    def has(self, measure: str) -> tuple[str, ...]:
        """Return the contestants that have figures for a measure."""
        return tuple(c for c in self.contestants() if (c, measure) in self._figures)

    def keys_of(self, contestant: str) -> tuple[str, ...]:
        """Every measure of which there is a figure for one contestant."""
        return tuple(measure for who, measure in self._figures if who == contestant)
