"""Turns what the guard remembers into the words its tables ask for. All numbers end here; nothing is decided."""

from __future__ import annotations

from collections.abc import Iterator

from servha.core.clocks import Stamp, at_least_s, at_most_s
from servha.core.guard_model import GuardState, Held, TreeAsked
from servha.core.lease import (
    Age,
    Asked,
    Daemon,
    EntrySituation,
    Lease,
    LeaseSituation,
    Sources,
    There,
    Wait,
)
from servha.core.register import NO_CLAIM, Entry
from servha.core.timing import DAEMON_GRACE_S
from servha.core.words import NOTHING_SAID, Text, Value, say

DAEMON_HERE_S = 3.0
"""servhad speaks at least once a second; after this it counts as away."""

WANT_ROUNDS = 2
"""Rounds that must have carried a want: then both copies of the slot do, and one late write cannot hide it."""

CLAIM_ROUNDS = 3
"""The round that wrote the claim, and two after it that found the peer's slot unchanged."""

NOT_READ = say("the quorum disk has not been read yet")
WATCH_MORE_S = 0.1
"""Beyond two rounds: for how long an own slot of another boot is watched, lest its writer live."""

HANGS_S = 0.5
"""A round on the quorum disk that takes longer than this, and than three periods, counts as unanswered."""

BACK_OFF = frozenset({"peer-first"})

NEVER = float("inf")


def covered(state: GuardState) -> bool:
    """Return whether something is held or wanted, so that lease and watchdog have to protect it."""
    return state.lease in (Lease.ENDING, Lease.RESET) or any(
        t.entry.holds or t.entry is Entry.WANT for t in state.trees
    )


def keep_s(state: GuardState) -> float:
    """Return up to which age of the last renewal trees may run; the shorter one while the figures change."""
    figures = [state.limits] if state.former_limits is None else [state.limits, state.former_limits]
    return min(f.keep_s(state.watchdog_s) for f in figures)


def take_s(state: GuardState) -> float:
    """Return how long the peer has to be silent; the longer one while the figures change."""
    figures = [state.limits] if state.former_limits is None else [state.limits, state.former_limits]
    return max(f.take_s for f in figures)


def reset_s(state: GuardState) -> float:
    """Return the age of the last renewal at which a node that does not stop has to be cut off."""
    figures = [state.limits] if state.former_limits is None else [state.limits, state.former_limits]
    return min(f.reset_s(state.watchdog_s) for f in figures)


def age_word(state: GuardState) -> Age:
    """Return how old the last renewal is; the word of an administrator is as good as one."""
    if state.forced:
        return Age.FRESH
    if state.basis is None:
        stopping_s = at_most_s(state.ending_since, state.now) if state.ending_since else 0.0
        return Age.OVERDUE if stopping_s > state.limits.watchdog_s else Age.ENDED
    age_s = at_most_s(state.basis, state.now)
    if age_s <= keep_s(state):
        return Age.FRESH
    return Age.OVERDUE if age_s >= reset_s(state) else Age.ENDED


def sources_word(state: GuardState) -> Sources:
    """Return who renewed the lease within its life."""
    by = [s is not None and at_most_s(s, state.now) <= keep_s(state) for s in (state.by_disk, state.by_peer)]
    return {
        (True, True): Sources.BOTH,
        (True, False): Sources.DISK,
        (False, True): Sources.PEER,
        (False, False): Sources.NONE,
    }[by[0], by[1]]


def disk_ok(state: GuardState) -> bool:
    """Return whether the last round on the quorum disk went through, and the next one does not take too long."""
    return state.disk_trouble == NOTHING_SAID and state.peer_mark is not None and not hangs(state)


def hangs(state: GuardState) -> bool:
    """Return whether the round under way should have been answered long ago."""
    late_s = max(HANGS_S, 3 * state.limits.round_s)
    return state.reading and state.issued is not None and at_most_s(state.issued, state.now) > late_s


