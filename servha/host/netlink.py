"""Interfaces and addresses by netlink: dumps, additions, removals, and news of changes.

What is there is asked in netlink_dump.py; changes and news go through pyroute2's asynchronous side, the news on a
socket of their own. By whom a change was made the kernel does not tell.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, RTMGRP_LINK

from servha.core.words import say
from servha.host import netlink_dump
from servha.host.port import AddressChange, Change, ChangesMissed, Duplicates, HostError, LinkGone, LinkState

IFF_UP, IFF_LOWER_UP = 0x1, 0x10000
AF_BRIDGE = 7
IFA_F_NODAD, FOR_EVER = 0x02, 0xFFFFFFFF
QUEUE_MAX = 1000
REOPEN_S = 0.5

log = logging.getLogger(__name__)


class Subscription:
    """The changes one subscriber has not taken yet; more than QUEUE_MAX become one "look again"."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Change] = asyncio.Queue(QUEUE_MAX)

    def put(self, change: Change) -> None:
        """Hand over one change."""
        if self._queue.full():
            while not self._queue.empty():
                self._queue.get_nowait()
            change = ChangesMissed()
        self._queue.put_nowait(change)

    async def next(self) -> Change:
        """Wait for the next change."""
        return await self._queue.get()


class Network:
    """This network namespace's interfaces and addresses."""

    def __init__(self) -> None:
        self._ip: AsyncIPRoute | None = None
        self._listener: asyncio.Task[None] | None = None
        self._subscribers: list[Subscription] = []
        self._names: dict[int, str] = {}
        self._one_at_a_time = asyncio.Lock()

    async def close(self) -> None:
        """Give both sockets back."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait([self._listener])
            self._listener = None
        if self._ip is not None:
            await self._ip.__aexit__(None, None, None)
            self._ip = None

    async def open(self) -> None:
        """Open both sockets; changes are told from here on."""
        await self._requests()
        if self._listener is None:
            listening = asyncio.Event()
            self._listener = asyncio.create_task(self._listen(listening), name="netlink")
            await listening.wait()

    @contextlib.contextmanager
    def changes(self) -> Iterator[Subscription]:
        """Subscribe to what changes from now on."""
        mine = Subscription()
        self._subscribers.append(mine)
        try:
            yield mine
        finally:
            self._subscribers.remove(mine)

    async def links(self) -> tuple[LinkState, ...]:
        """Every interface."""
        found = await netlink_dump.links()
        self._names = {link.index: link.nic for link in found}
        return found

    async def link(self, nic: str) -> LinkState | None:
        """The interface, None when there is none of that name."""
        index = _index(nic)
        return await netlink_dump.link(index) if index else None

    async def addresses(self, nic: str) -> tuple[str, ...]:
        """The IPv4 addresses of an interface, with prefix length; empty when there is no such interface."""
        index = _index(nic)
        return await netlink_dump.addresses(index) if index else ()

    async def addresses6(self, nic: str) -> dict[str, Duplicates]:
        """The IPv6 addresses of an interface, with prefix length, and what the kernel knows of their duplicates."""
        index = _index(nic)
        return await netlink_dump.addresses6(index) if index else {}

    async def change_address(
        self, nic: str, address: str, *, present: bool, known_free: bool = False
    ) -> None:
        """Add or delete; finding it so already is fine. Raises HostError with the kernel's reason."""
        plain, _, prefix = address.partition("/")
        index = _index(nic)
        if not index:
            if not present:
                return
            raise HostError(say("this node has no interface {nic}", nic=nic))
        fine = errno.EEXIST if present else errno.EADDRNOTAVAIL
        try:
            async with self._asking() as ip:
                await ip.addr(
                    "add" if present else "del",
                    index=index,
                    address=plain,
                    prefixlen=int(prefix),
                    **(_lifetime(known_free=known_free) if present and ":" in plain else {}),
                )
        except NetlinkError as error:
            if error.code != fine and not (not present and error.code == errno.ENODEV):
                raise HostError(
                    say(
                        "the kernel refused to change {address} on {nic}: {reason}",
                        address=address,
                        nic=nic,
                        reason=errno.errorcode.get(error.code, str(error.code)),
                    )
                ) from error

    async def _requests(self) -> AsyncIPRoute:
        if self._ip is None:
            self._ip = await AsyncIPRoute().__aenter__()
        return self._ip

    @contextlib.asynccontextmanager
    async def _asking(self) -> AsyncIterator[AsyncIPRoute]:
        try:
            async with self._one_at_a_time, asyncio.timeout(netlink_dump.ANSWER_S):
                yield await self._requests()
        except TimeoutError as error:
            # A socket with an answer outstanding would give it to the next question: start with a fresh one.
            stale, self._ip = self._ip, None
            if stale is not None:
                await stale.__aexit__(None, None, None)
            raise HostError(
                say("netlink did not answer within {seconds} s", seconds=netlink_dump.ANSWER_S)
            ) from error

    async def _listen(self, listening: asyncio.Event) -> None:
        while True:  # for the life of the daemon; every turn waits for the kernel, or REOPEN_S
            try:
                async with AsyncIPRoute() as news:
                    await news.bind(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR)
                    self._names = {link.index: link.nic for link in await self.links()}
                    if listening.is_set():
                        self._tell(ChangesMissed())
                    listening.set()
                    while True:  # get() ends with what the kernel sent at once; each turn waits for more
                        async for message in news.get():
                            change = change_of(message, self._names)
                            if change is not None:
                                self._tell(change)
            except (OSError, NetlinkError, HostError) as error:
                log.warning("netlink news interrupted: %s", error)
            listening.set()
            await asyncio.sleep(REOPEN_S)

    def _tell(self, change: Change) -> None:
        for subscriber in tuple(self._subscribers):
            subscriber.put(change)


