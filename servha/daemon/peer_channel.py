"""Our way to ask the other node something: one kept TLS connection over whichever link works.

Decides over which address to call and when to try again. Refuses to say that the peer is dead: a call that
fails says only that no answer came, and heartbeats decide the rest. A caller is never left hanging: every
call ends with an answer or a `Refusal` within its own time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Final

from servha.config.document import Document, NodeSection
from servha.core.words import Text, say
from servha.daemon import tls
from servha.daemon.door import keep_watch
from servha.daemon.identity import Identity
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

DIAL_S: Final = 1.5
BACK_OFF_FIRST_S: Final = 0.1
BACK_OFF_MAX_S: Final = 2.0
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


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Everything needed to call the peer.

    Taken from the configuration at each attempt, so changes just work.
    """

    name: str
    certificate_pem: str
    certificate_sha256: str
    ways: tuple[Way, ...]


class Unreachable(Refusal):
    """No answer came from the peer. With `maybe_done` it may have got the question all the same."""

    def __init__(self, code: Code, text: Text, *, maybe_done: bool) -> None:
        super().__init__(code, text)
        self.maybe_done = maybe_done


class PeerChannel:
    """Keeps one connection to the peer.

    `where` is asked before each attempt and gives None while there is no peer.
    """

    def __init__(self, *, identity: Identity, where: Callable[[], PeerAddress | None]) -> None:
        self._identity = identity
        self._where = where
        self._open: Connection | None = None
        self._dialling = asyncio.Lock()
        self._called: PeerAddress | None = None
        self._last_failed = ""
        self._keeper: asyncio.Task[None] | None = None
        self.trouble: Text | None = None
        """Why there is no connection right now, in words; None while there is one or none was tried."""

    @property
    def link(self) -> str:
        """The link in use; empty while there is no connection."""
        return self._open.way.link if self._open is not None and self._open.alive else ""

    @property
    def address(self) -> PeerAddress | None:
        """What the connection in use was made with; None while there is none."""
        return self._called

    def start(self) -> None:
        """Keep a connection open from now on, so that the first call does not pay for it."""
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name="peer channel")

    async def close(self) -> None:
        """Close the connection and stop trying."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        self.hang_up()

    def hang_up(self) -> None:
        """Drop the connection, because the peer's certificate or addresses have changed."""
        if self._open is not None:
            self._open.close(say("the connection was closed on this side"))
            self._open = None

    async def call(self, verb: str, args: Args | None = None, *, timeout_s: float = 5.0) -> Json:
        """Ask the peer and return its answer.

        Raises `Refusal`: the peer's own, or try-again when it cannot be reached, or timed-out when it is
        reached and does not answer in time (then it may or may not have done what it was asked).
        """
        asked = False
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self._connection()
                asked = True
                return await connection.call(verb, args or {})
        except TimeoutError:
            if asked:
                self._suspect()
                raise Unreachable(Code.TIMED_OUT, self._no_answer(timeout_s), maybe_done=True) from None
            raise Unreachable(Code.TRY_AGAIN, self._unreachable(), maybe_done=False) from None

    async def stream(
        self, verb: str, args: Args | None = None, *, timeout_s: float = 5.0
    ) -> AsyncGenerator[Json, None]:
        """Ask the peer and yield each piece of its answer; `timeout_s` bounds the wait for each."""
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self._connection()
        except TimeoutError:
            raise Unreachable(Code.TRY_AGAIN, self._unreachable(), maybe_done=False) from None
        async with contextlib.aclosing(connection.stream(verb, args or {})) as pieces:
            while True:
                try:
                    async with asyncio.timeout(timeout_s):
                        piece = await anext(pieces)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    raise Unreachable(Code.TIMED_OUT, self._no_answer(timeout_s), maybe_done=True) from None
                yield piece

    async def _keep(self) -> None:
        wait_s = BACK_OFF_FIRST_S
        while True:
            try:
                connection = await self._connection()
            except Refusal:
                await asyncio.sleep(wait_s)
                wait_s = min(BACK_OFF_MAX_S, 2 * wait_s)
                continue
            wait_s = BACK_OFF_FIRST_S
            await connection.ended.wait()
            await asyncio.sleep(wait_s)

    async def _connection(self) -> Connection:
        peer = self._where()
        if self._open is not None and self._called != peer:
            self.hang_up()  # its certificate or its addresses have changed
        if self._open is not None and self._open.alive:
            return self._open
        async with self._dialling:
            if self._open is not None and self._open.alive:
                return self._open
            peer = self._where()
            if peer is None or not peer.ways:
                raise Unreachable(
                    Code.TRY_AGAIN, say("there is no other node in this cluster"), maybe_done=False
                )
            # The link that failed last is tried last: a dead one must not cost every call its dialling time.
            for way in sorted(peer.ways, key=lambda w: w.link == self._last_failed):
                try:
                    self._open = await self._dial(peer, way)
                except (OSError, ssl.SSLError, TimeoutError, BadFrame) as error:
                    self._last_failed = way.link
                    self.trouble = _dial_trouble(peer, way, error)
                else:
                    self.trouble, self._called = None, peer
                    return self._open
            raise Unreachable(Code.TRY_AGAIN, self._unreachable(), maybe_done=False)

    async def _dial(self, peer: PeerAddress, way: Way) -> Connection:
        files = self._identity
        context = tls.peer_client(
            files.certificate, files.key, peer.certificate_pem, tls.changed_ns(files.certificate)
        )
        async with asyncio.timeout(DIAL_S):
            connection = await dial(way, context)
        if connection.certificate_sha256 != peer.certificate_sha256:
            connection.close(say("the certificate is not the pinned one"))
            raise ssl.SSLError("the certificate is not the pinned one")
        return connection

    def _suspect(self) -> None:
        if self._open is not None:
            self._last_failed = self._open.way.link
            self._open.close(say("a call was not answered in time"))
            self._open = None

    def _unreachable(self) -> Text:
        peer = self._where()
        name = peer.name if peer is not None else ""
        if self.trouble is not None:
            return say("{node} cannot be reached: {trouble}", node=name, trouble=self.trouble)
        return say("{node} cannot be reached over any link", node=name)

    def _no_answer(self, timeout_s: float) -> Text:
        peer = self._where()
        return say(
            "{node} did not answer within {limit} s; whether it did what was asked is not known",
            node=peer.name if peer is not None else "",
            limit=timeout_s,
        )


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