def disk_trouble(state: GuardState) -> Text:
    """Return what is wrong with the quorum disk; nothing said when it works."""
    if state.disk_trouble != NOTHING_SAID:
        return state.disk_trouble
    if hangs(state):
        return say("the quorum disk does not answer")
    return NOT_READ if state.peer_mark is None else NOTHING_SAID


def daemon_word(state: GuardState) -> Daemon:
    """Return how servhad is. One that said it leaves its trees running is never missed."""
    if state.asking is not None and state.asking.detached:
        return Daemon.HERE
    if state.asked_at is None:
        return Daemon.AWAY
    away_s = at_most_s(state.asked_at, state.now)
    if away_s <= DAEMON_HERE_S and not state.daemon_ended:
        return Daemon.HERE
    return Daemon.AWAY if away_s <= DAEMON_GRACE_S else Daemon.GONE


def daemon_quiet(state: GuardState) -> bool:
    """Return whether servhad can start nothing any more: it is dead, or has seen that the lease ends."""
    return state.daemon_ended or state.asking is None or state.asking.seen >= state.ending_view


def watches_own(state: GuardState) -> bool:
    """Return whether the own slot has to be looked at for longer before it is written.

    It was written by another boot of this machine, or by a second machine that has its identity. That one, if it
    lives, writes again within a round; if it has been met already, its lease is waited for.
    """
    own = state.own_met
    foreign = own is not None and own.boot_id != state.boot_id and not own.flags.shut_down
    if state.rewritten or state.lease is not Lease.BOOTING or not (foreign or state.twin):
        return False
    round_s = max(state.limits.round_s, own.limits.round_s if own else 0.0)
    least_s = take_s(state) if state.twin else 2 * round_s + WATCH_MORE_S
    return state.own_since is None or at_least_s(state.own_since, state.now) < least_s


def peer_moves(state: GuardState) -> bool:
    """Return whether the peer's slot changed so lately that nobody may even announce a takeover."""
    return state.peer_since is None or at_least_s(state.peer_since, state.now) < state.limits.claim_s


def rivals(state: GuardState) -> list[Held]:
    """Return the trees that we hold and that the peer holds with a higher number."""
    if state.peer is None:
        return []
    theirs = {t.id: t for t in state.peer.trees if t.entry.holds}
    return [
        t for t in state.trees if t.entry.holds and t.id in theirs and theirs[t.id].ownership > t.ownership
    ]


def lease_situation(state: GuardState) -> LeaseSituation:
    """Return everything the node's lease depends on."""
    return LeaseSituation(
        lease=state.lease,
        rewritten=state.rewritten >= WANT_ROUNDS,
        holds=any(t.entry.holds for t in state.trees),
        age=age_word(state),
        sources=sources_word(state),
        daemon=daemon_word(state),
        stopped=state.all_stopped and state.sweep_quiet,
        amnesia=state.amnesia,
        intruder=state.intruder,
        rival=bool(rivals(state)),
        fence=bool(state.asking and state.asking.fence),
    )


def asked_of(state: GuardState, tree: Held) -> TreeAsked:
    """Return what servhad asks of the tree; nothing asked counts as off only once servhad has spoken."""
    if state.asking is None:
        return TreeAsked(tree.id, Asked.RUN if tree.entry.holds else Asked.OFF)
    return next((a for a in state.asking.trees if a.id == tree.id), TreeAsked(tree.id))


def there_word(state: GuardState, tree: Held) -> There:
    """Return the peer's entry for the tree in one word."""
    if state.peer is None:
        return There.FREE if state.peer_blank else There.UNREAD
    asked = asked_of(state, tree)
    promised = state.last_promise is not None and at_least_s(state.last_promise, state.now) < take_s(state)
    if asked.peer_holds and promised and state.asking is not None and state.asking.peer_silent:
        return There.HOLDS  # perhaps on our promise alone, and its slot does not show it
    free = There.UNREAD if state.peer_doubtful else There.FREE
    theirs = state.peer.tree(tree.id)
    if theirs.entry.holds and not _released_by_word(state, asked, theirs.ownership):
        return There.HOLDS
    if theirs.entry is not Entry.WANT:
        return free
    we_first = (asked.rank, state.node) < (theirs.rank, 1 - state.node)
    return There.WANTS_AFTER if we_first else There.WANTS_FIRST


