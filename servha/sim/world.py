"""The hardware of a two-node cluster in virtual time: power, links, a switch, resources that take time.

Both nodes run the real engine; the world carries its effects out and brings events back, in order of virtual time,
the same for the same seed. It checks by itself, at every step, that no tree is active twice where that is promised,
and counts it where it is not (guarantee level 0 and 1). What a node should do is not decided here.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from servha.core import effects as fx
from servha.core import events as ev
from servha.core.engine import Engine
from servha.core.model import (
    Action,
    Cluster,
    JournalEntry,
    Order,
    Phase,
    Report,
    ResourceState,
    Step,
    TreeSpec,
)
from servha.core.state import TreeState
from servha.core.words import say

PUBLIC = "public"
"""The link that runs over the network on which the virtual addresses live."""

STEP_COUNT_MAX = 2_000_000
"""Bound on simulated happenings in one run; more means that something never comes to rest."""


@dataclass
class Behaviour:
    """How one resource behaves on one node."""

    start_s: float = 0.02
    stop_s: float = 0.02
    start_ok: bool = True
    stop_ok: bool = True


@dataclass
class Machine:
    """One simulated server: what survives a power cut, and what does not."""

    cluster: Cluster
    boot_number: int = 0
    powered: bool = False
    paused: bool = False
    engine: Engine | None = None
    daemon_up: bool = False
    running: set[tuple[str, str]] = field(default_factory=set)
    """Resources that really run on this machine, whatever the daemon believes."""
    strays: set[tuple[str, str]] = field(default_factory=set)
    """What somebody started by hand, past the daemon."""
    memory: dict[str, tuple[int, Order]] = field(default_factory=dict)
    volatile: dict[str, Phase] = field(default_factory=dict)
    """What /run holds: the phase of each tree, lost with the power."""
    peer_lives: list[str] = field(default_factory=list)
    """Incarnations of the peer in the order in which they were met; beats of all but the last are refused."""
    inbox: list[Callable[[], None]] = field(default_factory=list)
    wake_id: int = 0
    journal: list[JournalEntry] = field(default_factory=list)
    alarms: dict[str, str] = field(default_factory=dict)


class World:
    """Two machines, their links, the public network, and a clock that only moves when something happens."""

    def __init__(self, clusters: tuple[Cluster, Cluster], *, seed: int = 0) -> None:
        self.now_s = 0.0
        self.random = random.Random(seed)  # noqa: S311 - a simulation has to be repeatable
        self.machines = {c.us: Machine(c) for c in clusters}
        self.cut: set[tuple[str, str]] = set()
        """(link, sender): nothing sent by `sender` on `link` arrives."""
        self.muted: set[tuple[str, str]] = set()
        """(link, sender): only beats do not arrive; the kernel's answers do."""
        self.reference_cut: set[str] = set()
        """Nodes that do not reach the reference addresses."""
        self.public_cut: set[str] = set()
        """Nodes that are off the public network: neither probes nor clients reach them there."""
        self.foreign: dict[str, str] = {}
        """Virtual address -> who else holds it."""
        self.loss = 0.0
        self.delay_s = 0.001
        self.behaviour: dict[tuple[str, str, str], Behaviour] = {}
        self.ever_dual: list[tuple[float, str]] = []
        self.owners: dict[str, list[tuple[float, frozenset[str]]]] = {}
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._counter = 0

    # --- the clock ------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let `seconds` of virtual time pass."""
        until_s = self.now_s + seconds
        for _ in range(STEP_COUNT_MAX):
            if not self._queue or self._queue[0][0] > until_s:
                self.now_s = until_s
                return
            at_s, _, act = heapq.heappop(self._queue)
            self.now_s = max(self.now_s, at_s)
            act()
            self._look()
        raise RuntimeError(f"still busy after {STEP_COUNT_MAX} happenings at {self.now_s:.3f} s")

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do `act` after `seconds`."""
        self._counter += 1
        heapq.heappush(self._queue, (self.now_s + seconds, self._counter, act))

    def _look(self) -> None:
        """Note who really runs each tree; the world knows, whatever the nodes believe."""
        names = {tree for m in self.machines.values() for tree, _ in m.running} | set(self.owners)
        for name in names:
            now = frozenset(
                node
                for node, m in self.machines.items()
                if m.powered and any(t == name for t, _ in m.running)
            )
            history = self.owners.setdefault(name, [(0.0, frozenset())])
            if history[-1][1] != now:
                history.append((self.now_s, now))
                if len(now) > 1:
                    self.ever_dual.append((self.now_s, name))

    # --- what an operator or an accident does ----------------------------------------------------------------

    def boot(self, node: str) -> None:
        """Switch a machine on; its daemon starts at once."""
        machine = self.machines[node]
        if machine.powered:
            return
        machine.powered, machine.paused = True, False
        machine.boot_number += 1
        machine.running.clear()
        machine.volatile.clear()
        self.start_daemon(node)

    def power_off(self, node: str) -> None:
        """Cut the power: nothing more leaves the machine."""
        machine = self.machines[node]
        machine.powered = machine.daemon_up = False
        machine.engine = None
        machine.running.clear()
        machine.inbox.clear()
        self._look()

    def kill_daemon(self, node: str) -> None:
        """End servhad without a word; what it started goes on."""
        machine = self.machines[node]
        machine.daemon_up = machine.paused = False
        machine.engine = None
        machine.inbox.clear()  # its sockets end with it

    def start_daemon(self, node: str) -> None:
        """Start servhad; it finds what runs and adopts it, as its shell does."""
        machine = self.machines[node]
        if not machine.powered or machine.daemon_up:
            return
        machine.daemon_up = True
        incarnation = f"{node}/{machine.boot_number}/{self._counter}"
        machine.engine = Engine(machine.cluster, incarnation=incarnation, now_s=self.now_s)
        memories = []
        for spec in machine.cluster.trees:
            ownership, order = machine.memory.get(spec.name, (0, Order()))
            steps = tuple((r.name, Step.ON) for r in spec.resources if (spec.name, r.name) in machine.running)
            was = machine.volatile.get(spec.name, Phase.STOPPING if steps else Phase.OFF)
            # As daemon/workers.py does: what was under way is gone on with, what ran and is gone is started again.
            phase = was if was.holds else Phase.OFF
            if phase is Phase.RUNNING and not steps:
                phase = Phase.STARTING
            memories.append(ev.TreeMemory(spec.name, phase, ownership, order, steps))
        self._tell(node, ev.Remembered(self.now_s, tuple(memories)))

    def pause(self, node: str) -> None:
        """Stop the daemon's process; the kernel and what runs go on."""
        self.machines[node].paused = True

    def resume(self, node: str) -> None:
        """Let a paused daemon go on; first it hears what has arrived meanwhile."""
        machine = self.machines[node]
        machine.paused = False
        waiting, machine.inbox = machine.inbox, []
        for act in waiting[-200:]:
            act()
        self._wake(node)

    def order(self, node: str, tree: str, order: Order, by: str = "admin") -> None:
        """Give an order on `node`."""
        self._tell(node, ev.OrderGiven(self.now_s, tree, order, by))

    def leave(self, node: str, *, stop_trees: bool) -> None:
        """Ask the daemon of `node` to end."""
        self._tell(node, ev.Leaving(self.now_s, stop_trees))

    def reconfigure(self, trees: tuple[TreeSpec, ...]) -> None:
        """Put other trees in force on both nodes."""
        for node, machine in self.machines.items():
            machine.cluster = replace(machine.cluster, trees=trees, generation=machine.cluster.generation + 1)
            self._tell(node, ev.ConfigChanged(self.now_s, machine.cluster))

    def break_resource(self, node: str, tree: str, resource: str) -> None:
        """Make a running resource die."""
        machine = self.machines[node]
        if (tree, resource) in machine.running:
            machine.running.discard((tree, resource))
            self._look()
            said = say("it was killed")
            self._tell(
                node, ev.ResourceReported(self.now_s, tree, resource, ResourceState.STOPPED, said, "pidfd")
            )

    def find(self, node: str, tree: str, resource: str, state: ResourceState) -> None:
        """Let a look at a resource find it in this state, whatever was done to it: somebody else's doing."""
        machine = self.machines[node]
        if state is ResourceState.RUNNING:
            machine.strays.add((tree, resource))
        else:
            machine.running.discard((tree, resource))
            machine.strays.discard((tree, resource))
        self._look()
        said = say("it runs") if state is ResourceState.RUNNING else say("it is gone")
        self._tell(node, ev.ResourceReported(self.now_s, tree, resource, state, said, "poll"))

    # --- carrying effects out ---------------------------------------------------------------------------------

    def _tell(self, node: str, event: ev.Event) -> None:
        machine = self.machines[node]
        if not machine.powered or not machine.daemon_up or machine.engine is None:
            return
        if machine.paused:
            machine.inbox.append(lambda: self._tell(node, event))
            return
        for effect in machine.engine.handle(event):
            self._carry_out(node, machine, effect)
        for tree in self._state_of(machine):
            machine.volatile[tree.name] = tree.phase
        self._arm(node)

    def _state_of(self, machine: Machine) -> tuple[TreeState, ...]:
        """Return the trees as the daemon sees them; nothing once it has said farewell."""
        return machine.engine.state.trees if machine.engine is not None else ()

    def _arm(self, node: str) -> None:
        machine = self.machines[node]
        if machine.engine is None:
            return
        machine.wake_id += 1
        wake_id = machine.wake_id
        wait_s = max(0.0005, machine.engine.wake_at_s - self.now_s)
        if wait_s != float("inf"):
            self.later(wait_s, lambda: self._wake(node) if machine.wake_id == wake_id else None)

    def _wake(self, node: str) -> None:
        if not self.machines[node].paused:
            self._tell(node, ev.Tick(self.now_s))

    def _carry_out(self, node: str, machine: Machine, effect: fx.Effect) -> None:
        match effect:
            case fx.SendBeat(report=report):
                self._send(node, report)
            case fx.StartResource(tree=tree, resource=resource):
                self._act(node, tree, resource, Action.START)
            case fx.StopResource(tree=tree, resource=resource):
                self._act(node, tree, resource, Action.STOP)
            case fx.Remember(tree=tree, ownership=ownership, order=order):
                machine.memory[tree] = (ownership, order)
            case fx.Record(entry=entry):
                machine.journal.append(entry)
            case fx.Raise(key=key, text=text):
                machine.alarms[key] = str(text)
            case fx.Clear(key=key):
                machine.alarms.pop(key, None)
            case fx.Farewell():
                machine.daemon_up = False
                machine.engine = None
            case fx.ProbeReferences():
                reached = node not in self.reference_cut and node not in self.public_cut
                for address in machine.cluster.references:
                    probed = partial(_reference_probed, address, reached)
                    self._probe(node, reached, probed)
            case fx.ProbePeer():
                peer = machine.cluster.peer
                answered = self._host_answers(node, peer)
                self._probe(
                    node,
                    bool(answered),
                    lambda now_s, asked_s: ev.PeerProbed(now_s, answered, asked_s),
                )
            case fx.ProbeTreeAddresses(tree=tree):
                held = self._held_by(node, tree)
                self._probe(
                    node,
                    bool(held),
                    lambda now_s, asked_s: ev.TreeAddressesProbed(now_s, tree, held, asked_s),
                )

    def _send(self, node: str, report: Report) -> None:
        peer = self.machines[node].cluster.peer
        for link in self.machines[node].cluster.links:
            if (link, node) in self.cut | self.muted or self.random.random() < self.loss:
                continue
            self.later(
                self.delay_s,
                partial(self._deliver, peer, link, report),
            )

    def _deliver(self, node: str, link: str, report: Report) -> None:
        """Hand a beat over, unless it comes from a life of the peer that has ended: wire/conversation.py's word."""
        lives = self.machines[node].peer_lives
        if report.incarnation in lives[:-1]:
            return
        if not lives or lives[-1] != report.incarnation:
            lives.append(report.incarnation)
        self._tell(node, ev.BeatReceived(self.now_s, link, report))

    def _act(self, node: str, tree: str, resource: str, action: Action) -> None:
        behaviour = self.behaviour.get((node, tree, resource), Behaviour())
        start = action is Action.START
        ok = behaviour.start_ok if start else behaviour.stop_ok
        took_s = behaviour.start_s if start else behaviour.stop_s
        boot = self.machines[node].boot_number

        def done() -> None:
            machine = self.machines[node]
            if not machine.powered or machine.boot_number != boot:
                return
            holder = self.foreign.get(tree, "") if start else ""
            if start and ok and not holder:
                machine.running.add((tree, resource))
            elif not start and ok:
                machine.running.discard((tree, resource))
            self._look()
            if start:
                because = say("it answers") if ok else say("its start script ended with code 1")
            else:
                because = say("it is gone") if ok else say("it did not stop")
            if holder:
                because = say("its address is in use: {who}", who=holder)
            self._tell(
                node,
                ev.ActionFinished(self.now_s, tree, resource, action, ok and not holder, because, took_s),
            )

        self.later(took_s, done)

    def _probe(self, node: str, answered: bool, event: Callable[[float, float], ev.Event]) -> None:  # noqa: FBT001
        asked_s = self.now_s
        self.later(0.001 if answered else 0.1, lambda: self._tell(node, event(self.now_s, asked_s)))

    def _host_answers(self, node: str, peer: str) -> str:
        """Return where the peer's host answers: any link that works both ways, whatever its daemon does."""
        if not peer or not self.machines[peer].powered:
            return ""
        for link in self.machines[node].cluster.links:
            if (link, node) not in self.cut and (link, peer) not in self.cut:
                return f"{peer} on {link}"
        return ""

    def _held_by(self, node: str, tree: str) -> str:
        if tree in self.foreign and node not in self.public_cut:
            return self.foreign[tree]
        peer = self.machines[node].cluster.peer
        if not peer or {node, peer} & self.public_cut or not self.machines[peer].powered:
            return ""
        if self.cut & {(PUBLIC, node), (PUBLIC, peer)}:
            return ""
        return peer if any(t == tree for t, _ in self.machines[peer].running) else ""


def _reference_probed(address: str, answered: bool, now_s: float, asked_s: float) -> ev.Event:  # noqa: FBT001
    return ev.ReferenceProbed(now_s, address, answered, asked_s)
