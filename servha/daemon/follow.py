"""After a time apart: which of the two nodes follows the other, and when neither may.

Decides from the chain of digests: a node whose version stands among the peer's earlier ones is behind and
takes the peer's. When neither stands in the other's chain both were changed, and this module refuses to
choose: it raises an alarm and overwrites nothing until a person says which one to give up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from servha.core.words import Text, say
from servha.daemon.arguments import part, word, words
from servha.daemon.caller import Caller
from servha.daemon.configuration import Configuration
from servha.daemon.shelf import Version, peer_of
from servha.wire.rpc import Args, Code, Json, Refusal

ASK_S: Final = 5.0
ASK_AGAIN_S: Final = 2.0
SHORT_DIGEST: Final = 16
"""A heartbeat carries only the beginning of a digest: so many characters at least."""

DIVERGED: Final = "configuration-diverged"
NOT_UNDERSTOOD: Final = "configuration-not-understood"


class Peer(Protocol):
    """What is needed of the channel to the other node."""

    async def call(self, verb: str, args: Args | None = None, *, timeout_s: float = 5.0) -> Json:
        """Ask; raises `Refusal` (the peer's own) or `Unreachable`."""
        ...


class Alarms(Protocol):
    """Where conditions that last are raised and cleared."""

    def raise_alarm(self, key: str, severity: str, text: Text) -> None:
        """The condition `key` holds from now on."""
        ...

    def clear_alarm(self, key: str) -> None:
        """The condition `key` has ended, if it ever began."""
        ...


class Follower:
    """Watches the generation in the peer's heartbeats and takes the peer's version when ours is an older one."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        us: Callable[[], str],
        peer: Peer,
        alarms: Alarms,
        note: Callable[[str, Text], None],
    ) -> None:
        self._configuration = configuration
        self._us = us
        self._peer = peer
        self._alarms = alarms
        self._note = note
        self._task: asyncio.Task[None] | None = None
        self._not_before_s = 0.0

    async def close(self) -> None:
        """Stop asking the peer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def on_peer_generation(self, generation: int, digest: str) -> None:
        """The peer's heartbeat says what is in force there. To be called with every beat.

        Cheap when nothing differs, and never waits: what is to be done is done in a task of its own, one at a
        time, and the peer is asked at most every two seconds.
        """
        current, staged = self._configuration.current, self._configuration.staged
        if current is None or len(digest) < SHORT_DIGEST:
            return
        if current.digest.startswith(digest):
            self._agreed()
            return
        if self._task is not None and not self._task.done():
            return
        ready = staged is not None and staged.generation == generation and staged.digest.startswith(digest)
        now_s = asyncio.get_running_loop().time()
        if not ready and now_s < self._not_before_s:
            return
        self._not_before_s = now_s + ASK_AGAIN_S
        follow = self._commit_staged(digest) if ready else self._pull()
        self._task = asyncio.create_task(follow, name="follow configuration")

    async def adopt_peer(self) -> Version:
        """Take the peer's version although ours was changed too.

        A person has chosen. Ours stays in the history.
        """
        async with self._configuration.turn:
            ours = self._configuration.must_have()
            theirs, _ = await self._ask()
            if theirs.digest == ours.digest:
                return ours
            await self._configuration.put_in_force(theirs)
        self._agreed()
        text = say(
            "configuration generation {ours} of this node was given up for generation {theirs} of {peer}, as ordered",
            ours=ours.generation,
            theirs=theirs.generation,
            peer=self._peer_name(),
        )
        self._note("warning", text)
        return theirs

    async def peer_config(self, _args: Args, _: Caller) -> Json:
        """peer.config {}: what is in force here, and the digests of what was before it."""
        async with self._configuration.turn:
            current = self._configuration.must_have()
            ancestors = await asyncio.to_thread(self._configuration.shelf.ancestors)
        return {"digest": current.digest, "document": current.data, "ancestors": list(ancestors)}

    async def _commit_staged(self, digest: str) -> None:
        async with self._configuration.turn:
            staged = self._configuration.staged
            if (
                staged is None
                or not staged.digest.startswith(digest)
                or not self._configuration.follows(staged)
            ):
                return
            try:
                await self._configuration.commit(staged)
            except Refusal as refusal:
                self._note("error", refusal.text)

    async def _pull(self) -> None:
        try:
            # Asked without holding the turn: two nodes that ask each other at once must both get an answer.
            theirs, ancestors = await self._ask()
            async with self._configuration.turn:
                await self._take(theirs, ancestors)
        except Refusal as refusal:
            if refusal.code is Code.BAD_CONFIGURATION:
                text = say("the other node's configuration cannot be taken: {reason}", reason=refusal.text)
                self._alarms.raise_alarm(NOT_UNDERSTOOD, "error", text)

    async def _take(self, theirs: Version, ancestors: frozenset[str]) -> None:
        ours = self._configuration.must_have()
        if theirs.digest == ours.digest:
            self._agreed()
        elif ours.digest in ancestors and theirs.generation > ours.generation:
            await self._configuration.put_in_force(theirs)
            self._agreed()
            text = say(
                "configuration generation {generation}, made on {node} while this node was away, is in force here too",
                generation=theirs.generation,
                node=self._peer_name(),
            )
            self._note("info", text)
        elif theirs.digest not in await asyncio.to_thread(self._configuration.shelf.ancestors):
            text = say(
                "configuration diverged: generation {ours} here and generation {theirs} on {peer} were both made"
                " while the nodes were apart; nothing is overwritten. Compare them, then run `servha cluster adopt`"
                " on the node whose version is to be given up",
                ours=ours.generation,
                theirs=theirs.generation,
                peer=self._peer_name(),
            )
            self._alarms.raise_alarm(DIVERGED, "error", text)

    async def _ask(self) -> tuple[Version, frozenset[str]]:
        answer = await self._peer.call("peer.config", {}, timeout_s=ASK_S)
        told = answer if isinstance(answer, dict) else {}
        version = await self._configuration.read(part(told, "document"))
        if version.digest != word(told, "digest") or version.document.node(self._us()) is None:
            text = say(
                "{peer} has a configuration that this node cannot use: bring both nodes to the same version of ServHA",
                peer=self._peer_name(),
            )
            raise Refusal(Code.BAD_CONFIGURATION, text)
        return version, frozenset(words(told, "ancestors"))

    def _agreed(self) -> None:
        self._alarms.clear_alarm(DIVERGED)
        self._alarms.clear_alarm(NOT_UNDERSTOOD)

    def _peer_name(self) -> str:
        peer = peer_of(self._configuration.current, self._us())
        return peer.name if peer is not None else ""
