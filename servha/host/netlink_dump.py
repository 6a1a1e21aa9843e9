"""Questions to the kernel about interfaces and addresses, read with as little work as there is (rtnetlink(7)).

A virtual address is looked at every few seconds, and there may be hundreds: a library that reads every attribute of
every message takes a hundred times as long. Each question has a socket of its own, so that no answer can be taken for
another's, and nothing is left when whoever asked is gone. Changes are made, and news are read, in netlink.py.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Iterator

from servha.core.words import say
from servha.host.port import Duplicates, HostError, LinkState

ANSWER_S = 2.0
"""The kernel answers in less than a millisecond; without an answer after this long something is broken."""
TRIES_MAX = 3
"""A table that changed while it was read is read again; the last reading stands."""
READ_BYTES = 64 * 1024

NETLINK_ROUTE, SOL_NETLINK, NETLINK_GET_STRICT_CHK = 0, 270, 12
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x1, 0x300, 0x10
NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR = 16, 18, 20, 22
IFLA_ADDRESS, IFLA_IFNAME = 1, 3
IFA_ADDRESS, IFA_LOCAL = 1, 2
IFA_F_DADFAILED, IFA_F_TENTATIVE = 0x08, 0x40
IFF_UP, IFF_LOWER_UP = 0x1, 0x10000
HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
LINK = struct.Struct("=BxHiII")  # family, hardware type, index, flags, change mask
ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
ATTRIBUTE = struct.Struct("=HH")  # length, type

Message = tuple[int, int, bytes]
"""Type, flags, and what follows the header."""


async def links() -> tuple[LinkState, ...]:
    """Return every interface. Raises HostError when the kernel does not tell."""
    body = LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    found = await _ask(RTM_GETLINK, NLM_F_DUMP, body)
    return tuple(link_in(body) for kind, _, body in found if kind == RTM_NEWLINK)


async def link(index: int) -> LinkState | None:
    """Return one interface, None when there is none of that number. Raises HostError when the kernel does not tell."""
    found = await _ask(RTM_GETLINK, 0, LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0), fine=errno.ENODEV)
    return next((link_in(body) for kind, _, body in found if kind == RTM_NEWLINK), None)


async def addresses(index: int, family: int = socket.AF_INET) -> tuple[str, ...]:
    """Return the addresses of one interface, with prefix length. Raises HostError when the kernel does not tell."""
    found = await _ask(RTM_GETADDR, NLM_F_DUMP, ADDRESS.pack(family, 0, 0, 0, index), fine=errno.ENODEV)
    bodies = (body for kind, _, body in found if kind == RTM_NEWADDR)
    # An older kernel ignores the number in the question.
    return tuple(address_in(body) for body in bodies if ADDRESS.unpack_from(body)[4] == index)


async def addresses6(index: int) -> dict[str, Duplicates]:
    """Return the IPv6 addresses of one interface, and whether the kernel has found another machine that has them."""
    body = ADDRESS.pack(socket.AF_INET6, 0, 0, 0, index)
    found = await _ask(RTM_GETADDR, NLM_F_DUMP, body, fine=errno.ENODEV)
    bodies = (body for kind, _, body in found if kind == RTM_NEWADDR)
    return {address_in(body): duplicates_in(body) for body in bodies if ADDRESS.unpack_from(body)[4] == index}


def duplicates_in(body: bytes) -> Duplicates:
    """Return what the flags of an RTM_NEWADDR message say: a failed one stays tentative as well."""
    flags = ADDRESS.unpack_from(body)[2]
    if flags & IFA_F_DADFAILED:
        return Duplicates.FOUND
    return Duplicates.LOOKING if flags & IFA_F_TENTATIVE else Duplicates.NONE


def link_in(body: bytes) -> LinkState:
    """Return what an RTM_NEWLINK message says."""
    _, _, index, flags, _ = LINK.unpack_from(body)
    said = dict(attributes_in(body, LINK.size))
    name = said.get(IFLA_IFNAME, b"").rstrip(b"\0").decode("utf-8", "surrogateescape")
    mac = said.get(IFLA_ADDRESS, b"").hex(":")
    return LinkState(name, index, mac, up=bool(flags & IFF_UP), carrier=bool(flags & IFF_LOWER_UP))


def address_in(body: bytes) -> str:
    """Return what an RTM_NEWADDR message says: the address with its prefix length."""
    family, prefix, _, _, _ = ADDRESS.unpack_from(body)
    said = dict(attributes_in(body, ADDRESS.size))
    packed = said.get(IFA_LOCAL) or said.get(IFA_ADDRESS) or b""
    return f"{socket.inet_ntop(family, packed)}/{prefix}"


def attributes_in(body: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Return (type, value) of each attribute; a torn one ends it."""
    while start + ATTRIBUTE.size <= len(body):
        length, kind = ATTRIBUTE.unpack_from(body, start)
        if length < ATTRIBUTE.size:
            return
        yield kind, body[start + ATTRIBUTE.size : start + length]
        start += (length + 3) & ~3


def messages_in(packet: bytes) -> Iterator[Message]:
    """Return every message of what was read at once; a torn one ends it."""
    start = 0
    while start + HEADER.size <= len(packet):
        length, kind, flags, _, _ = HEADER.unpack_from(packet, start)
        if length < HEADER.size or start + length > len(packet):
            return
        yield kind, flags, packet[start + HEADER.size : start + length]
        start += (length + 3) & ~3


async def _ask(kind: int, flags: int, body: bytes, *, fine: int = 0) -> list[Message]:
    """Ask, and return the answer; nothing where the kernel answers with the error `fine`."""
    found: list[Message] = []
    try:
        for _ in range(TRIES_MAX):
            found = await _once(kind, flags, body)
            if not any(how & NLM_F_DUMP_INTR for _, how, _ in found):
                break
    except TimeoutError:
        raise HostError(say("netlink did not answer within {seconds} s", seconds=ANSWER_S)) from None
    except OSError as error:
        if fine and error.errno == fine:
            return []
        reason = error.strerror or str(error)
        raise HostError(say("{what} cannot be read: {reason}", what="netlink", reason=reason)) from error
    return found


async def _once(kind: int, flags: int, body: bytes) -> list[Message]:
    found: list[Message] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE) as wire:
        wire.setblocking(False)  # noqa: FBT003
        wire.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        wire.send(HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body)
        while True:  # the kernel ends a table with a message of its own; each turn has a time limit
            for message in messages_in(await _read(wire)):
                if message[0] == NLMSG_ERROR:
                    code = -struct.unpack_from("=i", message[2])[0]
                    raise OSError(code, os.strerror(code))
                if message[0] == NLMSG_DONE:
                    return found
                found.append(message)
            if not flags & NLM_F_DUMP:
                return found


async def _read(wire: socket.socket) -> bytes:
    """Return what the kernel says next; nearly always it is there already, and no timer is worth its while."""
    try:
        return wire.recv(READ_BYTES)
    except BlockingIOError:
        async with asyncio.timeout(ANSWER_S):
            return await asyncio.get_running_loop().sock_recv(wire, READ_BYTES)