def _lifetime(*, known_free: bool) -> dict[str, int]:
    """An IPv6 address stays for ever, is never chosen as a source, and is used at once where it is known to be free."""
    return {"preferred_lft": 0, "valid_lft": FOR_EVER} | ({"flags": IFA_F_NODAD} if known_free else {})


def _index(nic: str) -> int:
    """The number of an interface, 0 when there is none; a dump for that costs a thousand times as much."""
    try:
        return socket.if_nametoindex(nic)
    except OSError:
        return 0


class Message(Protocol):
    """One netlink message: header fields by index, attributes by name."""

    def __getitem__(self, key: str) -> Any: ...

    def get_attr(self, name: str, default: Any = None) -> Any:
        """The attribute, or `default` where the message has none."""
        ...


def link_state(message: Message) -> LinkState:
    """An RTM_NEWLINK message as a value."""
    flags = int(message["flags"])
    return LinkState(
        nic=str(message.get_attr("IFLA_IFNAME")),
        index=int(message["index"]),
        mac=str(message.get_attr("IFLA_ADDRESS") or ""),
        up=bool(flags & IFF_UP),
        carrier=bool(flags & IFF_LOWER_UP),
    )


def address_of(message: Message) -> str:
    """The address of an RTM_NEWADDR or RTM_DELADDR message, with prefix length."""
    return f"{message.get_attr('IFA_LOCAL') or message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}"


def change_of(message: Message, names: dict[int, str]) -> Change | None:
    """One message of news as a value; None for what we do not follow. Keeps `names` (index to name) current."""
    kind = message["event"]
    if kind in ("RTM_NEWLINK", "RTM_DELLINK"):
        if message["family"] == AF_BRIDGE:  # a port joined or left a bridge; the interface is where it was
            return None
        link = link_state(message)
        if kind == "RTM_NEWLINK":
            names[link.index] = link.nic
            return link
        names.pop(link.index, None)
        return LinkGone(link.nic)
    if kind in ("RTM_NEWADDR", "RTM_DELADDR"):
        nic = names.get(int(message["index"]), "")
        return AddressChange(nic, address_of(message), present=kind == "RTM_NEWADDR") if nic else None
    return None
