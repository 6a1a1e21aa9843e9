"""Two nodes with everything that makes them a cluster and nothing that runs trees; each can lose its power.

A fuse counts the steps that leave a trace outside a process (on the disk, at the peer) and cuts the power of the node
that takes the chosen one, before or after it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from servha.core.words import Text
from servha.daemon.admit import Admission
from servha.daemon.api import Api, Verb, for_administrators, for_choosers, for_strangers, for_the_peer
from servha.daemon.arguments import part, word
from servha.daemon.attempts import Attempts
from servha.daemon.caller import Caller, DoorKind, Right
from servha.daemon.configuration import Configuration
from servha.daemon.editing import EditingDesk
from servha.daemon.first_node import FirstNode, chosen_password
from servha.daemon.follow import Follower
from servha.daemon.identity import Identity
from servha.daemon.join import Joining
from servha.daemon.password import PasswordDesk
from servha.daemon.peer_channel import PeerAddress, PeerChannel, ways_to
from servha.daemon.replicate import Outcome, Replicator
from servha.daemon.shelf import Shelf, Version, peer_of
from servha.daemon.token_verbs import TokenDesk
from servha.wire.rpc import Args, Json, Refusal, Request

ADDRESSES = {
    "node1": {"private": "192.0.2.1/24", "public": "198.51.100.1/24"},
    "node2": {"private": "192.0.2.2/24", "public": "198.51.100.2/24"},
    "node3": {"private": "192.0.2.3/24", "public": "198.51.100.3/24"},
}
KNOWN = "correct horse battery"
ROOT = Caller(DoorKind.LOCAL, "root", "", same_machine=True, right=Right.ADMINISTRATOR)


class PowerCut(BaseException):
    """The node stopped here. Not an Exception: nothing on the node may catch it."""


class Fuse:
    """Blows at step number `at`, counted over both nodes; 0 never."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.count = 0
        self.blown = asyncio.Event()
        self.node: Node | None = None
        self.step = ""
        self._loop = asyncio.get_running_loop()

    def passing(self, node: Node, step: str) -> None:
        """Called from the loop and from threads."""
        if node.off:
            raise PowerCut(step)
        self.count += 1
        if self.count == self.at:
            self.node, self.step, node.off = node, f"{node.name} {step}", True
            self._loop.call_soon_threadsafe(self.blown.set)
            raise PowerCut(step)


class FusedShelf(Shelf):
    def __init__(self, node: Node, directory: Path) -> None:
        super().__init__(directory)
        self.node = node

    def stage(self, version: Version) -> None:
        self.node.fuse.passing(self.node, "before stage")
        super().stage(version)
        self.node.fuse.passing(self.node, "after stage")

    def commit(self, version: Version) -> None:
        self.node.fuse.passing(self.node, "before commit")
        super().commit(version)
        self.node.fuse.passing(self.node, "after commit")

    def discard(self) -> None:
        self.node.fuse.passing(self.node, "before discard")
        super().discard()
        self.node.fuse.passing(self.node, "after discard")


@dataclass(frozen=True)
class FusedIdentity(Identity):
    node: Node

    def write_cluster_key(self, secret: bytes) -> None:
        self.node.fuse.passing(self.node, "before key")
        Identity.write_cluster_key(self, secret)
        self.node.fuse.passing(self.node, "after key")


class FusedPeer:
    def __init__(self, node: Node, channel: PeerChannel) -> None:
        self.node, self.channel = node, channel

    async def call(self, verb: str, args: Args | None = None, *, timeout_s: float = 5.0) -> Json:
        self.node.fuse.passing(self.node, f"before {verb}")
        answer = await self.channel.call(verb, args, timeout_s=timeout_s)
        self.node.fuse.passing(self.node, f"after {verb}")
        return answer


class Alarms:
    def __init__(self) -> None:
        self.up: dict[str, str] = {}

    def raise_alarm(self, key: str, severity: str, text: Text) -> None:
        self.up[key] = f"{severity}: {text}"

    def clear_alarm(self, key: str) -> None:
        self.up.pop(key, None)


