"""The three clocks of one simulated machine, each of which may run at its own rate, stand still or jump.

What they do to a lease is decided in core/clocks.py and core/guard.py. Nothing here knows what they are read for.
"""

from __future__ import annotations

from dataclasses import dataclass

from servha.core.clocks import Stamp


@dataclass
class Clock:
    """One clock: what it showed at a moment of true time, and how fast it has run since."""

    shown_s: float = 0.0
    since_s: float = 0.0
    rate: float = 1.0
    stands: bool = False

    def read(self, true_s: float) -> float:
        """Return what it shows at `true_s`."""
        return self.shown_s if self.stands else self.shown_s + (true_s - self.since_s) * self.rate

    def set(self, true_s: float, *, rate: float | None = None, stands: bool | None = None) -> None:
        """From `true_s` on let it run at `rate`, or stand, or go on."""
        self.shown_s, self.since_s = self.read(true_s), true_s
        self.rate = self.rate if rate is None else rate
        self.stands = self.stands if stands is None else stands

    def true_wait_s(self, wait_s: float) -> float:
        """Return how much true time passes while it shows `wait_s` more."""
        return wait_s / self.rate


class Clocks:
    """CLOCK_MONOTONIC, CLOCK_BOOTTIME and CLOCK_MONOTONIC_RAW of one machine."""

    def __init__(self) -> None:
        self.mono, self.boot, self.raw = Clock(), Clock(), Clock()

    def read(self, true_s: float) -> Stamp:
        """Return what all three show at `true_s`."""
        return Stamp(self.mono.read(true_s), self.boot.read(true_s), self.raw.read(true_s))

    def slew(self, true_s: float, rate: float) -> None:
        """Let time synchronisation speed up or slow down MONOTONIC and BOOTTIME; RAW is not slewed."""
        for clock in (self.mono, self.boot):
            clock.set(true_s, rate=rate)

    def drift(self, true_s: float, rate: float) -> None:
        """Let the oscillator itself run at `rate`: RAW shows it, and the others until they are slewed."""
        for clock in (self.mono, self.boot, self.raw):
            clock.set(true_s, rate=rate)

    def freeze(self, true_s: float) -> None:
        """Stop all three: the whole virtual machine stands still and will not know."""
        for clock in (self.mono, self.boot, self.raw):
            clock.set(true_s, stands=True)

    def suspend(self, true_s: float, *, raw_stands: bool = True) -> None:
        """Suspend the machine: MONOTONIC stands, and RAW on the kernels where it does; BOOTTIME counts it."""
        self.mono.set(true_s, stands=True)
        self.raw.set(true_s, stands=raw_stands)

    def go_on(self, true_s: float) -> None:
        """End `freeze` and `suspend`."""
        for clock in (self.mono, self.boot, self.raw):
            clock.set(true_s, stands=False)

    def jump(self, seconds: float) -> None:
        """Let BOOTTIME alone show `seconds` more, as after a suspend that nothing else noticed."""
        self.boot.shown_s += seconds
