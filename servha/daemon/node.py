"""This node at work in its cluster: the core, and everything that carries out what it asks.

Made when a configuration is in force, adapted when that changes, closed with the daemon. It wires parts together;
each part says at its top what it decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

from servha.config.document import Document
from servha.core.events import (
    BeatReceived,
    ConfigChanged,
    Event,
    GuardTold,
    Leaving,
    LinkCarrier,
    OrderGiven,
    ResourceReported,
)
from servha.core.model import Order
from servha.core.state import State, TreeState
from servha.core.words import Text
from servha.daemon.addresses import core_cluster, peer_ends, tree_ends
from servha.daemon.alarms import StandingAlarms
from servha.daemon.beats import Beats
from servha.daemon.executor import Executor
from servha.daemon.guarding import Guarding
from servha.daemon.journal import Journal
from servha.daemon.loop import Loop, boottime_s
from servha.daemon.maintenance import MaintenanceClock
from servha.daemon.memory import Doing, OwnershipFile, PhasesFile
from servha.daemon.probing import Prober
from servha.daemon.quality import Hour
from servha.daemon.readiness import Readiness
from servha.daemon.windows import Windows
from servha.daemon.workers import Workers
from servha.host import ChangesMissed, Host, LinkGone, LinkState
from servha.wire.beat import incarnation
from servha.wire.rpc import Args, Json

log = logging.getLogger("servha.node")

Note = Callable[[str, Text], None]


class ClusterNode:
    """One node of a cluster, running. Called in the loop's thread only."""

    def __init__(
        self,
        document: Document,
        us: str,
        *,
        host: Host,
        state_directory: Path,
        run_directory: Path,
        secrets_directory: Path,
        cluster_key: bytes,
        journal: Journal,
        alarms: StandingAlarms,
        note: Note,
        heard_generation: Callable[[int, str], None],
        ask_peer: Callable[[str, Args], Awaitable[Json]],
        farewell: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        self.us = us
        self.document = document
        self.alarms = alarms
        self._host = host
        self._key = cluster_key
        self._heard_generation = heard_generation
        self._ownership = OwnershipFile(state_directory / "ownership.json")
        self._phases = PhasesFile(run_directory / "phases.json", boot_id=host.boot_id())
        session = secrets.token_bytes(16)
        self._guarding = Guarding(
            us=us,
            host=host,
            run_directory=run_directory,
            cluster_key_file=secrets_directory / "cluster.key",
            told=lambda view: self._happen(GuardTold(boottime_s(), view)),
            send_lease=lambda: self.beats.send_lease(),  # noqa: PLW0108 - the beats come after
        )
        self.beats = Beats(us=us, session=session, happen=self._beat, tell=note, leases=self._guarding.leases)
        self.workers = Workers(us=us, host=host, happen=self._happen, tell=journal.add)
        self._prober = Prober(host=host, happen=self._happen)
        executor = Executor(
            beats=self.beats,
            guard=self._guarding.link,
            workers=self.workers,
            prober=self._prober,
            journal=journal,
            ownership=self._ownership,
            alarms=alarms,
            farewell=farewell,
        )
        self._loop = Loop(
            core_cluster(document, us),
            incarnation=incarnation(host.boot_id(), session),
            carry_out=executor.carry_out,
            changed=self._changed,
            failed=failed,
        )
        self._windows = Windows(self._happen)
        self.readiness = Readiness(
            us=us,
            host=host,
            state_directory=state_directory,
            state=lambda: self.state,
            happen=self._happen,
            ask_peer=ask_peer,
        )
        self._maintenance = MaintenanceClock(self._maintained)
        self._carriers: asyncio.Task[None] | None = None
        self._kept_trees: tuple[TreeState, ...] | None = None

    @property
    def state(self) -> State:
        """What the core remembers now."""
        return self._loop.state

    @property
    def disk(self) -> Hour | None:
        """How its rounds on the quorum disk went; None without one."""
        return self._guarding.disk

    @property
    def passes(self) -> int:
        """How many events the core has handled."""
        return self._loop.passes

    async def start(self) -> None:
        """Find out what runs, then begin: adopt, speak, watch."""
        self._aim_probes()
        self.workers.adapt(self.document)
        await self.workers.look(self.document, self._phases.load(), self._ownership.load())
        self._windows.adapt(self.document)
        self.readiness.adapt(self.document)
        self._maintenance.adapt(self.document)
        self.beats.adapt(self.document, self._key)
        self._guarding.adapt(self.document)
        self._carriers = asyncio.get_running_loop().create_task(self._watch_carriers(), name="carriers")

    def adapt(self, document: Document) -> None:
        """Go on under another configuration."""
        self.document = document
        self._aim_probes()
        fresh = self.workers.adapt(document)
        self.beats.adapt(document, self._key)
        self._guarding.adapt(document)
        self._loop.happen(ConfigChanged(boottime_s(), core_cluster(document, self.us)))
        self._windows.adapt(document)
        self.readiness.adapt(document)
        self._maintenance.adapt(document)
        self.workers.attend(fresh)
        if self._carriers is not None:
            self._carriers.cancel()
            self._carriers = asyncio.get_running_loop().create_task(self._watch_carriers(), name="carriers")

    def _maintained(self) -> None:
        """Tell the core the same configuration with what is in maintenance now."""
        self._loop.happen(ConfigChanged(boottime_s(), core_cluster(self.document, self.us)))

    def order(self, tree: str, order: Order, by: str) -> None:
        """Give an order about a tree."""
        self._loop.happen(OrderGiven(boottime_s(), tree, order, by))

    def leave(self, *, stop_trees: bool) -> None:
        """Prepare to end; `farewell` is called when all that had to be done is done."""
        self._loop.happen(Leaving(boottime_s(), stop_trees))

    async def close(self) -> None:
        """End every part; what runs stays running."""
        self._loop.close()
        if self._carriers is not None:
            self._carriers.cancel()
            await asyncio.wait([self._carriers], timeout=1.0)
        self._windows.close()
        await self.readiness.close()
        self._maintenance.close()
        self._guarding.close()
        await self._prober.close()
        await self.workers.close()
        self.beats.close()

    def _beat(self, event: BeatReceived) -> None:
        self._loop.happen(event)
        self._heard_generation(event.report.generation, event.report.config_digest)

    def _happen(self, event: Event) -> None:
        self._loop.happen(event)
        if isinstance(event, ResourceReported):
            log.debug("%s/%s is %s: %s", event.tree, event.resource, event.state, event.because)

    def _changed(self, state: State) -> None:
        self.readiness.changed(state)
        if state.trees is self._kept_trees:
            return  # a beat, an answer: nothing that the file says
        try:
            self._phases.keep({t.name: Doing(t.phase, t.ownership, t.order.forced) for t in state.trees})
            self._kept_trees = state.trees
        except OSError as problem:
            log.error("the phases cannot be kept in /run: %s", problem)

    def _aim_probes(self) -> None:
        self._prober.references = self.document.cluster.references
        self._prober.peer_ends = peer_ends(self.document, self.us)
        self._prober.peer_port = self.document.ports.peer
        self._prober.tree_ends = tree_ends(self.document, self.us)

    async def _watch_carriers(self) -> None:
        """Tell the core what the kernel says about the interfaces of the links, first now, then at each change."""
        here = self.document.node(self.us)
        links = {name: end.nic for name, end in here.links.items()} if here is not None else {}
        with self._host.network_changes() as changes, contextlib.suppress(asyncio.CancelledError):
            while True:
                for name, nic in links.items():
                    state = await self._host.link(nic)
                    self._happen(LinkCarrier(boottime_s(), name, _carrier(state)))
                while not isinstance(change := await changes.next(), ChangesMissed):
                    if not isinstance(change, (LinkState, LinkGone)):
                        continue
                    for name, nic in links.items():
                        if nic == change.nic:
                            word = _carrier(change) if isinstance(change, LinkState) else None
                            self._happen(LinkCarrier(boottime_s(), name, word))


def _carrier(state: LinkState | None) -> bool | None:
    return None if state is None else state.up and state.carrier
