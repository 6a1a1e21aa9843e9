"""The client's process: tries at fixed times, whether or not earlier tries were answered, and prints what it saw.

`python -m servha.lab.probe_worker http URL EVERY_MS TIMEOUT_MS` or `... icmp ADDRESS EVERY_MS TIMEOUT_MS`: one line
for each attempt, "start end result who", until SIGTERM. Trying at fixed times matters: a client that waits for an
answer before it tries again sees a blackout later than it began.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import select
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

_WORDS = {
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ECONNRESET: "reset",
}


def report(start_s: float, result: str, who: str = "-") -> None:
    """Print one attempt that ends now."""
    sys.stdout.write(f"{start_s:.6f} {time.monotonic():.6f} {result} {who}\n")


def word(number: int) -> str:
    """Return what went wrong."""
    return _WORDS.get(number, errno.errorcode.get(number, str(number)).lower())


class Prober(Protocol):
    """A way to try."""

    def begin(self) -> None:
        """Make one attempt."""

    def waiting(self) -> tuple[list[socket.socket], list[socket.socket]]:
        """Sockets to wait for: to read, to write."""

    def ready(self, sockets: list[socket.socket]) -> None:
        """Go on with these."""

    def expire(self, before_s: float) -> None:
        """Give up attempts that began before then."""

    def pending(self) -> bool:
        """Whether attempts are still open."""


@dataclass
class _Request:
    start_s: float
    connected: bool = False
    text: bytes = b""


class Http:
    """Each attempt is a connection of its own."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._question = (
            f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
        )
        self._open: dict[socket.socket, _Request] = {}

    def begin(self) -> None:
        """Make one attempt."""
        caller = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._open[caller] = _Request(time.monotonic())
        number = caller.connect_ex(self._address)
        if number not in {0, errno.EINPROGRESS}:
            self._end(caller, word(number))

    def waiting(self) -> tuple[list[socket.socket], list[socket.socket]]:
        """Sockets to wait for: to read, to write."""
        reading = [caller for caller, request in self._open.items() if request.connected]
        return reading, [caller for caller, request in self._open.items() if not request.connected]

    def ready(self, sockets: list[socket.socket]) -> None:
        """Go on with these."""
        for caller in sockets:
            request = self._open[caller]
            try:
                if request.connected:
                    self._read(caller, request)
                elif number := caller.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    self._end(caller, word(number))
                else:
                    caller.send(self._question)
                    request.connected = True
            except OSError as error:
                self._end(caller, word(error.errno or 0))

    def expire(self, before_s: float) -> None:
        """Give up attempts that began before then."""
        for caller in [c for c, request in self._open.items() if request.start_s < before_s]:
            self._end(caller, "timeout")

    def pending(self) -> bool:
        """Whether attempts are still open."""
        return bool(self._open)

    def _read(self, caller: socket.socket, request: _Request) -> None:
        more = caller.recv(65536)
        request.text += more
        head, blank, body = request.text.partition(b"\r\n\r\n")
        size = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        whole = bool(blank) and (len(body) >= int(size[1]) if size else not more)
        if whole:
            self._end(caller, head[9:12].decode("ascii", "replace") or "nonsense", _who(head, body))
        elif not more:
            self._end(caller, "cut-short")

    def _end(self, caller: socket.socket, result: str, who: str = "-") -> None:
        report(self._open.pop(caller).start_s, result, who)
        caller.close()


def _who(head: bytes, body: bytes) -> str:
    node = re.search(rb"(?i)\r\nx-node: *(\S+)", head)
    return node[1].decode("ascii", "replace") if node else hashlib.sha256(body).hexdigest()[:12]


class Icmp:
    """Echo requests, each with its own number."""

    def __init__(self, address: str) -> None:
        self._address = (address, 0)
        self._socket = socket.socket(
            socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP
        )
        self._identity = os.getpid() & 0xFFFF
        self._number = 0
        self._open: dict[int, float] = {}

    def begin(self) -> None:
        """Make one attempt."""
        self._number = (self._number + 1) & 0xFFFF
        self._open[self._number] = time.monotonic()
        packet = struct.pack("!BBHHH", 8, 0, 0, self._identity, self._number)
        total = sum(struct.unpack("!4H", packet))
        total = (total & 0xFFFF) + (total >> 16)
        packet = packet[:2] + struct.pack("!H", ~total & 0xFFFF) + packet[4:]
        # An error here speaks of an earlier packet; this one is answered or it expires.
        with suppress(OSError):
            self._socket.sendto(packet, self._address)

    def waiting(self) -> tuple[list[socket.socket], list[socket.socket]]:
        """Sockets to wait for: to read, to write."""
        return [self._socket], []

    def ready(self, sockets: list[socket.socket]) -> None:
        """Go on with these."""
        for raw in sockets:
            with suppress(BlockingIOError):
                while True:
                    packet = raw.recv(2048)
                    at = (packet[0] & 15) * 4
                    kind, _, _, identity, number = struct.unpack_from("!BBHHH", packet, at)
                    if kind == 0 and identity == self._identity and number in self._open:
                        report(self._open.pop(number), "echo")

    def expire(self, before_s: float) -> None:
        """Give up attempts that began before then."""
        for number in [n for n, start_s in self._open.items() if start_s < before_s]:
            report(self._open.pop(number), "timeout")

    def pending(self) -> bool:
        """Whether attempts are still open."""
        return bool(self._open)


def run(prober: Prober, *, every_s: float, timeout_s: float) -> None:
    """Try until SIGTERM; then wait for what is still open."""
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    next_s = time.monotonic()
    while not stopping or prober.pending():
        now_s = time.monotonic()
        if now_s >= next_s and not stopping:
            prober.begin()
            next_s += every_s
            if now_s > next_s + timeout_s:
                next_s = now_s  # we were stopped ourselves: no volley to catch up
        prober.expire(now_s - timeout_s)
        sys.stdout.flush()
        reading, writing = prober.waiting()
        wait_s = every_s if stopping else max(0.0, next_s - time.monotonic())
        to_read, to_write, _ = select.select(reading, writing, [], wait_s)
        prober.ready([*to_read, *to_write])
    sys.stdout.flush()


def main() -> int:
    """Run what the arguments say."""
    kind, target, every_ms, timeout_ms = sys.argv[1:5]
    # What we measure is the servers; so we come before what else runs here.
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    prober: Prober = Http(target) if kind == "http" else Icmp(target)
    with suppress(KeyboardInterrupt):  # Ctrl-C reaches us as well as the command that started us
        run(prober, every_s=float(every_ms) / 1000, timeout_s=float(timeout_ms) / 1000)
    return 0


if __name__ == "__main__":
    sys.exit(main())
