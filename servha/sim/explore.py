"""Walks through everything two nodes can do about one tree, and looks for a moment at which both run it.

Every state that can be reached is visited once, the nearest first, so a trace that is found is a shortest one. A walk
that ends with nothing left to visit has seen them all. What one node may do is in explore_node.py; that the decisions
are those of the real Guard, in explore_guard.py; what follows from it and what does not, in
docs/explanation/proof.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from servha.core import guard_model as gm
from servha.core.guard import Guard
from servha.core.lease import Asked, Lease
from servha.core.register import Entry, Slot, TreeEntry
from servha.core.timing import Limits
from servha.sim.explore_broken import FAULTS, Fault, in_force
from servha.sim.explore_guard import BOOT_IDS, NOW, TREE, Content, LocalGuards, asking, peer_slot
from servha.sim.explore_node import Node, Power, Rules, Touch, inert, steps, tick, touched

SHIFT = 24
STATES_MAX = 30_000_000
"""Where a walk gives up: far above what any of the worlds below needs."""


@dataclass(frozen=True)
class Found:
    """How a walk ended. `complete` says that nothing was left to visit; `trace` is empty when nothing was found."""

    states: int
    steps: int
    depth: int
    guard_states: int
    node_states: int
    seconds: float
    complete: bool
    wrong: str = ""
    trace: tuple[str, ...] = ()


class World:
    """Two nodes, their first states, and everything that may happen to them."""

    def __init__(
        self, rules: Rules, first: tuple[gm.GuardState, gm.GuardState], nodes: tuple[Node, Node]
    ) -> None:
        self.rules = rules
        whole_s = float(int(rules.limits.take_s) + 1)
        waits_s = (
            whole_s if True in rules.silences[0] else 0.0,
            whole_s if True in rules.silences[1] else 0.0,
        )
        self.guards = LocalGuards(rules.limits, waits_s=waits_s, lasting=rules.lasting)
        self.nodes: list[Node] = []
        self._numbers: dict[Node, int] = {}
        begun = [n._replace(local=self.guards.number(g)) for n, g in zip(nodes, first, strict=True)]
        self.start = (self.number(begun[0]) << SHIFT) | self.number(begun[1])

    def number(self, node: Node) -> int:
        """Return the number of a node's state."""
        known = self._numbers.get(node)
        if known is None:
            known = self._numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return known

    def words(self, before: int, after: int) -> str:
        """Return what led from one state to the next."""
        pair = (self.nodes[before >> SHIFT], self.nodes[before & ((1 << SHIFT) - 1)])
        for me in (0, 1):
            for words, node, touch in steps(self.rules, me, pair[me], pair[1 - me].slot, self.guards):
                other = touched(pair[1 - me], touch) if touch else pair[1 - me]
                both = (node, other) if me == 0 else (other, node)
                if (self.number(both[0]) << SHIFT) | self.number(both[1]) == after:
                    return f"node {me}: {words}"
        return "a tick of time passes"


def walk(world: World, *, states_max: int = STATES_MAX) -> Found:  # noqa: PLR0915 (one loop, run millions of times)
    """Visit every state; end at the first at which the tree runs on both nodes."""
    began_s = time.monotonic()
    rules, guards, nodes, number = world.rules, world.guards, world.nodes, world.number
    mask = (1 << SHIFT) - 1
    moves: list[dict[tuple[int, Content], list[tuple[int, Touch]]]] = [{}, {}]
    reacts: dict[tuple[int, Touch], int] = {}
    ticks: dict[int, int] = {}
    runs: dict[int, bool] = {}
    ends: dict[int, bool] = {}
    parents: dict[int, int] = {world.start: -1}
    frontier = [world.start]
    count = depth = 0

    def moves_of(me: int, mine: int, their: Content) -> list[tuple[int, Touch]]:
        made = {
            (number(node), touch): None for _, node, touch in steps(rules, me, nodes[mine], their, guards)
        }
        moves[me][mine, their] = known = [(n, t) for n, t in made if n != mine or t]
        return known

    def ticked(mine: int) -> int:
        ticks[mine] = known = number(tick(rules, nodes[mine], guards))
        return known

    def reacted(mine: int, touch: Touch) -> int:
        reacts[mine, touch] = known = number(touched(nodes[mine], touch))
        return known

    def ran(mine: int) -> bool:
        node = nodes[mine]
        ends[mine] = inert(rules, node)
        runs[mine] = known = (node.active or node.may) and node.power is not Power.FROZEN
        return known

    def result(wrong: str = "", at: int = -1, *, complete: bool = False) -> Found:
        trace: list[str] = []
        while at >= 0 and parents[at] >= 0:
            trace.append(world.words(parents[at], at))
            at = parents[at]
        return Found(
            len(parents), count, depth, len(guards.states), len(nodes), time.monotonic() - began_s,
            complete, wrong, tuple(reversed(trace)),
        )  # fmt: skip

    while frontier:
        depth += 1
        following: list[int] = []
        for state in frontier:
            a, b = state >> SHIFT, state & mask
            said_a, said_b = nodes[a].slot, nodes[b].slot
            ahead: list[int] = []
            known = moves[0].get((a, said_b))
            for to, touch in moves_of(0, a, said_b) if known is None else known:
                if touch:
                    other = reacts.get((b, touch))
                    ahead.append((to << SHIFT) | (reacted(b, touch) if other is None else other))
                else:
                    ahead.append((to << SHIFT) | b)
            known = moves[1].get((b, said_a))
            for to, touch in moves_of(1, b, said_a) if known is None else known:
                if touch:
                    other = reacts.get((a, touch))
                    ahead.append(((reacted(a, touch) if other is None else other) << SHIFT) | to)
                else:
                    ahead.append((a << SHIFT) | to)
            later_a, later_b = ticks.get(a), ticks.get(b)
            ahead.append(
                ((ticked(a) if later_a is None else later_a) << SHIFT)
                | (ticked(b) if later_b is None else later_b)
            )
            count += len(ahead)
            for after in ahead:
                if after in parents:
                    continue
                x, y = after >> SHIFT, after & mask
                run_x, run_y = runs.get(x), runs.get(y)
                run_x = ran(x) if run_x is None else run_x
                run_y = ran(y) if run_y is None else run_y
                if ends[x] or ends[y]:
                    continue  # one node never runs it again: nothing can be wrong any more
                parents[after] = state
                if run_x and run_y:
                    return result("the tree runs on both nodes", after)
                following.append(after)
        if len(parents) > states_max:
            return result()
        frontier = following
    return result(complete=True)


