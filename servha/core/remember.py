"""Folds one event into what the node remembers. It draws no conclusion; that is the engine's next step.

Refused: orders with an old number, reports about trees that are not configured, beats of another node.
"""

from __future__ import annotations

from servha.core.arbitration import Probe
from servha.core.events import (
    ActionFinished,
    BeatReceived,
    ConfigChanged,
    Event,
    GuardTold,
    Leaving,
    LinkCarrier,
    OrderGiven,
    PeerProbed,
    ReadinessTold,
    ReferenceProbed,
    Remembered,
    ResourceReported,
    Tick,
    TreeAddressesProbed,
    WindowsTold,
)
from servha.core.maintenance import rested, resumed
from servha.core.membership import membership_for
from servha.core.model import Action, Cluster, Phase, ResourceState, Step, TreeSpec
from servha.core.state import Finding, State, TreeState
from servha.core.trees import recent
from servha.core.value import replace
from servha.core.words import NOTHING_SAID

UP = (Phase.STARTING, Phase.RUNNING)


def with_tree(state: State, tree: TreeState) -> State:
    """Return the state with this tree's value in place of the old one."""
    return replace(state, trees=tuple(tree if t.name == tree.name else t for t in state.trees))


def with_step(tree: TreeState, resource: str, step: Step) -> TreeState:
    """Return the tree with `resource` at `step`."""
    steps = (*((n, s) for n, s in tree.steps if n != resource), (resource, step))
    proven = tree.proven | {resource} if step is Step.ON else tree.proven
    return replace(tree, steps=steps, proven=proven)


def remember(state: State, event: Event) -> State:
    """Return the state after `event`, with nothing concluded from it yet."""
    now_s = max(event.now_s, state.now_s)
    timing = state.cluster.timing
    state = replace(state, now_s=now_s, membership=state.membership.passed(now_s, timing))
    match event:
        case Tick():
            return state
        case BeatReceived(link=link, report=report):
            if report.node != state.cluster.peer:
                return state
            return _learn_from_peer(replace(state, membership=state.membership.heard(link, report, now_s)))
        case LinkCarrier(link=link, up=up):
            return replace(state, membership=state.membership.with_carrier(link, up=up))
        case ReferenceProbed(address=address, answered=answered, asked_s=asked_s):
            probes = dict(state.references)
            probes[address] = probes.get(address, Probe()).told(
                answered_by=address if answered else "", asked_s=asked_s
            )
            return replace(state, references=tuple(probes.items()))
        case PeerProbed(answered_by=answered_by, asked_s=asked_s):
            return replace(state, peer_host=state.peer_host.told(answered_by=answered_by, asked_s=asked_s))
        case TreeAddressesProbed():
            return _probed(state, event)
        case ResourceReported():
            return _report(state, event)
        case ActionFinished():
            return _finish(state, event)
        case OrderGiven(tree=name, order=order):
            tree = state.tree(name)
            if tree is None or order.number <= tree.order.number:
                return state
            return with_tree(state, replace(tree, order=order))
        case ConfigChanged(cluster=cluster):
            return configured(state, cluster)
        case WindowsTold(trees=names):
            return replace(state, trees=tuple(replace(t, window_open=t.name in names) for t in state.trees))
        case ReadinessTold():
            return _measured(state, event)
        case Remembered(trees=memories):
            for memory in memories:
                tree = state.tree(memory.tree)
                if tree is not None:
                    nothing_runs = all(s is not Step.ON for _, s in memory.steps)
                    # Under a lease what does not run is not started on memory alone: the guard is asked anew.
                    anew = state.cluster.policy.leased and nothing_runs and memory.phase in UP
                    found = replace(
                        tree,
                        phase=Phase.OFF if anew else memory.phase,
                        ownership=memory.ownership,
                        order=memory.order,
                        steps=tuple((dict(tree.steps) | dict(memory.steps)).items()),
                        proven=frozenset(n for n, s in memory.steps if s is Step.ON),
                        since_s=now_s,
                    )
                    state = with_tree(state, found)
            return state
        case GuardTold(view=view):
            was = state.view.lease if state.view else None
            lost_s = now_s if view is None and state.view is not None else state.guard_lost_s
            since_s = state.lease_since_s if view and view.lease is was else now_s
            return replace(state, view=view, guard_lost_s=lost_s, lease_since_s=since_s)
        case Leaving(stop_trees=stop_trees):
            return replace(state, leaving=True, stopping=stop_trees)


def _learn_from_peer(state: State) -> State:
    """Take over what a beat knows better: newer orders and higher ownership numbers.

    Two orders of the same number were given on both nodes at once; that of the first node stands.
    """
    report = state.membership.report
    if report is None:
        return state
    for spec in state.cluster.trees:
        tree = state.tree(spec.name)
        told = report.tree(spec.id)
        if tree is None:
            continue
        learned = tree
        if told.order.number > tree.order.number or (
            told.order.number == tree.order.number and state.cluster.first_node == state.cluster.peer
        ):
            learned = replace(learned, order=told.order)
        if learned.order.forced:
            # "It is off" was true until now: at its next silence somebody has to look again.
            learned = replace(learned, order=replace(learned.order, forced=False))
        if told.ownership > tree.ownership and not tree.phase.holds and tree.phase is not Phase.WANTED:
            learned = replace(learned, ownership=told.ownership)
        if learned is not tree:
            state = with_tree(state, learned)
    return state


