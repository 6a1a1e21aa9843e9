"""What is in maintenance (维护模式): which trees are left as they are, and which resources may stop by hand.

Words for the placement table and for the work inside a tree. What a node that lost the right has to stop is not asked
here: those rows of rules.py stand before every wish. When a maintenance ends by itself is the shell's to know, for the
core has no wall clock: it finds only those in force in the configuration.
"""

from __future__ import annotations

from servha.core.model import JournalEntry, Maintenance, Phase, ResourceState, Step, TreeSpec
from servha.core.state import State, TreeState
from servha.core.value import replace
from servha.core.words import Text, say

Alarms = dict[str, tuple[str, Text]]

DOWN = (ResourceState.STOPPED, ResourceState.FAILED)

STOPPED, UNREADY, SILENT = "stopped", "unready", "silent"
"""What a maintenance may allow: a part of it is down, a node could not take it, links and the node are silent."""


def of_tree(state: State, spec: TreeSpec) -> Maintenance | None:
    """Return the maintenance that leaves the whole tree as it is: its own, or that of the node that had it."""
    if not state.cluster.maintenance:
        return None  # nearly always, and asked of every tree at every event
    known = next((m for m in state.cluster.maintenance if spec.name in dict(m.orders)), None)
    return known or of_node(state, _holder(state, spec))


def _holder(state: State, spec: TreeSpec) -> str:
    """Return the node that has the tree, also when it came there after the maintenance began; empty for none."""
    tree, report = state.tree(spec.name), state.membership.report
    if tree is not None and tree.phase.holds:
        return state.cluster.us
    return state.cluster.peer if report is not None and report.tree(spec.id).phase.holds else ""


def of_node(state: State, node: str) -> Maintenance | None:
    """Return the maintenance of `node`, or None."""
    return next((m for m in state.cluster.maintenance if node and m.node == node), None)


def hands_off(state: State, spec: TreeSpec, tree: TreeState) -> bool:
    """Return whether nothing but an order may move the tree. An order given since then starts it where it is off."""
    known = of_tree(state, spec)
    if known is None or tree.phase.holds:
        return known is not None
    return tree.order.number <= dict(known.orders).get(spec.name, tree.order.number)


def reason(state: State, spec: TreeSpec) -> str:
    """Return why the tree is in maintenance; empty when it is not."""
    known = of_tree(state, spec)
    return known.reason if known else ""


def not_here(state: State, node: str, pin: str) -> Maintenance | None:
    """Return the maintenance of `node` that keeps a tree from being placed there, unless an order pinned it there."""
    return None if pin == node else of_node(state, node)


def rested(state: State, spec: TreeSpec) -> frozenset[str]:
    """Return the resources of the tree that may stop without being started again or counted."""
    if not state.cluster.maintenance:
        return frozenset()
    if of_tree(state, spec) is not None:
        return frozenset(r.name for r in spec.resources)
    return frozenset(m.resource for m in state.cluster.maintenance if m.resource and m.tree == spec.name)


def down(state: State, spec: TreeSpec, tree: TreeState) -> bool:
    """Return whether something has stopped that is left alone."""
    rest = rested(state, spec)
    return any(s is Step.ON and tree.finding(n).state in DOWN for n, s in tree.steps if n in rest)


def resumed(before: State, spec: TreeSpec, tree: TreeState, after: State) -> TreeState:
    """Return the tree with what stopped by hand and is watched again marked as broken, so that it is started again."""
    again = rested(before, spec) - rested(after, spec)
    steps = tuple(
        (n, Step.BROKEN if n in again and s is Step.ON and tree.finding(n).state in DOWN else s)
        for n, s in tree.steps
    )
    return replace(tree, steps=steps) if steps != tree.steps else tree


def conditions(state: State) -> Alarms:
    """Return what stands while something is in maintenance, and again each day once it seems forgotten."""
    found: Alarms = {}
    for m in state.cluster.maintenance:
        text = say("{what} is in maintenance: {reason} ({by})", what=m.what, reason=m.reason, by=m.by)
        if m.forgotten_h:
            text = say(
                "{what} has been in maintenance for {hours} h and nothing ends it:"
                " `servha {kind} maintenance {what} off`",
                what=m.what,
                hours=m.forgotten_h,
                kind=m.kind,
            )
        found[f"maintenance/{m.what}"] = ("warning", text)
    return found


def expected(state: State) -> frozenset[str]:
    """Return the keys of alarms that do not sound, because a maintenance allows what they tell of.

    That something could not be stopped is never among them: it may be running, and nobody else may start it.
    """
    keys: set[str] = set()
    for m in state.cluster.maintenance:
        trees = [m.tree] if m.tree else [name for name, _ in m.orders]
        if STOPPED in m.allowed:
            keys |= {f"tree/{name}" for name in trees if not _is_stuck(state, name)}
        if UNREADY in m.allowed:
            names = [spec.name for spec in state.cluster.trees] if m.node else trees
            if m.node != state.cluster.peer:
                keys |= {f"{about}/{name}" for name in names for about in ("fitness", "remark")}
            if m.node != state.cluster.us:
                keys |= {f"readiness/{name}" for name in names}
        if SILENT in m.allowed:
            keys |= {"peer", *(f"link/{view.name}" for view in state.membership.links)}
    return frozenset(keys)


def _is_stuck(state: State, name: str) -> bool:
    tree = state.tree(name)
    return tree is not None and tree.phase is Phase.STOP_FAILED


def changes(before: State, after: State) -> list[JournalEntry]:
    """Return what there is to tell of maintenance that began or ended."""
    was = {m.what: m for m in before.cluster.maintenance}
    now = {m.what: m for m in after.cluster.maintenance}
    begun = [
        _entry(after, m, "begun", say("{by} asked for it: {reason}", by=m.by, reason=m.reason), "warning")
        for what, m in now.items()
        if what not in was
    ]
    ended = [
        _entry(after, m, "over", say("its maintenance is over: it is looked after again"), "cleared")
        for what, m in was.items()
        if what not in now
    ]
    return begun + ended


def _entry(state: State, m: Maintenance, rule: str, because: Text, severity: str) -> JournalEntry:
    return JournalEntry(
        at_s=state.now_s,
        node=state.cluster.us,
        subject=f"maintenance {m.what}" if m.node else m.what,
        before="maintenance",
        after="maintenance",
        rule=f"maintenance/{rule}",
        because=because,
        severity=severity,
    )
