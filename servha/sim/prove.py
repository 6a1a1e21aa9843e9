"""Every sequence of a few faults against one configuration: which of them end with two nodes running a tree, or none.

A grid, not a proof over all time: each kind of fault on each node, each order, a few moments. Nothing is mended; the
cluster is left alone until whatever it decides is decided. Sequences that take both nodes away are counted and not
blamed on anybody. Of those that end badly the shortest are kept, and for each the smallest change of configuration
that lets the same sequence end well is looked for by simulating it again with that change.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from enum import StrEnum

from servha.core.model import Cluster
from servha.core.timing import DAEMON_GRACE_S
from servha.core.words import NOTHING_SAID, Text
from servha.sim.configured import Given, changes

SETTLE_S = 5.0
"""Beyond the first start delay: how long a sound cluster gets to start everything."""

MARGIN_S = 10.0


class End(StrEnum):
    """How a sequence ended for a tree."""

    TWO = "two"  # two nodes ran it at once, be it for a moment
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: the commands of a scenario that cause it, and which node it takes away, if only for one tree."""

    commands: str
    takes: str = ""
    tree: str = ""
    """The tree that the node can no longer run; empty for all."""


@dataclass(frozen=True, slots=True)
class Step:
    """A fault, `after_s` seconds after the one before."""

    after_s: float
    fault: Fault


Sequence = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A sequence that ends badly, and what would have made it end well."""

    steps: Sequence
    tree: str
    end: End
    remedy: Text = NOTHING_SAID
    """Empty where none of the changes tried helps."""

    @property
    def commands(self) -> str:
        """The sequence as commands of a scenario."""
        return "; ".join(
            (f"run {s.after_s:g}s; " if s.after_s else "") + s.fault.commands for s in self.steps
        )


def kinds(given: Given) -> list[Fault]:
    """Return every fault of the grid that this configuration can meet."""
    cluster = given.clusters[0]
    found = [Fault(f"cut {link}") for link in cluster.links]
    if len(cluster.links) > 1:
        found.append(Fault("cut all"))
    for us in (c.us for c in given.clusters):
        found += [
            Fault(f"poweroff {us}", us),
            Fault(f"pause {us}", us),
            Fault(f"unplug {us}"),
            Fault(f"cut all from {us}"),
        ]
        if cluster.policy.asks_reference:
            found.append(Fault(f"no-reference {us}"))
        if cluster.policy.leased:
            found += [Fault(f"disk {us} error"), Fault(f"disk {us} hang"), Fault(f"pause guard {us}", us)]
            found.append(Fault(f"storm {us}"))
        for tree in cluster.trees:
            found += [
                Fault(
                    f"fails {us} {tree.name}/{r.name} start; break {us} {tree.name}/{r.name}", us, tree.name
                )
                for r in tree.resources[-1:]
            ]
    if cluster.policy.leased:
        found.append(Fault("disk all error"))
    return found


def sequences(given: Given, fault_count: int) -> Iterator[Sequence]:
    """Yield every sequence of up to `fault_count` faults over the grid of moments."""
    timing = given.clusters[0].timing
    apart_s = (0.0, round(timing.dead_s / 2, 1), round(timing.dead_s + timing.limits.take_s + 2.0))
    faults = kinds(given)
    for count in range(1, fault_count + 1):
        for chosen in itertools.permutations(faults, count):
            for waits in itertools.product(apart_s, repeat=count - 1):
                # What happens at one moment has no order: one of them is enough.
                moments = (0.0, *waits)
                if all(
                    w or faults.index(chosen[i - 1]) < faults.index(chosen[i])
                    for i, w in enumerate(moments)
                    if i
                ):
                    yield tuple(Step(w, f) for w, f in zip(moments, chosen, strict=True))


def takes_both(steps: Sequence, tree: str = "") -> bool:
    """Return whether nobody is left who could run `tree`, or anything."""
    return len({s.fault.takes for s in steps if s.fault.tree in ("", tree)} - {""}) > 1


def play(given: Given, steps: Sequence) -> tuple[tuple[str, End], ...]:
    """Play one sequence; return how it ended for each tree that ended badly."""
    scenario = given.scenario()
    world = scenario.world
    timing = given.clusters[0].timing
    for cluster in given.clusters:
        world.boot(cluster.us)
    world.run(timing.dead_s + SETTLE_S)
    ran = {name for name, history in world.witness.owners.items() if history[-1][1]}
    for step in steps:
        world.run(step.after_s)
        scenario.play(step.fault.commands)
    world.run(max(DAEMON_GRACE_S, timing.dead_s + timing.limits.take_s) + MARGIN_S)
    two = {tree for _, tree in world.witness.ever_dual}
    now = {name: history[-1][1] for name, history in world.witness.owners.items()}
    ends = [(tree, End.TWO) for tree in sorted(two)]
    ends += [(tree, End.NOBODY) for tree in sorted(ran - two) if not now[tree]]
    return tuple(ends)


def prove(given: Given, fault_count: int, executor: Executor) -> Iterator[tuple[int, int, list[Found]]]:
    """Play everything; yield (played, of how many, what was found) now and then, the last time with remedies."""
    todo = [s for s in sequences(given, fault_count) if not takes_both(s)]
    found: list[Found] = []
    for number, (steps, ends) in enumerate(executor.map(_Player(given), todo, chunksize=4), 1):
        found += [
            Found(steps, tree, end) for tree, end in ends if end is End.TWO or not takes_both(steps, tree)
        ]
        if number % 10 == 0:
            yield number, len(todo), found
    least = shortest(found)
    yield len(todo), len(todo), list(executor.map(_Healer(given), least))


def shortest(found: Iterable[Found]) -> list[Found]:
    """Leave out what only adds a fault to a sequence that ends the same way, and the same faults at other moments."""
    kept: list[Found] = []
    for one in found:
        faults = [s.fault for s in one.steps]
        if not any(
            k.tree == one.tree and k.end is one.end and {s.fault for s in k.steps} <= set(faults)
            for k in kept
        ):
            kept.append(one)
    return kept


@dataclass(frozen=True)
class _Player:
    given: Given

    def __call__(self, steps: Sequence) -> tuple[Sequence, tuple[tuple[str, End], ...]]:
        return steps, play(self.given, steps)


@dataclass(frozen=True)
class _Healer:
    """Tries the changes, the smallest first, until the sequence ends well for every tree."""

    given: Given

    def __call__(self, found: Found) -> Found:
        for change in changes(self.given):
            changed: list[Cluster] = [change.make(c) for c in self.given.clusters]
            better = replace(self.given, clusters=(changed[0], changed[1]))
            if not play(better, found.steps):
                return replace(found, remedy=change.text)
        return found