def owner_and_standby(rules: Rules) -> World:
    """Node 0 runs the tree; node 1 stands by and takes it when it may."""
    held = TreeEntry(TREE, Entry.HELD, 2, 0)
    owner = _state(rules, 0, held, Content())
    standby = _state(rules, 1, TreeEntry(TREE, Entry.NONE, 0, 1), Content(Entry.HELD))
    runs = Node(0, slot=Content(Entry.HELD), fed=0, may=True, active=True)
    return World(rules, (owner, standby), (runs, Node(0)))


def nobody_holds(rules: Rules) -> World:
    """Both nodes are there, both want the tree, nobody holds it."""
    states = [_state(rules, n, TreeEntry(TREE, Entry.NONE, 0, n), Content()) for n in (0, 1)]
    return World(rules, (states[0], states[1]), (Node(0), Node(0)))


def _state(rules: Rules, node: int, tree: TreeEntry, their: Content) -> gm.GuardState:
    guard = Guard(node=node, boot_id=BOOT_IDS[node], limits=rules.limits, now=NOW)
    holds = tree.entry.holds
    slot = Slot(node, 1, 0, BOOT_IDS[node], rules.limits, trees=(tree,) if holds else ())
    return replace(
        guard.state,
        lease=Lease.DEGRADED if holds else Lease.FREE,
        generation=1,
        rewritten=2,
        written=slot,
        basis=NOW,
        peer=peer_slot(1 - node, rules.limits, their),
        peer_mark=b"=",
        peer_since=NOW,
        trees=(gm.Held(TREE, tree.entry, tree.ownership, node, 2 if holds else 0),),
        asking=asking(Asked.RUN, silent=rules.silences[node][0], seen=False, rank=node),
        asked_at=NOW,
        armed=holds,
    )


SMALL = Limits(lease_ms=3250, watchdog_ms=1000, round_ms=500, drift_ppm=0, in_flight_ms=0)
"""One tick is a second. Kept to age 1, stopped at 2, reset by 3, taken from 4 on: not a tick to spare."""

TIGHT = replace(SMALL, lease_ms=3050)
"""The same without time to stop: whoever is not renewed by age 1 is reset at 2 by order, by 3 by its watchdog."""


TAKES = Rules(
    SMALL,
    silences=((False,), (True,)),
    again=(False, True),
    promises=(True, False),
    lasting=(False, True),
)
"""The owner may do everything to keep the tree, the standby everything to take it."""

WORLDS: dict[str, Callable[[], World]] = {
    "takeover": lambda: owner_and_standby(TAKES),
    "race": lambda: nobody_holds(Rules(TIGHT, silences=((False,), (False,)), promises=(False, False))),
}
"""What every test run walks through."""

LARGE: dict[str, Callable[[], World]] = {
    "race, with time to stop": lambda: nobody_holds(
        Rules(SMALL, silences=((False,), (False,)), promises=(False, False))
    ),
    "takeover, commands in flight": lambda: owner_and_standby(
        replace(TAKES, limits=replace(TIGHT, in_flight_ms=1000))
    ),
    "hand-over": lambda: owner_and_standby(
        replace(TAKES, limits=TIGHT, silences=((False,), (False,)), moves=(True, False))
    ),
    "race, one hears nothing": lambda: nobody_holds(
        Rules(TIGHT, silences=((False,), (True,)), promises=(False, False))
    ),
}
"""What takes minutes."""


def broken(fault: Fault) -> Found:
    """Walk through the takeover with one safeguard taken away."""
    with in_force(fault):
        return walk(owner_and_standby(replace(TAKES, limits=TIGHT, broken=fault.world)))


def main(argv: Sequence[str] | None = None) -> int:
    """Walk, print one row a world, and return 1 if one of them is wrong or was not walked to its end."""
    parser = argparse.ArgumentParser(prog="python -m servha.sim.explore", description=__doc__)
    parser.add_argument("--large", action="store_true", help="also the worlds that take minutes")
    parser.add_argument("--faults", action="store_true", help="also each deliberate fault, with its trace")
    args = parser.parse_args(argv)
    bad = 0
    for name, world in (WORLDS | LARGE if args.large else WORLDS).items():
        found = walk(world())
        bad += bool(found.wrong) or not found.complete
        _row(name, found)
    for fault in FAULTS if args.faults else ():
        found = broken(fault)
        bad += not found.wrong
        _row(fault.name, found)
        sys.stdout.write("".join(f"    {line}\n" for line in found.trace))
    return int(bad > 0)


def _row(name: str, found: Found) -> None:
    ended = found.wrong or ("nothing found" if found.complete else "GIVEN UP")
    sys.stdout.write(
        f"| {name} | {found.states:,} | {found.steps:,} | {found.depth} | {found.seconds:.0f} s | {ended} |\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
