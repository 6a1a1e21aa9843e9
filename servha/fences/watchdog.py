"""The watchdog: hardware, kernel module or lab, that ends the whole node when nobody feeds it in time.

`/dev/watchdog` is a character device that takes ioctl (Linux watchdog API, Documentation/watchdog/watchdog-api.rst);
in a lab a socket outside the node plays it and takes the same orders as short messages (lab/watchdog.py). Decides
nothing: when it is armed, fed and disarmed is the arbitration guard's decision.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
import select
import socket
import stat
import struct
from typing import Final, Protocol

_SETTIMEOUT: Final = 0xC0045706
_GETTIMEOUT: Final = 0x80045707
_GETSUPPORT: Final = 0x80285700
_KEEPALIVE: Final = b"\0"
_MAGIC: Final = b"V"
_ANSWER_S: Final = 0.2


class Watchdog(Protocol):
    """An open watchdog. Open means armed: whoever closes it without `disarm` is not believed to be well."""

    name: str
    """What its driver calls itself; "Software Watchdog" is the kernel's own timer."""

    def fileno(self) -> int:
        """Its descriptor, to be handed to a successor."""

    def set_timeout(self, seconds: float) -> float:
        """Set the time after which it fires; return the time it really keeps. Raises OSError."""

    def feed(self) -> None:
        """Put off its firing by the whole time. Raises OSError."""

    def disarm(self) -> None:
        """Stop and close it; one that cannot be stopped goes on and fires."""


class Device:
    """A character device of the kernel."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.name = "watchdog"
        with contextlib.suppress(OSError):
            answer = fcntl.ioctl(descriptor, _GETSUPPORT, bytes(40))
            self.name = answer[8:40].split(b"\0")[0].decode("ascii", "replace") or self.name

    def fileno(self) -> int:
        """Its descriptor."""
        return self._descriptor

    def set_timeout(self, seconds: float) -> float:
        """Set the time; drivers keep whole seconds and may have a least one."""
        wanted = struct.pack("i", max(1, math.ceil(seconds)))
        with contextlib.suppress(OSError):  # a driver with a fixed time says so by its answer below
            fcntl.ioctl(self._descriptor, _SETTIMEOUT, wanted)
        (kept,) = struct.unpack("i", fcntl.ioctl(self._descriptor, _GETTIMEOUT, bytes(4)))
        return float(kept)

    def feed(self) -> None:
        """Write one byte that is not the magic one."""
        os.write(self._descriptor, _KEEPALIVE)

    def disarm(self) -> None:
        """Write the magic character and close."""
        try:
            os.write(self._descriptor, _MAGIC)
        finally:
            os.close(self._descriptor)


class Messages:
    """A lab's watchdog: the same orders as messages. Feeding does not wait for the answer."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._line.setblocking(False)  # noqa: FBT003  it takes no keyword
        self.name = self._asked("identity") or "watchdog"

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._line.fileno()

    def set_timeout(self, seconds: float) -> float:
        """Set the time; the answer is the time in force."""
        return float(self._asked(f"timeout {seconds}"))

    def feed(self) -> None:
        """Feed it."""
        self._drain()
        self._line.send(b"feed")

    def disarm(self) -> None:
        """Say the magic word and close."""
        try:
            self._asked("V")
        finally:
            self._line.close()

    def _asked(self, order: str) -> str:
        self._drain()
        self._line.send(order.encode("ascii"))
        if not select.select([self._line], [], [], _ANSWER_S)[0]:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        return self._line.recv(256).decode("ascii", "replace")

    def _drain(self) -> None:
        """Throw away answers to earlier feedings."""
        with contextlib.suppress(BlockingIOError):
            while self._line.recv(256):
                pass


def open_watchdog(path: str) -> Watchdog:
    """Open, and by that arm, the watchdog at `path`. Raises OSError where there is none or another has it."""
    if stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116 - the guard loads no pathlib for this
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            line.settimeout(_ANSWER_S)
            line.connect(path)
            return Messages(line)
        except OSError:
            line.close()
            raise
    return Device(os.open(path, os.O_WRONLY | os.O_CLOEXEC))


def adopted(descriptor: int) -> Watchdog:
    """Return the watchdog that a predecessor left open as `descriptor`; it is armed."""
    if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return Messages(socket.socket(fileno=descriptor))
    return Device(descriptor)
