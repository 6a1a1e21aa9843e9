"""servhad's side of the socket to servha-guardd: the whole wish goes out, the whole answer comes in.

Decides only when to say everything again: once a second, so that the guard knows servhad lives, and at once after a
reconnect. What the answers mean is decided by the core.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from pathlib import Path

from servha.core.clocks import Stamp
from servha.core.guard_model import Asking, View
from servha.wire.guard_talk import (
    SIZE_MAX,
    AskingMessage,
    Belonging,
    BelongingsMessage,
    Message,
    PingMessage,
    PromiseMessage,
    RenewalMessage,
    RoundsMessage,
    Setup,
    SetupMessage,
    Unreadable,
    ViewMessage,
    decode,
    encode,
)

log = logging.getLogger("servha.guard")

ALIVE_EVERY_S = 1.0
RETRY_S = 0.05


class GuardLink:
    """The connection, kept up for as long as there is a `Setup`. Called in the loop's thread only."""

    def __init__(
        self,
        path: Path,
        *,
        told: Callable[[View | None], None],
        promised: Callable[[int, int], None],
        rounds: Callable[[tuple[float | None, ...]], None],
    ) -> None:
        self._path = path
        self._told = told
        self._promised = promised
        self._rounds = rounds
        self._socket: socket.socket | None = None
        self._setup: Setup | None = None
        self._belongings: tuple[Belonging, ...] = ()
        self._asking: Asking | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def connected(self) -> bool:
        """Whether the guard's side of the socket is open."""
        return self._socket is not None

    def adapt(self, setup: Setup | None, belongings: tuple[Belonging, ...]) -> None:
        """Work under this configuration from now on; None for one without a quorum disk."""
        changed = (setup, belongings) != (self._setup, self._belongings)
        self._setup, self._belongings = setup, belongings
        if setup is None:
            self._stop_timer()
            self._disconnect()
        elif self._socket is None:
            self._connect()
        elif changed:
            self._introduce()

    def ask(self, asking: Asking) -> None:
        """Tell the guard everything that is asked of it."""
        self._asking = asking
        self._send(AskingMessage(asking))

    def ping_heard(self, generation: int, token: int) -> None:
        """Hand on a lease ping of the peer."""
        self._send(PingMessage(generation, token))

    def promise_heard(self, generation: int, pinged: Stamp) -> None:
        """Hand on a promise of the peer that answers our ping sent at `pinged`."""
        self._send(RenewalMessage(generation, pinged))

    def close(self) -> None:
        """Close our side; what the guard holds stays held."""
        self._setup = None
        self._stop_timer()
        self._disconnect()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _connect(self) -> None:
        self._stop_timer()
        fresh = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            fresh.connect(str(self._path))
        except OSError:
            fresh.close()
            self._later(RETRY_S, self._connect)
            return
        self._socket = fresh
        asyncio.get_running_loop().add_reader(fresh.fileno(), self._receive)
        self._introduce()
        self._later(ALIVE_EVERY_S, self._repeat)

    def _introduce(self) -> None:
        if self._setup is not None:
            self._send(SetupMessage(self._setup))
        self._send(BelongingsMessage(self._belongings))
        if self._asking is not None:
            self._send(AskingMessage(self._asking))

    def _repeat(self) -> None:
        if self._asking is not None:
            self._send(AskingMessage(self._asking))
        if self._socket is not None:
            self._later(ALIVE_EVERY_S, self._repeat)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, act)

    def _send(self, message: Message) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send(encode(message))
        except BlockingIOError:
            log.warning(
                "servha-guardd does not read: a message was dropped, the next one says everything again"
            )
        except OSError:
            self._lost()

    def _receive(self) -> None:
        while self._socket is not None:
            try:
                data = self._socket.recv(SIZE_MAX)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._lost()
                return
            match decode(data):
                case ViewMessage(view=view):
                    self._told(view)
                case PromiseMessage(generation=generation, token=token):
                    self._promised(generation, token)
                case RoundsMessage(took_s=took_s):
                    self._rounds(took_s)
                case Unreadable(reason=reason):
                    log.warning("a message of servha-guardd cannot be read: %s", reason)

    def _lost(self) -> None:
        """The guard is gone: say so, and try again until it is back."""
        self._disconnect()
        self._told(None)
        if self._setup is not None:
            self._later(RETRY_S, self._connect)

    def _disconnect(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(ValueError, OSError):
                asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
