"""Our way to ask the other node something: one kept TLS connection over whichever link works.

Decides over which address to call and when to try again. Refuses to say that the peer is dead: a call that
fails says only that no answer came, and heartbeats decide the rest. A caller is never left hanging: every
call ends with an answer or a `Refusal` within its own time.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Final

from servha.config.document import Document, NodeSection
from servha.core.words import Text, say
from servha.daemon import tls
from servha.daemon.connection import Connection, Unreachable, Way, dial
from servha.daemon.identity import Identity
from servha.wire.rpc import (
    Args,
    BadFrame,
    Code,
    Json,
    Refusal,
)

DIAL_S: Final = 1.5
BACK_OFF_FIRST_S: Final = 0.1
BACK_OFF_MAX_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Everything needed to call the peer.

    Taken from the configuration at each attempt, so changes just work.
    """

    name: str
    certificate_pem: str
    certificate_sha256: str
    ways: tuple[Way, ...]


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


def _dial_trouble(peer: PeerAddress, way: Way, error: Exception) -> Text:
    reason: Text | str
    if isinstance(error, TimeoutError):
        reason = say("no answer within {limit} s", limit=DIAL_S)
    elif isinstance(error, ssl.SSLError):
        reason = say("its certificate is not the one that this cluster knows for {node}", node=peer.name)
    elif isinstance(error, ConnectionRefusedError):
        reason = say("nothing listens there: is servhad running on {node}?", node=peer.name)
    else:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
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
