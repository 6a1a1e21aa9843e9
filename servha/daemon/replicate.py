"""A change of the configuration reaches both nodes, or is refused.

Decides when a change may be put in force. It is staged on the peer first (which checks it against the version
in force there), then put in force here, then there. The moment it is put in force here decides: from then on
the peer follows, by our word, by the generation in our heartbeats, or by asking for it (follow.py). Refuses
to change anything while the peer cannot be asked, unless told to go alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from servha.config.document import Document
from servha.core.words import Text, say
from servha.daemon.arguments import part, word
from servha.daemon.caller import Caller
from servha.daemon.configuration import Configuration
from servha.daemon.connection import Unreachable
from servha.daemon.follow import Peer
from servha.daemon.shelf import Version, peer_of
from servha.wire.rpc import Args, Code, Json, Refusal

STAGE_S: Final = 5.0
COMMIT_S: Final = 2.0
COMMIT_TRIES: Final = 2
OVERLAP_WAIT_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a change: the version in force, and whether the peer has it in force as well."""

    version: Version
    on_both: bool


class Replicator:
    """Carries changes made here to the peer, and stages those made there."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        us: Callable[[], str],
        peer: Peer,
        note: Callable[[str, Text], None],
    ) -> None:
        self._configuration = configuration
        self._us = us
        self._peer = peer
        self._note = note
        self._changing = False

    async def propose(
        self, data: Mapping[str, Json], *, base_generation: int, alone: bool = False
    ) -> Outcome:
        """Put a changed configuration in force on both nodes, or refuse it.

        `data` was made from generation `base_generation`; its own generation and parent are set here. With
        `alone` it is put in force here although the peer cannot be reached; the peer takes it when it is
        back. Raises `Refusal`: bad-configuration with every problem, or try-again with the reason.
        """
        if self._changing:
            raise Refusal(Code.TRY_AGAIN, say("another change of the configuration is under way: try again"))
        self._changing = True
        try:
            async with self._configuration.turn:
                return await self._propose(data, base_generation=base_generation, alone=alone)
        finally:
            self._changing = False

    async def amend(self, change: Callable[[Document], Document], *, alone: bool = False) -> Outcome:
        """Put `change(what is in force now)` in force, as `propose` does."""
        current = self._configuration.must_have()
        changed = Version.of(change(current.document))
        return await self.propose(changed.data, base_generation=current.generation, alone=alone)

    # --- what the peer asks of us ------------------------------------------------------------------------------

    async def peer_stage(self, args: Args, _: Caller) -> Json:
        """peer.stage {document, digest}: keep a version ready for a change that was made on the peer."""
        if self._changing:
            # Never waits here: the peer holds its own turn while it asks, and might wait for ours in the same way.
            text = say("a change of the configuration is under way on {node}: try again", node=self._us())
            raise Refusal(Code.TRY_AGAIN, text)
        async with self._configuration.turn:
            current = self._configuration.must_have()
            version = await self._configuration.read(part(args, "document"))
            if version.digest != word(args, "digest"):
                text = say(
                    "{node} reads this configuration differently: the nodes run different versions of ServHA",
                    node=self._us(),
                )
                raise Refusal(Code.BAD_CONFIGURATION, text)
            if version.digest == current.digest:
                return {"staged": version.digest}
            staged = self._configuration.staged
            if staged and staged.digest == version.parent_digest and self._configuration.follows(staged):
                # A change made on top of the staged one proves that the peer has put that one in force.
                current = await self._configuration.commit(staged)
            if not self._configuration.follows(version):
                raise Refusal(Code.TRY_AGAIN, _not_on_top(self._us(), current, version))
            await self._configuration.stage(version)
            return {"staged": version.digest}

    async def peer_commit(self, args: Args, _: Caller) -> Json:
        """peer.commit {digest}: the peer has put the staged version in force; so do we."""
        async with self._configuration.turn:
            current, digest = self._configuration.must_have(), word(args, "digest")
            if current.digest == digest:
                return {"generation": current.generation}
            staged = self._configuration.staged
            if staged is None or staged.digest != digest or not self._configuration.follows(staged):
                text = say("{node} does not have this version ready; it will ask for it", node=self._us())
                raise Refusal(Code.NO_SUCH, text)
            return {"generation": (await self._configuration.commit(staged)).generation}

    async def peer_discard(self, args: Args, _: Caller) -> Json:
        """peer.discard {digest}: the change was given up before it was put in force."""
        async with self._configuration.turn:
            staged = self._configuration.staged
            if staged is not None and staged.digest == word(args, "digest"):
                await self._configuration.discard()
        return {}

    # --- how -----------------------------------------------------------------------------------------------------

    async def _propose(self, data: Mapping[str, Json], *, base_generation: int, alone: bool) -> Outcome:
        current = self._configuration.must_have()
        if base_generation != current.generation:
            raise Refusal(Code.TRY_AGAIN, _changed_since(current.generation, base_generation))
        version = await self._configuration.read_successor(data)
        if _same_content(version, current):
            return Outcome(current, on_both=True)
        if version.document.node(self._us()) is None:
            text = say(
                "{node} cannot take itself out: run `servha node remove-offline {node}` on the other node",
                node=self._us(),
            )
            raise Refusal(Code.REFUSED, text)
        peer = peer_of(current, self._us())
        if peer is None:
            return Outcome(await self._configuration.put_in_force(version), on_both=True)
        if version.document.node(peer.name) is None:
            await self._let_go(peer.name, alone=alone)
            return Outcome(await self._configuration.put_in_force(version), on_both=True)
        try:
            await self._stage_there(version, peer.name)
        except Unreachable as unreachable:
            await self._may_go_alone(peer.name, unreachable, alone=alone)
            await self._configuration.put_in_force(version)
            self._note("warning", _went_alone(version, self._us(), peer.name))
            return Outcome(version, on_both=False)
        try:
            await self._configuration.put_in_force(version)
        except Refusal:
            await self._withdraw(version)
            raise
        return Outcome(version, on_both=await self._commit_there(version))

    async def _stage_there(self, version: Version, name: str) -> None:
        # Two changes at once, one on each node, refuse each other; then the first node tries once more, so that
        # one of them wins and not none.
        own = version.document.node(self._us())
        tries = (False, True) if own is not None and own.id == 0 else (True,)
        args: Args = {"document": version.data, "digest": version.digest}
        for last_try in tries:
            try:
                await self._peer.call("peer.stage", args, timeout_s=STAGE_S)
            except Unreachable as unreachable:
                if unreachable.maybe_done:
                    await self._withdraw(version)
                raise
            except Refusal as refusal:
                if refusal.code is Code.TRY_AGAIN and not last_try:
                    await asyncio.sleep(OVERLAP_WAIT_S)
                    continue
                text = say("{node} refuses the change: {reason}", node=name, reason=refusal.text)
                raise Refusal(refusal.code, text, refusal.problems) from None
            return

    async def _commit_there(self, version: Version) -> bool:
        for _ in range(COMMIT_TRIES):
            try:
                await self._peer.call("peer.commit", {"digest": version.digest}, timeout_s=COMMIT_S)
            except Unreachable:
                continue
            except Refusal:
                return False  # it asks for the version when it sees our heartbeat
            return True
        return False

    async def _withdraw(self, version: Version) -> None:
        with suppress(Refusal):
            await self._peer.call("peer.discard", {"digest": version.digest}, timeout_s=COMMIT_S)

    async def _may_go_alone(self, name: str, unreachable: Unreachable, *, alone: bool) -> None:
        if not alone:
            text = say(
                "{reason}; nothing was changed. Try again when {node} is back, or give --alone: then {node} takes"
                " the change when it is back",
                reason=unreachable.text,
                node=name,
            )
            raise Refusal(Code.TRY_AGAIN, text) from None
        staged = self._configuration.staged
        if staged is None or not self._configuration.follows(staged):
            return
        # The peer may have put this one in force before it went away. Going another way now would part the two
        # configurations for good; following it is right in either case.
        await self._configuration.commit(staged)
        text = say(
            "a change from {node} was half done and has been completed first (generation {generation}): look at the"
            " configuration, then make yours again",
            node=name,
            generation=staged.generation,
        )
        raise Refusal(Code.TRY_AGAIN, text)

    async def _let_go(self, name: str, *, alone: bool) -> None:
        try:
            await self._peer.call("peer.hello", {}, timeout_s=COMMIT_S)
        except Refusal as refusal:
            if alone and isinstance(refusal, Unreachable):
                return
            text = say(
                "{node} cannot be asked ({reason}): give --alone to remove it all the same",
                node=name,
                reason=refusal.text,
            )
            raise Refusal(Code.TRY_AGAIN, text) from None
        text = say("{node} is running: stop ServHA on it before you remove it from the cluster", node=name)
        raise Refusal(Code.REFUSED, text)


def _same_content(one: Version, other: Version) -> bool:
    return replace(one.document, generation=0, parent_digest="") == replace(
        other.document, generation=0, parent_digest=""
    )


def _changed_since(now: int, base: int) -> Text:
    return say(
        "the configuration is at generation {now}, your change was made from {base}: look at what changed, then"
        " make it again",
        now=now,
        base=base,
    )


def _not_on_top(us: str, current: Version, version: Version) -> Text:
    return say(
        "{node} has another configuration in force (generation {theirs}), the change is made from generation {base}:"
        " the nodes are about to agree, try again in a moment",
        node=us,
        theirs=current.generation,
        base=version.generation - 1,
    )


def _went_alone(version: Version, us: str, peer: str) -> Text:
    return say(
        "configuration generation {generation} is in force on {us} alone, as ordered; {peer} takes it when it is back",
        generation=version.generation,
        us=us,
        peer=peer,
    )