def _dial_trouble(peer: PeerAddress, way: Way, error: Exception) -> Text:
    if isinstance(error, TimeoutError):
        reason = say("no answer within {limit} s", limit=DIAL_S)
    elif isinstance(error, ssl.SSLError):
        reason = say("its certificate is not the one that this cluster knows for {node}", node=peer.name)
    elif isinstance(error, ConnectionRefusedError):
        reason = say("nothing listens there: is servhad running on {node}?", node=peer.name)
    else:
        reason = say(
            "{reason}", reason=getattr(error, "strerror", None) or str(error) or type(error).__name__
        )
    return say(
        "link {link} to {address} port {port}: {reason}",
        link=way.link,
        address=way.address,
        port=way.port,
        reason=reason,
    )


def ways_to(peer: NodeSection, ours: NodeSection, document: Document, *, by_nic: bool) -> tuple[Way, ...]:
    """Return the ways from us to `peer`, the most preferred link first.

    `by_nic` sends over the link's own interface, whatever the routes say (this needs root).
    """
    return tuple(
        Way(
            link,
            peer.links[link].ip,
            document.ports.peer,
            nic=ours.links[link].nic if by_nic else "",
            source=ours.links[link].ip,
        )
        for link in document.links
        if link in peer.links and link in ours.links
    )
