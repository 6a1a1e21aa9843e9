"""A whole two-node cluster in virtual time: both nodes run the real engine and the real guard on simulated hardware.

The world keeps the clock, the power and the watchdogs, and hands everything else to what simulates it: network.py,
disk.py, servhad.py, guardd.py. The same seed gives the same story. What an outside observer may never see is watched
by witness.py. What a node should do is not decided here.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from servha.core import events as ev
from servha.core import guard_model as gm
from servha.core.engine import Engine
from servha.core.model import Cluster, Maintenance, Order, ResourceState, TreeSpec
from servha.core.register import Slot
from servha.core.words import say
from servha.sim.disk import Disk
from servha.sim.guardd import Guardd
from servha.sim.machine import Behaviour, Machine, Power
from servha.sim.network import Network
from servha.sim.servhad import RELIVE_S, Servhad
from servha.sim.witness import Witness

STEP_COUNT_MAX = 2_000_000
"""Bound on simulated happenings in one run; more means that something never comes to rest."""

REBOOT_S = 30.0
"""What a machine takes from a reset to its daemons."""

SWEEP_S = 0.02
"""Period in which an emergency stop looks for what is left."""


class World:
    """Two machines, what lies between them, and a clock that only moves when something happens."""

    def __init__(self, clusters: tuple[Cluster, Cluster], *, seed: int = 0) -> None:
        self.now_s = 0.0
        self.random = random.Random(seed)  # noqa: S311 - a simulation has to be repeatable
        self.machines = {c.us: Machine(c, number) for number, c in enumerate(clusters)}
        self.network = Network(self.machines)
        self.disk = Disk(self.random, self.later)
        self.witness = Witness(self.machines)
        self.behaviour: dict[tuple[str, str, str], Behaviour] = {}
        self.reboot_s = REBOOT_S
        self.told: list[tuple[float, str]] = []
        """What the machines themselves did: resets."""
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._counter = 0
        self.daemons = {name: Servhad(m, self) for name, m in self.machines.items()}
        self.guards: dict[str, Guardd] = {}
        if clusters[0].policy.leased:
            self.witness.exclusive = True
            for name, machine in self.machines.items():
                daemon = self.daemons[name]
                self.guards[name] = daemon.guard = Guardd(machine, self, self.disk, daemon)

    # --- the clock ------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let `seconds` of virtual time pass."""
        until_s = self.now_s + seconds
        queue = self._queue
        for _ in range(STEP_COUNT_MAX):
            if not queue or queue[0][0] > until_s:
                self.now_s = until_s
                return
            at_s, _, act = heapq.heappop(queue)
            self.now_s = max(self.now_s, at_s)
            act()
        raise RuntimeError(f"still busy after {STEP_COUNT_MAX} happenings at {self.now_s:.3f} s")

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do `act` after `seconds`."""
        self._counter += 1
        heapq.heappush(self._queue, (self.now_s + seconds, self._counter, act))

    def engine(self, node: str) -> Engine | None:
        """Return the engine of `node`, or None while its daemon is not there."""
        return self.daemons[node].engine

    def behaviour_of(self, node: str, tree: str, resource: str) -> Behaviour:
        """Return how a resource behaves on `node`, to be changed there."""
        return self.behaviour.setdefault((node, tree, resource), Behaviour())

    # --- what the witness sees ------------------------------------------------------------------------------

    def look(self) -> None:
        """Let the witness see what runs."""
        self.witness.look(self.now_s)

    def starts(self, machine: Machine, tree: str, ownership: int) -> None:
        """Let the witness see a start, and whether the guard holds the tree."""
        guardd, spec = self.guards.get(machine.us), machine.cluster.tree(tree)
        if guardd is None or spec is None:
            return
        trees = guardd.guard.state.trees if guardd.guard else machine.saved.trees if machine.saved else ()
        held = any(t.id == spec.id and t.entry.holds for t in trees)
        self.witness.starts(machine, spec, ownership, held=held, now_s=self.now_s)

    def writes(self, machine: Machine, slot: Slot) -> None:
        """Let the witness see a guard write."""
        self.witness.writes(machine, slot, self.now_s)

    # --- power ----------------------------------------------------------------------------------------------

    def boot(self, node: str) -> None:
        """Switch a machine on; its daemons start at once."""
        machine = self.machines[node]
        if machine.powered:
            return
        machine.power = Power.ON
        machine.boot_number += 1
        machine.running.clear()
        machine.volatile.clear()
        machine.saved = None
        machine.clocks.go_on(self.now_s)
        if node in self.guards:
            self.guards[node].start()
        self.daemons[node].start()

    def power_off(self, node: str) -> None:
        """Cut the power: nothing more leaves the machine, but what the disk has of it may still land."""
        machine = self.machines[node]
        if not machine.powered:
            return
        machine.power = Power.OFF
        self.daemons[node].end()
        if node in self.guards:
            self.guards[node].end()
            in_flight_s = machine.cluster.timing.limits.in_flight_ms / 1000
            self.disk.lose_power(machine.number, in_flight_s)
        machine.running.clear()
        machine.dying.clear()
        machine.deferred.clear()
        machine.watchdog.armed = False
        self.look()

    def reset(self, machine: Machine, because: str) -> None:
        """Reset a machine, from inside or by its watchdog; it comes back after `reboot_s`."""
        self.told.append((self.now_s, f"{machine.us} is reset: {because}"))
        self.power_off(machine.us)
        boot = machine.boot_number
        self.later(self.reboot_s, lambda: self.boot(machine.us) if machine.boot_number == boot else None)

    def freeze(self, node: str, *, suspend: bool = False) -> None:
        """Let a whole virtual machine stand still; `suspend` lets its BOOTTIME count it."""
        machine = self.machines[node]
        if machine.power is not Power.ON:
            return
        machine.power = Power.SUSPENDED if suspend else Power.FROZEN
        machine.frozen_s = self.now_s
        (machine.clocks.suspend if suspend else machine.clocks.freeze)(self.now_s)
        self.witness.exclusive = False  # a timer that stands still with its machine protects nobody
        self.look()

    def thaw(self, node: str) -> None:
        """Let it go on, not knowing that it stood still."""
        machine = self.machines[node]
        if machine.power not in (Power.FROZEN, Power.SUSPENDED):
            return
        machine.power = Power.ON
        machine.clocks.go_on(self.now_s)
        machine.watchdog.fed_s += self.now_s - machine.frozen_s
        self.look()
        if machine.watchdog.armed:
            self._watch(machine)
        waiting, machine.deferred = machine.deferred, []
        for act in waiting:
            act()
        self.daemons[node].go_on()
        if node in self.guards:
            self.guards[node].go_on()

    # --- watchdog and emergency stop --------------------------------------------------------------------------

    def arm_watchdog(self, machine: Machine, timeout_s: float) -> tuple[str, float]:
        """Open the watchdog and set its time; return its name, empty for none, and the time it really keeps."""
        dog = machine.watchdog
        if not dog.present:
            return "", 0.0
        dog.timeout_s = max(timeout_s, dog.least_s)
        dog.armed, dog.fed_s = True, self.now_s
        self._watch(machine)
        return "simulated", dog.timeout_s

    def _watch(self, machine: Machine) -> None:
        dog, boot = machine.watchdog, machine.boot_number
        dog.check_id += 1
        check_id = dog.check_id

        def check() -> None:
            if not dog.armed or dog.check_id != check_id or machine.boot_number != boot:
                return
            left_s = dog.fed_s + dog.timeout_s - self.now_s
            if machine.power is not Power.ON:
                return
            if left_s > 1e-9:
                self.later(left_s, check)
            else:
                self.reset(machine, "its watchdog was not fed")

        self.later(dog.fed_s + dog.timeout_s - self.now_s, check)

    def emergency_stop(self, machine: Machine, sweep: int, *, kill_daemon: bool) -> None:
        """Kill everything of every tree, again and again until nothing is left, and then say so."""
        node, daemon = machine.us, self.daemons[machine.us]
        if kill_daemon and daemon.alive:
            daemon.end()
            self.later(RELIVE_S, partial(machine.do, machine.boot_number, daemon.start))
        # A script dies with its control group; what servhad does by itself only dies with servhad.
        machine.starts.kill(lambda: not daemon.alive or self.random.random() < 0.5)
        self._sweep(machine, sweep, self.guards[node].life)

    def _sweep(self, machine: Machine, sweep: int, life: int) -> None:
        guardd = self.guards[machine.us]
        if guardd.life != life:
            return
        if not machine.running:
            guardd.event(lambda now: gm.AllStopped(now, sweep))
            return
        for tree, resource in machine.running:
            behaviour = self.behaviour.get((machine.us, tree, resource), Behaviour())
            if behaviour.killable and (tree, resource) not in machine.dying:
                machine.dying.add((tree, resource))
                die = partial(self._die, machine, tree, resource)
                self.later(behaviour.kill_s, partial(machine.do, machine.boot_number, die))
        self.later(SWEEP_S, lambda: guardd.do(lambda: self._sweep(machine, sweep, life)))

    def _die(self, machine: Machine, tree: str, resource: str) -> None:
        machine.dying.discard((tree, resource))
        self.break_resource(machine.us, tree, resource)

    # --- what an operator or an accident does to the daemons and to what they run ------------------------------

    def order(self, node: str, tree: str, order: Order, by: str = "admin") -> None:
        """Give an order on `node`."""
        self.daemons[node].tell(lambda now_s: ev.OrderGiven(now_s, tree, order, by))

    def leave(self, node: str, *, stop_trees: bool) -> None:
        """Ask the daemon of `node` to end."""
        self.daemons[node].tell(lambda now_s: ev.Leaving(now_s, stop_trees))

    def reconfigure(
        self, trees: tuple[TreeSpec, ...], maintenance: tuple[Maintenance, ...] | None = None
    ) -> None:
        """Put other trees, or other maintenance, in force on both nodes."""
        for node, machine in self.machines.items():
            kept = machine.cluster.maintenance if maintenance is None else maintenance
            number = machine.cluster.generation + 1
            cluster = replace(machine.cluster, trees=trees, maintenance=kept, generation=number)
            machine.cluster = cluster
            self.daemons[node].tell(partial(_config_changed, cluster))

    def break_resource(self, node: str, tree: str, resource: str) -> None:
        """Make a running resource die."""
        machine = self.machines[node]
        if (tree, resource) in machine.running:
            machine.running.discard((tree, resource))
            self.look()
            self.daemons[node].found(tree, resource, ResourceState.STOPPED, say("it was killed"), "pidfd")

    def find(self, node: str, tree: str, resource: str, state: ResourceState) -> None:
        """Let a look at a resource find it in this state, whatever was done to it: somebody else's doing."""
        machine = self.machines[node]
        if state is ResourceState.RUNNING:
            machine.strays.add((tree, resource))
        else:
            machine.running.discard((tree, resource))
            machine.strays.discard((tree, resource))
        self.look()
        said = say("it runs") if state is ResourceState.RUNNING else say("it is gone")
        self.daemons[node].found(tree, resource, state, said, "poll")

    def pause(self, node: str, *processes: str) -> None:
        """Stop processes by a signal: servhad, unless "guard" is named."""
        for process in processes or ("daemon",):
            (self.guards if process == "guard" else self.daemons)[node].paused = True

    def resume(self, node: str, *processes: str) -> None:
        """Let stopped processes go on; first they hear what has arrived meanwhile."""
        for process in processes or ("daemon",):
            (self.guards if process == "guard" else self.daemons)[node].resume()


def _config_changed(cluster: Cluster, now_s: float) -> ev.Event:
    return ev.ConfigChanged(now_s, cluster)
