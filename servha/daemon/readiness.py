"""Measures all the time whether this node could start what is off here (the manual's precondition check, badge A).

It asks the kinds, compares with the other node what must be the same there, and tells the core when an answer has
changed; the other node is told as well. What follows from an answer (whether the tree may come here) is not decided
here, and what runs is left alone: it has its checks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from servha.config.document import Document, ResourceSection, TreeSection, detectors_on, kind_on
from servha.config.shape import virtual_address
from servha.core.events import Event, ReadinessTold
from servha.core.model import Goal, PeerHealth, Phase, Ready
from servha.core.situations import peer_health, their_side
from servha.core.state import State
from servha.core.words import Text, as_dict, from_dict, say
from servha.daemon.arguments import part
from servha.daemon.loop import boottime_s
from servha.daemon.machine_check import NOT_TOLD, unfit_here
from servha.daemon.preconditions import no_room, ports_taken
from servha.daemon.twins import Twins, differences, missing, twins_of
from servha.detectors.port import Port
from servha.host import Host, HostError
from servha.wire.rpc import Args, Json, Refusal

log = logging.getLogger("servha.readiness")

LOOK_EVERY_S = 10.0
PROGRAM_EVERY_S = 60.0
RUN_PROGRAMS = ("ocf", "process")
"""Kinds whose look starts programs: seldom while all is well."""
SPREAD_S = 0.05
"""Between two resources: hundreds of them must not be looked at in one breath."""
BOOT_WAIT_S = 120.0
"""So long after the machine's boot storage and network may still be on their way."""
BOOT_LOOK_EVERY_S = 1.0
NAMED_MAX = 5

Key = tuple[str, str]


