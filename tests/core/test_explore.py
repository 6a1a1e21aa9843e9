"""Everything two nodes can do about one tree is walked through, and each missing safeguard is found.

Two nodes, one tree, time in whole ticks, the real Guard; docs/explanation/proof.md says what is free, what is fixed
and what follows. `python -m servha.sim.explore --large --faults` walks through more and prints the traces.
"""

from __future__ import annotations

import pytest

from servha.core.register import Entry
from servha.sim.explore import SMALL, TIGHT, WORLDS, World, broken, walk
from servha.sim.explore_broken import FAULTS, Fault
from servha.sim.explore_node import Power


def test_the_figures_leave_not_one_tick_between_safe_and_unsafe() -> None:
    """Kept to age 1, fed until 2, stopped meanwhile, reset by 3; taken from 4 on."""
    assert 1 <= SMALL.keep_s() < 2 < SMALL.reset_s() < 3
    assert SMALL.watchdog_s == 1
    assert 3 < SMALL.take_s < 4
    assert 1 <= TIGHT.keep_s() < TIGHT.reset_s() < 2
    assert 3 < TIGHT.take_s < 4


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", WORLDS)
def test_the_tree_never_runs_on_both_nodes(name: str) -> None:
    world = WORLDS[name]()
    found = walk(world)
    assert not found.wrong, "\n".join(found.trace)
    assert found.complete
    # Ownership numbers are left out, so who has the lower one does not stop for it: it never had to. (A node that took
    # the tree goes on reading that the one it took it from held it.)
    assert world.guards.rivals <= ({1} if name == "takeover" else set())
    # What was walked through is not empty: leases end while the tree runs, and everything is seen stopped after.
    facts = world.guards.facts
    alive = [n for n in world.nodes if n.power is Power.ON]
    assert any(facts[n.local].ended and n.active for n in alive)
    assert any(n.slot.entry is Entry.HELD for n in alive)
    if name == "takeover":
        assert any(facts[n.local].ended and n.stopper == 2 for n in alive)
    else:  # each of them gets it in some future
        for me in (0, 1):
            assert any(n.may and world.guards.states[n.local].node == me for n in alive)


def test_a_node_that_took_the_tree_did_so_by_an_unanswered_claim() -> None:
    world: World = WORLDS["takeover"]()
    walk(world, states_max=200_000)
    assert any(n.slot.claim for n in world.nodes)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", FAULTS, ids=[f.name for f in FAULTS])
def test_each_missing_safeguard_ends_with_the_tree_on_both_nodes(fault: Fault) -> None:
    found = broken(fault)
    assert found.wrong == "the tree runs on both nodes", fault.story
    assert found.trace
