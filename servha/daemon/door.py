"""One listening socket: lets callers in, cuts what they send into requests, sends the answers back.

Decides how many may be inside, for how long and how much they may send. Refuses to know what a request means:
each goes to `answer`. Every wait has an end: for the handshake, for a frame once begun, for a caller who says
nothing, for a caller who does not read. A slow or silent caller costs one slot, never another caller's time;
when all slots are taken, the one who has been idle longest is shown out, strangers first.
"""

from __future__ import annotations

import asyncio
import contextlib
import pwd
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from servha.core.words import say
from servha.daemon import tls
from servha.daemon.caller import Answer, Caller, DoorKind, Right
from servha.wire.rpc import (
    FRAME_BYTES_MAX,
    BadFrame,
    Code,
    Failure,
    FrameDecoder,
    Refusal,
    Reply,
    Request,
    decode_request,
    encode_reply,
)

WEB_USER: Final = "servha-web"
"""The user that the console runs as."""
_READ_BYTES: Final = 64 * 1024
_PEER_CREDENTIALS: Final = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one door; the three doors differ only in these."""

    connections_max: int
    strangers_per_address_max: int
    stranger_s: float = 10.0
    """A caller without rights is shown out after this long, whatever it sends."""
    idle_s: float = 900.0
    frame_s: float = 10.0
    """A frame has to arrive completely within this long of its first byte."""
    write_s: float = 10.0
    stranger_frame_bytes_max: int = 64 * 1024
    requests_at_once_max: int = 16
    requests_per_s: float = 200.0
    requests_burst: float = 400.0


LIMITS: Final = {
    DoorKind.LOCAL: Limits(connections_max=128, strangers_per_address_max=128),
    DoorKind.WEB: Limits(connections_max=192, strangers_per_address_max=128),
    DoorKind.MANAGEMENT: Limits(connections_max=64, strangers_per_address_max=8),
    DoorKind.PEER: Limits(
        connections_max=32,
        strangers_per_address_max=8,
        stranger_s=60.0,
        requests_per_s=1000.0,
        requests_burst=2000.0,
    ),
}

Welcome = Callable[[Caller], None]
AnswerTo = Callable[[Request, Caller], Awaitable[Answer]]
TlsNow = Callable[[], ssl.SSLContext | None]


@dataclass(slots=True)
class Counters:
    """What happened at a door since the daemon started; shown by `servha metrics`."""

    accepted: int = 0
    turned_away: int = 0
    shown_out: int = 0
    bad_frames: int = 0
    failed_handshakes: int = 0
    requests: int = 0


class Door:
    """A listening socket and everybody inside.

    `welcome` sets a new caller's rights; `answer` does the work.
    """

    def __init__(
        self,
        kind: DoorKind,
        listening: socket.socket,
        *,
        answer: AnswerTo,
        welcome: Welcome,
        tls_now: TlsNow | None = None,
        limits: Limits | None = None,
    ) -> None:
        listening.setblocking(False)  # noqa: FBT003 - its only form
        self.kind = kind
        self.counters = Counters()
        self.limits = limits or LIMITS[kind]
        self._listening = listening
        self._answer = answer
        self._welcome = welcome
        self._tls_now = tls_now
        self._inside: dict[_Visit, asyncio.Task[None]] = {}
        self._accepting = asyncio.create_task(self._accept(), name=f"door {kind.value}")

    @property
    def address(self) -> tuple[str, int]:
        """Where this door listens; for the unix socket its path and 0."""
        name = self._listening.getsockname()
        return (name, 0) if isinstance(name, str) else (name[0], name[1])

    @property
    def inside(self) -> int:
        """How many connections there are."""
        return len(self._inside)

    async def close(self) -> None:
        """Stop listening and end every connection."""
        self._accepting.cancel()
        for task in self._inside.values():
            task.cancel()
        await asyncio.gather(self._accepting, *self._inside.values(), return_exceptions=True)
        self._listening.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connected, _ = await loop.sock_accept(self._listening)
            except OSError:  # out of file descriptors: those inside will leave, one by one
                await asyncio.sleep(0.1)
                continue
            visit = _Visit(self, connected, since_s=loop.time())
            if not visit.may_enter() or not self._has_room(visit):
                self.counters.turned_away += 1
                connected.close()
                continue
            self.counters.accepted += 1
            task = asyncio.create_task(visit.serve(), name=f"caller {self.kind.value}")
            self._inside[visit] = task
            task.add_done_callback(partial(self._left, visit))
            await asyncio.sleep(0)  # a storm of callers does not keep the loop from its other work

    def _left(self, visit: _Visit, _: asyncio.Task[None]) -> None:
        self._inside.pop(visit, None)
        visit.close_now()

    def _has_room(self, newcomer: _Visit) -> bool:
        strangers = [v for v in self._inside if v.caller.right is Right.STRANGER]
        same = [v for v in strangers if v.caller.address == newcomer.caller.address]
        if len(same) >= self.limits.strangers_per_address_max:
            return self._show_out_idlest(same)
        if len(self._inside) >= self.limits.connections_max:
            return self._show_out_idlest(strangers) or self._show_out_idlest(list(self._inside))
        return True

    def _show_out_idlest(self, among: list[_Visit]) -> bool:
        idle = [v for v in among if not v.running]
        if not idle:
            return False
        chosen = min(idle, key=lambda v: v.heard_s)
        task = self._inside.pop(chosen)
        task.cancel()
        self.counters.shown_out += 1
        return True

    async def answer(self, request: Request, caller: Caller) -> Answer:
        """Pass a request on to whoever answers at this door."""
        self.counters.requests += 1
        return await self._answer(request, caller)

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS context for the next caller; None on the unix socket."""
        return self._tls_now() if self._tls_now is not None else None

    def welcome(self, caller: Caller) -> None:
        """Set the rights of a caller whose handshake is done. Raises `Refusal` to turn it away."""
        self._welcome(caller)