def _released_by_word(state: GuardState, asked: TreeAsked, ownership: int) -> bool:
    """Return whether the peer, whose slot still says that it holds the tree, is heard to say that it has stopped it.

    It cannot write that, its own disk being in trouble. The number is never held again, and to get another one it
    would have to read our slot.
    """
    heard = state.asking is not None and not state.asking.peer_silent
    return heard and asked.released >= ownership > 0


def outnumbered(state: GuardState, tree: Held) -> bool:
    """Return whether the peer has used, or wanted and given up, the ownership number under which we want the tree."""
    theirs = state.peer.tree(tree.id) if state.peer else None
    return theirs is not None and theirs.entry is not Entry.WANT and theirs.ownership >= tree.ownership


def next_ownership(state: GuardState, tree: Held) -> int:
    """Return a number that was never held or wanted before, here or there."""
    asked = next((a.ownership for a in (state.asking.trees if state.asking else ()) if a.id == tree.id), 0)
    theirs = state.peer.tree(tree.id).ownership if state.peer else 0
    return max(tree.ownership, asked, theirs) + 1


def wait_word(state: GuardState, tree: Held) -> Wait:
    """Return what a takeover of the tree still waits for."""
    asking, asked = state.asking, asked_of(state, tree)
    if asking is None or not asking.peer_silent:
        return Wait.CONTACT
    if asked.forced and (not disk_ok(state) or state.forced):
        return Wait.FORCED
    if state.peer is None or state.peer_since is None:
        return Wait.MOVING
    if state.peer.limits != state.limits or state.former_limits is not None:
        return Wait.LIMITS
    if peer_moves(state):
        return Wait.MOVING if state.peer.tree(tree.id).entry.holds else Wait.CONTACT
    if state.now.raw_s < state.backed_off_until_s or _claim_too_old(state):
        return Wait.BACKED_OFF
    if state.last_promise is not None and at_least_s(state.last_promise, state.now) < take_s(state):
        return Wait.PROMISED
    if at_least_s(state.peer_since, state.now) < take_s(state):
        return Wait.UNCHANGED
    return Wait.OVER if state.claim_rounds >= CLAIM_ROUNDS else Wait.CLAIM


def _claim_too_old(state: GuardState) -> bool:
    return state.claim_since is not None and at_least_s(state.claim_since, state.now) > 2 * take_s(state)


def moving(state: GuardState, tree: Held) -> bool:
    """Return whether the tree is on its way to this node, so that waiting a whole period would show."""
    if tree.claims:
        return state.claim_rounds < CLAIM_ROUNDS
    taken = there_word(state, tree) is not There.FREE
    if taken and not tree.entry.holds and wait_word(state, tree) not in (Wait.CONTACT, Wait.OVER):
        return False
    wanted = state.asking is not None and any(
        a.id == tree.id and a.asked in (Asked.WANT, Asked.RUN) for a in state.asking.trees
    )
    return (
        tree.entry is Entry.WANT
        or (wanted and not tree.entry.holds)
        or (tree.entry.holds and not tree.rounds)
    )


def entry_situation(state: GuardState, tree: Held) -> EntrySituation:
    """Return everything that decides what the node declares about the tree."""
    return EntrySituation(
        entry=tree.entry,
        asked=asked_of(state, tree).asked,
        lease=state.lease,
        fresh=age_word(state) is Age.FRESH,
        daemon_here=daemon_word(state) is Daemon.HERE,
        there=there_word(state, tree),
        wait=wait_word(state, tree),
        settled=tree.rounds >= WANT_ROUNDS,
        paused=state.now.raw_s < tree.paused_until_s,
    )


def _disk_words(state: GuardState) -> Text:
    found = disk_trouble(state)
    return found if found.template else say("its last round on the quorum disk is too old")


