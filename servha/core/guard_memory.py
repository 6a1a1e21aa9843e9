"""How the guard's memory changes with each event: what a round says, what a promise renews. Nothing is decided.

The rules of section 2.3 to 2.5: a renewal counts from the moment its round was issued or its ping was sent, never
from its answer; a change of the peer's slot counts from the moment it was seen; only what was read back as it was
written has been written.
"""

from __future__ import annotations

from servha.core.clocks import Stamp, at_most_s
from servha.core.guard_model import (
    AllStopped,
    AskedBy,
    Asking,
    DaemonEnded,
    GuardEvent,
    GuardState,
    Held,
    LimitsChanged,
    PingHeard,
    PromiseHeard,
    RoundEnded,
    Saved,
    ShutDown,
    WatchdogTold,
    Woken,
)
from servha.core.guard_words import covered, there_word
from servha.core.lease import Lease, There
from servha.core.register import NO_CLAIM, Entry, Slot
from servha.core.timing import Limits
from servha.core.value import replace
from servha.core.words import NOTHING_SAID, say

TWIN = say("a second machine with this node's identity writes this node's slot on the quorum disk")

HURRY_S = 5.0
"""How long rounds may follow each other without pause after servhad asked for something new, or the peer changed."""


def begin(node: int, boot_id: str, limits: Limits, now: Stamp, saved: Saved | None) -> GuardState:
    """Return the memory of a guard that starts, going on from its predecessor in this boot where there is one."""
    fresh = GuardState(node=node, boot_id=boot_id, limits=limits, now=now, last_promise=now)
    if saved is None or saved.boot_id != boot_id or saved.slot.node != node:
        return fresh
    return replace(
        fresh,
        lease=Lease.DEGRADED,
        generation=saved.slot.generation,
        number=saved.slot.number,
        written=saved.slot,
        rewritten=2,
        former_limits=saved.slot.limits if saved.slot.limits != limits else None,
        basis=saved.basis,
        trees=saved.trees,
        # Views are counted anew, so what servhad has seen of the predecessor's says nothing about ours.
        asking=replace(saved.asking, seen=0) if saved.asking else None,
        asked_at=now,
        watchdog=saved.watchdog,
        watchdog_s=saved.watchdog_s,
        armed=True,
        forced=saved.forced,
    )


def remember(state: GuardState, event: GuardEvent) -> GuardState:
    """Fold `event` into the memory."""
    state = replace(state, now=event.now)
    match event:
        case AskedBy(asking=asking):
            return _asked(state, asking)
        case PromiseHeard(generation=generation, pinged=pinged):
            if generation == state.generation and at_most_s(pinged, state.now) >= 0:
                return _renewed(replace(state, by_peer=_later(state.by_peer, pinged)), pinged)
            return state
        case RoundEnded():
            return _round(state, event)
        case WatchdogTold(name=name, timeout_s=timeout_s):
            return replace(state, watchdog=name, watchdog_s=timeout_s if name else 0.0)
        case DaemonEnded():
            return replace(state, daemon_ended=True)
        case AllStopped(sweep=sweep):
            return replace(state, all_stopped=state.all_stopped or sweep == state.sweep)
        case LimitsChanged(limits=limits):
            if limits == state.limits:
                return state
            return replace(
                state, limits=limits, former_limits=state.former_limits or state.limits, rewritten=0
            )
        case ShutDown():
            return replace(state, shutting_down=True)
        case PingHeard() | Woken():
            return state


def _asked(state: GuardState, asking: Asking) -> GuardState:
    known = {a.id: a.asked for a in state.asking.trees} if state.asking else {}
    news = any(known.get(a.id) is not a.asked for a in asking.trees)
    ranks = {a.id: a.rank for a in asking.trees}
    if state.forced and not asking.peer_silent:
        state = _peer_is_back(state)
    return replace(
        state,
        asking=asking,
        asked_at=state.now,
        daemon_ended=False,
        hurry_until_s=state.now.raw_s + HURRY_S if news else state.hurry_until_s,
        round_due_s=min(state.round_due_s, state.now.raw_s) if news else state.round_due_s,
        trees=tuple(replace(t, rank=ranks.get(t.id, t.rank)) for t in state.trees),
    )


def _peer_is_back(state: GuardState) -> GuardState:
    """The administrator's word no longer stands: from now on renewals count, beginning with one lease of time."""
    return _renewed(replace(state, forced=False), state.now)


def _later(one: Stamp | None, other: Stamp) -> Stamp:
    return other if one is None or other.raw_s > one.raw_s else one


def _renewed(state: GuardState, since: Stamp) -> GuardState:
    return replace(state, basis=_later(state.basis, since))


# --- a round on the disk -----------------------------------------------------------------------------------------


