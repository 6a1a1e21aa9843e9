"""servhad as a whole: the doors, what makes it part of a cluster, and the node at work once there is one.

Decides only what exists when: without a configuration it answers init and join and nothing else; with one it runs a
`ClusterNode`. Everything else is decided by the parts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from servha.config.document import parse
from servha.config.node_file import NodeFile
from servha.core.model import JournalEntry
from servha.core.words import Text, say
from servha.daemon.alarms import StandingAlarms
from servha.daemon.api import (
    Api,
    Verb,
    for_administrators,
    for_configurers,
    for_operators,
    for_readers,
    for_the_peer,
)
from servha.daemon.arguments import part
from servha.daemon.caller import Answer, Caller
from servha.daemon.cluster_verbs import ClusterDesk, Outlets
from servha.daemon.door import Door
from servha.daemon.founding import Lock
from servha.daemon.journal import Journal
from servha.daemon.loop import boottime_s
from servha.daemon.machine_check import machine_problems
from servha.daemon.node import ClusterNode
from servha.daemon.running import touched
from servha.daemon.shelf import Version
from servha.daemon.verbs import Verbs
from servha.host import LocalHost
from servha.wire.rpc import Args, Code, Failure, Json, Refusal, failure_as_json

log = logging.getLogger("servha.service")

DETACH_AFTER_S = 0.1
DAMAGED = "configuration-damaged"


class Service:
    """The daemon. Made, run and ended in one asyncio loop."""

    def __init__(self, settings: NodeFile) -> None:
        self._settings = settings
        self._run = Path(settings.directories.run)
        self._state = Path(settings.directories.state)
        self._started_s = boottime_s()
        self._ended = asyncio.Event()
        self.failed = False
        """Whether the daemon ends because something impossible happened."""
        self.detached = False
        """Whether it ends because an administrator asked it to, by name, and so must stay away."""
        self._starting: asyncio.Task[None] | None = None
        self.node: ClusterNode | None = None
        self._host: LocalHost | None = None
        self._network_doors: dict[tuple[str, int], Door] = {}
        self._leaving = False
        self._damage: Text | None = None
        """Why there is no configuration although there was one: nothing may be built in its place."""
        self.alarms = StandingAlarms()
        self.journal = Journal(Path(settings.directories.log))
        self.desk = ClusterDesk(
            secrets_directory=Path(settings.directories.etc),
            state_directory=self._state,
            outlets=Outlets(alarms=self.alarms, note=self.note, in_force=self._in_force),
        )
        self._verbs = Verbs(
            node=lambda: self.node, channel=self.desk.channel, journal=self.journal, started_s=self._started_s
        )
        self.api = Api(
            self._table(),
            identity=self.desk.identity,
            current=lambda: self.desk.configuration.current,
            us=self.desk.us,
            note=self.note,
            attempts=self.desk.attempts,
            desk=self.desk.passwords,
            founding=self._founding,
        )

    def note(self, severity: str, text: Text) -> None:
        """Write a journal line about the node itself."""
        self.journal.add(
            JournalEntry(
                at_s=boottime_s(),
                node=self.desk.us(),
                subject="node",
                before="",
                after="",
                rule="",
                because=text,
                severity=severity,
            )
        )

    async def run(self, ready: Callable[[str], None]) -> None:
        """Open the doors, start the node if there is a cluster, and go on until told to end."""
        try:
            loaded = await self.desk.load()
            for number, text in enumerate(await asyncio.to_thread(self._look_for_damage)):
                self.alarms.raise_alarm(f"{DAMAGED}/{number}", "error", text)
                self.note("error", text)
                if loaded is None:
                    self._damage = text
            if loaded is not None:
                await self._start_node(loaded)
            self.api.open_local(self._run / "servhad.sock")
            self.api.open_web(self._run / "web.sock")
            ready(self.sentence())
            await self._ended.wait()
        finally:
            await self._close()

    def sentence(self) -> str:
        """Return one line for systemd's status."""
        if self.node is None:
            return "in no cluster: waiting for `servha cluster init` or `servha cluster join`"
        state = self.node.state
        trees = ", ".join(f"{t.name} {t.phase}" for t in state.trees) or "no trees"
        peer = f"{state.cluster.peer} {state.peer_word}" if state.cluster.peer else "no second node"
        return f"{state.standing}; {peer}; {trees}"

    def end(self, *, stop_trees: bool) -> None:
        """Begin to end: stop what runs first, or leave it running (detach). Asked again, it ends at once."""
        if self.node is None or self._leaving:
            self._ended.set()
        else:
            self._leaving = True
            self.node.leave(stop_trees=stop_trees)

    def _fail(self) -> None:
        self.failed = True
        self._ended.set()

    def _look_for_damage(self) -> tuple[Text, ...]:
        found = self.desk.configuration.shelf.load()
        unreadable = (say("{path}: {because}", path=p.path, because=p.because) for p in found.problems)
        return (*found.alarms, *unreadable)

    # --- the configuration comes into force -------------------------------------------------------------------

    def _in_force(self, version: Version) -> None:
        for key in [k for k in self.alarms.standing if k.startswith(DAMAGED)]:
            self.alarms.clear_alarm(key)  # the file is whole again; the journal keeps the story
        if self.node is not None:
            self.node.adapt(version.document)
            self._open_network_doors()
        elif self._starting is None or self._starting.done():
            self._starting = asyncio.get_running_loop().create_task(self._start_node(version))
            self._starting.add_done_callback(self._started)

    async def _start_node(self, version: Version) -> None:
        us = self.desk.us()
        self._host = LocalHost(node=us, run_dir=self._run)
        await self._host.open()
        node = ClusterNode(
            version.document,
            us,
            host=self._host,
            state_directory=self._state,
            run_directory=self._run,
            secrets_directory=Path(self._settings.directories.etc),
            cluster_key=self.desk.identity.read_cluster_key(),
            journal=self.journal,
            alarms=self.alarms,
            note=self.note,
            ask_peer=self.desk.channel.call,
            heard_generation=self.desk.follower.on_peer_generation,
            farewell=self._ended.set,
            failed=self._fail,
        )
        await node.start()
        self.node = node
        current = self.desk.configuration.current
        if current is not None and current.digest != version.digest:
            node.adapt(current.document)
        self._open_network_doors()

    def _started(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.error("the node could not be started", exc_info=task.exception())
            self._fail()

    def _open_network_doors(self) -> None:
        """Listen where the configuration says, and nowhere else."""
        assert self.node is not None
        document = self.node.document
        here = document.node(self.node.us)
        wanted = {
            (end.ip, document.ports.peer): self.api.open_peer for end in (here.links.values() if here else ())
        }
        ports = self._settings.ports_of(document.ports)
        wanted["0.0.0.0", ports.management] = self.api.open_management  # noqa: S104 - by any address
        for place in [p for p in self._network_doors if p not in wanted]:
            task = asyncio.get_running_loop().create_task(self.api.close_door(self._network_doors.pop(place)))
            task.add_done_callback(lambda t: t.cancelled() or t.exception())
        for place, opened in wanted.items():
            if place in self._network_doors:
                continue
            key = f"door/{place[0]}/{place[1]}"
            try:
                self._network_doors[place] = opened(*place)
                self.alarms.clear_alarm(key)
            except Refusal as refusal:
                self.note("error", refusal.text)
                self.alarms.raise_alarm(key, "error", refusal.text)

    async def _close(self) -> None:
        await self.desk.close()
        await self.api.close()
        if self.node is not None:
            await self.node.close()
        if self._host is not None:
            await self._host.close()
        with contextlib.suppress(RuntimeError):
            await asyncio.to_thread(self.journal.close)

    # --- verbs ------------------------------------------------------------------------------------------------

    def _table(self) -> dict[str, Verb]:
        verbs = self._verbs
        cluster = dict(self.desk.verbs())
        plan, replace, stage = cluster["config.plan"], cluster["config.replace"], cluster["peer.stage"]

        async def plan_and_what_stands_against_it(args: Args, caller: Caller) -> Answer:
            told = await plan.method(args, caller)
            assert isinstance(told, dict)
            against = await self._against(args) if told["changes"] else None
            return {**told, "against": None if against is None else failure_as_json(against)}

        async def replace_if_it_can_run(args: Args, caller: Caller) -> Answer:
            self._refuse_what_runs(args)
            await self._refuse_what_cannot_run(args)
            return await replace.method(args, caller)

        async def stage_if_it_can_run(args: Args, caller: Caller) -> Answer:
            await self._refuse_what_cannot_run(args)
            return await stage.method(args, caller)

        async def init(args: Args, caller: Caller) -> Answer:
            self._refuse_on_damage()
            return await self._and_started(cluster_init.method(args, caller))

        async def join(args: Args, caller: Caller) -> Answer:
            self._refuse_on_damage()
            return await self._and_started(cluster_join.method(args, caller))

        async def status(args: Args, caller: Caller) -> Answer:
            self._refuse_on_damage()
            return await verbs.status(args, caller)

        cluster_init, cluster_join = cluster["cluster.init"], cluster["cluster.join"]
        return {
            **cluster,
            "cluster.init": for_administrators(init),
            "cluster.join": for_administrators(join, within_s=cluster_join.within_s),
            "config.plan": for_configurers(plan_and_what_stands_against_it),
            "config.replace": for_configurers(replace_if_it_can_run),
            "peer.stage": for_the_peer(stage_if_it_can_run),
            "status": for_readers(status),
            "journal": for_readers(verbs.journal),
            "why": for_readers(verbs.why),
            "metrics": for_readers(verbs.metrics),
            "quality": for_readers(verbs.quality),
            "order": for_operators(verbs.order),
            "daemon.detach": for_administrators(self._detach),
            "peer.status": for_the_peer(verbs.peer_status),
            "peer.readiness": for_the_peer(verbs.peer_readiness),
            "peer.journal": for_the_peer(verbs.peer_journal),
            "peer.quality": for_the_peer(verbs.peer_quality),
        }

    async def _detach(self, _args: Args, _caller: Caller) -> Json:
        """daemon.detach {}: end the daemon and leave what runs running, until it is started again."""
        self.detached = True
        # Not before the answer is on its way: the door closes with the daemon.
        asyncio.get_running_loop().call_later(DETACH_AFTER_S, lambda: self.end(stop_trees=False))
        return {}

    async def _and_started(self, answer: Awaitable[Answer]) -> Answer:
        """Answer only once the node is at work, so that the next command finds it."""
        made = await answer
        if self._starting is not None:
            await self._starting
        return made

    async def _founding(self) -> Lock:
        """What a console's login is compared with while there is no cluster; never in place of a damaged one."""
        self._refuse_on_damage()
        return await self.desk.founding.lock()

    def _refuse_on_damage(self) -> None:
        if self._damage is not None:
            text = say(
                "the configuration of this node is damaged ({reason}): copy cluster.json from the other node into"
                " {directory} and restart servhad; `servha cluster wipe` gives it up for good",
                reason=self._damage,
                directory=str(self._state),
            )
            raise Refusal(Code.BAD_CONFIGURATION, text)

    async def _against(self, args: Args) -> Failure | None:
        """Return what `config.replace` would be refused with, although the document itself is right."""
        try:
            self._refuse_what_runs(args)
            await self._refuse_what_cannot_run(args)
        except Refusal as refusal:
            return refusal.failure
        return None

    async def _refuse_what_cannot_run(self, args: Args) -> None:
        wanted, _ = parse(dict(part(args, "document")))
        if self.node is None or wanted is None or self._host is None:
            return  # what is wrong with the document itself is told by whoever reads it next
        problems = await machine_problems(self.node.document, wanted, us=self.node.us, host=self._host)
        if problems:
            text = say(
                "nothing was changed: {node} could not run it; problems: {count}",
                node=self.node.us,
                count=len(problems),
            )
            raise Refusal(Code.BAD_CONFIGURATION, text, problems)

    def _refuse_what_runs(self, args: Args) -> None:
        wanted, _ = parse(dict(part(args, "document")))
        if self.node is None or wanted is None:
            return
        because = touched(self.node.state, self.node.document, wanted)
        if because is not None:
            raise Refusal(Code.REFUSED, because)
