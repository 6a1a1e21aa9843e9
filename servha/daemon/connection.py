"""One open TLS connection to another node, with any number of calls under way on it.

Decides which answer belongs to which call, and ends every call when the connection ends. Refuses to bound a
call's time (the caller does) and to judge the certificate (it reports the fingerprint; peer_channel.py and
join.py judge).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Final

from servha.core.words import Text, say
from servha.daemon import tls
from servha.daemon.door import keep_watch
from servha.wire.rpc import (
    Args,
    BadFrame,
    Code,
    FrameDecoder,
    Json,
    Refusal,
    Reply,
    Request,
    decode_reply,
    encode_request,
)

_READ_BYTES: Final = 64 * 1024
_PIECES_MAX: Final = 256
_CLOSED_THERE: Final = say("the connection was closed by the other side")


@dataclass(frozen=True, slots=True)
class Way:
    """One link to the peer.

    Where it listens, and what we send from. An empty `nic` leaves the choice to routing.
    """

    link: str
    address: str
    port: int
    nic: str = ""
    source: str = ""


class Unreachable(Refusal):
    """No answer came from the peer. With `maybe_done` it may have got the question all the same."""

    def __init__(self, code: Code, text: Text, *, maybe_done: bool) -> None:
        super().__init__(code, text)
        self.maybe_done = maybe_done


@dataclass(slots=True, eq=False)
class Connection:
    """One open connection; many calls may be under way on it."""

    way: Way
    certificate_sha256: str
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _reason: Text = _CLOSED_THERE
    _heard: bool = False
    _waiting: dict[int, asyncio.Queue[Reply | Unreachable]] = field(default_factory=dict)
    _last_id: int = 0
    _reading: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether a call may still be tried on it."""
        return not self.ended.is_set()

    def begin(self) -> None:
        """Start to read answers."""
        self._reading = asyncio.create_task(self._read(), name=f"answers over {self.way.link}")

    def close(self, reason: Text) -> None:
        """End the connection; every call under way fails with `reason`."""
        if self.alive:
            self._reason = reason
            self._end()
        if self._reading is not None:
            self._reading.cancel()

    async def call(self, verb: str, args: Args) -> Json:
        """Ask and return the (last) answer. Raises `Refusal`; the caller bounds the time."""
        last: Json = None
        async with contextlib.aclosing(self._replies(verb, args)) as replies:
            async for reply in replies:
                last = reply.result
        return last

    async def stream(self, verb: str, args: Args) -> AsyncGenerator[Json, None]:
        """Ask and yield the pieces of an answer that comes in pieces."""
        async with contextlib.aclosing(self._replies(verb, args)) as replies:
            async for reply in replies:
                if reply.more:
                    yield reply.result

    async def _replies(self, verb: str, args: Args) -> AsyncGenerator[Reply, None]:
        if not self.alive:
            raise self._lost(maybe_done=False)
        self._last_id += 1
        number = self._last_id
        arrived: asyncio.Queue[Reply | Unreachable] = asyncio.Queue(_PIECES_MAX)
        self._waiting[number] = arrived
        try:
            self._writer.write(encode_request(Request(number, verb, args)))
            try:
                await self._writer.drain()
            except (OSError, ssl.SSLError):
                raise self._lost(maybe_done=True) from None
            more = True
            while more:
                reply = await arrived.get()
                if isinstance(reply, Unreachable):
                    raise reply
                self._heard = True
                if reply.failure is not None:
                    raise Refusal(reply.failure.code, reply.failure.text, reply.failure.problems)
                more = reply.more
                yield reply
        finally:
            del self._waiting[number]

    async def _read(self) -> None:
        decoder = FrameDecoder()
        try:
            while piece := await self._reader.read(_READ_BYTES):
                for frame in decoder.feed(piece):
                    await self._deliver(decode_reply(frame))
        except (OSError, ssl.SSLError, BadFrame) as error:
            self._reason = say("the connection broke: {reason}", reason=str(error) or type(error).__name__)
        finally:
            self._end()

    async def _deliver(self, reply: Reply) -> None:
        if reply.id == 0 and reply.failure is not None:  # said to the connection as a whole: it is over
            self._reason = reply.failure.text
            return
        waiting = self._waiting.get(reply.id)
        if waiting is not None:  # else its caller has stopped waiting
            await waiting.put(reply)

    def _end(self) -> None:
        if self.ended.is_set():
            return
        self.ended.set()
        self._writer.transport.abort()
        lost = self._lost(maybe_done=True)
        for waiting in self._waiting.values():
            if waiting.full():
                waiting.get_nowait()
            waiting.put_nowait(lost)

    def _lost(self, *, maybe_done: bool) -> Unreachable:
        reason = self._reason
        if reason == _CLOSED_THERE and not self._heard:
            # With TLS 1.3 a refused certificate shows only now, after our side thought the handshake was done.
            reason = say("the other side closed it without a word: it may not know this node's certificate")
        text = say("the connection over link {link} ended: {reason}", link=self.way.link, reason=reason)
        return Unreachable(Code.TRY_AGAIN, text, maybe_done=maybe_done)


async def dial(way: Way, context: ssl.SSLContext) -> Connection:
    """Connect to a node and shake hands. Raises `OSError` or `ssl.SSLError`; the caller bounds the time."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in way.address else socket.AF_INET
    connected = socket.socket(family, socket.SOCK_STREAM)
    connected.setblocking(False)  # noqa: FBT003 - its only form
    try:
        keep_watch(connected)
        if way.nic:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, way.nic.encode())
        if way.source:
            connected.bind((way.source, 0))
        await loop.sock_connect(connected, (way.address, way.port))
        reader, writer = await asyncio.open_connection(
            sock=connected,
            ssl=context,
            server_hostname="",
            ssl_handshake_timeout=tls.HANDSHAKE_S,
            ssl_shutdown_timeout=tls.SHUTDOWN_S,
        )
    except BaseException:
        connected.close()
        raise
    shown = tls.shown_fingerprint(writer.get_extra_info("ssl_object"))
    connection = Connection(way, shown, reader, writer)
    connection.begin()
    return connection