def _round(state: GuardState, event: RoundEnded) -> GuardState:
    writing, issued, first = state.writing, state.issued, state.peer_mark is None
    state = replace(state, reading=False, writing=None, issued=None)
    if not event.read:
        return _failed(replace(state, disk_trouble=event.trouble))
    if writing is None and not state.rewritten:
        if event.own is None and not event.own_blank:
            # A generation made up would be older than what the peer knows, and the peer would not believe our slot.
            return replace(state, disk_trouble=say("this node's own slot on the quorum disk cannot be read"))
        state = _met_own(state, event)
    elif first:
        state = _met_own_again(state, event.own)
    state, changed = _met_peer(state, event)
    state = _caught_up(state, event.peer)
    if writing is None:
        return replace(state, disk_trouble=TWIN if state.twin and not state.rewritten else NOTHING_SAID)
    if event.own is None or event.own != writing:
        if event.own is not None and event.own.age > writing.age:
            return replace(state, intruder=True)
        return _failed(
            replace(state, disk_trouble=say("the quorum disk does not give back what was just written to it"))
        )
    state = replace(state, disk_trouble=NOTHING_SAID, written=writing, rewritten=min(2, state.rewritten + 1))
    if state.former_limits is not None and state.rewritten >= 2 and writing.limits == state.limits:
        state = replace(state, former_limits=None)
    challenged = state.peer is not None and state.peer.claim.target_generation == state.generation
    if not challenged and issued is not None:
        state = _renewed(replace(state, by_disk=_later(state.by_disk, issued)), issued)
    return _counted(state, writing, challenged=challenged, changed=changed)


def _failed(state: GuardState) -> GuardState:
    """Rounds in a row begin anew."""
    trees = tuple(replace(t, rounds=0) if t.entry is Entry.WANT else t for t in state.trees)
    return replace(state, trees=trees, claim_rounds=0)


def _met_own_again(state: GuardState, own: Slot | None) -> GuardState:
    """Go on from a predecessor, whose last write may or may not have come through."""
    if own is None:
        return state
    same = own.boot_id == state.boot_id and own.generation == state.generation
    return replace(state, intruder=not same or not state.number - 1 <= own.number <= state.number)


def _met_own(state: GuardState, event: RoundEnded) -> GuardState:
    """Take what our slot says of the life before this one, and the peer's of what it saw of us."""
    own, seen = event.own, event.peer.seen_generation if event.peer else 0
    if own != state.own_met or state.own_since is None:
        twin = state.twin or state.own_since is not None
        state = replace(state, own_met=own, own_since=state.now, twin=twin)
    if own is None:
        return replace(state, generation=seen + 1)
    reboot = own.boot_id != state.boot_id
    return replace(
        state,
        generation=max(own.generation, seen) + 1 if reboot else own.generation,
        number=own.number,
        amnesia=not reboot and any(t.entry.holds for t in own.trees),
        trees=tuple(Held(t.id, ownership=t.ownership, rank=t.rank) for t in own.trees),
    )


def _caught_up(state: GuardState, peer: Slot | None) -> GuardState:
    """Go on from the number under which the peer saw our slot.

    At boot the disk may have shown an old state of both slots. Until our numbers are past those of the life before,
    the peer takes what we write for old. A new generation is for a node that protects nothing: renewals belong to one.
    """
    if peer is None or not state.rewritten:
        return state
    if peer.seen_generation == state.generation:
        return replace(state, number=max(state.number, peer.seen_number))
    if peer.seen_generation > state.generation and not covered(state):
        return replace(state, generation=peer.seen_generation + 1)
    return state


def _met_peer(state: GuardState, event: RoundEnded) -> tuple[GuardState, bool]:
    changed = event.peer_mark != state.peer_mark
    peer, known = event.peer, state.peer
    doubtful = known is not None and (peer is None or peer.age < known.age)
    state = replace(
        state,
        peer=known
        if doubtful
        else peer,  # an older record says nothing; that it is there is a change all the same
        peer_doubtful=doubtful,
        peer_mark=event.peer_mark,
        peer_blank=event.peer_blank,
    )
    if not changed:
        return state, False
    if known is not None and state.peer is not None and state.peer.trees != known.trees:
        state = replace(state, hurry_until_s=state.now.raw_s + HURRY_S)
    if state.forced:
        state = _peer_is_back(state)
    return replace(state, peer_since=state.now, claim_rounds=0), True


def _counted(state: GuardState, writing: Slot, *, challenged: bool, changed: bool) -> GuardState:
    """Count the rounds in a row that carried what is declared now."""
    trees = []
    for tree in state.trees:
        carried = writing.tree(tree.id)
        if (carried.entry, carried.ownership) != (tree.entry, tree.ownership):
            trees.append(tree)
        elif tree.entry is Entry.WANT:
            free = not challenged and there_word(state, tree) is There.FREE
            trees.append(replace(tree, rounds=min(2, tree.rounds + 1) if free else 0))
        else:
            trees.append(replace(tree, rounds=min(2, tree.rounds + 1)))
    claims = state.claim != NO_CLAIM and writing.claim == state.claim and not changed
    counted = min(3, state.claim_rounds + 1) if claims else 0
    return replace(state, trees=tuple(trees), claim_rounds=counted)
