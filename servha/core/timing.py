"""Every timeout of the heartbeat, and how they depend on each other.

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


@dataclass(frozen=True, slots=True)
class Timing:
    """The heartbeat's figures in milliseconds, as the manual's wizard shows them (F043-F047)."""

    interval_ms: int = 2200
    timeout_ms: int = 3000
    warn_count: int = 2
    dead_count: int = 3
    first_start_ms: int = 15000

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

    def problems(self) -> list[Text]:
        """Return every reason why these figures may not be saved together, in words; empty when they may."""
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
        return found


PROFILES = {
    "manual": Timing(),
    "fast": Timing(interval_ms=100, timeout_ms=120, warn_count=2, dead_count=3, first_start_ms=3000),
}