class Readiness:
    """The precondition checks of this node. Called in the loop's thread only."""

    def __init__(
        self,
        *,
        us: str,
        host: Host,
        state_directory: Path,
        state: Callable[[], State],
        happen: Callable[[Event], None],
        ask_peer: Callable[[str, Args], Awaitable[Json]],
    ) -> None:
        self._us = us
        self._host = host
        self._directory = state_directory
        self._state = state
        self._happen = happen
        self._ask_peer = ask_peer
        self._document: Document | None = None
        self._told: dict[Key, Ready] = {}
        self._looked_s: dict[Key, float] = {}
        self._theirs: Mapping[str, Any] = {}
        self._due = asyncio.Event()
        self._held: frozenset[str] = frozenset()
        self._task: asyncio.Task[None] | None = None

    def adapt(self, document: Document) -> None:
        """Measure what this configuration asks of the node, at once and from now on."""
        self._document = document
        wanted = {
            (tree.name, name) for tree in document.trees for name in ("", *(r.name for r in tree.resources))
        }
        self._told = {key: ready for key, ready in self._told.items() if key in wanted}
        self._due.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._measure(), name="readiness")

    def changed(self, state: State) -> None:
        """The core's state has changed: what has just been given up is looked at without delay."""
        held = frozenset(state.holds)
        if self._held - held:
            self._due.set()
        self._held = held

    async def close(self) -> None:
        """Measure no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def told_by_peer(self, args: Args) -> Json:
        """peer.readiness {trees}: what the other node has measured; the answer says what must be the same there."""
        document = self._document
        if document is None:
            return {"twins": {}}
        for tree in document.trees:
            told = part(part(args, "trees"), tree.name)
            for name in ("", *(r.name for r in tree.resources)):
                if name not in told:
                    continue
                ready = _ready(part(told, name))
                known = self._state().tree(tree.name)
                if known is not None and dict(known.readiness_there).get(name) != ready:
                    peer = self._state().cluster.peer
                    self._happen(ReadinessTold(boottime_s(), peer, tree.name, name, ready))
        return {"twins": await asyncio.to_thread(self._twins, document)}

    # --- how ----------------------------------------------------------------------------------------------------

    async def _measure(self) -> None:
        while True:  # until closed
            hurried = self._due.is_set()
            self._due.clear()
            try:
                await self._round(hurried=hurried)
            except HostError as error:
                log.warning("the preconditions could not be looked at: %s", error.text)
            pause_s = BOOT_LOOK_EVERY_S if self._waiting and self._is_red() else LOOK_EVERY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._due.wait()

    @property
    def _waiting(self) -> bool:
        """Whether the machine has booted a moment ago."""
        return self._host.boottime_s() < BOOT_WAIT_S

    def _is_red(self) -> bool:
        return any(ready.problems for ready in self._told.values())

    async def _round(self, *, hurried: bool) -> None:
        document = self._document
        assert document is not None
        for tree in document.trees:
            if self._us not in tree.hosts or not tree.resources:
                continue
            below = _mount_points(tree, self._us)
            room = await asyncio.to_thread(no_room, self._directory, below)
            self._tell((tree.name, ""), Ready(tuple(self._soon(room))))
            for resource in tree.resources:
                if not self._is_off(tree.name):
                    break
                key = (tree.name, resource.name)
                if not hurried and self._may_wait(key, resource):
                    continue
                ready = await self._look(tree, resource, below)
                self._looked_s[key] = boottime_s()
                if self._document is document and self._is_off(tree.name):
                    self._tell(key, ready)
                await asyncio.sleep(0 if hurried else SPREAD_S)
        await self._tell_peer()

    def _may_wait(self, key: Key, resource: ResourceSection) -> bool:
        """Whether it is green and costs a program's start to look at, and was looked at not long ago."""
        known = self._told.get(key)
        green = known is not None and not known.problems and not known.remarks
        fresh = boottime_s() - self._looked_s.get(key, float("-inf")) < PROGRAM_EVERY_S
        return green and fresh and resource.kind in RUN_PROGRAMS

    def _is_off(self, tree: str) -> bool:
        known = self._state().tree(tree)
        return known is not None and not known.phase.holds

    async def _look(self, tree: TreeSection, resource: ResourceSection, below: tuple[str, ...]) -> Ready:
        """Look at everything that one resource needs here; `below`: the tree's mount points."""
        kind = kind_on(resource, self._us)
        found: list[Text] = []
        remarks: list[Text] = []
        for one in await unfit_here(
            tree.name,
            resource,
            us=self._us,
            host=self._host,
            held_by_nobody=self._nobody_has_it(tree.name),
        ):
            if _is_below(_path(kind, resource, one.field), below):
                continue
            # An agent that checks itself may miss what only comes with the rest of the tree.
            (remarks if one.field in (NOT_TOLD, "parameters") else found).append(one.because)
        found += await asyncio.to_thread(missing, kind)
        found += await self._left_over(tree.name, resource.name)
        found += await self._ports(tree, resource)
        ours = await asyncio.to_thread(twins_of, kind, _hook_paths(resource))
        theirs = _twins(part(part(self._theirs, tree.name), resource.name))
        numbers, scripts = differences(ours, theirs, us=self._us, peer=self._state().cluster.peer)
        return Ready(tuple(self._soon([*found, *numbers])), (*remarks, *scripts))

    def _soon(self, problems: list[Text]) -> list[Text]:
        """Say of what is missing right after the boot that it is waited for."""
        if not self._waiting:
            return problems
        return [
            say(
                "waited for until {seconds} s after the boot: {reason}",
                seconds=round(BOOT_WAIT_S),
                reason=one,
            )
            for one in problems
        ]

    async def _left_over(self, tree: str, resource: str) -> list[Text]:
        """Name the processes of the resource that run although it is off: the standby is not clean."""
        pids = set(self._host.cgroup_pids(self._host.cgroup_of(tree, resource)))
        if not pids:
            return []
        names = [f"{p.pid} ({p.name})" for p in await self._host.processes() if p.pid in pids]
        if not names:
            return []
        return [
            say(
                "it must be off here, but {processes} of it run: end them",
                processes=", ".join(names[:NAMED_MAX]),
            )
        ]

    async def _ports(self, tree: TreeSection, resource: ResourceSection) -> list[Text]:
        """Name who listens where the application will have to, so that it could not start here."""
        found: list[Text] = []
        wanted = [one for one in detectors_on(resource) if isinstance(one, Port)]
        if not wanted:
            return found
        own = frozenset(virtual_address(r, self._us) for r in tree.resources)
        inside = frozenset(self._host.cgroup_pids(self._host.cgroup_of(tree.name, resource.name)))
        for port in wanted:
            found += await ports_taken(port, self._host, own_addresses=own, inside=inside)
        return found

    def _nobody_has_it(self, tree: str) -> bool:
        """Whether it is certain that no node runs the tree, nor is about to: its address should be free then."""
        state = self._state()
        spec, known = state.cluster.tree(tree), state.tree(tree)
        if spec is None or known is None or known.phase is not Phase.OFF or known.order.goal is not Goal.STOP:
            return False
        health = peer_health(state)
        if health is PeerHealth.ABSENT:
            return True
        return health is PeerHealth.ALIVE and their_side(state, spec).phase is Phase.OFF

    def _tell(self, key: Key, ready: Ready) -> None:
        if self._told.get(key) == ready:
            return
        self._told[key] = ready
        self._happen(ReadinessTold(boottime_s(), self._us, *key, ready))

    async def _tell_peer(self) -> None:
        """Tell the other node what was found, and learn what it has; without an answer the last one stands."""
        if peer_health(self._state()) is not PeerHealth.ALIVE:
            return
        trees: dict[str, dict[str, Json]] = {}
        for (tree, name), ready in self._told.items():
            trees.setdefault(tree, {})[name] = _as_data(ready)
        with contextlib.suppress(Refusal):
            answer = await self._ask_peer("peer.readiness", {"trees": trees})
            if isinstance(answer, Mapping):
                self._theirs = part(answer, "twins")

    def _twins(self, document: Document) -> Json:
        return {
            tree.name: {
                r.name: dict(twins_of(kind_on(r, self._us), _hook_paths(r)))
                for r in tree.resources
                if self._us in tree.hosts
            }
            for tree in document.trees
        }


