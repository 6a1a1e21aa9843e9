"""Neighbour discovery (RFC 4861): asking who uses an IPv6 address, and telling the segment that it is here now.

What ARP is to IPv4. Whether an answer forbids anything is decided by whoever asked. The kernel's own duplicate
address detection (RFC 4862) is not done here; the state it leaves on an address is read by netlink.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct

from servha.core.words import say
from servha.host.arp import ANSWERS_READ_MAX, PROBE_GAP_S, PROBES, mac_of
from servha.host.port import HostError
from servha.host.waiting import readable

SOLICITATION, ADVERTISEMENT = 135, 136
SOURCE_MAC, TARGET_MAC = 1, 2
OVERRIDE = 0x20000000
MESSAGE = struct.Struct("!BBHI16s")  # type, code, checksum (the kernel's to fill in), flags, target
OPTION = struct.Struct("!BB6s")
ICMP6_FILTER = 1
HOPS = 255
"""Whatever came through a router has fewer hops left, and is not from this segment (RFC 4861 7.1)."""
ALL_NODES = "ff02::1"


def solicitation(mac: bytes, address: str) -> bytes:
    """The question who has the address, with our MAC to answer to."""
    target = ipaddress.IPv6Address(address).packed
    return MESSAGE.pack(SOLICITATION, 0, 0, 0, target) + OPTION.pack(SOURCE_MAC, 1, mac)


def advertisement(mac: bytes, address: str) -> bytes:
    """The news that the address is here; "override" makes neighbours replace what they remember."""
    target = ipaddress.IPv6Address(address).packed
    return MESSAGE.pack(ADVERTISEMENT, 0, 0, OVERRIDE, target) + OPTION.pack(TARGET_MAC, 1, mac)


def solicited_node(address: str) -> str:
    """The group in which whoever has the address listens (RFC 4291 2.7.1).

    >>> solicited_node("2001:db8::12:3456")
    'ff02::1:ff12:3456'
    """
    last = int(ipaddress.IPv6Address(address)) & 0xFFFFFF
    return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("ff02::1:ff00:0")) | last))


def claimed_by(message: bytes, our_mac: bytes, address: str) -> str:
    """The MAC that uses `address` according to a message; empty when it says nothing of the kind."""
    if len(message) < MESSAGE.size:
        return ""
    kind, code, _, _, target = MESSAGE.unpack_from(message)
    if (kind, code, target) != (ADVERTISEMENT, 0, ipaddress.IPv6Address(address).packed):
        return ""
    at = MESSAGE.size
    while at + 2 <= len(message) and message[at + 1]:
        if message[at] == TARGET_MAC and at + OPTION.size <= len(message):
            mac = message[at + 2 : at + 8]
            return "" if mac == our_mac else mac.hex(":")
        at += message[at + 1] * 8
    return ""


async def who_has(nic: str, address: str, *, wait_s: float) -> str | None:
    """Ask twice, 10 ms apart, and wait `wait_s` in all; the MAC that answered, or None for silence.

    Raises HostError when the question could not be sent.
    """
    mac = mac_of(nic)
    if mac is None:
        return None
    loop = asyncio.get_running_loop()
    question, there = solicitation(mac, address), (solicited_node(address), 0, 0, socket.if_nametoindex(nic))
    again: list[asyncio.TimerHandle] = []
    with _socket(nic) as sock:
        try:
            sock.sendto(question, there)
            again += [
                loop.call_later(PROBE_GAP_S * k, _send_quietly, sock, question, there)
                for k in range(1, PROBES)
            ]
            async with asyncio.timeout(wait_s):
                return await _answer(sock, mac, address)
        except TimeoutError:
            return None
        except OSError as error:
            raise _refused(nic, error) from error
        finally:
            for handle in again:
                handle.cancel()


async def _answer(sock: socket.socket, mac: bytes, address: str) -> str | None:
    for _ in range(ANSWERS_READ_MAX):
        await readable(sock.fileno())
        with contextlib.suppress(BlockingIOError):
            message, said, _, _ = sock.recvmsg(2048, socket.CMSG_SPACE(4))
            hops = next((value for _, kind, value in said if kind == socket.IPV6_HOPLIMIT), b"")
            if hops == struct.pack("=i", HOPS) and (claimant := claimed_by(message, mac, address)):
                return claimant
    return None


def announce(nic: str, address: str) -> None:
    """Send the news to everybody on the segment once; raises HostError when it could not be sent."""
    mac = mac_of(nic)
    if mac is None:
        return
    with _socket(nic) as sock:
        try:
            sock.sendto(advertisement(mac, address), (ALL_NODES, 0, 0, socket.if_nametoindex(nic)))
        except OSError as error:
            raise _refused(nic, error) from error


def _socket(nic: str) -> socket.socket:
    """A socket that sends to this segment only and hears nothing but advertisements."""
    passing = [0xFFFFFFFF] * 8
    passing[ADVERTISEMENT // 32] &= ~(1 << ADVERTISEMENT % 32)
    try:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMPV6)
    except OSError as error:
        raise _refused(nic, error) from error
    try:
        sock.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("=8I", *passing))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, nic.encode() + b"\0")
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOPS)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    except OSError as error:
        sock.close()
        raise _refused(nic, error) from error
    return sock


def _send_quietly(sock: socket.socket, question: bytes, there: tuple[str, int, int, int]) -> None:
    with contextlib.suppress(OSError):
        sock.sendto(question, there)


def _refused(nic: str, error: OSError) -> HostError:
    return HostError(
        say("no neighbour discovery through {nic}: {reason}", nic=nic, reason=error.strerror or str(error))
    )
