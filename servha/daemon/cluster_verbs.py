"""The verbs about the cluster itself: made here from the parts, given to daemon/api.py by daemon/main.py.

Decides nothing of its own. `ClusterDesk` is the one object the daemon has to hold: configuration, peer
channel, replication, join, password. What concerns running trees is elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import servha
from servha.core.words import Text, say
from servha.daemon import interfaces, nics, tickets
from servha.daemon.admit import Admission
from servha.daemon.api import (
    Verb,
    for_administrators,
    for_choosers,
    for_configurers,
    for_strangers,
    for_the_peer,
)
from servha.daemon.arguments import needed_word, yes
from servha.daemon.attempts import Attempts
from servha.daemon.caller import Caller, DoorKind, Right
from servha.daemon.configuration import Configuration
from servha.daemon.editing import EditingDesk, told_of, told_of_outcome
from servha.daemon.first_node import FirstNode, chosen_password
from servha.daemon.follow import Alarms, Follower
from servha.daemon.founding import Founding
from servha.daemon.identity import Identity
from servha.daemon.join import Joining
from servha.daemon.maintenance import wall_clock_s
from servha.daemon.password import INITIAL_PASSWORD, PasswordDesk, PasswordRecord, password_problems
from servha.daemon.peer_channel import PeerAddress, PeerChannel, ways_to
from servha.daemon.replicate import Replicator
from servha.daemon.shelf import Shelf, Version, peer_of
from servha.daemon.token_verbs import TokenDesk
from servha.wire.rpc import Args, Code, Json, Problem, Refusal

RESUME_EVERY_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Outlets:
    """What the daemon gives: where alarms and journal lines go, and who is told of a version in force."""

    alarms: Alarms
    note: Callable[[str, Text], None]
    in_force: Callable[[Version], None]
    interfaces: Callable[[], interfaces.Interfaces] = interfaces.interfaces_here
    bind_to_nic: bool = True
    """Whether calls to the peer leave by the link's own interface, whatever the routes say."""