def _report(state: State, event: ResourceReported) -> State:
    tree = state.tree(event.tree)
    spec = state.cluster.tree(event.tree)
    if tree is None or spec is None or not any(r.name == event.resource for r in spec.resources):
        return state
    known = tree.finding(event.resource)
    since_s = known.since_s if known.state is event.state else state.now_s
    finding = Finding(event.state, event.because, since_s)
    findings = (*((n, f) for n, f in tree.findings if n != event.resource), (event.resource, finding))
    if known.state is ResourceState.FAILED and event.state is ResourceState.STOPPED and not tree.phase.holds:
        # What kept this node from running it (a cable, an interface) is there again: it may be tried again.
        tree = replace(tree, parked_by=-1)
    tree = replace(tree, findings=findings)
    step = tree.step(event.resource)
    if step is Step.ON and event.state in (ResourceState.STOPPED, ResourceState.FAILED):
        if event.resource in rested(state, spec):
            return with_tree(state, tree)  # stopped by the administrator's hand: neither counted nor started
        tree = with_step(tree, event.resource, Step.BROKEN)
        tree = replace(tree, stops_s=_counted(spec, tree, event.resource, state.now_s))
    elif step is Step.STOP_FAILED and event.state is ResourceState.STOPPED:
        tree = with_step(tree, event.resource, Step.OFF)
    return with_tree(state, tree)


def _probed(state: State, event: TreeAddressesProbed) -> State:
    tree = state.tree(event.tree)
    if tree is None:
        return state
    probe = tree.addresses.told(answered_by=event.held_by, asked_s=event.asked_s)
    return with_tree(state, replace(tree, addresses=probe))


def _measured(state: State, event: ReadinessTold) -> State:
    """Take note of a precondition check. What failed here while one was not met may be tried again when all are."""
    tree, spec = state.tree(event.tree), state.cluster.tree(event.tree)
    if tree is None or spec is None or event.resource not in {"", *(r.name for r in spec.resources)}:
        return state
    if event.node != state.cluster.us:
        there = (
            *((n, r) for n, r in tree.readiness_there if n != event.resource),
            (event.resource, event.ready),
        )
        return with_tree(state, replace(tree, readiness_there=there))
    here = (*((n, r) for n, r in tree.readiness if n != event.resource), (event.resource, event.ready))
    told = replace(tree, readiness=here)
    mended = bool(tree.unready) and not told.unready
    return with_tree(state, replace(told, parked_by=-1) if mended else told)


def _counted(
    spec: TreeSpec, tree: TreeState, resource: str, now_s: float
) -> tuple[tuple[str, tuple[float, ...]], ...]:
    window_s = next(r.abnormal_stop_window_s for r in spec.resources if r.name == resource)
    stops = dict(tree.stops_s)
    stops[resource] = (*recent(stops.get(resource, ()), now_s, window_s), now_s)
    return tuple(stops.items())


def _finish(state: State, event: ActionFinished) -> State:
    tree = state.tree(event.tree)
    if tree is None:
        return state
    step = tree.step(event.resource)
    if event.action is Action.START and step is Step.STARTING:
        tree = with_step(tree, event.resource, Step.ON if event.ok else Step.START_FAILED)
    elif event.action is Action.STOP and step is Step.STOPPING:
        tree = with_step(tree, event.resource, Step.OFF if event.ok else Step.STOP_FAILED)
    else:
        return state  # the answer to something that was overtaken by a stop
    if not event.ok:
        tree = replace(tree, failure=event.because)
        if event.action is Action.STOP:
            failures = dict(tree.stop_failures)
            failures[event.resource] = failures.get(event.resource, 0) + 1
            tree = replace(tree, stop_failures=tuple(failures.items()))
    else:
        word = ResourceState.RUNNING if event.action is Action.START else ResourceState.STOPPED
        finding = Finding(word, event.because, state.now_s)
        findings = (*((n, f) for n, f in tree.findings if n != event.resource), (event.resource, finding))
        tree = replace(tree, findings=findings)
    return with_tree(state, tree)


def configured(state: State, cluster: Cluster) -> State:
    """Return the state under a new configuration; what stays keeps its memory."""
    trees = tuple(
        state.tree(spec.name) or TreeState(spec.name, since_s=state.now_s, because=NOTHING_SAID)
        for spec in cluster.trees
    )
    kept = tuple(
        _reconfigured(tree, {r.name for r in spec.resources})
        for tree, spec in zip(trees, cluster.trees, strict=True)
    )
    after = replace(state, cluster=cluster)
    kept = tuple(resumed(state, s, t, after) for s, t in zip(cluster.trees, kept, strict=True))
    newly_leased = cluster.policy.leased and not state.cluster.policy.leased
    return replace(
        state,
        cluster=cluster,
        guard_lost_s=state.now_s if newly_leased else state.guard_lost_s,
        membership=membership_for(cluster.links, state.membership),
        references=tuple((a, p) for a, p in state.references if a in cluster.references),
        trees=kept,
    )


def _reconfigured(tree: TreeState, names: set[str]) -> TreeState:
    """Return the tree with a step for each of its resources; what failed and never ran is tried again."""
    known = dict(tree.steps)
    steps = {name: known.get(name, Step.OFF) for name in names}
    again = {n for n, s in steps.items() if s is Step.START_FAILED and n not in tree.proven}
    return replace(
        tree,
        steps=tuple((n, Step.OFF if n in again else s) for n, s in sorted(steps.items())),
        findings=tuple((n, f) for n, f in tree.findings if n in names),
        readiness=tuple((n, r) for n, r in tree.readiness if n in names or not n),
        readiness_there=tuple((n, r) for n, r in tree.readiness_there if n in names or not n),
    )
