"""Every timeout of heartbeat and lease, and how they depend on each other.

Beat k is lost when nothing valid arrived by last_heard + timeout + (k-1) * interval (reading A01). This module
decides which figures may be saved together; it does not know what time it is.

>>> t = PROFILES["manual"]
>>> t.late_s, t.warn_s, t.dead_s
(3.0, 5.2, 7.4)
>>> PROFILES["fast"].dead_s
0.32
>>> [str(p) for p in Timing(interval_ms=1000, timeout_ms=1000).problems()]
['heartbeat timeout 1000 ms must be longer than the interval 1000 ms, or every beat is late']
"""

from __future__ import annotations

from dataclasses import dataclass

from servha.core.words import Text, say

MARGIN_S = 0.02
"""What lies between the last moment at which the watchdog may be fed and the two periods it then needs."""

RESET_MARGIN_S = 0.2
"""How long before the watchdog's own end a node whose trees would not stop is reset by order."""

DAEMON_GRACE_S = 30.0
"""How long servhad may be away (crash, upgrade) before what it ran is stopped without it."""

IN_FLIGHT_LEAST_MS = 250
"""Least time granted to device commands of a node that was just reset."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The lease's figures in milliseconds; both nodes must run with the same ones (inequality I8).

    >>> round(PROFILES["manual"].limits.take_s, 3), round(PROFILES["manual"].limits.keep_s(), 3)
    (6.56, 3.98)
    """

    lease_ms: int
    watchdog_ms: int
    round_ms: int
    drift_ppm: int
    in_flight_ms: int

    @property
    def lease_s(self) -> float:
        """L: how long after its issue a renewal may protect the trees of the node that renewed."""
        return self.lease_ms / 1000

    @property
    def watchdog_s(self) -> float:
        """W: time after which an unfed watchdog resets the node."""
        return self.watchdog_ms / 1000

    @property
    def round_s(self) -> float:
        """R: period of writing the own slot and reading the peer's; also of asking the peer for its promise."""
        return self.round_ms / 1000

    @property
    def take_s(self) -> float:
        """L_take: how long the peer must have been silent by every measure before its trees may be taken.

        Twice the clock error stands for (1 + rho) / (1 - rho); what that leaves out is covered by the margin, but for
        a long lease beside bad clocks, and then it is added.
        """
        rho = self.drift_ppm / 1_000_000
        left_out_s = self.lease_s * 2 * rho * rho / (1 - rho)
        wait_s = self.lease_s * (1 + 2 * rho) + self.in_flight_ms / 1000
        return wait_s + max(0.0, left_out_s - MARGIN_S)

    @property
    def claim_s(self) -> float:
        """Silence on the disk after which the takeover is announced there: overlapped with waiting, not added."""
        return max(3 * self.round_s, self.take_s / 2)

    @property
    def feed_s(self) -> float:
        """Period of feeding the watchdog."""
        return min(0.25, self.watchdog_s / 5)

    def keep_s(self, watchdog_s: float = 0.0) -> float:
        """Age of the last renewal up to which trees may run and the watchdog is fed.

        Two watchdog periods less than the lease: the last feeding may come a whole period after the last look,
        and the reset a whole period after that. `watchdog_s` is the time the driver really keeps, where longer.
        """
        return self.lease_s - 2 * max(self.watchdog_s, watchdog_s) - MARGIN_S

    def reset_s(self, watchdog_s: float = 0.0) -> float:
        """Age at which a node whose trees have not stopped resets itself instead of waiting for its watchdog."""
        return self.lease_s - max(self.watchdog_s, watchdog_s) - RESET_MARGIN_S


