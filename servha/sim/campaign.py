"""Random faults on a simulated cluster: a seed makes a campaign, the same every time.

Two promises are checked, each in its place. Safety: at no moment is one of the witness's rules broken; such a
campaign goes on to its end with whatever is broken then. Liveness: once everything is mended, each tree that should
run does, on exactly one node, unless a reason stands that only an administrator can end. Which faults are covered is
said in faults.py; what a campaign may conclude is said by its policy's guarantee level.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum

from servha.core.model import Phase, Policy
from servha.core.timing import PROFILES, Timing
from servha.sim.disk import newest
from servha.sim.faults import Faults
from servha.sim.scenario import Scenario
from servha.sim.world import World

CAMPAIGN_S = 240.0
"""Virtual time of one campaign with a lease."""

REST_S = 20.0
"""Beyond two first start delays: what a mended cluster may take to come to rest, with starts and back-offs."""

CONTACT_S = 5.0
"""What two mended nodes take to hear each other, before anything is ordered."""

WAITS_S = (0.01, 0.05, 0.1, 0.3, 0.33, 0.5, 1.0, 3.0, 5.0, 7.0, 15.0)

BRISK = Timing(
    interval_ms=500,
    timeout_ms=750,
    first_start_ms=6000,
    lease_ms=4000,
    round_ms=250,
)
"""Silence is noticed long before a lease ends: only here does everything hang on the lease alone."""

UNLEASED_FAULT_COUNT = 25
UNLEASED_HEAL_S = 180.0


class Aim(StrEnum):
    """Which promise a campaign is after."""

    SAFETY = "safety"
    LIVENESS = "liveness"


@dataclass
class Outcome:
    """What became of one campaign; `faults` is the story to print when it went wrong."""

    seed: int
    policy: Policy
    aim: Aim
    faults: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)
    """Trees that do not run, for a reason that only an administrator can end."""
    moves: int = 0
    resets: int = 0

    @property
    def good(self) -> bool:
        """Whether both promises were kept."""
        return not self.broken and not self.stuck

    def story(self) -> str:
        """Return everything a person needs to look into it."""
        found = [*self.broken, *self.stuck] or ["every promise was kept"]
        again = f"play it again: servha simulate --seed {self.seed}"
        return "\n".join([f"seed {self.seed}, {self.policy}, {self.aim}", *found, *self.faults, again])


def of_seed(seed: int) -> Scenario:
    """Return the cluster of a seed: its policy and figures."""
    policy = (Policy.DISK, Policy.DISK, Policy.BOTH)[seed // 2 % 3]
    timing = (PROFILES["manual"], BRISK)[seed // 6 % 2]
    if seed // 24 % 8 == 7:
        timing = PROFILES["fast"]
    return Scenario(timing=timing, policy=policy, seed=seed)


def campaign(seed: int, scenario: Scenario | None = None) -> Outcome:
    """Run the campaign of `seed`: even ones are after safety, odd ones after liveness."""
    chance = random.Random(seed)  # noqa: S311 - a campaign has to be repeatable
    scenario = scenario or of_seed(seed)
    outcome = Outcome(seed, scenario.policy, Aim.LIVENESS if seed % 2 else Aim.SAFETY)
    scenario.play("tree web vip app\ntree db vip store server\nset db hosts node2,node1\nbooted node1 node2")
    world = scenario.world
    world.reboot_s = chance.choice((0.4, 2.0, 10.0, 30.0))
    faults = Faults(scenario, chance, lasting=outcome.aim is Aim.SAFETY)
    timing = world.machines["node1"].cluster.timing
    rest_s = 2 * timing.first_start_s + REST_S
    end_s = world.now_s + CAMPAIGN_S
    faults_end_s = end_s - rest_s - CONTACT_S if outcome.aim is Aim.LIVENESS else end_s
    while world.now_s < faults_end_s:
        world.run(chance.choice(WAITS_S))
        at_s = world.now_s
        outcome.faults.append(f"{at_s:9.3f}  {faults.one()}")
    if outcome.aim is Aim.LIVENESS:
        _mend(world, faults, outcome)
        world.run(rest_s)
        _judge_liveness(world, outcome)
    return _finished(world, outcome)


def unleased(seed: int, *, profile: str = "fast") -> Outcome:
    """Run a campaign under a reference address: faults that its guarantee level covers, then both promises."""
    chance = random.Random(seed)  # noqa: S311 - as above
    scenario = Scenario(profile=profile, seed=seed)
    outcome = Outcome(seed, scenario.policy, Aim.LIVENESS)
    scenario.play("tree web vip app\ntree db vip store server\nset db hosts node2,node1\nbooted node1 node2")
    world, faults = scenario.world, Faults(scenario, chance)
    world.witness.exclusive = True
    for _ in range(UNLEASED_FAULT_COUNT):
        world.run(chance.choice((*WAITS_S[:8], 15.0)))
        outcome.faults.append(f"{world.now_s:9.3f}  {faults.one()}")
    _mend(world, faults, outcome)
    world.run(UNLEASED_HEAL_S)
    _judge_liveness(world, outcome)
    return _finished(world, outcome)


def _mend(world: World, faults: Faults, outcome: Outcome) -> None:
    faults.mend()
    outcome.faults.append(f"{world.now_s:9.3f}  everything is mended")
    world.run(CONTACT_S)
    faults.run_everything()
    outcome.faults.append(f"{world.now_s:9.3f}  every tree is ordered to run")


def _judge_liveness(world: World, outcome: Outcome) -> None:
    for spec in world.machines["node1"].cluster.trees:
        now = sorted(world.witness.owners[spec.name][-1][1]) if spec.name in world.witness.owners else []
        if len(now) == 1:
            continue
        reasons = _reasons(world, spec.name)
        line = f"{spec.name} runs on {' and '.join(now) or 'no node'}"
        if reasons and not now:
            outcome.excused.append(f"{line}: {reasons}")
        else:
            outcome.stuck.append(line + "".join(_why(world, spec.name)))


def _reasons(world: World, tree: str) -> str:
    """Return which state of the tree stands that only an administrator may end; empty for none."""
    found = []
    for node in world.machines:
        engine = world.engine(node)
        known = engine.state.tree(tree) if engine is not None else None
        if known is not None and known.phase is Phase.STOP_FAILED:
            found.append(f"it could not be stopped on {node}")
    for node, machine in world.machines.items():
        copies = world.disk.slots[machine.number]
        if world.guards and newest(copies) is None and not all(c.blank for c in copies):
            found.append(f"nothing on the quorum disk can be read of the slot of {node}")
    return ", ".join(found)


def _why(world: World, tree: str) -> list[str]:
    said = []
    for node in world.machines:
        engine = world.engine(node)
        known = engine.state.tree(tree) if engine is not None else None
        said.append(
            f"; {node}: {known.phase}: {known.because}" if known is not None else f"; {node}: no daemon"
        )
    return said


def _finished(world: World, outcome: Outcome) -> Outcome:
    outcome.broken = [f"{at_s:9.3f}  {what}" for at_s, what in world.witness.broken]
    outcome.moves = sum(len(history) for history in world.witness.owners.values())
    outcome.resets = len(world.told)
    return outcome