def _hook_paths(resource: ResourceSection) -> tuple[str, ...]:
    return tuple(command[0] for command in resource.hooks.commands.values())


def _mount_points(tree: TreeSection, us: str) -> tuple[str, ...]:
    """Return where disks of the tree are mounted: what lies below is only there while they are (reading A11)."""
    points = (getattr(kind_on(r, us), "mount_point", "") for r in tree.resources)
    return tuple(p for p in points if isinstance(p, str) and p)


def _path(kind: Any, resource: ResourceSection, field: str) -> str:
    section, _, name = field.rpartition(".")
    if section == "hooks":
        command = resource.hooks.commands.get(name, ("",))
        return command[0]
    value = "" if field == "mount_point" else getattr(kind, field, "")
    return value if isinstance(value, str) else ""


def _is_below(path: str, points: tuple[str, ...]) -> bool:
    return path.startswith("/") and any(PurePosixPath(path).is_relative_to(point) for point in points)


def _as_data(ready: Ready) -> Json:
    return {
        "problems": [as_dict(t) for t in ready.problems],
        "remarks": [as_dict(t) for t in ready.remarks],
    }


def _ready(data: Mapping[str, Any]) -> Ready:
    try:
        return Ready(
            tuple(from_dict(t) for t in data.get("problems", ())),
            tuple(from_dict(t) for t in data.get("remarks", ())),
        )
    except (KeyError, TypeError, AttributeError):
        return Ready()  # another version's words


def _twins(data: Mapping[str, Json]) -> Twins:
    return {key: value for key, value in data.items() if isinstance(value, str)}
