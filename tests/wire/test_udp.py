"""Heartbeats over real sockets, between two network namespaces that this file makes and removes."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from servha.core.model import Fitness, Phase, Report, Standing, TreeReport
from servha.core.words import NOTHING_SAID, Text
from servha.links import LINK_KINDS
from servha.links.udp import READS_MAX, UdpLink
from servha.wire.beat import Roster, cluster_number, incarnation
from servha.wire.conversation import Accepted, Answer, Conversation

pytestmark = pytest.mark.root

T = TypeVar("T")
PORT = 14338
DEADLINE_S = 10.0
_CLONE_NEWNET = 0x40000000


def until(claim: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not claim():
        assert time.monotonic() < deadline_s, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.005)


class Namespace:
    """A network namespace, held by a process that does nothing and removed with it."""

    def __init__(self) -> None:
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        ours = Path("/proc/self/ns/net").readlink()
        path = Path(f"/proc/{self.holder.pid}/ns/net")
        until(lambda: path.readlink() != ours, "a network namespace of its own")
        self.ip("link", "set", "lo", "up")

    def ip(self, *words: str) -> None:
        subprocess.run(
            ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "ip", *words],
            check=True,
            capture_output=True,
        )

    def close(self) -> None:
        self.holder.kill()
        self.holder.wait()


@dataclass
class Node:
    """A thread inside a namespace with a loop of its own, as servhad has one."""

    namespace: Namespace
    got: list[tuple[bytes, str]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        self.received: Callable[[bytes, str], None] = lambda datagram, link: self.got.append((datagram, link))
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        with Path(f"/proc/{self.namespace.holder.pid}/ns/net").open("rb") as namespace:
            # For this thread alone: the rest of the test stays where it is.
            assert ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET) == 0
        self.loop.run_forever()
        self.loop.close()

    def do(self, action: Callable[[], T]) -> T:
        async def once() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(once(), self.loop).result(DEADLINE_S)

    def link(self, nic: str, address: str, peer: str) -> UdpLink:
        def made() -> UdpLink:
            link = UdpLink(
                name=nic.rstrip("0"),
                nic=nic,
                address=address,
                peer_address=peer,
                port=PORT,
                received=self._arrived,
                troubled=self._troubled,
            )
            link.open()
            return link

        return self.do(made)

    def _arrived(self, datagram: bytes, link: str) -> None:
        self.received(datagram, link)

    def _troubled(self, link: str, trouble: Text) -> None:
        self.troubles.append("" if trouble == NOTHING_SAID else f"{link}: {trouble}")

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(DEADLINE_S)


@dataclass
class Wire:
    """Two nodes, joined by priv0 (10.9.0.1, .2) and pub0 (10.8.0.1, .2)."""

    one: Node
    other: Node

    def join(self, nic: str, network: str) -> None:
        here, there = self.one.namespace, self.other.namespace
        here.ip("link", "add", nic, "type", "veth", "peer", "name", nic, "netns", str(there.holder.pid))
        for number, namespace in ((1, here), (2, there)):
            namespace.ip("addr", "add", f"{network}.{number}/24", "dev", nic)
            namespace.ip("link", "set", nic, "up")

    def links(self) -> tuple[UdpLink, UdpLink]:
        return (
            self.one.link("priv0", "10.9.0.1/24", "10.9.0.2/24"),
            self.other.link("priv0", "10.9.0.2", "10.9.0.1"),
        )

    def crosses(self, link: UdpLink) -> None:
        """Wait until a datagram sent over `link` by node one arrives at the other."""
        before = len(self.other.got)

        def arrived() -> bool:
            self.one.do(lambda: link.send(b"beat"))
            return len(self.other.got) > before

        until(arrived, "a beat over the link")


@pytest.fixture
def wire() -> Iterator[Wire]:
    namespaces = (Namespace(), Namespace())
    nodes = [Node(namespace) for namespace in namespaces]
    made = Wire(*nodes)
    try:
        made.join("priv0", "10.9.0")
        made.join("pub0", "10.8.0")
        yield made
    finally:
        for node in nodes:
            node.close()
        for namespace in namespaces:
            namespace.close()


def close(node: Node, link: UdpLink) -> None:
    node.do(link.close)


def test_udp_is_the_registered_kind_of_link() -> None:
    assert UdpLink in LINK_KINDS


def test_beats_cross_and_live_for_one_hop_with_network_control_priority(wire: Wire) -> None:
    here, there = wire.links()
    wire.crosses(here)
    assert wire.other.got[-1] == (b"beat", "priv")
    assert here._socket is not None
    assert here._socket.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 1
    assert here._socket.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0xC0
    close(wire.one, here)
    close(wire.other, there)


def test_a_link_comes_back_after_its_interface_was_down(wire: Wire) -> None:
    here, there = wire.links()
    wire.crosses(here)
    wire.one.namespace.ip("link", "set", "priv0", "down")
    until(lambda: not wire.one.do(lambda: here.send(b"lost")), "a send that fails")
    assert "priv0" in wire.one.troubles[-1]
    wire.one.namespace.ip("link", "set", "priv0", "up")
    wire.crosses(here)
    assert wire.one.troubles[-1] == ""
    assert here.trouble == NOTHING_SAID
    close(wire.one, here)
    close(wire.other, there)


def test_links_come_back_after_their_interface_was_removed_and_made_anew(wire: Wire) -> None:
    here, there = wire.links()
    wire.crosses(here)
    wire.one.namespace.ip("link", "delete", "priv0")

    def both_noticed() -> bool:
        wire.other.do(lambda: there.send(b"lost"))
        wire.one.do(lambda: here.send(b"lost"))
        return not here.is_open and not there.is_open

    until(both_noticed, "both ends without an interface")
    until(
        lambda: "there is no network interface priv0" in wire.one.troubles[-1],
        "the interface's absence named",
    )
    wire.join("priv0", "10.9.0")
    wire.crosses(here)
    close(wire.one, here)
    close(wire.other, there)


def test_a_link_whose_address_is_missing_says_so_and_waits_for_it(wire: Wire) -> None:
    there = wire.other.link("priv0", "10.9.0.2", "10.9.0.1")
    wire.one.namespace.ip("addr", "del", "10.9.0.1/24", "dev", "priv0")
    here = wire.one.link("priv0", "10.9.0.1", "10.9.0.2")
    assert "10.9.0.1 is not on interface priv0" in wire.one.troubles[-1]
    assert not wire.one.do(lambda: here.send(b"lost"))
    wire.one.namespace.ip("addr", "add", "10.9.0.1/24", "dev", "priv0")
    wire.crosses(here)
    close(wire.one, here)
    close(wire.other, there)


def test_a_beat_never_takes_another_way_round(wire: Wire) -> None:
    here, there = wire.links()
    wire.crosses(here)
    # A route through the other interface exists, and the other node would answer there.
    wire.one.namespace.ip("link", "set", "priv0", "down")
    wire.one.namespace.ip("route", "add", "10.9.0.2/32", "via", "10.8.0.2", "dev", "pub0")
    count = len(wire.other.got)
    sent = [wire.one.do(lambda: here.send(b"astray")) for _ in range(20)]
    assert not any(sent)
    assert len(wire.other.got) == count
    close(wire.one, here)
    close(wire.other, there)


def test_datagrams_from_another_address_do_not_arrive(wire: Wire) -> None:
    here, there = wire.links()
    wire.crosses(here)
    wire.one.namespace.ip("addr", "add", "10.9.0.77/24", "dev", "priv0")

    def send_from_elsewhere() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("10.9.0.77", PORT))
            stranger.sendto(b"stranger", ("10.9.0.2", PORT))

    wire.one.do(send_from_elsewhere)
    wire.crosses(here)
    assert all(datagram == b"beat" for datagram, _ in wire.other.got)
    close(wire.one, here)
    close(wire.other, there)


def test_a_dead_daemon_on_a_live_host_is_no_trouble_of_the_link(wire: Wire) -> None:
    here, there = wire.links()
    wire.crosses(here)
    close(wire.other, there)

    def refused() -> bool:
        wire.one.do(lambda: here.send(b"beat"))
        return here.refused_count > 0

    until(refused, "word that nobody listens")
    assert here.trouble == NOTHING_SAID
    again = wire.other.link("priv0", "10.9.0.2", "10.9.0.1")
    wire.crosses(here)
    close(wire.one, here)
    close(wire.other, again)


def test_a_flood_leaves_the_loop_time_for_other_things(wire: Wire) -> None:
    here, there = wire.links()
    wire.crosses(here)
    batches = [0]

    def count(_datagram: bytes, _link: str) -> None:
        batches[-1] += 1

    def turn() -> None:
        batches.append(0)
        if len(batches) < 2000:
            wire.other.loop.call_soon(turn)

    def flood() -> None:
        for _ in range(400):
            here.send(b"x" * 1400)

    # Hold the receiving loop still while the flood arrives, then let it turn.
    wire.other.received = count
    standing, going = threading.Event(), threading.Event()

    def hold() -> None:
        standing.set()
        going.wait(DEADLINE_S)
        turn()

    wire.other.loop.call_soon_threadsafe(hold)
    assert standing.wait(DEADLINE_S)
    wire.one.do(flood)
    going.set()
    until(lambda: sum(batches) >= 50 and batches[-1] == 0, "the flood to be read")
    assert max(batches) <= READS_MAX
    close(wire.one, here)
    close(wire.other, there)


def test_an_oversized_datagram_is_handed_on_whole_enough_to_be_seen_as_such(wire: Wire) -> None:
    here, there = wire.links()
    wire.crosses(here)
    wire.one.do(lambda: here.send(bytes(1401)))
    until(lambda: wire.other.got[-1][0] != b"beat", "the large datagram")
    assert len(wire.other.got[-1][0]) == 1401
    close(wire.one, here)
    close(wire.other, there)


def test_send_never_raises_after_close(wire: Wire) -> None:
    here, there = wire.links()
    close(wire.one, here)
    assert wire.one.do(lambda: here.send(b"late")) is False
    close(wire.one, here)
    close(wire.other, there)


def test_two_daemons_meet_over_real_sockets_and_the_cost_of_a_beat_is_printed(wire: Wire) -> None:
    roster = Roster(cluster_number("ab" * 16), {0: "node1", 1: "node2"}, ("priv", "pub"), {0: b"k" * 32})
    here, there = wire.links()
    heard: dict[str, list[object]] = {"node1": [], "node2": []}
    reports = {}
    for node, link, name in ((wire.one, here, "node1"), (wire.other, there, "node2")):
        session = os.urandom(16)
        talk = Conversation(roster, name, session)
        trees = tuple(TreeReport(n, Phase.RUNNING, 7, Fitness.FIT) for n in range(8))
        reports[name] = Report(
            name,
            incarnation(Path("/proc/sys/kernel/random/boot_id").read_text(), session),
            Standing.STANDBY,
            reference_ok=True,
            hears=("priv",),
            trees=trees,
        )
        node.received = _listener(talk, link, reports[name], heard[name])
        node.talk = talk  # type: ignore[attr-defined]
    sender: Conversation = wire.one.talk  # type: ignore[attr-defined]
    wire.one.do(lambda: here.send(sender.compose(reports["node1"], "priv", time.monotonic())))
    until(lambda: heard["node1"] and heard["node2"], "both to believe each other")
    assert heard["node1"][0] == reports["node2"]
    assert heard["node2"][0] == reports["node1"]

    count = 2000
    start = len(heard["node2"])

    async def many() -> float:
        began = time.thread_time()
        for n in range(count):
            here.send(sender.compose(reports["node1"], "priv", time.monotonic()))
            if n % 16 == 0:
                await asyncio.sleep(0)
        return time.thread_time() - began

    receiving = wire.other.do(time.thread_time)
    sending_s = asyncio.run_coroutine_threadsafe(many(), wire.one.loop).result(DEADLINE_S)
    until(lambda: len(heard["node2"]) - start > count * 0.5, "the beats to arrive")
    receiving_s = wire.other.do(time.thread_time) - receiving
    arrived = len(heard["node2"]) - start
    print(
        f"\na beat with 8 trees costs {sending_s / count * 1e6:.0f} us to compose and send,"
        f" {receiving_s / arrived * 1e6:.0f} us to receive and judge"
    )
    close(wire.one, here)
    close(wire.other, there)


def _listener(
    talk: Conversation, link: UdpLink, report: Report, heard: list[object]
) -> Callable[[bytes, str], None]:
    def listen(datagram: bytes, name: str) -> None:
        found = talk.receive(datagram, name, time.monotonic())
        if isinstance(found, Accepted):
            heard.append(found.report)
        if isinstance(found, Answer) or (isinstance(found, Accepted) and found.answer):
            link.send(talk.answer(report, name, time.monotonic()))

    return listen
