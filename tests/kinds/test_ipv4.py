"""The virtual address: conflicts, announcements, removal by others, loss of the cable."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable

import pytest

from servha.core.model import ResourceState
from servha.host import AddressChange, ChangesMissed, LinkGone, LinkState, LocalHost, ScriptedHost, arp
from servha.resources import Ipv4, Place
from tests.kinds.conftest import Desk, Wire, until

ADDRESS = "192.0.2.100/24"
KIND = Ipv4(address=ADDRESS, nic="v0")
MakeDesk = Callable[..., Awaitable[Desk]]


def machine() -> ScriptedHost:
    host = ScriptedHost().with_nic("v0")
    host.on_nic["v0"] = ["192.0.2.1/24"]
    return host


def place(host: ScriptedHost | LocalHost, *, address_known_free: bool = False) -> Place:
    return Place(tree="web", resource="vip", host=host, address_known_free=address_known_free)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (Ipv4(address="192.0.2.100", nic="v0"), "address"),
        (Ipv4(address="192.0.2.300/24", nic="v0"), "address"),
        (Ipv4(address="2001:db8::1/64", nic="v0"), "address"),
        (Ipv4(address="127.0.0.2/8", nic="v0"), "address"),
        (Ipv4(address="224.0.0.1/24", nic="v0"), "address"),
        (Ipv4(address=ADDRESS, nic=""), "nic"),
        (Ipv4(address=ADDRESS, nic="a name that is too long"), "nic"),
    ],
)
def test_what_cannot_be_an_address_or_an_interface_is_refused(kind: Ipv4, field: str) -> None:
    assert [problem.field for problem in kind.problems()] == [field]


async def test_an_address_in_use_is_refused_and_the_user_is_named() -> None:
    host = machine()
    host.held_by["192.0.2.100"] = "02:00:00:00:00:99"
    outcome = await KIND.start(place(host))
    assert not outcome.ok
    for word in ("192.0.2.100", "02:00:00:00:00:99", "v0"):
        assert word in str(outcome.because)
    assert ADDRESS not in host.on_nic["v0"]


async def test_a_fresh_probe_is_not_repeated() -> None:
    host = machine()
    assert (await KIND.start(place(host, address_known_free=True))).ok
    assert "who_has" not in {call[0] for call in host.calls}


async def test_an_address_that_is_there_is_not_asked_for_but_announced() -> None:
    host = machine()
    host.on_nic["v0"].append(ADDRESS)
    assert (await KIND.start(place(host))).ok
    asked = {call[0] for call in host.calls}
    assert "who_has" not in asked
    assert "announce" in asked


@pytest.mark.parametrize(
    ("link", "word"),
    [
        (None, "no interface"),
        (LinkState("v0", 1, "", up=False, carrier=False), "switched off"),
        (LinkState("v0", 1, "", up=True, carrier=False), "carrier"),
    ],
)
async def test_a_bad_interface_is_failed_unfit_and_refused_with_the_reason(
    link: LinkState | None, word: str
) -> None:
    host = machine()
    host.tell(link or LinkGone("v0"))
    found = await KIND.check(place(host))
    assert found.state is ResourceState.FAILED
    assert word in str(found.because)
    assert [word in str(one.because) for one in await KIND.unfit(place(host))] == [True]
    assert word in str((await KIND.start(place(host))).because)


async def test_another_segment_makes_the_node_unfit_unless_allowed() -> None:
    host = machine()
    elsewhere = Ipv4(address="198.51.100.7/24", nic="v0")
    assert len(await elsewhere.unfit(place(host))) == 1
    assert not await Ipv4(address="198.51.100.7/24", nic="v0", other_segment=True).unfit(place(host))
    assert not await KIND.unfit(place(host))


async def test_changes_that_concern_others_mean_nothing() -> None:
    host = machine()
    host.on_nic["v0"].append(ADDRESS)
    host.with_nic("v9")
    seen: list[ResourceState] = []
    note = seen.append

    async def look() -> None:
        async for finding in KIND.watch(place(host)):
            note(finding.state)

    looking = asyncio.create_task(look())
    await until(lambda: ("addresses", "v0") in host.calls)
    host.tell(AddressChange("v0", "192.0.2.55/24", present=False))
    host.tell(LinkGone("v9"))
    host.tell(ChangesMissed())
    await until(lambda: host.calls.count(("addresses", "v0")) == 2)
    assert seen == []
    host.tell(LinkState("v0", 1, "", up=True, carrier=False))
    await until(lambda: bool(seen))
    assert seen == [ResourceState.FAILED]
    host.tell(LinkState("v0", 1, "", up=True, carrier=True))
    await until(lambda: len(seen) == 2)
    assert seen[1] is ResourceState.RUNNING
    assert host.calls.count(("announce", "v0", "192.0.2.100")) == 1, "back on the segment: announced"
    looking.cancel()


# --- a real wire ---------------------------------------------------------------------------------------------


@pytest.mark.root
async def test_a_real_neighbour_who_has_the_address_is_named(host: LocalHost, wire: Wire) -> None:
    mac = wire.run("ip", "-brief", "link", "show", "v1", there=True).split()[2]
    outcome = await Ipv4(address="192.0.2.2/24", nic="v0").start(place(host))
    assert not outcome.ok
    assert mac in str(outcome.because)
    assert "192.0.2.2/24" not in await host.addresses("v0")


@pytest.mark.root
async def test_a_start_is_announced_to_the_segment_three_times_in_both_forms(
    host: LocalHost, wire: Wire
) -> None:
    with wire.there():
        ear = socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(arp.ETH_P_ARP)
        )
        ear.bind(("v1", arp.ETH_P_ARP))
    heard: list[arp.Arp] = []

    def listen() -> None:
        packet = arp.parse(ear.recv(2048))
        if packet is not None and packet.sender_ip == packet.target_ip == socket.inet_aton("192.0.2.100"):
            heard.append(packet)

    asyncio.get_running_loop().add_reader(ear, listen)
    try:
        assert (await KIND.start(place(host, address_known_free=True))).ok
        await until(lambda: len(heard) >= 6)
        assert sorted(packet.operation for packet in heard) == [arp.REQUEST] * 3 + [arp.REPLY] * 3
    finally:
        asyncio.get_running_loop().remove_reader(ear)
        ear.close()


@pytest.mark.root
async def test_nothing_is_announced_any_more_once_the_address_is_taken_off(
    host: LocalHost, wire: Wire
) -> None:
    with wire.there():
        ear = socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(arp.ETH_P_ARP)
        )
        ear.bind(("v1", arp.ETH_P_ARP))
    loop = asyncio.get_running_loop()
    heard: list[float] = []
    loop.add_reader(ear, lambda: heard.append(loop.time()) if ear.recv(2048) else None)
    try:
        assert (await KIND.start(place(host, address_known_free=True))).ok
        assert (await KIND.stop(place(host))).ok
        stopped = loop.time()
        assert heard, "the first announcement goes out at once"
        # The rest of the burst would come within 100 ms, and nothing else is due: what ends this wait is time.
        await asyncio.sleep(0.15)
        assert [at for at in heard if at > stopped + 0.02] == []
    finally:
        loop.remove_reader(ear)
        ear.close()


@pytest.mark.root
async def test_an_address_removed_by_others_is_put_back_and_it_is_said(
    host: LocalHost, wire: Wire, desk: MakeDesk
) -> None:
    vip = await desk(host, KIND)
    assert (await vip.start()).ok
    loop = asyncio.get_running_loop()
    with host.network_changes() as changes:
        await wire.later("ip", "addr", "del", ADDRESS, "dev", "v0")
        async with asyncio.timeout(5):
            assert await changes.next() == AddressChange("v0", ADDRESS, present=False)
            gone = loop.time()
            assert await changes.next() == AddressChange("v0", ADDRESS, present=True)
            back = loop.time()
    await until(lambda: bool(vip.reports))
    assert vip.states == [ResourceState.RUNNING]
    assert "put back" in str(vip.reports[0].because)
    print(f"\nremoved address was back after {(back - gone) * 1000:.1f} ms")


@pytest.mark.root
async def test_after_three_times_a_minute_it_is_not_put_back_again(
    host: LocalHost, wire: Wire, desk: MakeDesk
) -> None:
    vip = await desk(host, KIND)
    assert (await vip.start()).ok
    for times in range(1, 5):
        await wire.later("ip", "addr", "del", ADDRESS, "dev", "v0")
        await until(lambda times=times: len(vip.reports) == times)  # type: ignore[misc]
    assert vip.states == [ResourceState.RUNNING] * 3 + [ResourceState.STOPPED]
    assert ADDRESS not in await host.addresses("v0")
    assert vip.worker.events_missed == 0


@pytest.mark.root
async def test_a_pulled_cable_is_failed_and_its_return_is_running(
    host: LocalHost, wire: Wire, desk: MakeDesk
) -> None:
    vip = await desk(host, KIND)
    assert (await vip.start()).ok
    await wire.later("ip", "link", "set", "v1", "down", there=True)
    await until(lambda: ResourceState.FAILED in vip.states)
    assert "carrier" in str(vip.reports[-1].because)
    await wire.later("ip", "link", "set", "v1", "up", there=True)
    await until(lambda: vip.states[-1] is ResourceState.RUNNING)


@pytest.mark.root
async def test_an_interface_that_disappears_is_failed(host: LocalHost, wire: Wire, desk: MakeDesk) -> None:
    vip = await desk(host, KIND)
    assert (await vip.start()).ok
    await wire.later("ip", "link", "del", "v0")
    await until(lambda: ResourceState.FAILED in vip.states)
    assert (await vip.stop()).ok is True, "an address on an interface that is gone is gone too"


@pytest.mark.root
async def test_a_packet_socket_is_never_closed_on_the_loop(
    host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing one takes the kernel 10 to 25 ms: on the loop it would delay every heartbeat."""
    closed_in: list[int] = []

    class Noted(socket.socket):
        def close(self) -> None:
            closed_in.append(threading.get_ident())
            super().close()

    monkeypatch.setattr(
        arp,
        "packet_socket",
        lambda: Noted(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0),
    )
    assert (await KIND.start(place(host))).ok
    assert (await KIND.stop(place(host))).ok
    await until(lambda: bool(closed_in))
    assert threading.get_ident() not in closed_in


def test_probe_of_another_node_is_no_claim() -> None:
    ours, theirs = b"\2" * 6, b"\4" * 6
    question = arp.parse(arp.probe(theirs, "192.0.2.100"))
    assert question is not None
    assert arp.claimed_by(question, ours, "192.0.2.100") == ""
    news = arp.parse(arp.announcements(theirs, "192.0.2.100")[0])
    assert news is not None
    assert arp.claimed_by(news, ours, "192.0.2.100") == theirs.hex(":")
    assert arp.claimed_by(news, theirs, "192.0.2.100") == "", "our own words coming back"


def test_what_is_not_arp_is_not_read() -> None:
    assert arp.parse(b"") is None
    assert arp.parse(b"\0" * 60) is None
