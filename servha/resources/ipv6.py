"""A virtual IPv6 address: as IPv4's, and usable only once the kernel has found no other machine that has it.

The kernel detects duplicates for a second or two (RFC 4862 5.4); where the core has just asked the segment itself,
that time is spared. The address is never chosen as the source of what this node sends by itself (preferred lifetime
0, RFC 6724 rule 3). That it may be here is the core's decision.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from servha.core.model import ResourceState
from servha.core.words import Text, say
from servha.host import Duplicates, Finding, HostError, Outcome
from servha.resources.kind import Place
from servha.resources.virtual_address import VirtualAddress

LOOK_AGAIN_S = 0.5
NAME_WAIT_S = 0.1
"""How long to wait for the other machine to say its MAC once the kernel has heard of it."""


@dataclass(frozen=True, kw_only=True)
class Ipv6(VirtualAddress):
    """Virtual IP address (IPv6)."""

    name: ClassVar[str] = "ipv6"
    version = ipaddress.IPv6Interface

    address: Annotated[str, Meta(description="Address with prefix length, such as 2001:db8::100/64")]

    def _malformed(self) -> Text:
        return say(
            "{address} is not an address with a prefix length like 2001:db8::100/64", address=self.address
        )

    async def _there(self, place: Place) -> tuple[str, ...]:
        return tuple((await place.host.addresses6(self.nic)).keys())

    async def _settled(self, place: Place) -> Outcome:
        """Wait for the kernel's verdict; an address found elsewhere is taken off again and its user named."""
        host = place.host
        verdict: Duplicates | None = None
        try:
            async with asyncio.timeout(place.start_timeout_s):
                with host.network_changes() as changes:
                    verdict = (await host.addresses6(self.nic)).get(self.whole)
                    while verdict is Duplicates.LOOKING:
                        try:
                            async with asyncio.timeout(LOOK_AGAIN_S):
                                await changes.next()
                        except TimeoutError:
                            pass  # looked at again all the same: the news may have been about others
                        verdict = (await host.addresses6(self.nic)).get(self.whole)
        except TimeoutError:
            because = say(
                "the kernel had not said within {seconds} s whether {address} is free",
                seconds=round(place.start_timeout_s, 3),
                address=self.plain,
            )
            return Outcome(ok=False, because=because)
        if verdict is Duplicates.NONE:
            return Outcome(ok=True)
        await host.delete_address(self.nic, self.whole)
        if verdict is None:
            because = say(
                "{address} was removed from {nic} by somebody else; the kernel does not tell by whom",
                address=self.whole,
                nic=self.nic,
            )
            return Outcome(ok=False, because=because)
        mac = await host.who_has(self.nic, self.plain, wait_s=NAME_WAIT_S)
        return Outcome(ok=False, because=self.taken(mac or "?"))

    async def check(self, place: Place) -> Finding:
        """Look whether it stands on the interface and may be used."""
        found = await super().check(place)
        if found.state is not ResourceState.RUNNING:
            return found
        try:
            verdict = (await place.host.addresses6(self.nic)).get(self.whole)
        except HostError as error:
            return Finding(ResourceState.UNKNOWN, error.text, self.name)
        if verdict is Duplicates.LOOKING:
            because = say("the kernel is still finding out whether {address} is free", address=self.plain)
            return Finding(ResourceState.UNKNOWN, because, self.name)
        if verdict is Duplicates.FOUND:
            because = say(
                "another machine on {nic} has {address} too (dadfailed): find it and take the address from it",
                address=self.plain,
                nic=self.nic,
            )
            return Finding(ResourceState.FAILED, because, self.name)
        return found
