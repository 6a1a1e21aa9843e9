"""The other node's picture is followed while somebody looks on, by one stream, and by none afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from servha.core.words import say
from servha.daemon import peer_view
from servha.daemon.peer_view import PeerView
from servha.wire.rpc import Code, Refusal
from tests.daemon.conftest import until


class Peer:
    """Tells what is put; None breaks the stream."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.streams = 0
        self.opened = 0

    async def pictures(self, _within_s: float) -> AsyncGenerator[Any, None]:
        self.streams += 1
        self.opened += 1
        try:
            while (piece := await self.pieces.get()) is not None:
                yield piece
            raise Refusal(Code.TRY_AGAIN, say("it does not answer"))
        finally:
            self.streams -= 1


async def test_one_stream_serves_all_and_ends_with_the_last() -> None:
    peer = Peer()
    view = PeerView(peer.pictures)
    async with view.watched():
        async with view.watched():
            peer.pieces.put_nowait({"name": "web", "since_s": 1.0})
            await until(lambda: view.number == 1)
            assert peer.opened == 1
        seen = view.now()
        assert seen["name"] == "web"
        assert seen["since_s"] >= 1.0
    assert view.now() is None
    await until(lambda: peer.streams == 0)


async def test_what_no_longer_answers_is_not_shown_and_asked_again(monkeypatch: Any) -> None:
    monkeypatch.setattr(peer_view, "AGAIN_S", 0.0)
    peer = Peer()
    view = PeerView(peer.pictures)
    async with view.watched():
        peer.pieces.put_nowait({"number": 1})
        await until(lambda: view.number == 1)
        peer.pieces.put_nowait(None)
        await until(lambda: view.number == 2)
        assert view.now() is None
        peer.pieces.put_nowait({"number": 2})
        await until(lambda: view.number == 3)
        assert view.now() == {"number": 2}
    assert peer.opened == 2
