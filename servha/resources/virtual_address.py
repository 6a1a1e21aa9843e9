"""What the virtual addresses of both families share: refused where another machine answers, announced, put back.

Whether a neighbour's caches follow the announcement is up to them; that the address may be here is the core's
decision. How an address of a family is written and looked up is in ipv4.py and ipv6.py.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from servha.core.model import ResourceState
from servha.core.words import Text, say
from servha.host import (
    AddressChange,
    Change,
    ChangesMissed,
    FieldProblem,
    Finding,
    HostError,
    LinkGone,
    LinkState,
    Outcome,
)
from servha.resources.kind import Place

ANNOUNCE_EVERY_S = 60.0


@dataclass(frozen=True, kw_only=True)
class VirtualAddress:
    """An address of either family on an interface."""

    name: ClassVar[str]
    version: ClassVar[type[ipaddress.IPv4Interface | ipaddress.IPv6Interface]]

    address: str
    nic: Annotated[str, Meta(description="Network interface that carries it, such as eth0")]
    conflict_wait_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=5000,
            description="How long to wait for another machine to answer for the address; 0: do not ask",
        ),
    ] = 30
    other_segment: Annotated[
        bool, Meta(description="Allow an address outside the networks that the interface is in")
    ] = False

    def problems(self) -> list[FieldProblem]:
        """Every reason why the fields may not be saved."""
        found: list[FieldProblem] = []
        try:
            ip = self.version(self.address).ip if "/" in self.address else None
        except ValueError:
            ip = None
        if ip is None:
            found.append(FieldProblem("address", self._malformed()))
        elif ip.is_loopback or ip.is_multicast or ip.is_unspecified or (ip.version == 6 and ip.is_link_local):
            found.append(
                FieldProblem("address", say("{address} cannot be a virtual address", address=self.address))
            )
        if not self.nic or len(self.nic.encode()) > 15 or any(c in "/ \t\n\0" for c in self.nic):
            found.append(
                FieldProblem("nic", say("{nic} cannot be the name of an interface", nic=repr(self.nic)))
            )
        return found

    def _malformed(self) -> Text:
        """Why the address is none, and how one is written."""
        raise NotImplementedError

    async def _there(self, place: Place) -> tuple[str, ...]:
        """The addresses of the family on the interface, with prefix length."""
        raise NotImplementedError

    async def _settled(self, place: Place) -> Outcome:
        """Wait until an address just put on the interface may be used."""
        del place
        return Outcome(ok=True)

    @property
    def whole(self) -> str:
        """The address with its prefix length, as the kernel writes it."""
        return str(self.version(self.address))

    @property
    def plain(self) -> str:
        """The address without its prefix length."""
        return str(self.version(self.address).ip)

    async def unfit(self, place: Place) -> list[FieldProblem]:
        """Why this node could not carry the address now."""
        nic = self.nic
        try:
            trouble = link_trouble(nic, await place.host.link(nic))
            if trouble:
                return [FieldProblem("nic", trouble)]
            there = await self._there(place)
            claimant = await self._claimant(place) if place.held_by_nobody else None
        except HostError as error:
            return [FieldProblem("nic", error.text)]
        if claimant:
            return [FieldProblem("address", self.taken(claimant))]
        networks = [self.version(other).network for other in there if other != self.whole]
        ip = ipaddress.ip_address(self.plain)
        if self.other_segment or self.whole in there or any(ip in network for network in networks):
            return []
        elsewhere = say(
            "{address} is in none of the networks of {nic}: clients would not find it; correct the address, or"
            " allow another segment",
            address=self.address,
            nic=nic,
        )
        return [FieldProblem("address", elsewhere)]

    async def start(self, place: Place) -> Outcome:
        """Ask who has it, put it on the interface, announce it. Already there is fine."""
        host, nic = place.host, self.nic
        try:
            # Asked first: the answer is waited for while the interface is looked at.
            probing = asyncio.ensure_future(self._claimant(place))
            try:
                trouble = link_trouble(nic, await host.link(nic))
                if trouble:
                    return Outcome(ok=False, because=trouble)
                claimant = await probing
            finally:
                probing.cancel()
            if claimant:
                return Outcome(ok=False, because=self.taken(claimant))
            await host.add_address(nic, self.whole, known_free=place.address_known_free)
            settled = await self._settled(place)
            if not settled.ok:
                return settled
            host.announce(nic, self.plain)
        except HostError as error:
            return Outcome(ok=False, because=error.text)
        return Outcome(ok=True)

    async def _claimant(self, place: Place) -> str | None:
        """Who else uses the address; not asked where it was asked a moment ago, or where it stands here already."""
        if place.address_known_free or not self.conflict_wait_ms:
            return None
        if self.whole in await self._there(place):
            return None
        return await place.host.who_has(self.nic, self.plain, wait_s=self.conflict_wait_ms / 1000)

    def taken(self, mac: str) -> Text:
        """Why it cannot be started: another machine has it."""
        return say(
            "{address} is in use: {mac} answers for it on {nic}; find that machine and take the"
            " address from it, or choose another",
            address=self.plain,
            mac=mac,
            nic=self.nic,
        )

    async def stop(self, place: Place) -> Outcome:
        """Take it off the interface. Absent is fine."""
        try:
            await place.host.delete_address(self.nic, self.whole)
        except HostError as error:
            return Outcome(ok=False, because=error.text)
        return Outcome(ok=True)

    async def clean_up(self, place: Place) -> Outcome:
        """The same as stopping."""
        return await self.stop(place)

    async def check(self, place: Place) -> Finding:
        """Look whether it stands on the interface."""
        nic = self.nic
        try:
            trouble = link_trouble(nic, await place.host.link(nic))
            there = await self._there(place)
        except HostError as error:
            return Finding(ResourceState.UNKNOWN, error.text, self.name)
        if trouble:
            return Finding(ResourceState.FAILED, trouble, self.name)
        if self.whole in there:
            return Finding(
                ResourceState.RUNNING, say("{address} is on {nic}", address=self.address, nic=nic), self.name
            )
        return Finding(
            ResourceState.STOPPED, say("{address} is not on {nic}", address=self.address, nic=nic), self.name
        )

    async def watch(self, place: Place) -> AsyncGenerator[Finding, None]:
        """Removal of the address, loss of the interface or its carrier; announces the address every minute."""
        host, nic = place.host, self.nic
        fine = True
        with host.network_changes() as changes:
            finding: Finding | None = await self.check(place)
            while True:  # as long as it runs; the worker ends it
                if finding is not None:
                    if finding.state is ResourceState.RUNNING and not fine:
                        self._announce(place)
                    if finding.state is not ResourceState.RUNNING or not fine:
                        yield finding
                    fine = finding.state is ResourceState.RUNNING
                try:
                    async with asyncio.timeout(ANNOUNCE_EVERY_S):
                        change = await changes.next()
                except TimeoutError:
                    finding = None
                    if fine:
                        self._announce(place)
                    continue
                finding = await self._meaning(place, nic, change)

    async def _meaning(self, place: Place, nic: str, change: Change) -> Finding | None:
        """What one change means for us; None for those that concern others."""
        match change:
            case AddressChange(where, address, present) if (where, address) == (nic, self.whole):
                found = await self.check(place)
                if present or found.state is not ResourceState.STOPPED:
                    return found  # it has been put back since, by us or by somebody else
                return Finding(
                    ResourceState.STOPPED,
                    say(
                        "{address} was removed from {nic} by somebody else; the kernel does not tell by whom",
                        address=self.address,
                        nic=nic,
                    ),
                    "netlink",
                )
            case LinkGone(where) if where == nic:
                return Finding(ResourceState.FAILED, link_trouble(nic, None) or Text(""), "netlink")
            case LinkState(where) if where == nic:
                trouble = link_trouble(nic, change)
                return (
                    Finding(ResourceState.FAILED, trouble, "netlink") if trouble else await self.check(place)
                )
            case ChangesMissed():
                return await self.check(place)
            case _:
                return None

    def _announce(self, place: Place) -> None:
        try:
            place.host.announce(self.nic, self.plain)
        except HostError:
            return  # the interface is going down: its own news follows

    async def heal(self, place: Place) -> Outcome:
        """Put the address back and announce it."""
        nic = self.nic
        try:
            await place.host.add_address(nic, self.whole, known_free=True)
            place.host.announce(nic, self.plain)
        except HostError as error:
            return Outcome(ok=False, because=error.text)
        return Outcome(ok=True)


def link_trouble(nic: str, link: LinkState | None) -> Text | None:
    """What is wrong with the interface, in words; None when it could carry an address."""
    if link is None:
        return say("this node has no interface {nic}", nic=nic)
    if not link.up:
        return say("interface {nic} is switched off: ip link set {nic} up", nic=nic)
    if not link.carrier:
        return say("interface {nic} has no carrier: look at the cable and at the switch", nic=nic)
    return None
