"""node1 with a table of small verbs, its doors on 127.0.0.1, and strangers who call there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from servha.core.words import Text
from servha.daemon.api import Api, Verb, for_administrators, for_strangers, for_the_peer
from servha.daemon.caller import Caller, DoorKind, Right
from servha.daemon.connection import Connection, Way, dial
from servha.daemon.door import LIMITS, Door
from servha.daemon.identity import Identity
from servha.daemon.peer_channel import PeerAddress, PeerChannel
from servha.daemon.shelf import Version
from servha.daemon.tls import stranger_client
from servha.wire.rpc import Args, FrameDecoder, Json

Identities = tuple[Identity, Identity, Identity]


@dataclass
class Server:
    """node1 with a table of small verbs, its doors on 127.0.0.1."""

    identities: Identities
    version: Version
    notes: list[str]
    api: Api
    opened: list[PeerChannel]

    def peer_door(self, **limits: Any) -> Door:
        return self.api.open_peer("127.0.0.1", 0, limits=replace(LIMITS[DoorKind.PEER], **limits))

    def management_door(self, **limits: Any) -> Door:
        return self.api.open_management("127.0.0.1", 0, limits=replace(LIMITS[DoorKind.MANAGEMENT], **limits))

    def channel(
        self, door: Door, *, identity: Identity | None = None, pinned: Identity | None = None
    ) -> PeerChannel:
        """The peer's channel to this server; with another certificate of its own, or another pin, when given."""
        one, two, _ = self.identities
        there = pinned or one
        way = Way("private", *door.address)
        address = PeerAddress("node1", there.pem(), there.fingerprint(), (way,))
        channel = PeerChannel(identity=identity or two, where=lambda: address)
        self.opened.append(channel)
        return channel


async def echo(args: Args, _: Caller) -> Json:
    return args


async def who(_: Args, caller: Caller) -> Json:
    return {"name": caller.name, "right": caller.right.value, "same_machine": caller.same_machine}


async def never(_args: Args, _: Caller) -> Json:
    await asyncio.Event().wait()
    return None


async def broken(_args: Args, _: Caller) -> Json:
    raise ZeroDivisionError("a defect in a verb")


async def count(args: Args, _: Caller) -> AsyncGenerator[Json, None]:
    async def numbers() -> AsyncGenerator[Json, None]:
        upto = args.get("upto")
        for number in range(upto if isinstance(upto, int) else 0):
            yield number

    return numbers()


def verbs() -> dict[str, Verb]:
    for_all = frozenset(Right)
    return {
        "echo": Verb(echo, for_all),
        "who": Verb(who, for_all),
        "never": Verb(never, for_all, within_s=0.05),
        "hang": Verb(never, for_all),
        "broken": Verb(broken, for_all),
        "count": Verb(count, for_all),
        "order": for_administrators(echo),
        "peer.hello": for_the_peer(echo),
        "join": for_strangers(echo),
    }


@asynccontextmanager
async def stranger(door: Door) -> AsyncIterator[Connection]:
    connection = await dial(Way("", *door.address), stranger_client())
    yield connection
    connection.close(Text("the test is over"))


async def read_frames(reader: asyncio.StreamReader, wanted: int) -> list[bytes]:
    decoder = FrameDecoder()
    frames: list[bytes] = []
    async with asyncio.timeout(10):
        while len(frames) < wanted:
            piece = await reader.read(65536)
            assert piece, "the connection ended"
            frames += decoder.feed(piece)
    return frames
