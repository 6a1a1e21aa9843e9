"""Questions to the network: do the reference addresses answer, does the peer's host, who holds our addresses?

Only questions and answers. What an answer, or silence, permits is decided in core/arbitration.py; silence may
always have a cause of our own.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from servha.core.words import Text, say
from servha.host import Host, HostError

ADDRESSES_MAX = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a reference address answered, and how long it took (seconds; 0.0 for silence)."""

    address: str
    answered: bool
    rtt_s: float = 0.0


def arbitrates(address: str) -> bool:
    """Whether an answer from there says anything: this machine itself always answers (reading A04).

    >>> [arbitrates(a) for a in ("192.0.2.1", "127.0.0.1", "::1")]
    [True, False, False]
    """
    return not ipaddress.ip_address(address).is_loopback


def problems(addresses: Sequence[str]) -> list[Text]:
    """Every reason why these cannot serve as reference addresses, in words."""
    found: list[Text] = []
    for address in addresses:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            found.append(say("reference address {address} is not an IP address", address=address))
            continue
        if parsed.is_multicast or parsed.is_unspecified:
            found.append(say("reference address {address} is nobody's in particular", address=address))
    if len(addresses) > ADDRESSES_MAX:
        found.append(say("more than {count} reference addresses", count=ADDRESSES_MAX))
    return found


async def probe(host: Host, addresses: Sequence[str], nic: str | None, timeout_s: float) -> list[Answer]:
    """Ask each reference address once, all at the same time. A loopback address counts as silent."""

    async def ask(address: str) -> Answer:
        if not arbitrates(address):
            return Answer(address, answered=False)
        rtt_s = await host.ping(address, nic=nic or "", timeout_s=timeout_s)
        return Answer(address, answered=rtt_s is not None, rtt_s=rtt_s or 0.0)

    return list(await asyncio.gather(*map(ask, addresses[:ADDRESSES_MAX])))


async def probe_peer(host: Host, links: Sequence[tuple[str, str]], timeout_s: float) -> str:
    """Ask every (nic, address) of the peer's host at the same time; returns as soon as one answers.

    The text names it ("192.0.2.12 on eth0 after 0.4 ms"); empty for silence until `timeout_s`.
    """

    async def ask(nic: str, address: str) -> str:
        rtt_s = await host.ping(address, nic=nic, timeout_s=timeout_s)
        return "" if rtt_s is None else f"{address} on {nic} after {rtt_s * 1000:.1f} ms"

    asked = [asyncio.ensure_future(ask(nic, address)) for nic, address in links[:ADDRESSES_MAX]]
    try:
        for answer in asyncio.as_completed(asked):
            if said := await answer:
                return said
        return ""
    finally:
        for question in asked:
            question.cancel()


async def probe_tree_addresses(host: Host, addresses: Sequence[tuple[str, str]], timeout_s: float) -> str:
    """Ask by ARP or neighbour discovery who uses each (nic, address); the text names who, empty when nobody answered.

    An address that could not be asked for is named as well: not having asked is not silence.
    """

    async def ask(nic: str, address: str) -> str:
        plain = address.partition("/")[0]
        try:
            mac = await host.who_has(nic, plain, wait_s=timeout_s)
        except HostError as error:
            return f"{plain}: {error.text}"
        return f"{plain} answered by {mac} on {nic}" if mac else ""

    answers = await asyncio.gather(*(ask(nic, address) for nic, address in addresses[:ADDRESSES_MAX]))
    return "; ".join(filter(None, answers))
