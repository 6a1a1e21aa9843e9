"""Heartbeats in and out: links, and the conversation that tells good datagrams from others.

A beat that may be believed becomes an event; everything else is counted, and told at most once a minute. What
silence means is not decided here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from servha.config.document import Document
from servha.core.events import BeatReceived
from servha.core.model import Report
from servha.core.words import NOTHING_SAID, Text
from servha.daemon.leases import Leases
from servha.daemon.loop import boottime_s
from servha.daemon.quality import Hour
from servha.links.udp import UdpLink
from servha.wire.beat import NO_LEASE, Roster
from servha.wire.conversation import Accepted, Answer, Conversation, Rejected
from servha.wire.keys import heartbeat_key

log = logging.getLogger("servha.beats")

TELL_AGAIN_S = 60.0


def roster_of(document: Document, cluster_key: bytes) -> Roster:
    """Return what both ends must know to read each other's beats."""
    return Roster(
        cluster=int(document.cluster.id[:8], 16),
        nodes={node.id: node.name for node in document.nodes},
        links=document.links,
        keys={0: heartbeat_key(cluster_key)},
    )


class Beats:
    """All heartbeat links of this node. Called in the loop's thread only."""

    def __init__(
        self,
        *,
        us: str,
        session: bytes,
        happen: Callable[[BeatReceived], None],
        tell: Callable[[str, Text], None],
        leases: Leases | None = None,
    ) -> None:
        self._us = us
        self._leases = leases
        self._session = session
        self._happen = happen
        self._tell = tell
        self._links: dict[str, UdpLink] = {}
        self._conversation: Conversation | None = None
        self._told_s: dict[str, float] = {}
        self._report: Report | None = None
        self.hours: dict[str, Hour] = {}
        """What the peer's datagrams say about each link: how many were lost on the way here, and the round trip."""

    @property
    def sent(self) -> dict[str, int]:
        """Datagrams sent on each link since it was opened."""
        return {name: link.sent_count for name, link in self._links.items()}

    @property
    def counters(self) -> dict[str, int]:
        """Datagrams accepted, and rejected for which reason."""
        return dict(self._conversation.counters) if self._conversation is not None else {}

    @property
    def troubles(self) -> dict[str, Text]:
        """Links that cannot send or receive, and why."""
        return {name: link.trouble for name, link in self._links.items() if link.trouble != NOTHING_SAID}

    def adapt(self, document: Document, cluster_key: bytes) -> None:
        """Open, close and re-open links so that they are those of the configuration."""
        roster = roster_of(document, cluster_key)
        if self._conversation is None:
            self._conversation = Conversation(roster, self._us, self._session)
        else:
            self._conversation.adopt(roster)
        here, there = document.node(self._us), document.peer_of(self._us)
        wanted: dict[str, tuple[str, str, str, int]] = {}
        if here is not None and there is not None:
            for name in document.links:
                if name in here.links and name in there.links:
                    end = here.links[name]
                    wanted[name] = (end.nic, end.address, there.links[name].ip, document.ports.heartbeat)
        self.hours = {name: self.hours.get(name) or Hour() for name in wanted}
        for name, link in list(self._links.items()):
            if wanted.get(name) != (link.nic, link.address, link.peer_address, link.port):
                link.close()
                del self._links[name]
        for name, (nic, address, peer_address, port) in wanted.items():
            if name not in self._links:
                link = UdpLink(
                    name=name,
                    nic=nic,
                    address=address,
                    peer_address=peer_address,
                    port=port,
                    received=self._receive,
                    troubled=self._troubled,
                )
                self._links[name] = link
                link.open()

    def send(self, report: Report) -> None:
        """Send the report on every link, now."""
        self._report = report
        if self._conversation is None:
            return
        lease, now_s = self._leases.line() if self._leases is not None else NO_LEASE, boottime_s()
        for name, link in self._links.items():
            link.send(self._conversation.compose(report, name, now_s, bye=report.leaving, lease=lease))

    def send_lease(self) -> None:
        """Send the lease line alone, between two beats."""
        if self._conversation is None or self._report is None or self._leases is None:
            return
        lease, now_s = self._leases.line(), boottime_s()
        for name, link in self._links.items():
            datagram = self._conversation.compose_lease(self._report, name, now_s, lease)
            if datagram is not None:
                link.send(datagram)

    def close(self) -> None:
        """Close every link."""
        for link in self._links.values():
            link.close()
        self._links.clear()

    def _receive(self, datagram: bytes, link: str) -> None:
        if self._conversation is None:
            return
        now_s = boottime_s()
        heard = self._conversation.receive(datagram, link, now_s)
        match heard:
            case Accepted(report=report, answer=answer, lease=lease):
                if link in self.hours:
                    self.hours[link].count(now_s, lost=heard.skipped, took_s=heard.round_trip_s)
                if answer:
                    self._answer(link)
                if self._leases is not None:
                    self._leases.heard(lease)
                if heard.lease_only:
                    return
                self._happen(BeatReceived(now_s, link, report))
            case Answer():
                self._answer(link)
            case Rejected(reason=reason, because=because):
                if because != NOTHING_SAID:
                    self._tell_seldom(str(reason), because)

    def _answer(self, link: str) -> None:
        if self._conversation is not None and self._report is not None and link in self._links:
            self._links[link].send(self._conversation.answer(self._report, link, boottime_s()))

    def _troubled(self, link: str, trouble: Text) -> None:
        if trouble != NOTHING_SAID:
            self._tell_seldom(f"link {link}", trouble)

    def _tell_seldom(self, key: str, text: Text) -> None:
        now_s = boottime_s()
        if now_s - self._told_s.get(key, -TELL_AGAIN_S) >= TELL_AGAIN_S:
            self._told_s[key] = now_s
            self._tell("warning", text)
