"""ICMP echo, IPv4 and IPv6: does a kernel at that address answer, through that interface?

An answer proves that the other kernel lives; silence proves nothing. What follows is the arbiter's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import os
import socket
import struct

from servha.host.waiting import readable

ECHO = struct.Struct("!BBHHH")
ASK4, ANSWER4, ASK6, ANSWER6 = 8, 0, 128, 129
ANSWERS_READ_MAX = 1000
_sequence = itertools.count(1)


def checksum(message: bytes) -> int:
    """The internet checksum (RFC 1071).

    >>> hex(checksum(bytes([8, 0, 0, 0, 0, 1, 0, 1])))
    '0xf7fd'
    """
    if len(message) % 2:
        message += b"\0"
    total: int = sum(struct.unpack(f"!{len(message) // 2}H", message))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo(kind: int, ident: int, sequence: int, payload: bytes) -> bytes:
    """An echo request; the kernel itself fills in the checksum for IPv6."""
    bare = ECHO.pack(kind, 0, 0, ident, sequence) + payload
    return ECHO.pack(kind, 0, checksum(bare), ident, sequence) + payload


def answers(packet: bytes, *, version: int, ident: int, sequence: int, payload: bytes) -> bool:
    """Whether `packet`, as the raw socket delivers it, is the answer to our request."""
    if version == 4:
        packet = packet[(packet[0] & 15) * 4 :] if packet else b""
    if len(packet) < ECHO.size:
        return False
    kind, _, _, their_ident, their_sequence = ECHO.unpack_from(packet)
    wanted = ANSWER4 if version == 4 else ANSWER6
    return (kind, their_ident, their_sequence) == (wanted, ident, sequence) and packet[ECHO.size :] == payload


async def ping(address: str, *, nic: str, timeout_s: float) -> float | None:
    """Ask once; the round trip in seconds, or None when nothing came back or nothing could be sent."""
    target = ipaddress.ip_address(address)
    four = target.version == 4
    loop = asyncio.get_running_loop()
    ident, sequence, payload = os.getpid() & 0xFFFF, next(_sequence) & 0xFFFF, os.urandom(16)
    try:
        sock = socket.socket(
            socket.AF_INET if four else socket.AF_INET6,
            socket.SOCK_RAW | socket.SOCK_NONBLOCK,
            socket.IPPROTO_ICMP if four else socket.IPPROTO_ICMPV6,
        )
    except OSError:
        return None
    with contextlib.closing(sock), contextlib.suppress(OSError, TimeoutError):
        if nic:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, nic.encode())
        began = loop.time()
        sock.sendto(echo(ASK4 if four else ASK6, ident, sequence, payload), (address, 0))
        async with asyncio.timeout(timeout_s):
            for _ in range(ANSWERS_READ_MAX):
                await readable(sock.fileno())
                packet, sender = sock.recvfrom(2048)
                if ipaddress.ip_address(sender[0]) == target and answers(
                    packet, version=target.version, ident=ident, sequence=sequence, payload=payload
                ):
                    return loop.time() - began
    return None
