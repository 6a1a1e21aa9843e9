"""ARP: asking who uses an IPv4 address (RFC 5227 probe), and telling the segment that it is here now.

Whether an answer forbids anything is decided by whoever asked. Frames are built and read by pure functions;
the sockets never block.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
from dataclasses import dataclass

from servha.core.words import say
from servha.host.port import HostError
from servha.host.waiting import readable

ETH_P_ARP = 0x0806
ARPHRD_ETHER = 1
SIOCGIFHWADDR = 0x8927
BROADCAST = b"\xff" * 6
NOBODY = b"\0" * 6
REQUEST, REPLY = 1, 2
FRAME = struct.Struct("!6s6sHHHBBH6s4s6s4s")
PROBES = 2
PROBE_GAP_S = 0.01
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


def mac_of(nic: str) -> bytes | None:
    """The interface's MAC, None when it does not speak ARP; raises HostError when there is no such interface."""
    request = struct.pack("16s16x", nic.encode()[:15])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            answer = fcntl.ioctl(asking, SIOCGIFHWADDR, request)
    except OSError as error:
        raise _refused(nic, error) from error
    (hardware,) = struct.unpack_from("=H", answer, 16)
    return answer[18:24] if hardware == ARPHRD_ETHER else None


def packet_socket() -> socket.socket:
    """A packet socket that receives nothing until it is bound, which spares the kernel's wait in bind()."""
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    except OSError as error:
        raise HostError(say("no ARP socket: {reason}", reason=error.strerror or str(error))) from error


async def who_has(nic: str, address: str, *, wait_s: float) -> str | None:
    """Probe twice, 10 ms apart, and wait `wait_s` in all; the MAC that answered, or None for silence.

    Raises HostError when the question could not be sent.
    """
    mac = mac_of(nic)
    if mac is None:
        return None
    sock = packet_socket()
    loop = asyncio.get_running_loop()
    question = probe(mac, address)
    again: list[asyncio.TimerHandle] = []
    try:
        sock.bind((nic, ETH_P_ARP))
        sock.send(question)
        again += [loop.call_later(PROBE_GAP_S * k, _send_quietly, sock, question) for k in range(1, PROBES)]
        async with asyncio.timeout(wait_s):
            return await _answer(sock, mac, address)
    except TimeoutError:
        return None
    except OSError as error:
        raise _refused(nic, error) from error
    finally:
        for handle in again:
            handle.cancel()
        # The kernel waits for all processors before it lets a packet socket go, 10 to 25 ms: not on the loop.
        loop.run_in_executor(None, sock.close)


async def _answer(sock: socket.socket, mac: bytes, address: str) -> str | None:
    for _ in range(ANSWERS_READ_MAX):
        await readable(sock.fileno())
        with contextlib.suppress(BlockingIOError):
            packet = parse(sock.recv(2048))
            claimant = claimed_by(packet, mac, address) if packet else ""
            if claimant:
                return claimant
    return None


class Announcer:
    """Tells segments where an address is now. One socket for all interfaces, because closing one is slow."""

    def __init__(self) -> None:
        self._sock: socket.socket | None = None

    def announce(self, nic: str, address: str) -> None:
        """Send both forms of the news once; raises HostError when they could not be sent."""
        mac = mac_of(nic)
        if mac is None:
            return
        if self._sock is None:
            self._sock = packet_socket()
        try:
            for frame in announcements(mac, address):
                self._sock.sendto(frame, (nic, ETH_P_ARP))
        except OSError as error:
            raise _refused(nic, error) from error

    def close(self) -> None:
        """Give the socket back."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def _refused(nic: str, error: OSError) -> HostError:
    return HostError(say("no ARP through {nic}: {reason}", nic=nic, reason=error.strerror or str(error)))


def _send_quietly(sock: socket.socket, frame: bytes) -> None:
    with contextlib.suppress(OSError):
        sock.send(frame)