class Node:
    """One node, from power on to power off; another one on the same directory is the same node after a restart."""

    def __init__(self, name: str, top: Path, fuse: Fuse) -> None:
        self.name = name
        self.fuse = fuse
        self.off = False
        self.notes: list[str] = []
        self.alarms = Alarms()
        self.identity = FusedIdentity(top / name / "etc", self)
        self.attempts, self.passwords = Attempts(), PasswordDesk()
        self.configuration = Configuration(FusedShelf(self, top / name / "state"), lambda _: None)
        self.channel = PeerChannel(identity=self.identity, where=self._peer_address)
        peer = FusedPeer(self, self.channel)
        self.replicator = Replicator(self.configuration, us=self.us, peer=peer, note=self.note)
        self.follower = Follower(
            self.configuration, us=self.us, peer=peer, alarms=self.alarms, note=self.note
        )
        parts: Any = {
            "identity": self.identity,
            "desk": self.passwords,
            "interfaces": self.interfaces,
            "note": self.note,
        }
        self.first = FirstNode(self.configuration, **parts)
        self.joining = Joining(self.configuration, **parts)
        self.admission = Admission(
            self.configuration,
            self.replicator,
            us=self.us,
            identity=self.identity,
            attempts=self.attempts,
            desk=self.passwords,
            note=self.note,
        )
        self.api = Api(
            self._verbs(),
            identity=self.identity,
            current=lambda: self.configuration.current,
            us=self.us,
            note=self.note,
            attempts=self.attempts,
            desk=self.passwords,
        )

    def us(self) -> str:
        return self.name

    def note(self, severity: str, text: Text) -> None:
        self.notes.append(f"{severity}: {text}")

    def interfaces(self) -> Mapping[str, tuple[str, ...]]:
        return {f"{link}0": (address,) for link, address in ADDRESSES[self.name].items()}

    async def on(self) -> Node:
        await self.configuration.load()
        for address in ADDRESSES[self.name].values():
            self.api.open_peer(address.split("/")[0], 17969)
        return self

    async def end(self) -> None:
        """Power off: nothing is said to anybody."""
        self.off = True
        await self.follower.close()
        await self.channel.close()
        await self.api.close()

    async def do(self, verb: str, **args: Any) -> dict[str, Any]:
        return await self.do_as(ROOT, verb, args)

    async def do_as(self, caller: Caller, verb: str, args: dict[str, Any]) -> dict[str, Any]:
        answer = await self.api.answer(Request(1, verb, args), caller)
        assert isinstance(answer, dict)
        return answer

    @property
    def current(self) -> Version:
        return self.configuration.must_have()

    async def change(self, words: str, *, alone: bool = False) -> Outcome:
        """A change that every document allows: the description of the first node."""

        def described(document: Any) -> Any:
            first, *rest = document.nodes
            return replace(document, nodes=(replace(first, description=words), *rest))

        return await self.replicator.amend(described, alone=alone)

    @property
    def words(self) -> str:
        return self.current.document.nodes[0].description

    def _peer_address(self) -> PeerAddress | None:
        current, peer = self.configuration.current, peer_of(self.configuration.current, self.name)
        ours = current.document.node(self.name) if current is not None else None
        if current is None or peer is None or ours is None:
            return None
        ways = ways_to(peer, ours, current.document, by_nic=False)
        return PeerAddress(peer.name, peer.certificate, peer.certificate_sha256, ways)

    def _verbs(self) -> dict[str, Verb]:
        async def hello(_args: Args, _caller: Caller) -> Json:
            return {"node": self.name}

        async def init(args: Args, _caller: Caller) -> Json:
            return {"generation": (await self.first.init(args)).generation}

        async def join(args: Args, _caller: Caller) -> Json:
            return {"generation": (await self.joining.join(args)).generation}

        async def invite(_args: Args, _caller: Caller) -> Json:
            return self.admission.invite()

        async def password(args: Args, _caller: Caller) -> Json:
            section = (await chosen_password(word(args, "password"), self.passwords)).as_section()
            outcome = await self.replicator.amend(lambda document: replace(document, password=section))
            return {"generation": outcome.version.generation}

        async def echo(args: Args, _caller: Caller) -> Json:
            return part(args, "said")

        return {
            "cluster.init": for_administrators(init),
            "cluster.join": for_administrators(join),
            "cluster.invite": for_administrators(invite),
            "cluster.password": for_choosers(password),
            **EditingDesk(self.configuration, self.replicator).verbs(),
            **TokenDesk(self.configuration, self.replicator, self.note).verbs(),
            "echo": for_administrators(echo),
            "join": for_strangers(self.admission.join),
            "peer.hello": for_the_peer(hello),
            "peer.config": for_the_peer(self.follower.peer_config),
            "peer.stage": for_the_peer(self.replicator.peer_stage),
            "peer.commit": for_the_peer(self.replicator.peer_commit),
            "peer.discard": for_the_peer(self.replicator.peer_discard),
        }


class TwoNodes:
    """The two nodes of a test, and what may happen to them."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.nodes: dict[str, Node] = {}

    async def power_on(self, name: str, fuse: Fuse | None = None) -> Node:
        self.nodes[name] = await Node(name, self.top, fuse or Fuse()).on()
        return self.nodes[name]

    async def power_off(self, name: str) -> None:
        await self.nodes.pop(name).end()

    async def end(self) -> None:
        for name in list(self.nodes):
            await self.power_off(name)

    async def founded(self, password: str = KNOWN) -> Node:
        """node1, first node of cluster demo."""
        one = await self.power_on("node1")
        links = {link: {"nic": f"{link}0"} for link in ADDRESSES["node1"]}
        await one.do("cluster.init", name="demo", node="node1", password=password, links=links)
        return one

    async def joined(self) -> tuple[Node, Node]:
        """node1 and node2, one cluster."""
        one = await self.founded()
        two = await self.power_on("node2")
        await join(two)
        return one, two

    def keep(self) -> Path:
        """Copy both disks; nothing may be running."""
        assert not self.nodes
        kept = self.top / "kept"
        for name in ("node1", "node2"):
            if (self.top / name).is_dir():
                shutil.copytree(self.top / name, kept / name)
        return kept

    def bring_back(self, kept: Path) -> None:
        """Put the disks back as they were."""
        assert not self.nodes
        for name in ("node1", "node2"):
            shutil.rmtree(self.top / name, ignore_errors=True)
            if (kept / name).is_dir():
                shutil.copytree(kept / name, self.top / name)


async def join(newcomer: Node, password: str = KNOWN, /, **other: Any) -> dict[str, Any]:
    args = {"address": "192.0.2.1", "node": newcomer.name, "password": password, **other}
    return await newcomer.do("cluster.join", **args)


async def refused(wish: Awaitable[object]) -> Refusal:
    """Return the refusal that a wish ends in."""
    try:
        await wish
    except Refusal as refusal:
        return refusal
    raise AssertionError("it was not refused")


async def agree(one: Node, two: Node, *, within_s: float = 8.0) -> None:
    """Let heartbeats flow until both have the same configuration in force."""

    def beats() -> bool:
        one.follower.on_peer_generation(two.current.generation, two.current.digest[:16])
        two.follower.on_peer_generation(one.current.generation, one.current.digest[:16])
        return one.current.digest == two.current.digest

    async with asyncio.timeout(within_s):
        while not beats():  # noqa: ASYNC110 - the nodes work meanwhile
            await asyncio.sleep(0.01)
