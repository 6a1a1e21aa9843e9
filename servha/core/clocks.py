"""What time has passed, at most and at least: three clocks read together, because each of them can lie.

MONOTONIC stands still while the machine is suspended. BOOTTIME counts that too. RAW is not slewed by time
synchronisation, which may run the other two up to 8 % fast or slow. Nothing here ever looks at the calendar clock
or at another node's clock (section 2.2 of the arbitration design).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment on one machine: CLOCK_MONOTONIC, CLOCK_BOOTTIME and CLOCK_MONOTONIC_RAW, in seconds."""

    mono_s: float
    boot_s: float
    raw_s: float

    def later(self, seconds: float) -> Stamp:
        """Return the moment `seconds` later, were all three clocks right."""
        return Stamp(self.mono_s + seconds, self.boot_s + seconds, self.raw_s + seconds)


def at_most_s(since: Stamp, now: Stamp) -> float:
    """Return how long ago `since` was at most: whoever owns something by a lease counts like this."""
    return max(now.boot_s - since.boot_s, now.raw_s - since.raw_s)


def at_least_s(since: Stamp, now: Stamp) -> float:
    """Return how long ago `since` was at least: whoever waits for another's lease to end counts like this."""
    return min(now.mono_s - since.mono_s, now.raw_s - since.raw_s)
