"""What the present state obliges this node to do, over and above what just changed: work, questions, beats.

Each function returns the state after it and the effects, or says when it has to be asked again. Nothing is decided
here about who may run what.
"""

from __future__ import annotations

from servha.core.arbitration import Answer, Granted, Right
from servha.core.effects import (
    AskGuard,
    Effect,
    ProbePeer,
    ProbeReferences,
    ProbeTreeAddresses,
    SendBeat,
    StartResource,
    StopResource,
)
from servha.core.escalation import fencing, force_for
from servha.core.guard_model import Asking, TreeAsked
from servha.core.guarded import GUARD_GRACE_S, granted
from servha.core.lease import Asked
from servha.core.maintenance import rested
from servha.core.model import Action, PeerHealth, Phase, Step, TreeSpec
from servha.core.placement import Wish
from servha.core.remember import with_step, with_tree
from servha.core.situations import (
    peer_health,
    real_references,
    reference_answer,
    report,
    silence_since_s,
    their_side,
    worn_resource,
)
from servha.core.state import State, TreeState
from servha.core.trees import next_down, next_up
from servha.core.value import replace

SLOW_PROBE_S = 1.0
"""Period of asking while nothing presses."""

FAST_PROBE_S = 0.04
"""Shortest period of asking: several answers fit into the time in which silence becomes death."""

ROUNDING_S = 1e-9

LEASE_ALARM_S = 3.0
"""How long the lease may be renewed by one of its two sources only before that is an alarm."""

Obliged = tuple[State, list[Effect]]


def tree_work(state: State, spec: TreeSpec) -> Obliged:
    """Start or stop what is next inside the tree."""
    tree = state.tree(spec.name)
    assert tree is not None
    known = dict(tree.steps)
    steps = {r.name: known.get(r.name, Step.OFF) for r in spec.resources}
    if tree.phase is Phase.RUNNING:
        steps |= dict.fromkeys(
            rested(state, spec), Step.ON
        )  # as if it were: the administrator has it in hand
    if tree.phase in (Phase.STARTING, Phase.RUNNING):
        worn = worn_resource(state, spec, tree)
        moves = next_up(spec.resources, steps, frozenset({worn} if worn else ()))
        if granted(state, spec) is Granted.NO:
            moves = [m for m in moves if m.action is not Action.START]  # not without the guard's word
    elif tree.phase is Phase.STOPPING:
        moves = next_down(spec.resources, steps)
    else:
        return state, []
    known_free = _addresses_known_free(state, tree)
    effects: list[Effect] = []
    for move in moves:
        if move.action is Action.START:
            effects.append(
                StartResource(
                    spec.name, move.resource, tree.ownership, tree.because, address_known_free=known_free
                )
            )
            tree = with_step(tree, move.resource, Step.STARTING)
        else:
            force = force_for(spec, tree, move.resource)
            effects.append(
                StopResource(spec.name, move.resource, tree.ownership, tree.because, move.clean_up, force)
            )
            tree = with_step(tree, move.resource, Step.STOPPING)
    return (with_tree(state, tree) if moves else state), effects


def _addresses_known_free(state: State, tree: TreeState) -> bool:
    """Return whether the wire was just asked for the tree's addresses and nobody answered."""
    asked_s = tree.addresses.asked_s
    return (
        state.right is Right.GRANTED
        and asked_s is not None
        and not tree.addresses.answered_by
        and asked_s >= silence_since_s(state)
    )


ASKED = {
    Phase.OFF: Asked.OFF,
    Phase.WANTED: Asked.WANT,
    Phase.STARTING: Asked.RUN,
    Phase.RUNNING: Asked.RUN,
    Phase.STOPPING: Asked.STOP,
    Phase.STOP_FAILED: Asked.STUCK,
}


