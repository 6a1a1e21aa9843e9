"""One UDP path to the peer, tied to one network interface. Moves bytes; never decides what they are worth.

A link that cannot work says so in words (`trouble`) and tries again by itself for as long as it is open:
interfaces go away and come back, and the heartbeat must come back with them. It refuses to route around: a
beat that left through another interface would hide that this one is broken. So the socket is bound to
interface and address, connected to the peer's address (the kernel drops what comes from elsewhere) and its
packets live for one hop.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable

from servha.core.words import NOTHING_SAID, Text, say

READS_MAX = 32
"""Datagrams read in one wake-up; more wait in the kernel while the loop attends to other things."""
RETRY_S = 0.2
_RECEIVE_SIZE = 2048  # more than any beat: an oversized datagram is seen as such and not cut to fit
_BUFFER_SIZE = 256 * 1024
_CLASS_SELECTOR_6 = 0xC0  # DSCP CS6, network control: switches that know it let beats pass a full queue

# Word about an earlier beat: nobody listens there, or nobody answers for the address. The link itself is
# fine, and silence is for core/membership.py to judge.
_UNDELIVERED = (errno.ECONNREFUSED, errno.EHOSTUNREACH)
# Passing trouble of a socket that is still good.
_PASSING = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EPERM, errno.EINTR)


class UdpLink:
    """A heartbeat link over UDP. It lives in the loop's thread; `received(datagram, link)` is called there.

    `troubled(link, text)` is called when the trouble changes; NOTHING_SAID means that the link works again.
    """

    kind = "udp"

    def __init__(
        self,
        *,
        name: str,
        nic: str,
        address: str,
        peer_address: str,
        port: int,
        received: Callable[[bytes, str], None],
        troubled: Callable[[str, Text], None],
    ) -> None:
        self.name = name
        self.nic = nic
        self.address = str(ipaddress.ip_interface(address).ip)
        self.peer_address = str(ipaddress.ip_interface(peer_address).ip)
        self.port = port
        self.trouble: Text = NOTHING_SAID
        self.sent_count = 0
        self.received_count = 0
        self.unsent_count = 0
        self.refused_count = 0
        """How often the peer's kernel said that nobody listens there: its host lives, its daemon does not."""
        self._received = received
        self._troubled = troubled
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket: socket.socket | None = None
        self._retry: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a socket; the interface may be down all the same."""
        return self._socket is not None

    def open(self) -> None:
        """Begin to receive.

        Needs the running loop; never raises: what is wrong is in `trouble`, and is retried.
        """
        self._loop = asyncio.get_running_loop()
        self._try_to_open()

    def close(self) -> None:
        """Stop for good."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._drop_socket()
        self._loop = None

    def send(self, datagram: bytes) -> bool:
        """Send now or not at all; returns whether the kernel took it. Never raises, never waits."""
        if self._socket is None:
            self.unsent_count += 1
            return False
        try:
            self._socket.send(datagram)
        except OSError as error:
            if error.errno in _UNDELIVERED:
                # The kernel hands over that word instead of sending: send again, once.
                self._note_undelivered(error)
                return self._send_again(datagram)
            self.unsent_count += 1
            self._judge(error)
            return False
        self.sent_count += 1
        self._say(NOTHING_SAID)
        return True

    def _note_undelivered(self, error: OSError) -> None:
        if error.errno == errno.ECONNREFUSED:
            self.refused_count += 1

    def _send_again(self, datagram: bytes) -> bool:
        assert self._socket is not None
        try:
            self._socket.send(datagram)
        except OSError as error:
            self.unsent_count += 1
            if error.errno not in _UNDELIVERED:
                self._judge(error)
            return False
        self.sent_count += 1
        self._say(NOTHING_SAID)
        return True

    def _try_to_open(self) -> None:
        self._retry = None
        if self._loop is None or self._socket is not None:
            return
        try:
            self._socket = self._make_socket()
        except OSError as error:
            self._say(self._words(error))
            self._retry = self._loop.call_later(RETRY_S, self._try_to_open)
            return
        self._loop.add_reader(self._socket.fileno(), self._read)
        self._say(NOTHING_SAID)

    def _make_socket(self) -> socket.socket:
        """Return the socket, bound and connected; OSError when interface, address or route is missing."""
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.nic.encode())
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_SIZE)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 6)
            scope = 0
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1)
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _CLASS_SELECTOR_6)
                scope = socket.if_nametoindex(self.nic)
                made.bind((self.address, self.port, 0, scope))
                made.connect((self.peer_address, self.port, 0, scope))
            else:
                made.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
                made.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _CLASS_SELECTOR_6)
                made.bind((self.address, self.port))
                made.connect((self.peer_address, self.port))
        except OSError:
            made.close()
            raise
        return made

    def _read(self) -> None:
        for _ in range(READS_MAX):
            # The callback may have closed the link.
            if self._socket is None:
                return
            try:
                datagram = self._socket.recv(_RECEIVE_SIZE)
            except OSError as error:
                if error.errno in _UNDELIVERED:
                    self._note_undelivered(error)
                    continue
                if error.errno != errno.EAGAIN:
                    self._judge(error)
                return
            self.received_count += 1
            self._received(datagram, self.name)

    def _judge(self, error: OSError) -> None:
        """Keep the socket through passing trouble; make a new one when nic, address or route is gone."""
        self._say(self._words(error))
        if error.errno in _PASSING:
            return
        self._drop_socket()
        if self._loop is not None and self._retry is None:
            self._retry = self._loop.call_later(RETRY_S, self._try_to_open)

    def _drop_socket(self) -> None:
        if self._socket is None:
            return
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._socket = None

    def _say(self, text: Text) -> None:
        if text != self.trouble:
            self.trouble = text
            self._troubled(self.name, text)

    def _words(self, error: OSError) -> Text:
        match error.errno:
            case errno.ENODEV | errno.ENXIO:
                return say(
                    "heartbeat link {link}: there is no network interface {nic} on this node",
                    link=self.name,
                    nic=self.nic,
                )
            case errno.EADDRNOTAVAIL:
                return say(
                    "heartbeat link {link}: address {address} is not on interface {nic}; add it, or edit"
                    " the link",
                    link=self.name,
                    nic=self.nic,
                    address=self.address,
                )
            case errno.ENETDOWN | errno.ENETUNREACH:
                return say(
                    "heartbeat link {link}: no way to {peer} through interface {nic}; is it up?",
                    link=self.name,
                    nic=self.nic,
                    peer=self.peer_address,
                )
            case errno.EADDRINUSE:
                return say(
                    "heartbeat link {link}: another program on this node uses UDP port {port} of {address}",
                    link=self.name,
                    port=self.port,
                    address=self.address,
                )
            case errno.EPERM | errno.EACCES:
                return say(
                    "heartbeat link {link}: this node's firewall or rights forbid sending to {peer}"
                    " port {port}",
                    link=self.name,
                    peer=self.peer_address,
                    port=self.port,
                )
            case _:
                return say(
                    "heartbeat link {link}: {reason}", link=self.name, reason=error.strerror or str(error)
                )
