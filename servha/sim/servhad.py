"""servhad on a simulated machine: the daemon's own engine, its effects carried out on what world.py simulates.

Beats carry a ping of the lease and the answer to the peer's, as the real ones do; in between, datagrams carry only
those. What is decided is decided in core/engine.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from servha.core import effects as fx
from servha.core import events as ev
from servha.core import guard_model as gm
from servha.core.clocks import Stamp
from servha.core.engine import Engine
from servha.core.model import Action, Force, Order, Phase, Report, ResourceState, Step
from servha.core.words import Text, say
from servha.sim.machine import Behaviour, Machine, Power, Process

if TYPE_CHECKING:
    from servha.sim.guardd import Guardd
    from servha.sim.world import World

Happening = Callable[[float], ev.Event]
"""Makes the event, given the moment at which the daemon sees it by its own clock."""

INBOX_COUNT_MAX = 200
"""How much waits in the sockets of a process that is stopped."""

TALK_S = 0.0003
"""What a message between servhad and guard takes."""

RELIVE_S = 0.5
"""After which time systemd starts a daemon again that was killed by the guard."""

SPEAK_S = 1.0
"""How often servhad repeats what it asks of the guard, so that the guard knows that it is there."""

STOP_TIMEOUT_S = 30.0
"""When a stop that does not end counts as failed."""

PING_COUNT_MAX = 64


@dataclass(frozen=True, slots=True)
class Datagram:
    """What one datagram carries; `report` is None where it serves the lease only."""

    incarnation: str
    report: Report | None
    ping: tuple[int, int] | None
    """Generation of the sender's boot, and a number that stands for its send stamp."""
    promise: tuple[int, int] | None
    """The receiver's last ping, given back."""


