"""What the kernel is asked and what is read from its answers, against what `ip` says of the same."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from servha.host import HostError, netlink_dump
from tests.kinds.conftest import Wire


@pytest.mark.root
async def test_interfaces_and_addresses_are_what_ip_says_they_are(wire: Wire) -> None:
    for number in range(200):
        wire.run("ip", "addr", "add", f"198.51.100.{number + 1}/32", "dev", "v0")
    wire.run("ip", "addr", "add", "2001:db8::7/64", "dev", "v0", "nodad")
    told = {one["ifname"]: one for one in json.loads(wire.run("ip", "-json", "addr"))}
    seen = {link.nic: link for link in await netlink_dump.links()}
    assert seen.keys() == told.keys()
    for nic, link in seen.items():
        assert (link.index, link.mac) == (told[nic]["ifindex"], told[nic]["address"])
        assert link.up == ("UP" in told[nic]["flags"])
        assert link.carrier == ("LOWER_UP" in told[nic]["flags"])
        assert await netlink_dump.link(link.index) == link
        for family, word in ((socket.AF_INET, "inet"), (socket.AF_INET6, "inet6")):
            wanted = {f"{a['local']}/{a['prefixlen']}" for a in told[nic]["addr_info"] if a["family"] == word}
            assert set(await netlink_dump.addresses(link.index, family)) == wanted
    assert len(await netlink_dump.addresses(seen["v0"].index)) == 201


@pytest.mark.root
async def test_no_such_interface_is_no_trouble_and_leaves_nothing_open(wire: Wire) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))  # noqa: ASYNC240
    for _ in range(20):
        assert await netlink_dump.link(4711) is None
        assert await netlink_dump.addresses(4711) == ()
    assert len(list(Path("/proc/self/fd").iterdir())) == before  # noqa: ASYNC240


@pytest.mark.root
async def test_a_question_that_the_kernel_refuses_is_told_in_words() -> None:
    with pytest.raises(HostError, match="netlink cannot be read"):
        await netlink_dump._ask(9999, 0, b"")


@pytest.mark.parametrize("cut", range(32))
def test_a_torn_packet_is_no_endless_loop(cut: int) -> None:
    attribute = netlink_dump.ATTRIBUTE.pack(8, netlink_dump.IFA_LOCAL) + bytes(4)
    body = netlink_dump.ADDRESS.pack(socket.AF_INET, 24, 0, 0, 2) + attribute
    packet = netlink_dump.HEADER.pack(16 + len(body), netlink_dump.RTM_NEWADDR, 0, 1, 0) + body
    assert len(list(netlink_dump.messages_in(packet[:cut]))) == 0
    assert len(list(netlink_dump.attributes_in(body[:cut], netlink_dump.ADDRESS.size))) <= 1
    assert netlink_dump.address_in(body) == "0.0.0.0/24"
