"""ARP: asking who uses an IPv4 address (RFC 5227 probe), and telling the segment that it is here now.

Whether an answer forbids anything is decided by whoever asked. Frames are built and read by pure functions;
the sockets never block.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass

from servha.core.words import say
from servha.host.port import HostError
from servha.host.waiting import readable

ETH_P_ARP = 0x0806
ARPHRD_ETHER = 1
BROADCAST = b"\xff" * 6
NOBODY = b"\0" * 6
REQUEST, REPLY = 1, 2
FRAME = struct.Struct("!6s6sHHHBBH6s4s6s4s")
PROBES = 2
PROBE_GAP_S = 0.02
ANSWERS_READ_MAX = 1000


@dataclass(frozen=True, slots=True)
class Arp:
    """The part of an ARP packet that says who is where."""

    operation: int
    sender_mac: bytes
    sender_ip: bytes
    target_mac: bytes
    target_ip: bytes

    def frame(self) -> bytes:
        """The packet as an Ethernet broadcast."""
        return FRAME.pack(
            BROADCAST,
            self.sender_mac,
            ETH_P_ARP,
            1,
            0x0800,
            6,
            4,
            self.operation,
            self.sender_mac,
            self.sender_ip,
            self.target_mac,
            self.target_ip,
        )


def parse(frame: bytes) -> Arp | None:
    """Read a frame; None when it is not ARP for IPv4 over Ethernet."""
    if len(frame) < FRAME.size:
        return None
    _, _, kind, hardware, protocol, mac_size, ip_size, operation, smac, sip, tmac, tip = FRAME.unpack_from(
        frame
    )
    if (kind, hardware, protocol, mac_size, ip_size) != (ETH_P_ARP, 1, 0x0800, 6, 4):
        return None
    return Arp(operation, smac, sip, tmac, tip)


def probe(mac: bytes, address: str) -> bytes:
    """The question; its sender address is 0.0.0.0, so that nobody learns a wrong neighbour from it."""
    return Arp(REQUEST, mac, NOBODY[:4], NOBODY, socket.inet_aton(address)).frame()


def announcements(mac: bytes, address: str) -> tuple[bytes, bytes]:
    """The news in both forms that devices listen to: as a request for, and as a reply from, ourselves."""
    ip = socket.inet_aton(address)
    return Arp(REQUEST, mac, ip, NOBODY, ip).frame(), Arp(REPLY, mac, ip, mac, ip).frame()


def claimed_by(packet: Arp, our_mac: bytes, address: str) -> str:
    """The MAC that uses `address` according to `packet`; empty when it says nothing of the kind.

    Another node's probe for the same address is no claim: the peer asks before it decides anything, and its
    question must not make us refuse.
    """
    if packet.sender_ip != socket.inet_aton(address) or packet.sender_mac == our_mac:
        return ""
    return packet.sender_mac.hex(":")


def opened(nic: str) -> tuple[socket.socket, bytes] | None:
    """A non-blocking ARP socket on `nic` and its MAC; None when the interface does not speak ARP."""
    try:
        sock = socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ARP)
        )
    except OSError as error:
        raise HostError(say("no ARP socket: {reason}", reason=error.strerror or str(error))) from error
    try:
        sock.bind((nic, ETH_P_ARP))
        _, _, _, hardware, mac = sock.getsockname()
    except OSError as error:
        sock.close()
        raise HostError(
            say("no ARP through {nic}: {reason}", nic=nic, reason=error.strerror or str(error))
        ) from error
    if hardware != ARPHRD_ETHER:
        sock.close()
        return None
    return sock, mac


async def who_has(nic: str, address: str, *, wait_s: float) -> str | None:
    """Probe twice, 20 ms apart, and wait `wait_s` in all; the MAC that answered, or None for silence.

    Raises HostError when the question could not be sent.
    """
    sock_and_mac = opened(nic)
    if sock_and_mac is None:
        return None
    sock, mac = sock_and_mac
    loop = asyncio.get_running_loop()
    question = probe(mac, address)
    with contextlib.closing(sock):
        _send(sock, question, nic)
        again = [loop.call_later(PROBE_GAP_S * k, _send_quietly, sock, question) for k in range(1, PROBES)]
        try:
            async with asyncio.timeout(wait_s):
                return await _answer(sock, mac, address)
        except TimeoutError:
            return None
        finally:
            for handle in again:
                handle.cancel()


async def _answer(sock: socket.socket, mac: bytes, address: str) -> str | None:
    for _ in range(ANSWERS_READ_MAX):
        await readable(sock.fileno())
        with contextlib.suppress(BlockingIOError):
            packet = parse(sock.recv(2048))
            claimant = claimed_by(packet, mac, address) if packet else ""
            if claimant:
                return claimant
    return None


def announce_once(nic: str, address: str) -> None:
    """Send both forms of the news once; raises HostError when they could not be sent."""
    sock_and_mac = opened(nic)
    if sock_and_mac is None:
        return
    sock, mac = sock_and_mac
    with contextlib.closing(sock):
        for frame in announcements(mac, address):
            _send(sock, frame, nic)


def _send(sock: socket.socket, frame: bytes, nic: str) -> None:
    try:
        sock.send(frame)
    except OSError as error:
        raise HostError(
            say("no ARP through {nic}: {reason}", nic=nic, reason=error.strerror or str(error))
        ) from error


def _send_quietly(sock: socket.socket, frame: bytes) -> None:
    with contextlib.suppress(OSError):
        sock.send(frame)