class Servhad(Process):
    """One node's servhad."""

    def __init__(self, machine: Machine, world: World) -> None:
        super().__init__(machine)
        self.world = world
        self.engine: Engine | None = None
        self.guard: Guardd | None = None
        self.incarnation = ""
        self._wake_id = 0
        self._asking: gm.Asking | None = None
        self._spoke_s = 0.0
        self._generation = 0
        self._token = 0
        self._pings: dict[tuple[int, int], Stamp] = {}
        self._promise: tuple[int, int] | None = None
        self._heard_ping: tuple[str, int] = ("", 0)

    # --- its life -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin: find what runs here and adopt it, as daemon/workers.py does."""
        machine = self.machine
        if not machine.powered or self.alive:
            return
        self.begin()
        self.incarnation = f"{machine.us}/{machine.boot_number}/{self.life}"
        self._asking, self._generation, self._promise = None, 0, None
        self._pings.clear()
        self.engine = Engine(machine.cluster, incarnation=self.incarnation, now_s=self._now_s())
        memories = []
        for spec in machine.cluster.trees:
            ownership, order = machine.memory.get(spec.name, (0, Order()))
            steps = tuple((r.name, Step.ON) for r in spec.resources if (spec.name, r.name) in machine.running)
            was = machine.volatile.get(spec.name, Phase.STOPPING if steps else Phase.OFF)
            # What was under way is gone on with, what ran and is gone is started again.
            phase = was if was.holds else Phase.OFF
            if phase is Phase.RUNNING and not steps:
                phase = Phase.STARTING
            memories.append(ev.TreeMemory(spec.name, phase, ownership, order, steps))
        self.tell(lambda now_s: ev.Remembered(now_s, tuple(memories)))
        if self.guard is not None:
            self.guard.connect()
            self._lease_beat(self.life)

    def end(self) -> None:
        """End without a word; what it started goes on."""
        super().end()
        self.engine = None
        self._wake_id += 1
        if self.guard is not None:
            self.guard.event(gm.DaemonEnded, TALK_S)

    def resume(self) -> None:
        """Go on after having stood still; first it hears what has arrived meanwhile."""
        self.paused = False
        self.go_on(INBOX_COUNT_MAX)
        self._wake()

    # --- events ---------------------------------------------------------------------------------------------

    def tell(self, happening: Happening, after_s: float = 0.0) -> None:
        """Let it see something, now or after a while; lost if this life of the daemon has ended by then."""
        if after_s:
            life = self.life
            self.world.later(after_s, lambda: self.tell(happening) if self.life == life else None)
        else:
            self.do(partial(self._handle, happening))

    def _now_s(self) -> float:
        return self.machine.clocks.boot.read(self.world.now_s)

    def _handle(self, happening: Happening) -> None:
        engine = self.engine
        if engine is None:
            return
        for effect in engine.handle(happening(self._now_s())):
            self._carry_out(effect)
        if self.engine is None:
            return
        for tree in engine.state.trees:
            self.machine.volatile[tree.name] = tree.phase
        self._wake_id += 1
        wait_s = engine.wake_at_s - self._now_s()
        if wait_s != float("inf"):
            wait_s = max(0.0005, self.machine.clocks.boot.true_wait_s(wait_s))
            self.world.later(wait_s, partial(self._wake, self._wake_id))

    def _wake(self, wake_id: int = 0) -> None:
        if not wake_id or wake_id == self._wake_id:
            self.do(partial(self._handle, ev.Tick))

    # --- effects --------------------------------------------------------------------------------------------

    def _carry_out(self, effect: fx.Effect) -> None:
        machine, network = self.machine, self.world.network
        node = machine.us
        match effect:
            case fx.SendBeat(report=report):
                self._send(report)
            case fx.StartResource(tree=tree, resource=resource, ownership=ownership):
                self.world.starts(machine, tree, ownership)
                self._act(tree, resource, Action.START)
            case fx.StopResource(tree=tree, resource=resource, force=force):
                self._act(tree, resource, Action.STOP, force)
            case fx.Remember(tree=tree, ownership=ownership, order=order):
                machine.memory[tree] = (ownership, order)
            case fx.Record(entry=entry):
                same = entry.at_s == self.world.now_s
                machine.journal.append(entry if same else replace(entry, at_s=self.world.now_s))
            case fx.Raise(key=key, text=text):
                machine.alarms[key] = str(text)
            case fx.Clear(key=key):
                machine.alarms.pop(key, None)
            case fx.Farewell():
                self.end()
            case fx.ProbeReferences():
                reached = network.reaches_reference(node)
                for address in machine.cluster.references:
                    self._probe(reached, partial(_reference_probed, address, reached))
            case fx.ProbePeer():
                where = network.host_answers(node)
                self._probe(bool(where), lambda now_s, asked_s: ev.PeerProbed(now_s, where, asked_s))
            case fx.ProbeTreeAddresses(tree=tree):
                held = network.address_held_by(node, tree)
                self._probe(
                    bool(held), lambda now_s, asked_s: ev.TreeAddressesProbed(now_s, tree, held, asked_s)
                )
            case fx.AskGuard(asking=asking):
                self._asking = asking
                self._speak()

    def _act(self, tree: str, resource: str, action: Action, force: Force | None = None) -> None:
        """Start or stop one resource; the script goes on whatever becomes of the daemon."""
        machine, world, life = self.machine, self.world, self.life
        start = action is Action.START
        behaviour = world.behaviour.get((machine.us, tree, resource), Behaviour())
        ok = behaviour.start_ok if start else behaviour.stop_ok
        took_s = behaviour.start_s if start else behaviour.stop_s
        if force in (Force.KILL, Force.FREE):
            freed = force is Force.FREE or not behaviour.held
            took_s, ok = behaviour.kill_s, behaviour.killable and freed
        elif took_s == float("inf"):
            took_s, ok = STOP_TIMEOUT_S, False
        begun = machine.starts.begin() if start else 0

        def done() -> None:
            killed = start and not machine.starts.finish(begun)
            holder = world.network.foreign.get(tree, "") if start else ""
            good = ok and not killed and not holder
            if start and good:
                machine.running.add((tree, resource))
            elif not start and ok:
                machine.running.discard((tree, resource))
            world.look()
            if killed:
                because = say("it was killed")
            elif holder:
                because = say("its address is in use: {who}", who=holder)
            elif start:
                because = say("it answers") if ok else say("its start script ended with code 1")
            else:
                because = say("it is gone") if ok else say("it did not stop")
            if self.life == life:
                self.tell(
                    lambda now_s: ev.ActionFinished(now_s, tree, resource, action, good, because, took_s)
                )

        world.later(took_s, partial(machine.do, machine.boot_number, done))

    def found(self, tree: str, resource: str, state: ResourceState, said: Text, source: str) -> None:
        """Tell that a detector found a resource in this state."""
        self.tell(lambda now_s: ev.ResourceReported(now_s, tree, resource, state, said, source))

    def _probe(self, answered: bool, event: Callable[[float, float], ev.Event]) -> None:  # noqa: FBT001
        asked_s = self._now_s()
        self.tell(lambda now_s: event(now_s, asked_s), 0.001 if answered else 0.1)

    # --- beats and the lease's part of them -------------------------------------------------------------------

    def guard_says(self, view: gm.View | None) -> None:
        """Hear the guard; None when it is not there."""
        self._generation = view.generation if view is not None else 0
        self.tell(lambda now_s: ev.GuardTold(now_s, view))

    def guard_connected(self) -> None:
        """Repeat everything that is asked to a guard that has just come."""
        self.do(self._speak)

    def _speak(self) -> None:
        if self._asking is not None and self.guard is not None:
            self._spoke_s = self.world.now_s
            self.guard.event(partial(_asked_by, self._asking), TALK_S)

    def give_promise(self, generation: int, token: int) -> None:
        """Answer the peer's ping with the next datagram."""
        self._promise = (generation, token)

    def _lease_beat(self, life: int) -> None:
        """Every period of the lease, let a datagram carry ping and promise; every second, speak to the guard."""

        def due() -> None:
            if self.life == life and self.alive:
                if not self.paused and self.machine.power is Power.ON:
                    self._send(None)
                    if self.world.now_s - self._spoke_s >= SPEAK_S:
                        self._speak()
                self._lease_beat(life)

        self.world.later(self.machine.cluster.timing.limits.round_s, due)

    def _send(self, report: Report | None) -> None:
        peer, network, world = self.machine.cluster.peer, self.world.network, self.world
        ping = None
        if self.guard is not None and self._generation:
            self._token += 1
            ping = (self._generation, self.life * 1_000_000 + self._token)
            self._pings[ping] = self.machine.clocks.read(world.now_s)
            if len(self._pings) > PING_COUNT_MAX:
                del self._pings[next(iter(self._pings))]
        promise, self._promise = self._promise, None
        if report is None and ping is None and promise is None:
            return
        datagram = Datagram(self.incarnation, report, ping, promise)
        for link in self.machine.cluster.links:
            if not network.carries_beats(link, self.machine.us) or world.random.random() < network.loss:
                continue
            delay_s = network.delay_s
            if network.jitter_s:
                delay_s += world.random.random() * network.jitter_s
            world.later(delay_s, partial(world.daemons[peer].hear, link, datagram))

    def hear(self, link: str, datagram: Datagram) -> None:
        """Take a datagram, unless it comes from a life of the peer that has ended: wire/conversation.py's word."""
        self.do(partial(self._hear, link, datagram))

    def _hear(self, link: str, datagram: Datagram) -> None:
        lives = self.machine.peer_lives
        if datagram.incarnation in lives[:-1]:
            return
        if not lives or lives[-1] != datagram.incarnation:
            sender = self.world.daemons[self.machine.cluster.peer]
            if sender.incarnation != datagram.incarnation:
                return  # a life that has ended cannot answer for itself, and a new one is only met by an answer
            lives.append(datagram.incarnation)
        report = datagram.report
        if report is not None:
            self._handle(lambda now_s: ev.BeatReceived(now_s, link, report))
        if self.guard is None:
            return
        ping, promise = datagram.ping, datagram.promise
        if ping is not None and (datagram.incarnation, ping[1]) != self._heard_ping:
            known, token = self._heard_ping
            if known != datagram.incarnation or ping[1] > token:
                self._heard_ping = (datagram.incarnation, ping[1])
                self.guard.event(lambda now: gm.PingHeard(now, *ping), TALK_S)
        if promise is not None and promise in self._pings:
            pinged = self._pings.pop(promise)
            self.guard.event(lambda now: gm.PromiseHeard(now, promise[0], pinged), TALK_S)


def _asked_by(asking: gm.Asking, now: Stamp) -> gm.AskedBy:
    return gm.AskedBy(now, asking)


def _reference_probed(address: str, answered: bool, now_s: float, asked_s: float) -> ev.Event:  # noqa: FBT001
    return ev.ReferenceProbed(now_s, address, answered, asked_s)