@dataclass(frozen=True, slots=True)
class Timing:
    """Figures in milliseconds: the heartbeat's as the manual's wizard shows them (F043-F047), and the lease's."""

    interval_ms: int = 2200
    timeout_ms: int = 3000
    warn_count: int = 2
    dead_count: int = 3
    first_start_ms: int = 15000
    lease_ms: int = 6000
    watchdog_ms: int = 1000
    round_ms: int = 500
    drift_ppm: int = 5000
    in_flight_ms: int = 500

    @property
    def limits(self) -> Limits:
        """The lease's part."""
        return Limits(self.lease_ms, self.watchdog_ms, self.round_ms, self.drift_ppm, self.in_flight_ms)

    @property
    def interval_s(self) -> float:
        """Seconds between two beats on one link."""
        return self.interval_ms / 1000

    @property
    def late_s(self) -> float:
        """Silence after which the first beat counts as lost."""
        return self.timeout_ms / 1000

    @property
    def suspect_s(self) -> float:
        """Silence on every link after which questions are asked on the wire, ahead of time.

        Half an interval more than one: ordinary jitter must not send probes, and the answers must still be there
        when silence becomes death.
        """
        return max(self.late_s, 1.5 * self.interval_s)

    @property
    def warn_s(self) -> float:
        """Silence after which the link is reported (manual: 心跳丢失告警次数)."""
        return (self.timeout_ms + (self.warn_count - 1) * self.interval_ms) / 1000

    @property
    def dead_s(self) -> float:
        """Silence after which the link counts as dead (manual: 心跳丢失宕机判定次数)."""
        return (self.timeout_ms + (self.dead_count - 1) * self.interval_ms) / 1000

    @property
    def first_start_s(self) -> float:
        """How long a node that hears no peer waits after its start before it may act alone."""
        return self.first_start_ms / 1000

    def problems(self, *, leased: bool = False) -> list[Text]:
        """Return every reason why these figures may not be saved together, in words; empty when they may.

        The lease's figures are looked at when there is a quorum disk (`leased`).
        """
        found: list[Text] = []
        for name, value, low, high in (
            (say("heartbeat interval"), self.interval_ms, 50, 60_000),
            (say("heartbeat timeout"), self.timeout_ms, 60, 600_000),
            (say("first start delay"), self.first_start_ms, 0, 3_600_000),
        ):
            if not low <= value <= high:
                found.append(
                    say(
                        "{name} {value} ms is outside {low}..{high} ms",
                        name=name,
                        value=value,
                        low=low,
                        high=high,
                    )
                )
        if self.timeout_ms <= self.interval_ms:
            found.append(
                say(
                    "heartbeat timeout {timeout} ms must be longer than the interval {interval} ms,"
                    " or every beat is late",
                    timeout=self.timeout_ms,
                    interval=self.interval_ms,
                )
            )
        if not 1 <= self.warn_count < self.dead_count <= 100:
            found.append(
                say(
                    "lost beats before the warning ({warn}) must be at least 1 and fewer than before the"
                    " link counts as dead ({dead}, at most 100)",
                    warn=self.warn_count,
                    dead=self.dead_count,
                )
            )
        least_ms = max(300, 3 * self.interval_ms)
        if self.dead_s * 1000 < least_ms:
            found.append(
                say(
                    "a link would count as dead after {dead_ms} ms; below {least_ms} ms an ordinary delay looks"
                    " like a death: raise the timeout or the count",
                    dead_ms=round(self.dead_s * 1000),
                    least_ms=least_ms,
                )
            )
        if self.first_start_s < self.dead_s:
            found.append(
                say(
                    "first start delay {first_ms} ms is shorter than the silence that counts as death"
                    " ({dead_ms} ms): a booting node would act before it could have heard its peer",
                    first_ms=self.first_start_ms,
                    dead_ms=round(self.dead_s * 1000),
                )
            )
        return found + (self._lease_problems() if leased else [])

    def _lease_problems(self) -> list[Text]:
        """Return which inequalities of section 2.11 do not hold, in words; the disk's own speed comes later."""
        limits, found = self.limits, list[Text]()
        for name, value, low, high in (
            (say("lease"), self.lease_ms, 1000, 600_000),
            (say("watchdog time"), self.watchdog_ms, 200, 60_000),
            (say("disk round"), self.round_ms, 20, 10_000),
            (say("time for commands in flight"), self.in_flight_ms, IN_FLIGHT_LEAST_MS, 60_000),
        ):
            if not low <= value <= high:
                found.append(
                    say(
                        "{name} {value} ms is outside {low}..{high} ms",
                        name=name,
                        value=value,
                        low=low,
                        high=high,
                    )
                )
        if not 100 <= self.drift_ppm <= 100_000:
            found.append(
                say(
                    "clock error {value} ppm is outside {low}..{high} ppm",
                    value=self.drift_ppm,
                    low=100,
                    high=100_000,
                )
            )
        if found:
            return found
        keep_ms = round(limits.keep_s() * 1000)
        if keep_ms < 3 * self.round_ms:
            found.append(
                say(
                    "a lease of {lease} ms less two watchdog times of {watchdog} ms leaves {keep} ms: too short for"
                    " three disk rounds of {round} ms, so one lost round would stop every tree",
                    lease=self.lease_ms,
                    watchdog=self.watchdog_ms,
                    keep=keep_ms,
                    round=self.round_ms,
                )
            )
        if self.round_ms * 8 > self.lease_ms:
            found.append(
                say(
                    "a disk round of {round} ms is longer than an eighth of the lease of {lease} ms",
                    round=self.round_ms,
                    lease=self.lease_ms,
                )
            )
        least_ms = round(limits.take_s * 1000) + self.round_ms + 1000
        if self.first_start_ms < least_ms:
            found.append(
                say(
                    "first start delay {first_ms} ms is shorter than {least_ms} ms: a booting node could not see"
                    " whether the lease of its peer has ended",
                    first_ms=self.first_start_ms,
                    least_ms=least_ms,
                )
            )
        return found


PROFILES = {
    "manual": Timing(),
    "fast": Timing(
        interval_ms=100,
        timeout_ms=120,
        warn_count=2,
        dead_count=3,
        first_start_ms=4100,
        lease_ms=2400,
        round_ms=100,
        in_flight_ms=300,
    ),
}
