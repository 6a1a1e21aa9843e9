"""Plays /dev/watchdog for a node: whoever opens it and stops feeding it loses the whole node.

The kernel's device answers to ioctl, which a process cannot. So this is a SOCK_SEQPACKET socket at the same path
that takes the same orders as short messages and answers each:

    timeout 2.5   set the time in seconds; the answer is the time now in force
    left          the answer is the seconds until it fires
    identity      the answer is what the driver calls itself
    V             from now on closing disarms it (the kernel's magic character)
    anything else feeds it

Connecting arms it, with the kernel drivers' usual 60 s. Only one may have it open at a time. Closing without V
leaves it armed.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

DEFAULT_S = 60.0
IDENTITY = "ServHA lab watchdog"


class Watchdog:
    """The device of one node; `serve` reads what it was told, `fires` says whether the time is over."""

    def __init__(self, place: Path) -> None:
        place.unlink(missing_ok=True)
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        self._door.bind(str(place))
        self._door.listen()
        self._user: socket.socket | None = None
        self._timeout_s = DEFAULT_S
        self._fires_at: float | None = None
        self._magic = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._door.close()
        if self._user:
            self._user.close()

    def descriptors(self) -> list[int]:
        """What to wait for before `serve`."""
        return [self._door.fileno(), *([self._user.fileno()] if self._user else [])]

    def left_s(self) -> float | None:
        """The time until it fires; None while it is not armed."""
        return None if self._fires_at is None else max(0.0, self._fires_at - time.monotonic())

    def fires(self) -> bool:
        """Whether nobody fed it in time."""
        return self.left_s() == 0.0

    def serve(self) -> None:
        """Read everything that waits."""
        self._listen()  # first: who has closed it makes room for the next
        with suppress(BlockingIOError):
            caller, _ = self._door.accept()
            if self._user:
                caller.close()  # the kernel says EBUSY
            else:
                caller.settimeout(0)
                self._user, self._magic = caller, False
                self._feed()
                self._listen()

    def _listen(self) -> None:
        while self._user:
            try:
                message = self._user.recv(64)
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # said once of a user that closed with answers unread; what it said before is still there
            if message:
                self._take(self._user, message.decode("ascii", "replace").split())
            else:
                self._close()

    def _take(self, user: socket.socket, words: list[str]) -> None:
        answer = "ok"
        self._magic = words == ["V"]
        match words:
            case ["timeout", seconds]:
                with suppress(ValueError):
                    self._timeout_s = max(0.1, float(seconds))
                self._feed()
                answer = f"{self._timeout_s}"
            case ["left"]:
                answer = f"{self.left_s()}"
            case ["identity"]:
                answer = IDENTITY
            case _:
                self._feed()
        with suppress(OSError):
            user.send(answer.encode("ascii"))

    def _feed(self) -> None:
        self._fires_at = time.monotonic() + self._timeout_s

    def _close(self) -> None:
        if self._user:
            self._user.close()
        self._user = None
        if self._magic:
            self._fires_at = None
