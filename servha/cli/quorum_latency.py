"""What the speed of the quorum disk has to do with the figures of the lease (section 2.11 of the arbitration design).

Pure: measured seconds in, conditions out. Refuses to choose the figures: that is the administrator's business.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from servha.core.timing import Limits
from servha.core.words import Text, say


@dataclass(frozen=True, slots=True)
class Latency:
    """How long rounds took, in milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    most_ms: float


@dataclass(frozen=True, slots=True)
class Inequality:
    """One condition between the disk and the figures.

    `spare_ms`: how much slower the slowest round may become; below 0 it does not hold.
    """

    name: str
    text: Text
    spare_ms: float


def latency(took_s: Sequence[float]) -> Latency:
    """Fold measured rounds.

    >>> latency([n / 1000 for n in range(1, 1001)])
    Latency(count=1000, p50_ms=500.0, p99_ms=990.0, p999_ms=999.0, most_ms=1000.0)
    """
    ordered = sorted(took_s)

    def at(share: float) -> float:
        return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1000, 3)

    return Latency(len(ordered), at(0.5), at(0.99), at(0.999), at(1.0))


def inequalities(limits: Limits, measured: Latency) -> list[Inequality]:
    """Return what the disk's speed has to do with the figures, first the one that a slower disk would break first."""
    keep_ms, tail_ms = limits.keep_s() * 1000, measured.p999_ms
    found = [
        Inequality(
            "I1",
            say(
                "lease less two watchdog times: {keep} ms; three rounds and twice the slowest: {need} ms",
                keep=f"{keep_ms:.0f}",
                need=f"{3 * limits.round_ms + 2 * tail_ms:.1f}",
            ),
            round((keep_ms - 3 * limits.round_ms) / 2 - tail_ms, 3),
        ),
        Inequality(
            "I3",
            say(
                "time granted to commands in flight: {granted} ms; the slowest: {need} ms",
                granted=limits.in_flight_ms,
                need=f"{tail_ms:.1f}",
            ),
            round(limits.in_flight_ms - tail_ms, 3),
        ),
    ]
    return sorted(found, key=lambda one: one.spare_ms)


def least_lease_ms(limits: Limits, measured: Latency) -> int:
    """Return the shortest lease that this disk, watchdog and round period allow (I1, I7)."""
    around_ms = limits.lease_ms - limits.keep_s() * 1000
    return max(8 * limits.round_ms, math.ceil(around_ms + 3 * limits.round_ms + 2 * measured.p999_ms))
