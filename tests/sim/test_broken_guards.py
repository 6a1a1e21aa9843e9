"""A guard without one of its rules lets two nodes run a tree, in a story in which the whole guard does not.

Each rule of the lease is taken away in turn. If nothing happened, either the rule or the simulation would be for
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from servha.core import guard, guard_memory, guard_words
from servha.core.guard import Guard
from servha.core.guard_model import GivePromise, GuardEffect, GuardState, PingHeard, RoundEnded
from servha.core.lease import Age
from servha.core.timing import Limits
from servha.sim.disk import Condition
from servha.sim.scenario import Scenario
from servha.sim.world import World

Patch = pytest.MonkeyPatch


def started(profile: str) -> World:
    scenario = Scenario(profile=profile)
    scenario.play("policy disk\nbooted node1 node2")
    return scenario.world


# --- the rules, taken away --------------------------------------------------------------------------------------


def no_fence(patch: Patch) -> None:
    """An old lease is as good as a young one."""

    def fresh(_: GuardState) -> Age:
        return Age.FRESH

    patch.setattr(guard, "age_word", fresh)
    patch.setattr(guard_words, "age_word", fresh)


def counted_from_the_answer(patch: Patch) -> None:
    """A renewal counts from when its write was acknowledged instead of issued."""
    counted = guard_memory._round

    def from_the_answer(state: GuardState, event: RoundEnded) -> GuardState:
        return counted(replace(state, issued=event.now) if state.issued else state, event)

    patch.setattr(guard_memory, "_round", from_the_answer)


def promise_not_kept(patch: Patch) -> None:
    """The peer is promised that it will not be taken over, and nobody remembers it."""

    def promise(_: Guard, event: PingHeard, out: list[GuardEffect]) -> None:
        out.append(GivePromise(event.generation, event.token))

    patch.setattr(Guard, "_promise", promise)


def waits_too_briefly(patch: Patch) -> None:
    """The peer is waited for for less than its lease."""
    patch.setattr(Limits, "take_s", property(lambda limits: limits.lease_s * 0.3))


def one_watchdog_period(patch: Patch) -> None:
    """Only one period of the watchdog is left between the last feeding and the end of the lease."""
    patch.setattr(Limits, "keep_s", lambda limits, _=0.0: limits.lease_s - limits.watchdog_s - 0.02)
    patch.setattr(Limits, "reset_s", lambda limits, _=0.0: limits.lease_s)


# --- the stories ------------------------------------------------------------------------------------------------


def holds_on(world: World, *, kill_s: float) -> None:
    """Nothing on the owner stops when it is asked to, and it takes `kill_s` to die when it is killed."""
    for tree, resource in world.machines["node1"].running:
        behaviour = world.behaviour_of("node1", tree, resource)
        behaviour.stop_s, behaviour.kill_s = float("inf"), kill_s


def storm(world: World) -> None:
    """The owner loses links and disk, and what it runs takes its time to die."""
    holds_on(world, kill_s=1.0)
    world.network.cut |= {(link, node) for link in ("private", "public") for node in world.machines}
    world.disk.set(0, Condition.ERROR)
    world.run(20.0)


def storm_after_long_promises(world: World) -> None:
    """The owner has had no disk for long, and lives on promises; then the links break."""
    world.disk.set(0, Condition.ERROR)
    world.run(10.0)
    storm(world)


def last_acknowledgement_hangs(world: World) -> None:
    """No link; a write of the owner takes effect, its acknowledgement takes almost three seconds, then no disk."""
    world.network.cut |= {(link, node) for link in ("private", "public") for node in world.machines}
    world.run(20.0)
    access = world.disk.access[0]
    access.late_s = 0.05
    for _ in range(2000):
        world.run(0.001)
        if access.writing is not None and access.writing.landed:
            break
    else:
        pytest.fail("the owner does not write")
    world.disk.set(0, Condition.HANG)
    world.run(2.9)
    access.late_s, hanging = 0.0, access.writing
    world.disk.set(0, Condition.OK)
    for _ in range(2000):
        world.run(0.0001)
        if access.writing is not hanging:
            break
    else:
        pytest.fail("the write is not acknowledged")
    world.run(0.002)  # what is read after it
    world.disk.set(0, Condition.ERROR)
    world.run(10.0)


def stumble_before_feeding(world: World) -> None:
    """Storm; just before its lease is too old the guard decides to feed, stands still, feeds, and hangs for good."""
    owner, dog = world.guards["node1"], world.machines["node1"].watchdog
    world.pause(
        "node1", "guard"
    )  # so that the standby reads the last slot of the owner soon after it was written
    world.run(0.45)
    world.resume("node1", "guard")
    world.run(0.03)
    world.network.cut |= {(link, node) for link in ("private", "public") for node in world.machines}
    world.disk.set(0, Condition.ERROR)
    holds_on(world, kill_s=60.0)
    basis = owner.guard.state.basis if owner.guard else None
    assert basis is not None
    limits = world.machines["node1"].cluster.timing.limits
    owner.stalls = (0, 0.35)  # so that one feeding falls shortly before the lease is too old
    world.run(1.0)
    last_s = basis.raw_s + limits.keep_s()
    while dog.fed_s + 2 * limits.feed_s < last_s:
        world.run(limits.feed_s / 10)
    owner.stalls = (0, 0.79)
    world.run(dog.fed_s + limits.feed_s + 0.1 - world.now_s)
    owner.stalls = (1, 60.0)
    world.run(10.0)


@dataclass(frozen=True)
class Case:
    broken: Callable[[Patch], None]
    profile: str
    story: Callable[[World], None]


CASES = (
    Case(no_fence, "fast", storm),
    Case(promise_not_kept, "fast", storm_after_long_promises),
    Case(waits_too_briefly, "fast", storm),
    Case(counted_from_the_answer, "manual", last_acknowledgement_hangs),
    Case(one_watchdog_period, "manual", stumble_before_feeding),
)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.broken.__name__)
def test_without_the_rule_two_run_the_tree_and_with_it_they_do_not(case: Case, monkeypatch: Patch) -> None:
    whole = started(case.profile)
    case.story(whole)
    assert whole.witness.broken == []
    assert whole.witness.owners["web"][-1][1], "the story is about a tree that is taken over"
    case.broken(monkeypatch)
    lame = started(case.profile)
    case.story(lame)
    assert any("S1" in what for _, what in lame.witness.broken)


@pytest.mark.parametrize("heals_ms", range(3000, 7000, 250))
def test_a_storm_that_ends_at_the_edge_of_the_lease_never_leaves_two(heals_ms: int) -> None:
    world = started("manual")
    world.network.cut |= {(link, node) for link in ("private", "public") for node in world.machines}
    world.disk.set(0, Condition.ERROR)
    world.run(heals_ms / 1000)
    world.network.heal()
    world.disk.set(0, Condition.OK)
    world.run(40.0)
    assert world.witness.broken == []
    assert len(world.witness.owners["web"][-1][1]) == 1
