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
import time
from typing import Final, Protocol

_SETTIMEOUT: Final = 0xC0045706
_GETTIMEOUT: Final = 0x80045707
_GETSUPPORT: Final = 0x80285700
_GETTIMELEFT: Final = 0x8004570A
_SETOPTIONS: Final = 0x80045704
_DISABLE: Final = 1
_LEAST_TRIED: Final = 30
"""How many seconds more than asked are tried with a driver whose least time is not known."""
_KEEPALIVE: Final = b"\0"
_MAGIC: Final = b"V"
_ANSWER_S: Final = 0.2
_FED: Final = "ok"


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

    def left_s(self) -> float | None:
        """Return the time until it fires; None where it does not say."""

    def disarm(self) -> None:
        """Stop and close it. Raises OSError with EBUSY, and leaves it open, where it cannot be stopped any more."""


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
        """Set the time; drivers keep whole seconds, and refuse with EINVAL what is less than their least."""
        least = max(1, math.ceil(seconds))
        for wanted in range(least, least + _LEAST_TRIED):
            try:
                fcntl.ioctl(self._descriptor, _SETTIMEOUT, struct.pack("i", wanted))
                break
            except OSError as problem:  # a driver with a fixed time says so by its answer below
                if problem.errno != errno.EINVAL:
                    break
        (kept,) = struct.unpack("i", fcntl.ioctl(self._descriptor, _GETTIMEOUT, bytes(4)))
        return float(kept)

    def feed(self) -> None:
        """Write one byte that is not the magic one."""
        os.write(self._descriptor, _KEEPALIVE)

    def left_s(self) -> float | None:
        """Ask the driver, of which many do not know."""
        with contextlib.suppress(OSError):
            (left,) = struct.unpack("i", fcntl.ioctl(self._descriptor, _GETTIMELEFT, bytes(4)))
            return float(left)
        return None

    def disarm(self) -> None:
        """Stop it, write the magic character and close.

        A kernel that was told `nowayout` refuses with EBUSY: closing would leave it running towards the reset.
        """
        try:
            fcntl.ioctl(self._descriptor, _SETOPTIONS, struct.pack("i", _DISABLE))
        except OSError as problem:
            if problem.errno == errno.EBUSY:
                raise
        try:
            os.write(self._descriptor, _MAGIC)
        finally:
            os.close(self._descriptor)


class Messages:
    """A lab's watchdog: the same orders as messages. Feeding does not wait for the answer."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._line.setblocking(False)  # noqa: FBT003  it takes no keyword
        self.name = self._asked("identity")

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

    def left_s(self) -> float | None:
        """Ask it."""
        answer = self._asked("left")
        return None if answer == "None" else float(answer)

    def disarm(self) -> None:
        """Say the magic word and close; messages are read in order, so nobody needs to wait for the answer."""
        try:
            self._line.send(_MAGIC)
        finally:
            self._line.close()

    def _asked(self, order: str) -> str:
        """Return the answer to `order`, past those to earlier feedings."""
        self._line.send(order.encode("ascii"))
        until_s = time.monotonic() + _ANSWER_S
        while select.select([self._line], [], [], max(0.0, until_s - time.monotonic()))[0]:
            answer = self._line.recv(256).decode("ascii", "replace")
            if not answer:
                raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
            if answer != _FED:
                return answer
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

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
