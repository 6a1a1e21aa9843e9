"""Random faults on a simulated cluster: a seed makes a campaign, the same every time.

Two promises are checked, each in its place: at no moment do two nodes run the same tree (safety), and once
everything is mended each tree that should run does, on exactly one node (liveness). Faults that the configured
guarantee level does not cover are left out, and named here: under a reference address, breaking every path between
two nodes that both still reach it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from servha.core.model import Goal, Order
from servha.sim.scenario import NODES, Scenario
from servha.sim.world import PUBLIC, Behaviour

FAULT_COUNT = 25
HEAL_S = 180.0


@dataclass
class Outcome:
    """What became of one campaign; `faults` is the story to print when it went wrong."""

    seed: int
    faults: list[str] = field(default_factory=list)
    dual: list[tuple[float, str]] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    moves: int = 0

    @property
    def good(self) -> bool:
        """Whether both promises were kept."""
        return not self.dual and not self.stuck


def campaign(seed: int, *, profile: str = "fast") -> Outcome:
    """Run one campaign of random faults, mend everything, and judge."""
    chance = random.Random(seed)  # noqa: S311 - a campaign has to be repeatable
    scenario = Scenario(profile=profile, seed=seed)
    scenario.play("tree web vip app\ntree db vip store server\nset db hosts node2,node1\nbooted node1 node2")
    world = scenario.world
    outcome = Outcome(seed)
    faults = _Faults(scenario, chance)
    for _ in range(FAULT_COUNT):
        wait_s = chance.choice((0.01, 0.05, 0.1, 0.3, 0.33, 0.5, 1.0, 3.0, 15.0))
        world.run(wait_s)
        told = faults.one()
        outcome.faults.append(f"{world.now_s:9.3f}  {told}")
    faults.mend()
    world.run(HEAL_S)
    outcome.dual = list(world.ever_dual)
    for spec in world.machines["node1"].cluster.trees:
        now = world.owners[spec.name][-1][1]
        outcome.moves += len(world.owners[spec.name])
        if len(now) != 1:
            outcome.stuck.append(f"{spec.name} runs on {sorted(now) or 'no node'}")
    return outcome


class _Faults:
    """One fault at a time, never one that leaves what the guarantee level covers."""

    def __init__(self, scenario: Scenario, chance: random.Random) -> None:
        self._scenario = scenario
        self._world = scenario.world
        self._chance = chance
        self._kinds: tuple[Callable[[str], str], ...] = (
            self._power,
            self._power,
            self._daemon,
            self._pause,
            self._link,
            self._mute,
            self._reference,
            self._break,
            self._order,
            self._start_fails,
            self._loss,
        )

    def one(self) -> str:
        """Cause one fault, or mend one; return what was done."""
        return self._chance.choice(self._kinds)(self._chance.choice(NODES))

    def mend(self) -> None:
        """Mend everything and ask for every tree to run."""
        world = self._world
        world.cut.clear()
        world.muted.clear()
        world.reference_cut.clear()
        world.loss, world.delay_s = 0.0, 0.001
        world.behaviour.clear()
        for node in NODES:
            world.boot(node)
            world.start_daemon(node)
            if world.machines[node].paused:
                world.resume(node)
        world.run(5.0)
        for spec in world.machines["node1"].cluster.trees:
            self._give(NODES[0], spec.name, Goal.RUN, "")

    def _power(self, node: str) -> str:
        if self._world.machines[node].powered:
            self._world.power_off(node)
            return f"poweroff {node}"
        self._world.boot(node)
        return f"boot {node}"

    def _daemon(self, node: str) -> str:
        machine = self._world.machines[node]
        if machine.powered and machine.daemon_up:
            self._world.kill_daemon(node)
            return f"kill {node}"
        self._world.start_daemon(node)
        return f"daemon {node}"

    def _pause(self, node: str) -> str:
        machine = self._world.machines[node]
        if machine.paused:
            self._world.resume(node)
            return f"resume {node}"
        self._world.pause(node)
        return f"pause {node}"

    def _link(self, node: str) -> str:
        """Cut the private link, one way or both: what holds the cluster together then is the public one."""
        del node
        if self._world.cut:
            self._world.cut.clear()
            return "heal links"
        senders = self._chance.choice((NODES, NODES[:1], NODES[1:]))
        self._world.cut |= {("private", sender) for sender in senders}
        return f"cut private from {' '.join(senders)}"

    def _mute(self, node: str) -> str:
        """Let no beat through, on any link; the hosts still answer."""
        if self._world.muted:
            self._world.muted.clear()
            return "unmute"
        self._world.muted |= {("private", node), (PUBLIC, node)}
        return f"mute all from {node}"

    def _reference(self, node: str) -> str:
        self._world.reference_cut ^= {node}
        return f"reference of {node} {'lost' if node in self._world.reference_cut else 'back'}"

    def _break(self, node: str) -> str:
        running = sorted(self._world.machines[node].running)
        if not running:
            return "nothing to break"
        tree, resource = self._chance.choice(running)
        self._world.break_resource(node, tree, resource)
        return f"break {node} {tree}/{resource}"

    def _order(self, node: str) -> str:
        tree = self._chance.choice(("web", "db"))
        goal = self._chance.choice((Goal.RUN, Goal.RUN, Goal.STOP))
        pin = self._chance.choice(("", *NODES)) if goal is Goal.RUN else ""
        return self._give(node, tree, goal, pin)

    def _give(self, node: str, tree: str, goal: Goal, pin: str) -> str:
        machine = self._world.machines[node]
        if machine.engine is None or machine.paused:
            return "no one to order"
        known = machine.engine.state.tree(tree)
        assert known is not None
        self._world.order(node, tree, Order(known.order.number + 1, goal, pin))
        return f"order {goal} {tree} on {pin or 'any'} at {node}"

    def _start_fails(self, node: str) -> str:
        key = (node, "web", "app")
        if key in self._world.behaviour:
            del self._world.behaviour[key]
            return f"works {node} web/app"
        self._world.behaviour[key] = Behaviour(start_ok=False)
        return f"fails {node} web/app start"

    def _loss(self, node: str) -> str:
        del node
        self._world.loss = self._chance.choice((0.0, 0.1, 0.3, 0.6))
        self._world.delay_s = self._chance.choice((0.001, 0.02, 0.2))
        return f"loss {self._world.loss:.0%}, delay {self._world.delay_s} s"
