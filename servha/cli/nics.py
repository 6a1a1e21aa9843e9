"""The network interfaces of this machine, to turn NAME=NIC[:ADDRESS] into the end of a heartbeat link.

Decides which address is meant when none is given: the only static IPv4 address of that interface. Refuses to
guess between two, and to take one that came by DHCP, because it may be another one tomorrow.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from servha.core.words import Text, say
from servha.wire.rpc import Code, Refusal


@dataclass(frozen=True, slots=True)
class Address:
    """One IPv4 address of an interface, with its prefix length: "192.0.2.1/24"."""

    address: str
    static: bool


Nics = dict[str, tuple[Address, ...]]


def nics_here() -> Nics:
    """Return the interfaces other than loopback with their IPv4 addresses."""
    try:
        done = subprocess.run(
            ["ip", "-json", "-4", "address", "show"], capture_output=True, check=True, timeout=10
        )
        named = subprocess.run(["ip", "-json", "link", "show"], capture_output=True, check=True, timeout=10)
        links, all_links = json.loads(done.stdout or b"[]"), json.loads(named.stdout or b"[]")
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise Refusal(
            Code.FAILED,
            say("the interfaces of this machine could not be read with `ip`: {reason}", reason=str(error)),
        ) from error
    found: Nics = {str(link["ifname"]): () for link in all_links if link.get("ifname") not in (None, "lo")}
    for link in links:
        name = str(link.get("ifname", ""))
        if name in found:
            found[name] = tuple(
                Address(f"{a['local']}/{a['prefixlen']}", static=not a.get("dynamic"))
                for a in link.get("addr_info", ())
                if a.get("family") == "inet" and not a.get("secondary")
            )
    return found


def ends_of(words: Sequence[str], nics: Nics) -> dict[str, dict[str, str]]:
    """Return {link: {nic, address}} for every NAME=NIC[:ADDRESS]; raise `Refusal` with the first that is wrong."""
    ends: dict[str, dict[str, str]] = {}
    for word in words:
        name, equals, rest = word.partition("=")
        nic, _, address = rest.partition(":")
        if not equals or not name or not nic:
            raise Refusal(
                Code.USAGE,
                say("{word} is not NAME=NIC[:ADDRESS]; for example --link private=eth2", word=word),
            )
        if name in ends:
            raise Refusal(Code.USAGE, say("heartbeat {link} is given twice", link=name))
        ends[name] = {"nic": nic, "address": end_address(nic, address, nics)}
    return ends


def end_address(nic: str, address: str, nics: Nics) -> str:
    """Return the address with prefix length that the heartbeat on `nic` uses; `address` empty asks for the only one."""
    if nic not in nics:
        known = "; ".join(
            f"{n} {' '.join(a.address for a in found)}".strip() for n, found in sorted(nics.items())
        )
        raise Refusal(
            Code.NO_SUCH,
            say("there is no interface {nic} on this node; there are: {known}", nic=nic, known=known or "-"),
        )
    found = nics[nic]
    if address:
        return _given(nic, address, found)
    static = [a.address for a in found if a.static]
    if len(static) == 1:
        return static[0]
    raise Refusal(Code.USAGE, _which(nic, found, static))


def _given(nic: str, address: str, found: Sequence[Address]) -> str:
    try:
        wanted = ipaddress.ip_interface(address)
    except ValueError:
        raise Refusal(
            Code.USAGE, say("{address} is not an IPv4 address; for example 192.0.2.1", address=address)
        ) from None
    for one in found:
        if ipaddress.ip_interface(one.address).ip == wanted.ip:
            return one.address
    raise Refusal(
        Code.USAGE,
        say(
            "{nic} does not carry {address}; it has: {known}",
            nic=nic,
            address=address,
            known=", ".join(a.address for a in found) or "-",
        ),
    )


def _which(nic: str, found: Sequence[Address], static: Sequence[str]) -> Text:
    if not found:
        return say("{nic} has no IPv4 address; give it a static one first", nic=nic)
    if not static:
        return say(
            "{address} of {nic} came by DHCP and may change; give {nic} a static address, or name it: {nic}:{address}",
            nic=nic,
            address=found[0].address.split("/")[0],
        )
    return say(
        "{nic} has several addresses ({known}); name one: {nic}:ADDRESS", nic=nic, known=", ".join(static)
    )
