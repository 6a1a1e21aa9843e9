"""A virtual IPv4 address: how one is written, and what stands on an interface. The rest is in virtual_address.py.

That it may be here is the core's decision.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from servha.core.words import Text, say
from servha.resources.kind import Place
from servha.resources.virtual_address import VirtualAddress


@dataclass(frozen=True, kw_only=True)
class Ipv4(VirtualAddress):
    """Virtual IP address (IPv4)."""

    name: ClassVar[str] = "ipv4"
    version = ipaddress.IPv4Interface

    address: Annotated[str, Meta(description="Address with prefix length, such as 192.0.2.100/24")]

    def _malformed(self) -> Text:
        return say(
            "{address} is not an address with a prefix length like 192.0.2.100/24", address=self.address
        )

    async def _there(self, place: Place) -> tuple[str, ...]:
        return await place.host.addresses(self.nic)
