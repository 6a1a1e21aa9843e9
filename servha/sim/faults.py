"""Random faults, one at a time: each is done to the world and told in one line, so that a campaign reads as a story.

Which of them a configuration covers is said here, by name: what is left out of a campaign is a limit of the product.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from servha.core.model import Goal, Order
from servha.sim.disk import Condition
from servha.sim.machine import Behaviour
from servha.sim.scenario import Scenario

Fault = Callable[[str], str]

DRIFT_MAX = 0.004
"""How far an oscillator is wrong at most, within what the lease allows for."""

SLEW_MAX = 0.083
"""How far time synchronisation bends the other clocks."""


class Faults:
    """Causes faults that the policy covers; with `lasting` also such as only an administrator can mend."""

    def __init__(self, scenario: Scenario, chance: random.Random, *, lasting: bool = True) -> None:
        self._scenario = scenario
        self._world = scenario.world
        self._chance = chance
        self._lasting = lasting
        self._over = False
        for access in self._world.disk.access:
            access.lands = 0.5
        self.nodes = scenario.nodes
        common: tuple[Fault, ...] = (
            self._power,
            self._power,
            self._daemon,
            self._pause,
            self._mute,
            self._reference,
            self._break,
            self._order,
            self._start_fails,
            self._loss,
        )
        if not self._world.guards:
            # Without a quorum disk: never every path between two nodes that both still reach the reference.
            self.kinds: tuple[Fault, ...] = (*common, self._private)
        else:
            # With one: everything but a virtual machine that stands still, and clocks worse than was allowed for.
            self.kinds = (
                *common,
                self._links,
                self._links,
                self._disk,
                self._disk,
                self._disk,
                self._storm,
                self._guard,
                self._guard_amid,
                self._stall,
                self._both,
                self._pause_guard,
                self._pause_both,
                self._clock,
                self._stop_fails,
                self._unkillable,
                self._lie,
                self._squeeze,
                self._squeeze,
                self._squeeze,
                self._race,
            )

    def one(self) -> str:
        """Cause one fault, or mend one; return what was done."""
        return self._chance.choice(self.kinds)(self._chance.choice(self.nodes))

    def mend(self) -> None:
        """Mend everything that was broken, switch everything on; what was still to come does not come."""
        world, self._over = self._world, True
        for guard in world.guards.values():
            guard.stalls = guard.dies_after = None
        world.network.heal()
        world.network.delay_s, world.network.jitter_s = 0.001, 0.0
        world.behaviour.clear()
        for node in self.nodes:
            machine = world.machines[node]
            access = world.disk.access[machine.number]
            access.least_s, access.most_s, access.late_s, access.torn_next = 0.001, 0.003, 0.0, False
            world.disk.set(machine.number, Condition.OK)
            world.thaw(node)
            world.boot(node)
            world.daemons[node].start()
            for process in ("guard", "daemon") if world.guards else ("daemon",):
                world.resume(node, process)

    def run_everything(self) -> None:
        """Ask for every tree to run, wherever it fits."""
        awake = [n for n in self.nodes if self._world.engine(n) and not self._world.daemons[n].paused]
        for spec in self._world.machines[self.nodes[0]].cluster.trees:
            self._give(awake[0] if awake else self.nodes[0], spec.name, Goal.RUN, "")

    def _later(self, wait_s: float, act: Callable[[], object]) -> None:
        """Do `act` after a while, unless everything is mended by then."""

        def due() -> None:
            if not self._over:
                act()

        self._world.later(wait_s, due)

    # --- power and processes ----------------------------------------------------------------------------------

    def _power(self, node: str) -> str:
        if self._world.machines[node].powered:
            self._world.power_off(node)
            return f"poweroff {node}"
        self._world.boot(node)
        return f"boot {node}"

    def _daemon(self, node: str) -> str:
        daemon = self._world.daemons[node]
        if daemon.alive:
            daemon.end()
            return f"kill {node}"
        daemon.start()
        return f"daemon {node}"

    def _guard(self, node: str) -> str:
        self._world.guards[node].kill()
        return f"kill guard {node}"

    def _guard_amid(self, node: str) -> str:
        """Kill the guard in the middle of what it decided next."""
        after = self._chance.randrange(3)
        self._world.guards[node].dies_after = after
        return f"kill guard {node} after {after} of its next effects"

    def _stall(self, node: str) -> str:
        """Let the guard stand still between what it decided and what it does."""
        stall_s = self._chance.choice((0.1, 0.5, 0.95, 1.5, 3.0))
        after = self._chance.randrange(2)
        self._world.guards[node].stalls = (after, stall_s)
        return f"guard of {node} stands still for {stall_s} s after {after} of its next effects"

    def _both(self, node: str) -> str:
        self._world.daemons[node].end()
        self._world.guards[node].kill()
        return f"kill both {node}"

    def _pause(self, node: str) -> str:
        return self._stop_or_go(node, "daemon")

    def _pause_guard(self, node: str) -> str:
        return self._stop_or_go(node, "guard")

    def _pause_both(self, node: str) -> str:
        return self._stop_or_go(node, "guard", "daemon")

    def _stop_or_go(self, node: str, *which: str) -> str:
        world = self._world
        first = (world.guards if which[0] == "guard" else world.daemons)[node]
        if first.paused:
            world.resume(node, *which)
            return f"resume {node} {' '.join(which)}"
        world.pause(node, *which)
        if self._chance.random() < 0.7:
            later_s = self._chance.choice((0.05, 0.3, 0.9, 1.1, 2.0, 4.5, 8.0))
            self._later(later_s, lambda: world.resume(node, *which))
            return f"pause {node} {' '.join(which)} for {later_s} s"
        return f"pause {node} {' '.join(which)}"

    # --- links ------------------------------------------------------------------------------------------------

    def _cut(self, links: tuple[str, ...]) -> str:
        cut = self._world.network.cut
        if cut:
            cut.clear()
            return "heal links"
        senders = self._chance.choice((self.nodes, self.nodes[:1], self.nodes[1:]))
        cut |= {(link, sender) for link in links for sender in senders}
        return f"cut {' '.join(links)} from {' '.join(senders)}"

    def _private(self, node: str) -> str:
        """Cut the private link: what holds the cluster together then is the public one."""
        del node
        return self._cut(self._scenario.links[:1])

    def _links(self, node: str) -> str:
        del node
        links = self._scenario.links
        return self._cut(self._chance.choice((links, links, links[:1], links[1:])))

    def _mute(self, node: str) -> str:
        """Let no beat through, on any link; the hosts still answer."""
        muted = self._world.network.muted
        if muted:
            muted.clear()
            return "unmute"
        muted |= {(link, node) for link in self._scenario.links}
        return f"mute all from {node}"

    def _reference(self, node: str) -> str:
        cut = self._world.network.reference_cut
        cut ^= {node}
        return f"reference of {node} {'lost' if node in cut else 'back'}"

    def _loss(self, node: str) -> str:
        del node
        network = self._world.network
        network.loss = self._chance.choice((0.0, 0.1, 0.3, 0.6))
        network.delay_s = self._chance.choice((0.001, 0.02, 0.2))
        network.jitter_s = self._chance.choice((0.0, 0.0, 0.5, 5.0)) if self._world.guards else 0.0
        return f"loss {network.loss:.0%}, delay {network.delay_s} s, jitter {network.jitter_s} s"

    def _storm(self, node: str) -> str:
        """Take every link, the reference addresses and the disk from one node; or give everything back."""
        world = self._world
        number = world.machines[node].number
        if world.network.cut:
            world.network.heal()
            for one in (0, 1):
                world.disk.set(one, Condition.OK)
            return "heal"
        world.network.cut |= {(link, n) for link in self._scenario.links for n in self.nodes}
        world.network.reference_cut.add(node)
        world.disk.set(number, self._chance.choice((Condition.ERROR, Condition.HANG)))
        return f"storm at {node}"

    # --- disk and clocks --------------------------------------------------------------------------------------

    def _disk(self, node: str) -> str:
        world = self._world
        number = world.machines[node].number
        access = world.disk.access[number]
        choice = self._chance.choice(("ok", "ok", "ok", "error", "hang", "hang", "slow", "late"))
        if choice in ("slow", "late"):
            longest_s = self._chance.choice((0.1, 0.5, 1.5, 3.0))
            if choice == "slow":
                access.least_s, access.most_s = longest_s / 10, longest_s
            else:
                access.late_s = longest_s
            return f"disk {node} {choice} {longest_s} s"
        if choice == "ok":
            access.least_s, access.most_s, access.late_s = 0.001, 0.003, 0.0
        world.disk.set(number, Condition(choice))
        return f"disk {node} {choice}"

    def _lie(self, node: str) -> str:
        """Let the disk lie in a way that a reader can find out."""
        disk, number = self._world.disk, self._world.machines[node].number
        match self._chance.choice(("torn", "torn", "stale", "foreign" if self._lasting else "torn")):
            case "torn":
                disk.access[number].torn_next = True
                return f"disk {node} torn"
            case "stale":
                disk.set(number, Condition.STALE)
                return f"disk {node} stale"
            case _:
                disk.spoil(number)
                return f"disk {node} foreign"

    def _clock(self, node: str) -> str:
        clocks, now_s = self._world.machines[node].clocks, self._world.now_s
        kind = self._chance.choice(("drift", "rate", "jump"))
        if kind == "drift":
            rate = 1 + self._chance.uniform(-DRIFT_MAX, DRIFT_MAX)
            clocks.drift(now_s, rate)
            return f"clock {node} drift {rate:.4f}"
        if kind == "rate":
            rate = 1 + self._chance.uniform(-SLEW_MAX, SLEW_MAX)
            clocks.slew(now_s, rate)
            return f"clock {node} rate {rate:.4f}"
        clocks.jump(self._chance.choice((1.0, 5.0, 60.0)))
        return f"clock {node} jump"

    # --- several at once, aimed at the edges of the lease -------------------------------------------------------

    def _squeeze(self, node: str) -> str:
        """Cut a node off from everything, let its guard stumble near the end of its lease, give things back later."""
        world, chance = self._world, self._chance
        machine = world.machines[node]
        limits = machine.cluster.timing.limits
        access = world.disk.access[machine.number]
        world.network.cut |= {(link, n) for link in self._scenario.links for n in self.nodes}
        how = chance.choice(("error", "hang", "late", "slow", "ok"))
        longest_s = chance.uniform(0.2, limits.lease_s)
        if how in ("late", "slow"):
            access.late_s, access.most_s = (longest_s, 0.003) if how == "late" else (0.0, longest_s)
        else:
            world.disk.set(machine.number, Condition(how))
        if chance.random() < 0.4:
            dying_s = chance.uniform(0.0, 3.0)
            for tree, resource in sorted(machine.running):
                world.behaviour[node, tree, resource] = Behaviour(kill_s=dying_s, stop_s=dying_s)
        stumbles_s = max(0.0, chance.gauss(limits.keep_s(), limits.watchdog_s))
        stall = (chance.randrange(2), chance.uniform(0.1, 3.0))
        guard = world.guards[node]
        self._later(stumbles_s, lambda: setattr(guard, "stalls", stall))
        back_s = max(0.1, chance.gauss(limits.take_s, 2.0))
        self._later(back_s, lambda: world.disk.set(machine.number, Condition.OK))
        if chance.random() < 0.5:
            links_s = max(0.1, chance.gauss(limits.take_s, 2.0))
            self._later(links_s, world.network.cut.clear)
        return f"squeeze {node}: disk {how} for {back_s:.3f} s, stumbles at {stumbles_s:.3f} s for {stall[1]:.3f} s"

    def _race(self, node: str) -> str:
        """Start both nodes at one moment, without a link and with slow disks: both want everything."""
        world, chance = self._world, self._chance
        del node
        for one in self.nodes:
            access = world.disk.access[world.machines[one].number]
            access.least_s, access.most_s = 0.001, chance.choice((0.003, 0.05, 0.3))
            world.disk.set(world.machines[one].number, Condition.OK)
            world.power_off(one)
        world.network.cut |= {(link, n) for link in self._scenario.links for n in self.nodes}
        for one in self.nodes:
            self._later(0.5 + chance.uniform(0.0, 0.05), partial(world.boot, one))
        return "both start at once, with no link"

    # --- resources and orders -----------------------------------------------------------------------------------

    def _break(self, node: str) -> str:
        running = sorted(self._world.machines[node].running)
        if not running:
            return "nothing to break"
        tree, resource = self._chance.choice(running)
        self._world.break_resource(node, tree, resource)
        return f"break {node} {tree}/{resource}"

    def _order(self, node: str) -> str:
        tree = self._chance.choice(self._world.machines[node].cluster.trees).name
        goal = self._chance.choice((Goal.RUN, Goal.RUN, Goal.STOP))
        pin = self._chance.choice(("", *self.nodes)) if goal is Goal.RUN else ""
        return self._give(node, tree, goal, pin)

    def _give(self, node: str, tree: str, goal: Goal, pin: str) -> str:
        engine = self._world.engine(node)
        if engine is None or self._world.daemons[node].paused:
            return "no one to order"
        known = engine.state.tree(tree)
        assert known is not None
        self._world.order(node, tree, Order(known.order.number + 1, goal, pin))
        return f"order {goal} {tree} on {pin or 'any'} at {node}"

    def _start_fails(self, node: str) -> str:
        return self._behave(node, "start fails", Behaviour(start_ok=False))

    def _stop_fails(self, node: str) -> str:
        hangs = self._chance.random() < 0.5
        behaviour = Behaviour(stop_s=float("inf")) if hangs else Behaviour(stop_ok=False)
        return self._behave(node, "stop hangs" if hangs else "stop fails", behaviour)

    def _unkillable(self, node: str) -> str:
        return self._behave(node, "cannot be killed", Behaviour(stop_s=float("inf"), killable=False))

    def _behave(self, node: str, how: str, behaviour: Behaviour) -> str:
        key = (node, "web", "app")
        if key in self._world.behaviour:
            del self._world.behaviour[key]
            return f"works {node} web/app"
        self._world.behaviour[key] = behaviour
        return f"{node} web/app {how}"
