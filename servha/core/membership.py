"""Is the peer there? Folds beats and time into one word per link and one for the peer.

Silence has two causes that cannot be told apart from here, death and a cut wire, so this module never says
"dead" of a node: only an arbiter can turn LOST into permission to take over. Beat k is late after
timeout + (k-1) * interval (reading A01); the peer is lost only when every link is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from servha.core.model import PeerHealth, Report
from servha.core.timing import Timing
from servha.core.value import replace

ROUNDING_S = 1e-6
"""A moment computed as heard + limit counts as reached although the difference of the two falls a hair short."""


class LinkHealth(StrEnum):
    """What silence on one link amounts to."""

    UNKNOWN = "unknown"  # nothing heard on it since our own start
    UP = "up"
    LATE = "late"  # one beat missing
    WARNED = "warned"  # as many missing as the administrator wants to hear about
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class LinkView:
    """What we know of one link. `carrier` is None where the interface is gone or was not looked at yet."""

    name: str
    heard_s: float | None = None
    carrier: bool | None = None
    they_hear_us: bool = False

    def silent_s(self, now_s: float) -> float | None:
        """Seconds since the last good beat on this link; None if there was none."""
        return None if self.heard_s is None else max(0.0, now_s - self.heard_s)

    def health(self, now_s: float, timing: Timing) -> LinkHealth:
        """Fold the silence of this link into a word."""
        silent_s = self.silent_s(now_s)
        if silent_s is None:
            return LinkHealth.UNKNOWN
        if silent_s >= timing.dead_s - ROUNDING_S:
            return LinkHealth.DEAD
        if silent_s >= timing.warn_s - ROUNDING_S:
            return LinkHealth.WARNED
        if silent_s >= timing.late_s - ROUNDING_S:
            return LinkHealth.LATE
        return LinkHealth.UP


@dataclass(frozen=True, slots=True)
class Membership:
    """All that was heard of the peer."""

    links: tuple[LinkView, ...]
    report: Report | None = None
    last_event_s: float | None = None

    def heard(self, link: str, report: Report, now_s: float) -> Membership:
        """Return the view after a good beat on `link`."""
        views = tuple(
            replace(v, heard_s=now_s, they_hear_us=v.name in report.hears)
            if v.name == link
            else replace(v, they_hear_us=v.name in report.hears)
            for v in self.links
        )
        known = self.report
        late = known is not None and known.incarnation == report.incarnation and report.number < known.number
        return replace(self, links=views, report=known if late else report)

    def with_carrier(self, link: str, *, up: bool | None) -> Membership:
        """Return the view after the kernel spoke about the interface of `link`."""
        return replace(self, links=tuple(replace(v, carrier=up) if v.name == link else v for v in self.links))

    def passed(self, now_s: float, timing: Timing) -> Membership:
        """Return the view at `now_s`. If we ourselves were stopped, that time does not count as silence.

        A paused process finds every link silent when it wakes, and that says nothing about the peer; a link that was
        silent before stays so.
        """
        last_s = self.last_event_s
        if last_s is not None and now_s - last_s >= timing.late_s:
            paused_s = now_s - last_s
            views = tuple(
                v if v.heard_s is None else replace(v, heard_s=min(now_s, v.heard_s + paused_s))
                for v in self.links
            )
            return replace(self, links=views, last_event_s=now_s)
        return replace(self, last_event_s=now_s)

    def silent_s(self, now_s: float) -> float:
        """Seconds since the last good beat on any link; since ever if there was none."""
        heard = [v.heard_s for v in self.links if v.heard_s is not None]
        return now_s - max(heard) if heard else float("inf")

    def peer(self, now_s: float, timing: Timing, *, exists: bool) -> PeerHealth:
        """Fold all links into the one word for the peer.

        A peer that went away and left trees running (detach) is treated as one that fell silent.
        """
        if not exists:
            return PeerHealth.ABSENT
        silent_s = self.silent_s(now_s)
        if self.report is None or silent_s == float("inf"):
            return PeerHealth.UNHEARD
        if self.report.leaving and not any(t.phase.holds for t in self.report.trees):
            return PeerHealth.LEFT
        if silent_s >= timing.dead_s - ROUNDING_S:
            return PeerHealth.LOST
        if silent_s >= timing.suspect_s - ROUNDING_S:
            return PeerHealth.SUSPECT
        return PeerHealth.ALIVE

    def next_change_s(self, now_s: float, timing: Timing) -> float:
        """Return the next moment at which some link's word changes if nothing is heard; infinity if none will."""
        moments = [
            v.heard_s + limit_s
            for v in self.links
            if v.heard_s is not None
            for limit_s in (timing.late_s, timing.suspect_s, timing.warn_s, timing.dead_s)
        ]
        return min((m for m in moments if m > now_s + ROUNDING_S), default=float("inf"))


def membership_for(links: tuple[str, ...], before: Membership | None = None) -> Membership:
    """Return a view of `links`, keeping what `before` knew of those that stay."""
    if before is None:
        return Membership(tuple(LinkView(name) for name in links))
    known = {v.name: v for v in before.links}
    return replace(before, links=tuple(known.get(name, LinkView(name)) for name in links))
