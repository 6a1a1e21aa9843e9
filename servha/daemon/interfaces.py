"""The interfaces of this machine, as far as a heartbeat link needs them: name, IPv4 addresses with their networks.

Decides which address of an interface a link uses when none is given. Refuses to guess between two.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping

import psutil

from servha.config.document import LinkEnd
from servha.core.words import say
from servha.daemon.arguments import part, word
from servha.wire.rpc import Args, Code, Json, Refusal

Interfaces = Mapping[str, tuple[str, ...]]
"""Name of an interface -> its addresses with prefix length, as in "192.0.2.1/24"."""


def interfaces_here() -> Interfaces:
    """Return this machine's interfaces, loopback left out."""
    found: dict[str, tuple[str, ...]] = {}
    for nic, addresses in psutil.net_if_addrs().items():
        if nic == "lo":
            continue
        found[nic] = tuple(
            str(ipaddress.ip_interface(f"{a.address}/{a.netmask}"))
            for a in addresses
            if a.family == socket.AF_INET and a.netmask
        )
    return found


def is_own_address(address: str) -> bool:
    """Return whether an IP address is one of this machine's, loopback included; False for what is none."""
    try:
        wanted = ipaddress.ip_address(address)
    except ValueError:
        return False
    if wanted.is_loopback:
        return True
    present = (a.address.partition("%")[0] for found in psutil.net_if_addrs().values() for a in found)
    return str(wanted) in present


def ends_here(asked: Args, interfaces: Interfaces) -> dict[str, LinkEnd]:
    """Return {link: end} for {link: {nic, address}}, each looked up on this machine.

    Raises `Refusal` with the first interface that is not there or has no such address.
    """
    return {link: _end(link, part(asked, link), interfaces) for link in asked}


def pair(links: Mapping[str, LinkEnd], interfaces: Mapping[str, Json]) -> dict[str, LinkEnd]:
    """Return ends for the links of another node: for each, the only address in `interfaces` on the same network.

    A link for which there is none, or more than one, is left out.
    """
    paired: dict[str, LinkEnd] = {}
    for link, there in links.items():
        network = ipaddress.ip_interface(there.address).network
        near: list[LinkEnd] = []
        for nic, addresses in interfaces.items():
            listed = [str(a) for a in addresses] if isinstance(addresses, list | tuple) else []
            near += [LinkEnd(nic=nic, address=a) for a in listed if _is_in(a, network)]
        if len(near) == 1:
            paired[link] = near[0]
    return paired


def nearest(ends: Mapping[str, LinkEnd], address: str) -> str:
    """Return which of our own addresses is on the same network as `address`; empty when none is."""
    for end in ends.values():
        try:
            if ipaddress.ip_address(address) in ipaddress.ip_interface(end.address).network:
                return end.ip
        except ValueError:
            break
    return ""


def _is_in(address: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return (
            network.prefixlen < network.max_prefixlen and ipaddress.ip_interface(address).network == network
        )
    except ValueError:
        return False


def _end(link: str, asked: Mapping[str, Json], interfaces: Interfaces) -> LinkEnd:
    nic, address = word(asked, "nic"), word(asked, "address")
    known = ", ".join(f"{n} ({', '.join(found) or '-'})" for n, found in sorted(interfaces.items())) or "-"
    if nic not in interfaces:
        text = say(
            "heartbeat link {link}: there is no interface {nic} on this node; there are: {known}",
            link=link,
            nic=nic,
            known=known,
        )
        raise Refusal(Code.NO_SUCH, text)
    found = interfaces[nic]
    if not address and len(found) == 1:
        return LinkEnd(nic=nic, address=found[0])
    for candidate in found:
        if address and candidate.split("/")[0] == address.split("/")[0]:
            return LinkEnd(nic=nic, address=candidate)
    text = say(
        "heartbeat link {link}: say which address of {nic} to use ({address} is not one); there are: {known}",
        link=link,
        nic=nic,
        address=address or "-",
        known=", ".join(found) or "-",
    )
    raise Refusal(Code.NO_SUCH, text)
