"""The lease line of each beat: pings that ask the peer for its promise, and the promises that answer the peer's.

Decides only when a ping is due. What a promise is worth, and whether one is given, is decided by the arbitration
guards on both sides; this is the post between them. A token is the moment its ping was sent; nobody else can read it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from servha.core.clocks import Stamp
from servha.core.guard_model import View
from servha.core.lease import Lease
from servha.core.register import Entry
from servha.wire.beat import LeaseLine

TOKENS_KEPT = 64
DUE_SHARE = 0.9
"""Share of the period after which a ping that no beat has carried is sent on its own."""


def stamp() -> Stamp:
    """Read the three clocks, the one first that must not be late."""
    return Stamp(
        time.clock_gettime(time.CLOCK_MONOTONIC),
        time.clock_gettime(time.CLOCK_BOOTTIME),
        time.clock_gettime(time.CLOCK_MONOTONIC_RAW),
    )


class Leases:
    """The post between both guards. Called in the loop's thread only."""

    def __init__(
        self,
        *,
        ping_heard: Callable[[int, int], None],
        promise_heard: Callable[[int, Stamp], None],
    ) -> None:
        self._ping_heard = ping_heard
        self._promise_heard = promise_heard
        self._sent: dict[int, Stamp] = {}
        self._heard = (0, 0)
        self._answered = 0
        self._promised = (0, 0)
        self._pinging = False
        self._generation = 0
        self._last_s = float("-inf")

    def follow(self, view: View | None) -> None:
        """Ping for as long as the guard protects something; what was promised before it went is not repeated."""
        if view is None:
            self._promised = (0, 0)
            self._pinging = False
            return
        wanted = any(e.entry is Entry.WANT for e in view.entries)
        self._pinging = wanted or view.lease in (Lease.LEASED, Lease.DEGRADED)
        self._generation = view.generation

    def due(self, now_s: float, period_s: float) -> bool:
        """Return whether a ping has to be sent on its own, because no beat carried one for a period."""
        return self._pinging and now_s - self._last_s >= period_s * DUE_SHARE

    def line(self) -> LeaseLine:
        """Return the line for a datagram that is about to be sent, on every link the same."""
        token = 0
        if self._pinging:
            now = stamp()
            token = int(now.raw_s * 1e9)
            self._last_s = now.boot_s
            self._sent[token] = now
            if len(self._sent) > TOKENS_KEPT:
                del self._sent[next(iter(self._sent))]
        promises = self._promised != (0, 0)
        return LeaseLine(self._generation if token else 0, token, promises, *self._promised)

    def heard(self, line: LeaseLine) -> None:
        """Hand on what is new in a line of the peer."""
        if line.ping_token and (line.ping_generation, line.ping_token) > self._heard:
            self._heard = (line.ping_generation, line.ping_token)
            self._ping_heard(*self._heard)
        if line.promises and line.promised_token in self._sent and line.promised_token > self._answered:
            self._answered = line.promised_token
            self._promise_heard(line.promised_generation, self._sent[line.promised_token])

    def promise(self, generation: int, token: int) -> None:
        """Let the next datagrams carry this promise of our guard."""
        self._promised = (generation, token)