def ask_guard(state: State) -> Obliged:
    """Tell the arbitration guard everything again when something in it is new."""
    if not state.cluster.policy.leased:
        # The policy was changed: the guard is to protect nothing any more.
        return replace(state, asked=None), [AskGuard(Asking())] if state.asked is not None else []
    peer = peer_health(state)
    asking = Asking(
        trees=tuple(
            _asked(state, spec, tree) for spec in state.cluster.trees if (tree := state.tree(spec.name))
        ),
        peer_silent=peer in (PeerHealth.LOST, PeerHealth.UNHEARD, PeerHealth.LEFT, PeerHealth.ABSENT),
        reference_ok=reference_answer(state) in (Answer.ANSWERS, Answer.NOBODY_TO_ASK),
        detached=state.leaving and not state.stopping,
        seen=state.view.number if state.view else 0,
        peer=state.cluster.peer,
        fence=fencing(state),
    )
    known = state.asked
    if known is not None and replace(asking, number=known.number) == known:
        return state, []
    if known is None or replace(asking, number=known.number, seen=known.seen) != known:
        # Milliseconds since the boot: also the next servhad of this boot counts on from there.
        asking = replace(asking, number=max(known.number if known else 0, round(state.now_s * 1000)) + 1)
        off = {t.id for t in asking.trees if t.asked is Asked.OFF}
        ids = {spec.name: spec.id for spec in state.cluster.trees}
        trees = tuple(
            replace(t, asked_off=asking.number) if ids.get(t.name) in off else t for t in state.trees
        )
        state = replace(state, trees=trees)
    else:
        asking = replace(asking, number=known.number)
    return replace(state, asked=asking), [AskGuard(asking)]


def _asked(state: State, spec: TreeSpec, tree: TreeState) -> TreeAsked:
    pin, us = tree.order.pin, state.cluster.us
    place = spec.hosts.index(us) if us in spec.hosts else len(spec.hosts)
    rank = place + 1 if not pin else 0 if pin == us else len(spec.hosts) + 1
    forced = tree.order.forced and tree.phase is not Phase.OFF
    told = their_side(state, spec)
    alive = peer_health(state) is PeerHealth.ALIVE and told.phase is Phase.OFF
    released = told.ownership if alive else 0
    asked = ASKED[tree.phase]
    return TreeAsked(spec.id, asked, tree.ownership, rank, forced, spec.name, told.phase.holds, released)


def lease_moments(state: State) -> tuple[float, ...]:
    """Return when time alone may change what the lease means to this node."""
    lost_s = max(state.guard_lost_s, state.started_s) + GUARD_GRACE_S
    return (lost_s, state.lease_since_s + LEASE_ALARM_S)


def next_questions_s(state: State) -> float:
    """Return when the wire has to be asked next; infinity while there is nothing to ask."""
    policy = state.cluster.policy
    if not policy.asks_reference and (policy.leased or not _peer_is_quiet(state)):
        return float("inf")  # with a quorum disk no answer of the peer's host would decide anything
    if _peer_is_quiet(state) and state.probed_s < state.silent_since_s:
        return state.now_s
    return state.probed_s + _period_s(state)


def questions(state: State) -> Obliged:
    """Ask references, the peer's host and the trees' addresses, as often as the situation calls for."""
    if state.now_s < next_questions_s(state) - ROUNDING_S:
        return state, []
    effects: list[Effect] = []
    if real_references(state):
        effects.append(ProbeReferences())
    if _peer_is_quiet(state) and state.cluster.peer and not state.cluster.policy.leased:
        effects.append(ProbePeer())
        for spec in state.cluster.trees:
            tree = state.tree(spec.name)
            if tree and not tree.phase.holds and any(r.virtual_address for r in spec.resources):
                effects.append(ProbeTreeAddresses(spec.name))
    return replace(state, probed_s=state.now_s), effects


def _peer_is_quiet(state: State) -> bool:
    return state.peer_word in (PeerHealth.SUSPECT, PeerHealth.LOST, PeerHealth.UNHEARD)


def _period_s(state: State) -> float:
    """Ask often while silence is young, so that the answers are there when it counts as death."""
    young = state.peer_word is PeerHealth.SUSPECT
    deciding = state.peer_word is PeerHealth.LOST and state.right is Right.PENDING
    waiting = (
        not state.cluster.policy.leased
        and state.right is Right.GRANTED
        and any(
            t.wish is Wish.HERE and not t.phase.holds and not t.addresses.answered_by for t in state.trees
        )
    )
    if young or deciding or waiting:
        return min(SLOW_PROBE_S, max(FAST_PROBE_S, state.cluster.timing.interval_s / 4))
    return SLOW_PROBE_S


def beat(state: State) -> Obliged:
    """Send a beat when one is due, and at once when there is something new to say."""
    if not state.cluster.peer:
        return state, []
    told = report(state)
    new = state.sent is None or replace(told, number=state.sent.number) != state.sent
    if not new and state.now_s < state.beat_due_s - ROUNDING_S:
        return state, []
    told = replace(told, number=state.beat_number + 1)
    interval_s = state.cluster.timing.interval_s
    due_s = state.beat_due_s + interval_s
    if not state.now_s < due_s <= state.now_s + interval_s:
        due_s = state.now_s + interval_s
    return replace(state, sent=told, beat_number=told.number, beat_due_s=due_s), [SendBeat(told)]
