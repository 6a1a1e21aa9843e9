"""servhad as the guard meets it: one process at a time, known by its process and not by its socket.

A socket that closes says nothing about whether its process can still start something; only the end of the process
does. So the process is held by a descriptor of its own (pidfd), and one that lingers is ended before another is heard.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
from typing import Final

from servha.core.words import say
from servha.guard.journal import log
from servha.wire.guard_talk import SIZE_MAX, Message, Unreadable, decode, encode

_MESSAGE_COUNT_MAX: Final = 256
_CREDENTIALS = struct.Struct("3i")


class Partner:
    """The door at `place`, and whoever came in last."""

    def __init__(self, place: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)  # noqa: PTH108 - the guard loads no pathlib
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        self._door.bind(place)
        os.umask(before)
        self._door.listen(4)
        self._line: socket.socket | None = None
        self._life: int | None = None
        self._pid = 0
        self.missed = False
        """Whether it did not take what was last sent, so that everything has to be said again."""

    @property
    def here(self) -> bool:
        """Whether its process lives, as far as is known."""
        return self._life is not None

    def descriptors(self) -> list[int]:
        """What to wait for before the calls below."""
        line = [self._line.fileno()] if self._line is not None else []
        life = [self._life] if self._life is not None else []
        return [self._door.fileno(), *line, *life]

    def came(self, ready: set[int]) -> bool:
        """Let somebody new in; return whether there is."""
        if self._door.fileno() not in ready:
            return False
        with contextlib.suppress(OSError):
            line, _ = self._door.accept()
            pid, uid, _ = _CREDENTIALS.unpack(
                line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            )
            life = os.pidfd_open(pid)  # it fails for one that is dead already, and then nobody came
            if uid != 0:
                os.close(life)
                line.close()
                return False
            if self._life is not None and pid != self._pid:
                self._end_lingering()
            self._part()
            if self._life is not None:
                os.close(self._life)
            line.setblocking(False)  # noqa: FBT003  it takes no keyword
            self._line, self._life, self._pid, self.missed = line, life, pid, False
            return True
        return False

    def died(self, ready: set[int]) -> bool:
        """Return, once, that its process has ended."""
        if self._life is None or self._life not in ready:
            return False
        os.close(self._life)
        self._life, self._pid = None, 0
        self._part()
        return True

    def said(self, ready: set[int]) -> list[Message]:
        """Return what it has said; what cannot be read is passed over with a line."""
        if self._line is None or self._line.fileno() not in ready:
            return []
        found: list[Message] = []
        for _ in range(_MESSAGE_COUNT_MAX):
            try:
                datagram = self._line.recv(SIZE_MAX)
            except BlockingIOError:
                break
            except OSError:
                datagram = b""
            if not datagram:
                self._part()
                break
            message = decode(datagram)
            if isinstance(message, Unreadable):
                log("warning", say("a message of servhad cannot be read: {reason}", reason=message.reason))
            else:
                found.append(message)
        return found

    def tell(self, message: Message) -> None:
        """Send `message`, or note that it was missed."""
        if self._line is None:
            return
        try:
            self._line.send(encode(message))
            self.missed = False
        except BlockingIOError:
            self.missed = True
        except OSError:
            self._part()

    def kill(self) -> None:
        """End its process, from which nothing can come any more then."""
        if self._life is not None:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._life, signal.SIGKILL)

    def _end_lingering(self) -> None:
        """Two servhads: the earlier one may have a start in hand that the later knows nothing of."""
        if self._life is None or select.select([self._life], [], [], 0)[0]:
            return
        log("warning", say("another servhad has come while the one before still ran: that one is killed"))
        self.kill()

    def _part(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
