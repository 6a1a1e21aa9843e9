"""The virtual IPv6 address: duplicates, advertisements, removal by others, and that it is no source of its own."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable

import pytest

from servha.core.model import ResourceState
from servha.daemon.resource_worker import WorkerSettings
from servha.host import Duplicates, LinkState, LocalHost, ScriptedHost, ndp
from servha.resources import Ipv6, Place
from tests.kinds.conftest import Desk, Wire, until

ADDRESS = "2001:db8::100/64"
KIND = Ipv6(address=ADDRESS, nic="v0")
MAC = b"\2\0\0\0\0\x63"
MakeDesk = Callable[..., Awaitable[Desk]]


def machine() -> ScriptedHost:
    host = ScriptedHost().with_nic("v0")
    host.on_nic["v0"] = ["192.0.2.1/24", "2001:db8::1/64"]
    return host


def place(
    host: ScriptedHost | LocalHost, *, known_free: bool = False, start_timeout_s: float = 20.0
) -> Place:
    return Place(
        tree="web", resource="vip", host=host, address_known_free=known_free, start_timeout_s=start_timeout_s
    )


@pytest.fixture
async def host6(host: LocalHost, wire: Wire) -> LocalHost:
    """Both ends have an IPv6 address that can be used at once."""
    wire.run("ip", "addr", "add", "2001:db8::1/64", "dev", "v0", "nodad")
    wire.run("ip", "addr", "add", "2001:db8::2/64", "dev", "v1", "nodad", there=True)
    return host


@pytest.mark.parametrize(
    ("kind", "field", "word"),
    [
        (Ipv6(address="2001:db8::100", nic="v0"), "address", "2001:db8::100 is not an address with a prefix"),
        (Ipv6(address="192.0.2.100/24", nic="v0"), "address", "like 2001:db8::100/64"),
        (Ipv6(address="2001:db8::100/129", nic="v0"), "address", "like 2001:db8::100/64"),
        (Ipv6(address="fe80::1/64", nic="v0"), "address", "fe80::1/64 cannot be a virtual address"),
        (Ipv6(address="::1/128", nic="v0"), "address", "cannot be a virtual address"),
        (Ipv6(address="ff02::1/64", nic="v0"), "address", "cannot be a virtual address"),
        (Ipv6(address=ADDRESS, nic="a name that is too long"), "nic", "cannot be the name of an interface"),
    ],
)
def test_what_cannot_be_an_address_or_an_interface_is_refused(kind: Ipv6, field: str, word: str) -> None:
    (problem,) = kind.problems()
    assert problem.field == field
    assert word in str(problem.because)


async def test_however_it_is_written_it_is_found_as_the_kernel_writes_it() -> None:
    host, kind = machine(), Ipv6(address="2001:DB8:0:0::0100/64", nic="v0")
    assert (await kind.start(place(host))).ok
    assert host.on_nic["v0"][-1] == ADDRESS
    assert (await kind.check(place(host))).state is ResourceState.RUNNING


async def test_another_segment_makes_the_node_unfit_unless_allowed() -> None:
    host = machine()
    assert len(await Ipv6(address="2001:db8:1::7/64", nic="v0").unfit(place(host))) == 1
    assert not await Ipv6(address="2001:db8:1::7/64", nic="v0", other_segment=True).unfit(place(host))
    assert not await KIND.unfit(place(host))


async def test_an_address_in_use_is_refused_and_the_user_is_named() -> None:
    host = machine()
    host.held_by["2001:db8::100"] = "02:00:00:00:00:99"
    outcome = await KIND.start(place(host))
    assert "02:00:00:00:00:99" in str(outcome.because)
    assert ADDRESS not in host.on_nic["v0"]


async def test_a_duplicate_that_the_kernel_finds_is_named_and_the_address_taken_off_again() -> None:
    host = machine()
    host.duplicates[ADDRESS] = Duplicates.FOUND
    host.held_by["2001:db8::100"] = "02:00:00:00:00:99"
    # Whoever had it was silent when we asked first, else it would not have come this far.
    outcome = await Ipv6(address=ADDRESS, nic="v0", conflict_wait_ms=0).start(place(host))
    assert not outcome.ok
    assert "02:00:00:00:00:99" in str(outcome.because)
    assert ADDRESS not in host.on_nic["v0"]


async def test_a_kernel_that_never_makes_up_its_mind_ends_the_start() -> None:
    host = machine()
    host.duplicates[ADDRESS] = Duplicates.LOOKING
    outcome = await KIND.start(place(host, start_timeout_s=0.02))
    assert not outcome.ok
    assert "had not said within 0.02 s whether 2001:db8::100 is free" in str(outcome.because)


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (Duplicates.NONE, ResourceState.RUNNING),
        (Duplicates.LOOKING, ResourceState.UNKNOWN),
        (Duplicates.FOUND, ResourceState.FAILED),
    ],
)
async def test_what_the_kernel_says_of_duplicates_counts(verdict: Duplicates, state: ResourceState) -> None:
    host = machine()
    host.on_nic["v0"].append(ADDRESS)
    host.duplicates[ADDRESS] = verdict
    assert (await KIND.check(place(host))).state is state


def test_only_an_advertisement_by_another_of_this_very_address_is_a_claim() -> None:
    news = ndp.advertisement(MAC, "2001:db8::100")
    assert ndp.claimed_by(news, b"\4" * 6, "2001:db8::100") == "02:00:00:00:00:63"
    assert ndp.claimed_by(news, MAC, "2001:db8::100") == "", "our own words coming back"
    assert ndp.claimed_by(news, b"\4" * 6, "2001:db8::101") == ""
    question = ndp.solicitation(MAC, "2001:db8::100")
    assert ndp.claimed_by(question, b"\4" * 6, "2001:db8::100") == "", (
        "the peer asks before it decides anything"
    )
    for cut in range(len(news)):
        assert ndp.claimed_by(news[:cut], b"\4" * 6, "2001:db8::100") == ""


# --- a real wire ---------------------------------------------------------------------------------------------


@pytest.mark.root
async def test_a_real_neighbour_who_has_the_address_is_named(host6: LocalHost, wire: Wire) -> None:
    mac = wire.run("ip", "-brief", "link", "show", "v1", there=True).split()[2]
    outcome = await Ipv6(address="2001:db8::2/64", nic="v0", conflict_wait_ms=1000).start(place(host6))
    assert not outcome.ok
    assert mac in str(outcome.because)
    assert "2001:db8::2/64" not in await host6.addresses6("v0")
    assert await host6.who_has("v0", "2001:db8::77", wait_s=0.1) is None


@pytest.mark.root
async def test_a_real_kernel_finds_a_duplicate_that_was_not_asked_for(host6: LocalHost, wire: Wire) -> None:
    mac = wire.run("ip", "-brief", "link", "show", "v1", there=True).split()[2]
    kind = Ipv6(address="2001:db8::2/64", nic="v0", conflict_wait_ms=0)
    outcome = await kind.start(place(host6))
    assert not outcome.ok
    assert mac in str(outcome.because)
    assert "2001:db8::2/64" not in await host6.addresses6("v0")


@pytest.mark.root
async def test_a_start_ends_with_an_address_that_can_be_used_and_is_no_source(
    host6: LocalHost, wire: Wire, desk: MakeDesk
) -> None:
    vip = await desk(host6, KIND)
    assert (await vip.start()).ok
    shown = json.loads(wire.run("ip", "-json", "-6", "addr", "show", "dev", "v0"))[0]["addr_info"]
    ours = next(one for one in shown if one["local"] == "2001:db8::100")
    assert not ours.get("tentative")
    assert ours["preferred_life_time"] == 0
    chosen = wire.run("ip", "-json", "-6", "route", "get", "2001:db8::2")
    assert json.loads(chosen)[0]["prefsrc"] == "2001:db8::1"
    wire.run("ping", "-6", "-c1", "-W5", "2001:db8::100", there=True)
    for _ in range(2):
        assert (await vip.stop()).ok
    assert ADDRESS not in await host6.addresses6("v0")


@pytest.mark.root
async def test_a_start_is_advertised_three_times_and_neighbours_replace_what_they_know(
    host6: LocalHost, wire: Wire
) -> None:
    old = ("lladdr", "02:00:00:00:00:99", "nud", "stale")
    wire.run("ip", "neigh", "add", "2001:db8::100", "dev", "v1", *old, there=True)
    with wire.there():
        ear = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMPV6)
    heard: list[str] = []
    target = socket.inet_pton(socket.AF_INET6, "2001:db8::100")

    def listen() -> None:
        message = ear.recv(2048)
        if message[0] == ndp.ADVERTISEMENT and message[8:24] == target:
            heard.append(ndp.claimed_by(message, b"", "2001:db8::100"))

    asyncio.get_running_loop().add_reader(ear, listen)
    try:
        assert (await KIND.start(place(host6, known_free=True))).ok
        await until(lambda: len(heard) >= 3)
    finally:
        asyncio.get_running_loop().remove_reader(ear)
        ear.close()
    mac = wire.run("ip", "-brief", "link", "show", "v0").split()[2]
    assert set(heard) == {mac}
    assert mac in wire.run("ip", "neigh", "show", "2001:db8::100", there=True)


@pytest.mark.root
async def test_an_address_removed_by_others_is_put_back_and_it_is_said(
    host6: LocalHost, wire: Wire, desk: MakeDesk
) -> None:
    vip = await desk(host6, KIND)
    assert (await vip.start()).ok
    await wire.later("ip", "addr", "del", ADDRESS, "dev", "v0")
    await until(lambda: bool(vip.reports))
    assert vip.states == [ResourceState.RUNNING]
    assert "put back" in str(vip.reports[0].because)
    assert (await host6.addresses6("v0"))[ADDRESS] is Duplicates.NONE
    assert vip.worker.events_missed == 0


@pytest.mark.root
async def test_a_pulled_cable_is_failed_and_its_return_is_running(
    host6: LocalHost, wire: Wire, desk: MakeDesk
) -> None:
    vip = await desk(host6, KIND, settings=WorkerSettings(check_interval_s=60.0))
    assert (await vip.start()).ok
    await wire.later("ip", "link", "set", "v1", "down", there=True)
    await until(lambda: ResourceState.FAILED in vip.states)
    await wire.later("ip", "link", "set", "v1", "up", there=True)
    await until(lambda: vip.states[-1] is ResourceState.RUNNING)


async def test_a_lost_carrier_is_failed() -> None:
    host = machine()
    host.tell(LinkState("v0", 1, "", up=True, carrier=False))
    assert (await KIND.check(place(host))).state is ResourceState.FAILED