@dataclass(slots=True, eq=False)
class _Visit:
    """One connection, from accept to close."""

    door: Door
    connected: socket.socket
    since_s: float
    caller: Caller = field(init=False)
    heard_s: float = field(init=False)
    running: set[asyncio.Task[None]] = field(default_factory=set)
    _writer: asyncio.StreamWriter | None = None
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.connected.setblocking(False)  # noqa: FBT003 - its only form
        self.heard_s = self.since_s
        self.caller = _caller(self.door.kind, self.connected)

    def may_enter(self) -> bool:
        """On a unix socket only its own user may: the kernel says who it is, whatever the file's mode became."""
        allowed = {DoorKind.LOCAL: ("root",), DoorKind.WEB: ("root", WEB_USER)}.get(self.door.kind)
        return allowed is None or self.caller.name in allowed

    async def serve(self) -> None:
        """Talk until the caller leaves, is shown out, or breaks the rules."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_READ_BYTES, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        timing = {"ssl_handshake_timeout": tls.HANDSHAKE_S, "ssl_shutdown_timeout": tls.SHUTDOWN_S}
        try:
            context = self.door.context()
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, self.connected, ssl=context, **(timing if context else {})
            )
        except (OSError, ssl.SSLError, TimeoutError):
            self.door.counters.failed_handshakes += 1
            return
        self._writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        self.caller.certificate_sha256 = tls.shown_fingerprint(transport.get_extra_info("ssl_object"))
        try:
            self.door.welcome(self.caller)
            await self._read_requests(reader)
        except Refusal as refusal:
            await self._send(Reply(0, failure=refusal.failure))
        except BadFrame:
            self.door.counters.bad_frames += 1
        except (OSError, ssl.SSLError, TimeoutError):
            pass  # the caller is gone, or was too slow
        finally:
            for task in self.running:
                task.cancel()
            await asyncio.gather(*self.running, return_exceptions=True)
            self._writer.transport.abort() if self.running else self._writer.close()

    def close_now(self) -> None:
        """Leave nothing open, also when the handshake never ended."""
        if self._writer is None:
            self.connected.close()

    async def _read_requests(self, reader: asyncio.StreamReader) -> None:
        loop = asyncio.get_running_loop()
        limits = self.door.limits
        decoder = FrameDecoder()
        credit, credited_s, frame_since_s = limits.requests_burst, loop.time(), loop.time()
        while True:
            stranger = self.caller.right is Right.STRANGER
            decoder.frame_bytes_max = limits.stranger_frame_bytes_max if stranger else FRAME_BYTES_MAX
            until_s = frame_since_s + limits.frame_s if decoder.waiting_bytes else loop.time() + limits.idle_s
            if stranger:
                until_s = min(until_s, self.since_s + limits.stranger_s)
            try:
                async with asyncio.timeout_at(until_s):
                    piece = await reader.read(_READ_BYTES)
            except TimeoutError:
                if self.running and not decoder.waiting_bytes and not stranger:
                    continue  # it waits for us: that is not idleness
                raise
            if not piece:
                return
            now_s = loop.time()
            self.heard_s = now_s
            if not decoder.waiting_bytes:
                frame_since_s = now_s
            frames = decoder.feed(piece)
            if frames:
                frame_since_s = now_s
            credit = min(limits.requests_burst, credit + (now_s - credited_s) * limits.requests_per_s)
            credit, credited_s = credit - len(frames), now_s
            for frame in frames:
                await self._begin(decode_request(frame))
            if credit < 0:  # too many at once: the answers come, the next question is read later
                await asyncio.sleep(min(5.0, -credit / limits.requests_per_s))

    async def _begin(self, request: Request) -> None:
        while len(self.running) >= self.door.limits.requests_at_once_max:
            await asyncio.wait(self.running, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._answer(request), name=f"answer {request.verb}")
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def _answer(self, request: Request) -> None:
        try:
            answer = await self.door.answer(request, self.caller)
            if isinstance(answer, AsyncGenerator):
                async with contextlib.aclosing(answer) as pieces:
                    async for piece in pieces:
                        await self._send(Reply(request.id, result=piece, more=True))
                answer = None
            await self._send(Reply(request.id, result=answer))
        except Refusal as refusal:
            await self._send(Reply(request.id, failure=refusal.failure))
        except (OSError, TimeoutError):
            self._abort()

    async def _send(self, reply: Reply) -> None:
        assert self._writer is not None
        try:
            frame = encode_reply(reply)
        except (BadFrame, TypeError, ValueError):
            text = say("the answer to this call is too large or cannot be sent: ask for less of it")
            frame = encode_reply(Reply(reply.id, failure=Failure(Code.FAILED, text)))
        try:
            async with self._writing, asyncio.timeout(self.door.limits.write_s):
                self._writer.write(frame)
                await self._writer.drain()
        except (OSError, ssl.SSLError, TimeoutError):
            self._abort()

    def _abort(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


def _caller(kind: DoorKind, connected: socket.socket) -> Caller:
    if kind in (DoorKind.LOCAL, DoorKind.WEB):
        credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
        _, user, _ = _PEER_CREDENTIALS.unpack(credentials)
        return Caller(kind, _user_name(user), "", same_machine=kind is DoorKind.LOCAL)
    try:
        there, here = connected.getpeername()[0], connected.getsockname()[0]
    except OSError:  # already gone again
        return Caller(kind, "", "", same_machine=False)
    keep_watch(connected)
    # Whoever calls one of our own addresses from that same address sits on this machine.
    same = there in (here, "::1") or there.startswith("127.")
    return Caller(kind, "", there, same_machine=same)


def _user_name(number: int) -> str:
    if number == 0:
        return "root"
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"


def keep_watch(connected: socket.socket, *, silent_s: int = 5) -> None:
    """Let the kernel end a TCP connection whose other side has been silent for about `silent_s` seconds."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, silent_s - 3))
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silent_s * 1000)
