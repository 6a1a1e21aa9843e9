"""The configuration of this node: what is in force, what is staged, and the one place where that changes.

Decides which version may follow which, and makes each step durable before it counts. Refuses to know the
peer: replicate.py carries a change to it, follow.py takes one from it, join.py makes the first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from servha.config.store import NotStaged
from servha.core.words import Text, say
from servha.daemon.shelf import Shelf, Version
from servha.wire.rpc import Code, Json, Refusal

_log = logging.getLogger(__name__)


SECRET: Final = ("password", "tokens")
"""Sections that only root on this machine is shown."""


class Configuration:
    """Held by whoever has `turn`; everything that changes it asks for the turn first.

    `in_force` is told of every version that comes into force.
    """

    def __init__(self, shelf: Shelf, in_force: Callable[[Version], None]) -> None:
        self.turn = asyncio.Lock()
        self.shelf = shelf
        self._in_force = in_force
        self._current: Version | None = None
        self._staged: Version | None = None

    @property
    def current(self) -> Version | None:
        """The version in force; None when this node is in no cluster."""
        return self._current

    @property
    def staged(self) -> Version | None:
        """A version made ready whose fate the other node knows."""
        return self._staged

    async def load(self) -> Version | None:
        """Read what is on disk; at start, before anything else. Says nothing to `in_force`."""
        async with self.turn:
            self._current = await asyncio.to_thread(self.shelf.current)
            self._staged = await asyncio.to_thread(self.shelf.staged)
            if self._staged is not None and self._current is not None and not self.follows(self._staged):
                await self.discard()
        return self._current

    def must_have(self) -> Version:
        """Return the version in force. Raises `Refusal` (no-such) when this node is in no cluster."""
        if self._current is None:
            text = say("this node is in no cluster: run `servha cluster init` or `servha cluster join`")
            raise Refusal(Code.NO_SUCH, text)
        return self._current

    def must_have_none(self) -> None:
        """Raise `Refusal` (exists) when this node is in a cluster already."""
        if self._current is not None:
            text = say(
                "this node is already in cluster {cluster}: `servha cluster wipe` takes it out first",
                cluster=self._current.document.cluster.name,
            )
            raise Refusal(Code.EXISTS, text)

    def follows(self, version: Version) -> bool:
        """Whether `version` was made from the one in force."""
        current = self._current
        return (
            current is not None
            and version.parent_digest == current.digest
            and version.generation == current.generation + 1
        )

    async def read_successor(self, data: Mapping[str, Json]) -> Version:
        """Read `data`, given by somebody as what shall follow the one in force. Raises `Refusal` as `read` does.

        Without a password or tokens in it the present ones stay: not everybody who may change the rest is shown them.
        """
        current = self.must_have()
        kept: dict[str, Json] = {name: current.data[name] for name in SECRET if name in current.data}
        return await self.read(
            {**kept, **data, "generation": current.generation + 1, "parent_digest": current.digest}
        )

    async def read(self, data: Mapping[str, Json]) -> Version:
        """Check `data`. Raises `Refusal` (bad-configuration) with every problem in it."""
        version, problems = await asyncio.to_thread(self.shelf.read, data)
        if version is None or problems:
            text = say("the configuration is refused; problems found: {count}", count=len(problems))
            raise Refusal(Code.BAD_CONFIGURATION, text, problems)
        return version

    async def stage(self, version: Version) -> None:
        """Keep `version` ready. Raises `Refusal` when the disk refuses."""
        try:
            await asyncio.to_thread(self.shelf.stage, version)
        except OSError as error:
            raise Refusal(Code.FAILED, _not_written(error)) from error
        self._staged = version

    async def commit(self, version: Version) -> Version:
        """Put the staged `version` in force. Raises `Refusal` when the disk refuses."""
        try:
            await asyncio.to_thread(self.shelf.commit, version)
        except (OSError, NotStaged) as error:
            # Which of the two is in force now is for the disk to say.
            self._current = await asyncio.to_thread(self.shelf.current)
            self._staged = await asyncio.to_thread(self.shelf.staged)
            if self._current is None or self._current.digest != version.digest:
                raise Refusal(Code.FAILED, _not_written(error)) from error
        self._current, self._staged = version, None
        try:
            self._in_force(version)
        except Exception:  # noqa: BLE001 - it is in force, and the other node has to be told so
            _log.exception("generation %s is in force; somebody could not cope with it", version.generation)
        return version

    async def put_in_force(self, version: Version) -> Version:
        """Stage and commit."""
        await self.stage(version)
        return await self.commit(version)

    async def discard(self) -> None:
        """Forget the staged version."""
        await asyncio.to_thread(self.shelf.discard)
        self._staged = None

    async def wipe(self) -> None:
        """Remove the configuration: this node is in no cluster afterwards."""
        async with self.turn:
            await asyncio.to_thread(self.shelf.wipe)
            self._current = self._staged = None


def _not_written(error: Exception) -> Text:
    return say("the configuration could not be written: {reason}", reason=str(error))