class ClusterDesk:
    """Everything about being a cluster. `load` first; `verbs` for the doors; `close` at the end."""

    def __init__(self, *, secrets_directory: Path, state_directory: Path, outlets: Outlets) -> None:
        self.identity = Identity(secrets_directory)
        self.attempts = Attempts()
        self.passwords = PasswordDesk()
        self._outlets = outlets
        self.founding = Founding(state_directory, self.passwords)
        note, us = outlets.note, self.us
        self.configuration = Configuration(Shelf(state_directory), self._in_force)
        self.channel = PeerChannel(identity=self.identity, where=self._peer_address)
        self.replicator = Replicator(self.configuration, us=us, peer=self.channel, note=note)
        self.follower = Follower(
            self.configuration, us=us, peer=self.channel, alarms=outlets.alarms, note=note
        )
        self.editing = EditingDesk(self.configuration, self.replicator)
        self.tokens = TokenDesk(self.configuration, self.replicator, note)
        self.first_node = FirstNode(
            self.configuration,
            identity=self.identity,
            desk=self.passwords,
            founding=self.founding,
            interfaces=outlets.interfaces,
            note=note,
        )
        self.admission = Admission(
            self.configuration,
            self.replicator,
            us=us,
            identity=self.identity,
            attempts=self.attempts,
            desk=self.passwords,
            note=note,
        )
        self.joining = Joining(
            self.configuration,
            identity=self.identity,
            desk=self.passwords,
            interfaces=outlets.interfaces,
            note=note,
        )
        self._us = ""
        self._resuming: asyncio.Task[None] | None = None

    def us(self) -> str:
        """This node's name in the configuration; empty while it is in no cluster."""
        return self._us

    async def load(self) -> Version | None:
        """Read what is on disk and begin to finish what was cut off.

        Returns the version in force, or None.
        """
        current = await self.configuration.load()
        if current is not None:
            self._name_us(current)
            self.channel.start()
            self.founding.forget()  # what was cut off between the cluster and this
        elif self.configuration.staged is not None:
            self._resuming = asyncio.create_task(self._resume(), name="finish a join")
        return current

    async def close(self) -> None:
        """End everything that runs by itself."""
        if self._resuming is not None:
            self._resuming.cancel()
            await asyncio.gather(self._resuming, return_exceptions=True)
        await self.follower.close()
        await self.channel.close()

    def verbs(self) -> Mapping[str, Verb]:
        """The rows about the cluster for the table of verbs."""
        return {
            "cluster.init": for_administrators(self._init),
            "cluster.join": for_administrators(self._join, within_s=90.0),
            "cluster.joining": for_administrators(self._progress),
            "interfaces": for_configurers(self._interfaces),
            "cluster.invite": for_administrators(self._invite),
            "cluster.password": for_choosers(self._password),
            "cluster.adopt": for_administrators(self._adopt),
            **self.editing.verbs(),
            **self.tokens.verbs(),
            "join": for_strangers(self.admission.join),
            "peer.hello": for_the_peer(self._hello),
            "peer.config": for_the_peer(self.follower.peer_config),
            "peer.stage": for_the_peer(self.replicator.peer_stage),
            "peer.commit": for_the_peer(self.replicator.peer_commit),
            "peer.discard": for_the_peer(self.replicator.peer_discard),
        }

    # --- the verbs -----------------------------------------------------------------------------------------------

    async def _init(self, args: Args, caller: Caller) -> Json:
        """cluster.init {dry_run}: see `FirstNode.init`; with `dry_run` only the plan, see `FirstNode.plan`."""
        if yes(args, "dry_run"):
            return await self.first_node.plan(args)
        return self._entered(await self.first_node.init(args), caller)

    async def _join(self, args: Args, caller: Caller) -> Json:
        """cluster.join {dry_run}: see `Joining.join`; with `dry_run` only what it would be, see `Joining.look`."""
        if yes(args, "dry_run"):
            return await self.joining.look(args)
        return self._entered(await self.joining.join(args), caller)

    async def _progress(self, _args: Args, _: Caller) -> Json:
        """cluster.joining {}: the step that a join is at, empty while there is none, and whether one is undecided."""
        return {"step": self.joining.step, "undecided": self.configuration.staged is not None}

    async def _interfaces(self, _args: Args, _: Caller) -> Json:
        """interfaces {}: this machine's name, interfaces and disks; see nics.py."""
        return await nics.surroundings()

    def _entered(self, version: Version, caller: Caller) -> Json:
        """Tell of the cluster that this node has just come into; a console also gets a ticket that is good in it."""
        told = told_of(version)
        if caller.door is DoorKind.WEB:
            record = PasswordRecord.of(version.document.password)
            right = Right.CHOOSER if record.initial and not caller.same_machine else caller.right
            key = self.identity.read_cluster_key()
            told["node"] = self._us
            told["right"], told["choose_password"] = right.value, record.initial
            told["ticket"] = tickets.issue(key, record, right, now_unix_s=wall_clock_s())
        return told

    async def _invite(self, _args: Args, _: Caller) -> Json:
        return self.admission.invite()

    async def _password(self, args: Args, caller: Caller) -> Json:
        """cluster.password {password}: choose another. Everybody logged in with the old one stays so."""
        if caller.right is Right.CHOOSER and not (await self._kept_password()).initial:
            text = say("somebody else has chosen a password meanwhile: log in with that one")
            raise Refusal(Code.NOT_PERMITTED, text)
        chosen = needed_word(args, "password")
        problems = password_problems(chosen)
        if problems:
            text = say("this password cannot be taken: {reason}", reason=problems[0])
            raise Refusal(
                Code.BAD_CONFIGURATION, text, [Problem("password", because) for because in problems]
            )
        assert chosen != INITIAL_PASSWORD
        record = await chosen_password(chosen, self.passwords)
        if self.configuration.current is None:
            await self.founding.choose(record)
            who = caller.address or "root"
            self._outlets.note("info", say("the password of this node was chosen by {who}", who=who))
            return {"generation": 0, "digest": "", "cluster": "", "on_both": False}
        section = record.as_section()
        outcome = await self.replicator.amend(
            lambda document: replace(document, password=section), alone=yes(args, "alone")
        )
        who = caller.address or "root"
        self._outlets.note("info", say("the cluster password was changed by {who}", who=who))
        return told_of_outcome(outcome)

    async def _adopt(self, _args: Args, _: Caller) -> Json:
        return told_of(await self.follower.adopt_peer())

    async def _hello(self, _args: Args, _: Caller) -> Json:
        current = self.configuration.current
        return {
            "node": self._us,
            "version": servha.__version__,
            **(told_of(current) if current is not None else {}),
        }

    async def _kept_password(self) -> PasswordRecord:
        current = self.configuration.current
        return (
            PasswordRecord.of(current.document.password) if current else (await self.founding.lock()).record
        )

    # --- how -----------------------------------------------------------------------------------------------------

    def _in_force(self, version: Version) -> None:
        self._name_us(version)
        self.channel.start()
        self.founding.forget()
        self._outlets.in_force(version)

    def _name_us(self, version: Version) -> None:
        ours = self.identity.fingerprint() if self.identity.has_certificate() else ""
        found = next((n.name for n in version.document.nodes if n.certificate_sha256 == ours), "")
        if not found:
            text = say(
                "the certificate in {directory} is not that of any node of cluster {cluster}: restore it, or wipe"
                " this node and join again",
                directory=str(self.identity.directory),
                cluster=version.document.cluster.name,
            )
            raise Refusal(Code.BAD_CONFIGURATION, text)
        self._us = found

    def _peer_address(self) -> PeerAddress | None:
        current = self.configuration.current
        peer = peer_of(current, self._us)
        ours = current.document.node(self._us) if current is not None else None
        if current is None or peer is None or ours is None:
            return None
        ways = ways_to(peer, ours, current.document, by_nic=self._outlets.bind_to_nic)
        return PeerAddress(peer.name, peer.certificate, peer.certificate_sha256, ways)

    async def _resume(self) -> None:
        while True:
            with suppress(Refusal, OSError):
                if await self.joining.resume() is not None:
                    return
            await asyncio.sleep(RESUME_EVERY_S)