def values(state: GuardState, tree: Held | None = None) -> dict[str, Value]:
    """Return the values that sentences of the guard may mention."""
    del tree
    names = {a.id: a.name for a in state.asking.trees} if state.asking else {}
    return {
        "peer": (state.asking.peer if state.asking else "") or f"node {2 - state.node}",
        "rival": ", ".join(names.get(t.id) or str(t.id) for t in rivals(state)),
        "keep_s": round(keep_s(state), 2),
        "take_s": round(take_s(state), 2),
        "claim_s": round(state.limits.claim_s, 2),
        "grace_s": round(DAEMON_GRACE_S),
        "disk_trouble": _disk_words(state),
        "fence": state.asking.fence if state.asking else "",
    }


def chance(state: GuardState) -> float:
    """Return a fraction 0..1 that differs between the nodes and from time to time, the same for the same past."""
    seed = int(state.boot_id[:8] or "0", 16) ^ (state.number * 2_654_435_761) ^ (state.node * 40_503)
    return (seed * 1_103_515_245 + 12_345) % 1009 / 1009


def decisive(state: GuardState) -> tuple[object, ...]:
    """Return everything but time that decisions rest on: as long as it is the same, nothing has to be decided."""
    peer = state.peer
    return (
        state.asking,
        state.trees,
        state.lease,
        state.claim_rounds,
        state.rewritten,
        state.disk_trouble,
        state.generation,
        state.peer_mark is None,
        peer and (peer.trees, peer.claim, peer.generation, peer.limits, peer.flags.reference_ok),
        state.peer_doubtful,
        sources_word(state),
        peer_moves(state),
        hangs(state),
        state.watchdog,
        (state.amnesia, state.intruder, state.twin, state.forced, state.daemon_ended),
        state.all_stopped,
        state.limits,
        state.former_limits,
        state.shutting_down,
    )


def duty_moments(state: GuardState, now: Stamp) -> Iterator[float]:
    """Yield in how many seconds, counted from `now`, a round or a feeding is due."""
    if not state.reading:
        yield state.round_due_s - now.raw_s
    elif state.issued is not None and not hangs(state):
        yield max(HANGS_S, 3 * state.limits.round_s) + 0.001 - at_most_s(state.issued, now)
    if state.armed and covered(state) and age_word(state) is Age.FRESH:
        yield state.fed_s + state.limits.feed_s - now.raw_s
    yield 5.0


def decision_moments(state: GuardState, now: Stamp) -> Iterator[float]:
    """Yield in how many seconds, counted from `now`, time alone may change a decision."""
    yield 5.0
    for since in (state.by_disk, state.by_peer):
        if since is not None and (rest_s := keep_s(state) - at_most_s(since, now)) > -0.001:
            yield rest_s + 0.001
    if covered(state):
        if state.basis is not None and not state.forced:
            for limit_s in (keep_s(state), reset_s(state)):
                rest_s = limit_s - at_most_s(state.basis, now)
                if rest_s > -0.001:
                    yield rest_s + 0.001
        if state.asked_at is not None:
            for limit_s in (DAEMON_HERE_S, DAEMON_GRACE_S):
                rest_s = limit_s - at_most_s(state.asked_at, now)
                if rest_s > -0.001:
                    yield rest_s + 0.001
    if state.lease is Lease.ENDING:
        yield 0.05
    yield from _takeover_moments(state, now)


def _takeover_moments(state: GuardState, now: Stamp) -> Iterator[float]:
    waiting = [t for t in state.trees if not t.entry.holds and asked_of(state, t).asked is not Asked.OFF]
    if not waiting:
        return
    for tree in waiting:
        if tree.paused_until_s > now.raw_s:
            yield tree.paused_until_s - now.raw_s
    if state.backed_off_until_s > now.raw_s:
        yield state.backed_off_until_s - now.raw_s
    for since, limits_s in (
        (state.peer_since, (state.limits.claim_s, take_s(state))),
        (state.last_promise, (take_s(state),)),
        (state.claim_since if state.claim != NO_CLAIM else None, (2 * take_s(state) + 0.001,)),
    ):
        for limit_s in limits_s:
            if since is not None and at_least_s(since, now) < limit_s:
                yield limit_s - at_least_s(since, now)
