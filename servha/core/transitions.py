"""What changes along with a tree's phase: ownership number, order, and the mark of having failed here.

That the phase changes is decided by the tables; the numbers follow from it.
"""

from __future__ import annotations

from servha.core.model import Order, Phase, Step, TreeSpec
from servha.core.placement import Side
from servha.core.situations import CONTACT, peer_health, side_here, their_side
from servha.core.state import State, TreeState
from servha.core.table import Row
from servha.core.value import replace
from servha.core.words import NOTHING_SAID


def entered(state: State, spec: TreeSpec, tree: TreeState, row: Row[Phase], here: Side) -> TreeState:
    """Return the tree in the phase that `row` gives it, with the numbers that the change calls for."""
    if row.becomes is tree.phase:
        return tree
    changed = replace(tree, phase=row.becomes, since_s=state.now_s)
    match row.becomes:
        case Phase.WANTED:
            return _numbered(state, spec, changed)
        case Phase.STARTING:
            return _starting(state, spec, changed, announced=tree.phase is Phase.WANTED)
        case Phase.STOPPING if tree.phase is Phase.STOP_FAILED:
            again = tuple((n, Step.ON if s is Step.STOP_FAILED else s) for n, s in tree.steps)
            failures = tree.stop_failures if row.id == "climb" else ()
            return replace(changed, stuck_by=-1, steps=again, stop_failures=failures)
        case Phase.STOPPING:
            failed = row.id == "start-failed" or here is Side.WORN
            gives_up = failed or (row.id == "sent-away" and here is Side.UNFIT)
            if here is Side.WORN or (
                gives_up and tree.phase is Phase.RUNNING and tree.order.pin == state.cluster.us
            ):
                changed = replace(changed, order=_unpinned(tree.order))
            changed = replace(changed, moved_s=state.now_s)
            return _parked(state, spec, changed, worn=here is Side.WORN) if failed else changed
        case Phase.STOP_FAILED:
            return replace(changed, stuck_by=tree.order.number)
        case Phase.OFF:
            return replace(changed, stop_failures=())
        case _:
            return changed


def _numbered(state: State, spec: TreeSpec, tree: TreeState) -> TreeState:
    """Give it a number that was never held or wanted before, here or there; with a quorum disk the guard gives it."""
    if state.cluster.policy.leased and state.view is not None and state.view.entry(spec.id).granted:
        return replace(tree, ownership=state.view.entry(spec.id).ownership)
    if state.cluster.policy.leased:
        return tree
    return replace(tree, ownership=max(tree.ownership, their_side(state, spec).ownership) + 1)


def _starting(state: State, spec: TreeSpec, tree: TreeState, *, announced: bool) -> TreeState:
    leased = state.cluster.policy.leased
    changed = tree if announced and not leased else _numbered(state, spec, tree)
    changed = replace(changed, moved_s=state.now_s, stops_s=(), failure=NOTHING_SAID, proven=frozenset())
    return changed if tree.order.pin == state.cluster.us else replace(changed, order=_unpinned(tree.order))


def _unpinned(order: Order) -> Order:
    """The node on which an order placed it has failed: the pin goes with it (reading A15)."""
    return Order(order.number + 1, order.goal) if order.pin else order


def _parked(state: State, spec: TreeSpec, tree: TreeState, *, worn: bool) -> TreeState:
    """Mark it as failed here, so that it does not come back by itself before somebody orders it."""
    failure = side_here(state, spec, tree)[1] if worn else tree.failure
    alone = peer_health(state) not in CONTACT
    return replace(tree, failure=failure, parked_by=tree.order.number, parked_alone=alone)
