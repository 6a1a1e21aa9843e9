"""What the other node shows of itself, kept fresh while somebody here looks on.

One stream of the other node's pictures serves every onlooker, and ends with the last of them. It decides nothing: where
the other node does not answer there is no picture, and the onlooker is shown this node's view alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, Final

from servha.wire.rpc import Refusal

SILENT_S: Final = 5.0
"""The other node tells its picture every 3 s, even when nothing has changed."""
AGAIN_S: Final = 0.5
GROWING: Final = frozenset({"since_s", "silent_s", "up_s", "age_s"})
"""Fields that count up by themselves."""

Pictures = Callable[[float], AsyncGenerator[Any, None]]


class PeerView:
    """The newest picture; `pictures` opens the stream, each piece to come within that many seconds."""

    def __init__(self, pictures: Pictures) -> None:
        self.number = 0
        """Grows whenever there is something new to see, or nothing any more."""
        self._pictures = pictures
        self._picture: Any = None
        self._seen_s = 0.0
        self._onlookers = 0
        self._task: asyncio.Task[None] | None = None

    def now(self) -> Any:
        """The other node's picture with the ages that it has by now; None while there is none."""
        return None if self._picture is None else older(self._picture, time.monotonic() - self._seen_s)

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Keep the picture fresh inside the block."""
        self._onlookers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name="peer view")
        try:
            yield
        finally:
            self._onlookers -= 1
            if not self._onlookers:
                self._task.cancel()
                self._task = None
                self._picture = None

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(Refusal):
                async with contextlib.aclosing(self._pictures(SILENT_S)) as pictures:
                    async for picture in pictures:
                        self._picture, self._seen_s = picture, time.monotonic()
                        self.number += 1
            if self._picture is not None:
                self._picture = None
                self.number += 1
            await asyncio.sleep(AGAIN_S)


def older(value: Any, by_s: float) -> Any:
    """Return plain data as it would be told `by_s` seconds later, if nothing else happened.

    >>> older({"name": "web", "since_s": 3.0, "links": [{"silent_s": None}]}, 1.5)
    {'name': 'web', 'since_s': 4.5, 'links': [{'silent_s': None}]}
    """
    if isinstance(value, Mapping):
        return {
            key: inner + by_s if key in GROWING and isinstance(inner, int | float) else older(inner, by_s)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [older(inner, by_s) for inner in value]
    return value
