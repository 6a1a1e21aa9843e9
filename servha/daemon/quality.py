"""How good the ways between the nodes were during the last hour: one row a minute, for each link and the quorum disk.

Figures for people. Nothing is decided by them: whether a link is up is core/membership.py's to say, whether the disk
answers the guard's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MINUTE_S: Final = 60.0
MINUTES: Final = 60
SMOOTHING: Final = 1 / 8
"""Weight of the newest time in the one shown as that of now, as for a round trip in RFC 6298."""


@dataclass(slots=True)
class Minute:
    """What became of the datagrams, or rounds, of one minute. Times in seconds, over those that were timed."""

    number: int
    good: int = 0
    lost: int = 0
    timed: int = 0
    whole_s: float = 0.0
    least_s: float = 0.0
    most_s: float = 0.0

    def took(self, seconds: float) -> None:
        """Count one time."""
        self.least_s = seconds if not self.timed else min(self.least_s, seconds)
        self.most_s = max(self.most_s, seconds)
        self.whole_s += seconds
        self.timed += 1


class Hour:
    """The last sixty minutes of one link or disk, the figures of now, and the sums since the start."""

    def __init__(self) -> None:
        self.good = self.lost = 0
        self.took_s: float | None = None
        """The time of now, smoothed; None before the first."""
        self._minutes: deque[Minute] = deque(maxlen=MINUTES)
        self._last_s: float | None = None

    def count(self, now_s: float, *, good: int = 1, lost: int = 0, took_s: float | None = None) -> None:
        """Count what has just come in; what was `lost` is spread over the time since the count before this one.

        A negative `lost` takes back what was counted as lost and only came late.
        """
        self.good += good
        self.lost += lost
        if lost > 0:
            self._spread(now_s, lost)
        minute = self._minute(int(now_s // MINUTE_S))
        minute.good += good
        if lost < 0:
            minute.lost = max(0, minute.lost + lost)
        if took_s is not None:
            minute.took(took_s)
            self.took_s = took_s if self.took_s is None else self.took_s + SMOOTHING * (took_s - self.took_s)
        self._last_s = now_s

    def _spread(self, now_s: float, lost: int) -> None:
        began_s = now_s if self._last_s is None else max(self._last_s, now_s - MINUTE_S * (MINUTES - 1))
        first, last = int(began_s // MINUTE_S), int(now_s // MINUTE_S)
        told = 0
        for number in range(first, last + 1):
            until_s = min(now_s, (number + 1) * MINUTE_S)
            due = lost if number == last else round(lost * (until_s - began_s) / (now_s - began_s))
            self._minute(number).lost += due - told
            told = due

    def _minute(self, number: int) -> Minute:
        if not self._minutes or self._minutes[-1].number < number:
            self._minutes.append(Minute(number))
        return self._minutes[-1]

    def loss(self, now_s: float) -> float | None:
        """Return the lost part, 0 to 1, of the minute under way and the one before; None where nothing was due."""
        newest = int(now_s // MINUTE_S) - 1
        recent = [minute for minute in self._minutes if minute.number >= newest]
        due = sum(minute.good + minute.lost for minute in recent)
        return sum(minute.lost for minute in recent) / due if due else None

    def told(self, now_s: float) -> list[dict[str, Any]]:
        """Return a row for each minute in which something came in or is known to be lost, the oldest first."""
        this = int(now_s // MINUTE_S)
        return [
            {
                "ago_min": this - minute.number,
                "good": minute.good,
                "lost": minute.lost,
                "least_ms": _ms(minute.least_s) if minute.timed else None,
                "mean_ms": _ms(minute.whole_s / minute.timed) if minute.timed else None,
                "most_ms": _ms(minute.most_s) if minute.timed else None,
            }
            for minute in self._minutes
            if this - minute.number < MINUTES
        ]


def told(links: Mapping[str, Hour], disk: Hour | None, now_s: float) -> dict[str, Any]:
    """Return the last hour of every link, and of the quorum disk where there is one, as plain data."""
    return {
        "links": {name: hour.told(now_s) for name, hour in links.items()},
        "disk": disk.told(now_s) if disk is not None else None,
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
