"""Which of the peer's beats may be believed: only fresh ones, spoken to us, in this life of both daemons.

No clock is trusted for that. Each side names its session (16 random bytes drawn at its start) and repeats
the one it hears from the other; a beat counts only when it repeats ours. So a recording of an earlier
session proves nothing, and a late beat of a session that has ended is not mistaken for the peer's return.
What silence means is decided in core/membership.py; this module never says that anybody is gone.

    we start, session A          HELLO  echo -          ->    peer, session B, has not met A
    accepted: it repeats A       <-     HELLO  echo A         answers at once, keeps A as a candidate
    answer at once               BEAT   echo B          ->    accepted: it repeats B; A is its peer now
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from servha.core.model import Report
from servha.core.words import NOTHING_SAID, Text, say
from servha.wire.beat import (
    NO_ECHO,
    NO_LEASE,
    NO_SESSION,
    SESSION_SIZE,
    VERSION,
    Beat,
    EchoLine,
    Kind,
    LeaseLine,
    Reason,
    Reject,
    Roster,
    decode,
    encode,
)

WINDOW = 64
ANSWER_GAP_S = 0.02
"""Shortest time between two answers on one link: recorded hellos cost at most 50 answers a second."""
ENDED_MAX = 4096
"""How many ended sessions of the peer are remembered; it would have to restart that often in one life of ours
before a recording of the oldest of them could be taken for new."""
SENT_MAX = 64
"""Of how many of our last datagrams on a link the moment of sending is remembered, for the round trip."""
_LOW = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Accepted:
    """A fresh beat of the peer.

    With `answer` the peer does not know us yet: send `Conversation.answer` at once.
    """

    report: Report
    link: str
    answer: bool = False
    lease: LeaseLine = NO_LEASE
    lease_only: bool = False
    """Whether it came between two beats: its report says nothing."""
    new_session: bool = False
    """True for the first beat of a life of the peer that we had not met."""
    skipped: int = 0
    """Datagrams sent on this link between the newest one heard before and this one; -1 for one that came late."""
    round_trip_s: float | None = None
    """From our datagram that it repeats to here, without the time the peer kept it; None where it repeats none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Perhaps the peer's first word, not proven fresh: send `Conversation.answer`, believe nothing."""

    link: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Not to be believed, and counted.

    `because` has words where an operator can do something, else nothing.
    """

    reason: Reason
    because: Text = NOTHING_SAID


class _Window:
    """Remembers which of the last 64 counters of one session on one link have been seen."""

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest = -1
        self._seen = 0

    def admit(self, counter: int) -> int | None:
        """Return how many were skipped before it, -1 if it fills such a gap; None for one that was seen.

        Older than the window counts as seen; before the first one nothing was skipped.
        """
        ahead, first = counter - self._highest, self._highest < 0
        if ahead > 0:
            self._seen = (self._seen << min(ahead, WINDOW) | 1) & (1 << WINDOW) - 1
            self._highest = counter
            return 0 if first else ahead - 1
        bit = 1 << -ahead
        if -ahead >= WINDOW or self._seen & bit:
            return None
        self._seen |= bit
        return -1


class _Way:
    """One link: what was sent on it when, and what was heard last."""

    __slots__ = ("counter", "heard", "heard_s", "sent", "window")

    def __init__(self) -> None:
        self.counter = 0
        self.sent = [(0, 0.0)] * SENT_MAX
        self.begin()

    def begin(self) -> None:
        """Forget what was heard: the peer lives anew."""
        self.window = _Window()
        self.heard, self.heard_s = 0, 0.0

    def number(self, now_s: float) -> int:
        """Return the counter of the datagram that is sent now."""
        self.counter += 1
        self.sent[self.counter % SENT_MAX] = (self.counter, now_s)
        return self.counter

    def echo(self, now_s: float) -> EchoLine:
        """Return what to repeat of what was heard last."""
        held_us = int((now_s - self.heard_s) * 1e6)
        return EchoLine(self.heard & _LOW, held_us) if self.heard and 0 <= held_us <= _LOW else NO_ECHO

    def round_trip_s(self, heard: EchoLine, now_s: float) -> float | None:
        """Return how long ours and this answer were under way; None where ours is not remembered."""
        number, sent_s = self.sent[heard.counter % SENT_MAX]
        if not heard.counter or number & _LOW != heard.counter:
            return None
        return max(0.0, now_s - sent_s - heard.held_us / 1e6)


class Conversation:
    """Talk with the one peer over all links.

    The shell gives the session (16 random bytes, new at every start).
    """

    def __init__(self, roster: Roster, us: str, session: bytes) -> None:
        if len(session) != SESSION_SIZE or session == NO_SESSION:
            raise ValueError("a session is 16 random bytes")
        self.session = session
        self.rejected: dict[Reason, int] = dict.fromkeys(Reason, 0)
        self.accepted = 0
        self._us = us
        self._roster = roster
        self._peer = NO_SESSION
        self._candidate = NO_SESSION
        self._ended: OrderedDict[bytes, None] = OrderedDict()
        self._ways: dict[str, _Way] = {}
        self._answered_s: dict[str, float] = {}

    @property
    def peer_session(self) -> bytes:
        """The session of the peer that has proven to be live; NO_SESSION before that."""
        return self._peer

    @property
    def counters(self) -> Mapping[str, int]:
        """How many datagrams were accepted, and rejected for which reason, since the start."""
        return {"accepted": self.accepted, **{reason.value: count for reason, count in self.rejected.items()}}

    def adopt(self, roster: Roster) -> None:
        """Go on with another configuration or other keys; sessions, counters and windows stay."""
        self._roster = roster

    def compose(
        self, report: Report, link: str, now_s: float, *, bye: bool = False, lease: LeaseLine = NO_LEASE
    ) -> bytes:
        """Return the datagram to be sent on `link` now; `bye` in the last beats before the daemon ends."""
        kind = Kind.BYE if bye else Kind.BEAT if self._peer != NO_SESSION else Kind.HELLO
        return self._write(report, link, now_s, kind, self._peer, lease)

    def compose_lease(self, report: Report, link: str, now_s: float, lease: LeaseLine) -> bytes | None:
        """Return a datagram that carries only `lease`; None while no peer has proven to be live."""
        if self._peer == NO_SESSION:
            return None
        return self._write(replace(report, trees=()), link, now_s, Kind.LEASE, self._peer, lease)

    def answer(self, report: Report, link: str, now_s: float) -> bytes:
        """Return the datagram that tells whoever spoke last that we hear it, and asks for proof in return."""
        if self._candidate in (NO_SESSION, self._peer):
            return self.compose(report, link, now_s)
        return self._write(report, link, now_s, Kind.HELLO, self._candidate)

    def receive(self, datagram: bytes, link: str, now_s: float) -> Accepted | Answer | Rejected:
        """Judge one datagram that came in on `link`."""
        beat = decode(datagram, self._roster)
        if isinstance(beat, Reject):
            return self._reject(beat.reason, beat.detail)
        if beat.report.node == self._us:
            return self._reject(Reason.SENDER)
        # A beat carries its link under the seal, so a recording of one link cannot keep another one looking
        # alive.
        if beat.link != link:
            return self._reject(Reason.LINK)
        if beat.session in self._ended:
            return self._reject(Reason.STALE_SESSION)
        if beat.echo != self.session:
            return self._hear_stranger(beat, link, now_s)
        return self._hear(beat, link, now_s)

    def _hear(self, beat: Beat, link: str, now_s: float) -> Accepted | Rejected:
        """Take in a beat that repeats our session: the sender lives now, or did since we started."""
        new_session = beat.session != self._peer
        if new_session:
            self._begin(beat.session)
        self._candidate = beat.session
        way = self._ways.setdefault(link, _Way())
        skipped = way.window.admit(beat.counter)
        if skipped is None:
            return self._reject(Reason.REPLAYED)
        if skipped >= 0:
            way.heard, way.heard_s = beat.counter, now_s
        self.accepted += 1
        wants_answer = beat.kind is Kind.HELLO and self._may_answer(link, now_s)
        return Accepted(
            beat.report,
            link,
            answer=wants_answer,
            lease=beat.lease,
            lease_only=beat.kind is Kind.LEASE,
            new_session=new_session,
            skipped=skipped,
            round_trip_s=way.round_trip_s(beat.heard, now_s),
        )

    def _hear_stranger(self, beat: Beat, link: str, now_s: float) -> Answer | Rejected:
        """Take in a beat that does not repeat our session: a peer that has just started, or a recording.

        What we believe stays as it is until the stranger repeats our session, so recordings cannot push the
        real peer out; answering costs one datagram.
        """
        if beat.session == self._peer and beat.kind is not Kind.HELLO:
            # The peer we know still speaks to an earlier session of ours; our next beat tells it the new one.
            return self._reject(Reason.STALE_SESSION)
        if not self._may_answer(link, now_s):
            return self._reject(Reason.STALE_SESSION)
        self._candidate = beat.session
        return Answer(link)

    def _begin(self, session: bytes) -> None:
        """The peer lives in a session that is new to us; the one before has ended for good."""
        if self._peer != NO_SESSION:
            self._ended[self._peer] = None
            if len(self._ended) > ENDED_MAX:
                self._ended.popitem(last=False)
        self._peer = session
        for way in self._ways.values():
            way.begin()

    def _may_answer(self, link: str, now_s: float) -> bool:
        if now_s - self._answered_s.get(link, -math.inf) < ANSWER_GAP_S:
            return False
        self._answered_s[link] = now_s
        return True

    def _write(
        self,
        report: Report,
        link: str,
        now_s: float,
        kind: Kind,
        echo: bytes,
        lease: LeaseLine = NO_LEASE,
    ) -> bytes:
        way, roster = self._ways.setdefault(link, _Way()), self._roster
        heard = way.echo(now_s) if echo == self._peer else NO_ECHO
        beat = Beat(kind, link, self.session, way.number(now_s), echo, report, roster.key_id, lease, heard)
        return encode(beat, roster)

    def _reject(self, reason: Reason, detail: int = 0) -> Rejected:
        self.rejected[reason] += 1
        return Rejected(reason, _words(reason, detail))


def _words(reason: Reason, detail: int) -> Text:
    """Return what to tell an operator about a rejection that will not go away by itself."""
    match reason:
        case Reason.VERSION:
            return say(
                "the peer speaks heartbeat version {theirs} and this node version {ours}: install the same"
                " release on both nodes",
                theirs=detail,
                ours=VERSION,
            )
        case Reason.FOREIGN_CLUSTER:
            return say(
                "another cluster sends heartbeats here: give the two clusters different heartbeat ports or"
                " separate networks"
            )
        case Reason.UNKNOWN_KEY | Reason.SEAL:
            return say(
                "heartbeats arrive that were not made with this cluster's key: let the peer leave and join"
                " again, or look for another sender on this network"
            )
        case Reason.SENDER:
            return say(
                "heartbeats arrive from a node with this node's own number, or with one the configuration"
                " does not know: is there a copy of this machine, or a loop in the network?"
            )
        case Reason.LINK:
            return say(
                "heartbeats arrive on another link than they were sent on: are the cables of two links"
                " crossed, or do both nodes have a different configuration?"
            )
        case _:
            return NOTHING_SAID
