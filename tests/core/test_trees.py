"""Order inside a tree: any DAG, any course of events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from servha.core.model import Action, ResourceSpec, Step
from servha.core.trees import Move, Work, below, cycle, next_down, next_up, recent, work

Tree = tuple[ResourceSpec, ...]


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Any DAG of up to six resources: each may need any of those before it."""
    count = draw(st.integers(1, 6))
    made: list[ResourceSpec] = []
    for number in range(count):
        after = draw(st.sets(st.sampled_from([r.name for r in made]))) if made else set()
        made.append(ResourceSpec(f"r{number}", "custom", after=tuple(sorted(after))))
    return tuple(draw(st.permutations(made)))


def carried_out(steps: dict[str, Step], moves: list[Move]) -> dict[str, Step]:
    ended = {m.resource: Step.ON if m.action is Action.START else Step.OFF for m in moves}
    return steps | ended


@given(trees())
def test_every_tree_comes_up_in_order_and_goes_down_in_the_reverse_order(tree: Tree) -> None:
    steps = {r.name: Step.OFF for r in tree}
    for _ in tree:
        moves = next_up(tree, steps)
        for move in moves:
            spec = next(r for r in tree if r.name == move.resource)
            assert all(steps[a] is Step.ON for a in spec.after)
        steps = carried_out(steps, moves)
    assert work(steps) is Work.ALL
    assert next_up(tree, steps) == []
    for _ in tree:
        moves = next_down(tree, steps)
        for move in moves:
            assert all(steps[b] is Step.OFF for b in below(tree, move.resource))
        steps = carried_out(steps, moves)
    assert work(steps) is Work.NOTHING
    assert next_down(tree, steps) == []


@given(trees(), st.data())
def test_whatever_breaks_is_mended_with_what_needs_it_and_nothing_else_is_touched(
    tree: Tree, data: st.DataObject
) -> None:
    broken = data.draw(st.sampled_from([r.name for r in tree]))
    needing = {broken}
    for _ in tree:
        needing |= {b for name in needing for b in below(tree, name)}
    steps = {r.name: Step.ON for r in tree} | {broken: Step.BROKEN}
    touched: set[str] = set()
    for _ in range(3 * len(tree)):
        moves = next_up(tree, steps)
        touched |= {m.resource for m in moves}
        steps = carried_out(steps, moves)
    assert work(steps) is Work.ALL
    assert touched == needing


def test_the_third_of_a_chain_waits_until_the_first_is_mended() -> None:
    """What hangs below a broken root is stopped once, and not started again in between."""
    tree = (
        ResourceSpec("a", "custom"),
        ResourceSpec("b", "custom", after=("a",)),
        ResourceSpec("c", "custom", after=("b",)),
    )
    steps = {"a": Step.BROKEN, "b": Step.ON, "c": Step.OFF}
    assert next_up(tree, steps) == [Move("b", Action.STOP)]


@given(trees())
def test_a_resource_that_rests_is_left_down_and_what_it_does_not_carry_stays_up(tree: Tree) -> None:
    resting = frozenset({tree[0].name})
    steps = {r.name: Step.ON for r in tree} | {tree[0].name: Step.OFF}
    assert not any(m.resource in resting for m in next_up(tree, steps, resting))


def test_what_could_not_be_stopped_keeps_what_it_needs() -> None:
    tree = (ResourceSpec("disk", "custom"), ResourceSpec("app", "custom", after=("disk",)))
    steps = {"disk": Step.ON, "app": Step.STOP_FAILED}
    assert next_down(tree, steps) == []
    assert work(steps) is Work.STUCK


def test_a_start_under_way_is_cut_short_on_the_way_down() -> None:
    tree = (ResourceSpec("vip", "ipv4"), ResourceSpec("app", "custom", after=("vip",)))
    assert next_down(tree, {"vip": Step.ON, "app": Step.STARTING}) == [Move("app", Action.STOP)]


def test_a_cycle_is_named_along_its_way() -> None:
    tree = (
        ResourceSpec("a", "custom", after=("c",)),
        ResourceSpec("b", "custom", after=("a",)),
        ResourceSpec("c", "custom", after=("b",)),
        ResourceSpec("d", "custom", after=("a",)),
    )
    found = cycle(tree)
    assert found[0] == found[-1]
    assert set(found) == {"a", "b", "c"}


@given(trees())
def test_a_dag_has_no_cycle(tree: Tree) -> None:
    assert cycle(tree) == ()


def test_abnormal_stops_count_within_a_sliding_window() -> None:
    assert recent((0.0, 10.0, 59.0), 60.0, 60.0) == (10.0, 59.0)
