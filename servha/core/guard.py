"""The arbitration guard: the only one who renews the node's lease, writes its slot and feeds its watchdog.

Remember, decide, oblige, as the engine does; the two tables are in lease.py, the words they ask for come from
guard_words.py. It runs inside servha-guardd. The rest of the core runs inside servhad; between the two lies a
local socket, over which each tells the other everything, every time (guard_model.py).

It refuses to decide whether a tree should run here: it grants or ends the right to.
"""

from __future__ import annotations

from servha.core import guard_memory
from servha.core.clocks import Stamp, at_most_s
from servha.core.guard_model import (
    ArmWatchdog,
    DisarmWatchdog,
    EmergencyStop,
    Ended,
    EntryView,
    FeedWatchdog,
    GivePromise,
    GuardEffect,
    GuardEvent,
    GuardState,
    Held,
    Log,
    PingHeard,
    ResetNode,
    Saved,
    Tell,
    View,
    WriteRound,
)
from servha.core.guard_words import (
    BACK_OFF,
    age_word,
    chance,
    covered,
    daemon_quiet,
    decision_moments,
    decisive,
    disk_ok,
    disk_trouble,
    duty_moments,
    entry_situation,
    lease_situation,
    moving,
    next_ownership,
    outnumbered,
    peer_moves,
    sources_word,
    values,
    watches_own,
)
from servha.core.lease import ENDED, ENTRY, LEASE, Age, Lease
from servha.core.register import NO_CLAIM, Claim, Entry, Flags, Slot, TreeEntry
from servha.core.table import fill, first_match
from servha.core.timing import Limits
from servha.core.value import replace
from servha.core.words import say

SETTLE_COUNT_MAX = 4
HURRY_GAP_S = 0.005
"""Pause between two rounds while a tree is on its way from one node to the other."""

DAEMON_ANSWER_S = 0.25
"""How long servhad has to say that it starts nothing any more, before it is killed."""

WAKE_LEAST_S = 0.0005


class Guard:
    """The guard of one node. `boot_id` is 32 hexadecimal digits; `saved` comes from a predecessor in this boot."""

    def __init__(
        self, *, node: int, boot_id: str, limits: Limits, now: Stamp, saved: Saved | None = None
    ) -> None:
        self.state = guard_memory.begin(node, boot_id, limits, now, saved)
        self._decided_on: tuple[object, ...] = ()
        self._decide_in_s = 0.0
        self._decided_at = now

    def handle(self, event: GuardEvent) -> list[GuardEffect]:
        """Fold in `event`; return what is to be done, in order."""
        out: list[GuardEffect] = []
        self.state = guard_memory.remember(self.state, event)
        if not self._is_routine():
            self._decide(out)
        if isinstance(event, PingHeard):
            self._promise(event, out)
        self._tend_watchdog(out)
        self._write(out)
        return out

    def _is_routine(self) -> bool:
        """Return whether the event only says that time passes and that everything is as it was; most do."""
        passed_s = at_most_s(self._decided_at, self.state.now)
        return passed_s < self._decide_in_s and decisive(self.state) == self._decided_on

    def _decide(self, out: list[GuardEffect]) -> None:
        """Walk the tables until nothing changes, and say what stands."""
        for _ in range(SETTLE_COUNT_MAX):
            settled_on = self.state
            self._decide_lease(out)
            self._decide_entries()
            self._decide_claim()
            if self.state == settled_on:
                break
        self._stop_everything(out)
        self._tell(out)
        self._decided_at = self.state.now
        self._decided_on = decisive(self.state)
        self._decide_in_s = min(decision_moments(self.state, self.state.now))

    def wake_in_s(self, now: Stamp) -> float:
        """Return in how many seconds a `Woken` is due if nothing else happens before."""
        decide_s = self._decide_in_s - at_most_s(self._decided_at, now)
        return max(WAKE_LEAST_S, min(decide_s, *duty_moments(self.state, now)))

    def saved(self) -> Saved | None:
        """Return what a successor within this boot needs to go on; None while nothing depends on it."""
        state = self.state
        slot = state.writing or state.written
        if slot is None or not covered(state):
            return None
        return Saved(
            boot_id=state.boot_id,
            slot=slot,
            basis=state.basis,
            trees=state.trees,
            asking=state.asking,
            watchdog=state.watchdog,
            watchdog_s=state.watchdog_s,
            forced=state.forced,
        )

    # --- decide -------------------------------------------------------------------------------------------------

    def _decide_lease(self, out: list[GuardEffect]) -> None:
        state = self.state
        row = first_match(LEASE, lease_situation(state))
        said = values(state)
        because, otherwise = row.why(**said), fill(row.otherwise, said)
        if row.becomes is state.lease and row.becomes in ENDED:
            because, otherwise = state.because, state.otherwise  # why it ended is what there is to tell
        if row.becomes is not state.lease:
            ended = row.becomes in (Lease.ENDING, Lease.RESET)
            out.append(Log("error" if ended else "info", because))
            if row.becomes is Lease.ENDING:
                state = replace(
                    state,
                    ending_since=state.now,
                    ending_view=state.view.number + 1,
                    all_stopped=False,
                    sweep_quiet=False,
                    daemon_killed=False,
                    forced=False,
                )
            elif row.id == "twin":
                state = begun_anew(state)
            elif row.becomes is Lease.FREE and state.lease is Lease.ENDING:
                stopped = tuple(
                    _became(t, Entry.RELEASED if t.entry.holds else Entry.NONE) for t in state.trees
                )
                state = replace(state, trees=stopped, ending_since=None, amnesia=False, intruder=False)
        self.state = replace(state, lease=row.becomes, because=because, otherwise=otherwise)

    def _decide_entries(self) -> None:
        state = self.state
        asking = state.asking
        known = {t.id for t in state.trees}
        fresh = tuple(Held(a.id, rank=a.rank) for a in (asking.trees if asking else ()) if a.id not in known)
        trees = [self._decided(replace(state, trees=state.trees + fresh), t) for t in state.trees + fresh]
        self.state = replace(self.state, trees=tuple(trees))

    def _decided(self, state: GuardState, tree: Held) -> Held:
        if tree.entry is Entry.WANT and outnumbered(state, tree):
            # The peer has held it meanwhile under the number that we want: none is ever used twice.
            tree = replace(tree, ownership=next_ownership(state, tree), rounds=0)
        row = first_match(ENTRY, entry_situation(state, tree))
        said = values(state, tree)
        if row.id == "forced" and not state.forced:
            self.state = replace(self.state, forced=True)
        if row.becomes is Entry.WANT and tree.entry is not Entry.WANT:
            tree = replace(_became(tree, Entry.WANT), ownership=next_ownership(state, tree))
        elif row.id == "forced" and not tree.entry.holds:
            # Granted for good: the disk need not confirm what a person has decided.
            tree = replace(_became(tree, Entry.HELD), ownership=next_ownership(state, tree), rounds=2)
        elif row.becomes is not tree.entry:
            tree = _became(tree, row.becomes)
            if row.id in BACK_OFF:
                pause_s = chance(state) * 2 * state.limits.round_s
                tree = replace(tree, paused_until_s=state.now.raw_s + pause_s)
        claims = row.id == "claiming"
        if claims is not tree.claims:
            tree = replace(tree, claims=claims, rounds=0)
        return replace(tree, because=row.why(**said), otherwise=fill(row.otherwise, said))

    def _decide_claim(self) -> None:
        """Let the claim stand for as long as a tree needs it; one that was answered or grew old makes us stand back."""
        state = self.state
        stands = state.claim != NO_CLAIM
        needed = any(t.claims for t in state.trees)
        if needed and not stands and state.peer is not None:
            claim = Claim(state.peer.generation, state.peer.number, state.number + 1)
            self.state = replace(state, claim=claim, claim_since=state.now, claim_rounds=0)
        elif stands and not needed:
            pause_s = chance(state) * state.limits.round_s
            taken = any(t.entry is Entry.HELD and not t.rounds for t in state.trees)
            back_s = state.backed_off_until_s if taken else state.now.raw_s + pause_s
            self.state = replace(
                state, claim=NO_CLAIM, claim_since=None, claim_rounds=0, backed_off_until_s=back_s
            )

    # --- oblige -------------------------------------------------------------------------------------------------

    def _promise(self, event: PingHeard, out: list[GuardEffect]) -> None:
        """Promise not to take what the peer holds, unless taking it has begun."""
        state = self.state
        if state.claim != NO_CLAIM or any(t.claims for t in state.trees):
            return
        self.state = replace(state, last_promise=state.now)
        out.append(GivePromise(event.generation, event.token))

    def _stop_everything(self, out: list[GuardEffect]) -> None:
        """Order the emergency stop once, again without servhad if it does not answer, and again when it is quiet."""
        state = self.state
        if state.lease is Lease.RESET:
            out.append(ResetNode(state.because))
            return
        if state.lease is not Lease.ENDING or state.ending_since is None:
            return
        quiet = daemon_quiet(state)
        kill = (
            not quiet
            and not state.daemon_killed
            and at_most_s(state.ending_since, state.now) >= DAEMON_ANSWER_S
        )
        begins = (
            state.ending_since == state.now
            and not state.sweep_quiet
            and state.ending_view > state.view.number
        )
        if begins or kill or (quiet and not state.sweep_quiet):
            self.state = replace(
                state,
                sweep=state.sweep + 1,
                sweep_quiet=quiet,
                all_stopped=False,
                daemon_killed=state.daemon_killed or kill,
            )
            out.append(EmergencyStop(state.because, self.state.sweep, kill_daemon=kill))

    def _tend_watchdog(self, out: list[GuardEffect]) -> None:
        state = self.state
        if covered(state) and not state.armed:
            out.append(ArmWatchdog(state.limits.watchdog_s))
            self.state = replace(state, armed=True, fed_s=state.now.raw_s)
        elif state.armed and not covered(state) and state.lease is not Lease.BOOTING:
            out.append(DisarmWatchdog())
            self.state = replace(state, armed=False)
        elif state.armed and state.now.raw_s - state.fed_s >= state.limits.feed_s * 0.99 and _may_feed(state):
            out.append(FeedWatchdog())
            self.state = replace(state, fed_s=state.now.raw_s)

    def _write(self, out: list[GuardEffect]) -> None:
        """Begin a round when one is due, or at once when there is something new to declare."""
        state = self.state
        if state.shutting_down and (covered(state) or not disk_ok(state) or self._said_goodbye()):
            out.append(Ended(held=covered(state)))
            return
        if state.reading:
            return
        if state.peer_mark is None or watches_own(state):
            if state.now.raw_s >= state.round_due_s:
                self._begin(None, out)
            return
        if state.now.raw_s >= state.round_due_s or (self._has_news() and disk_ok(state)):
            self._begin(self._declared(), out)

    def _has_news(self) -> bool:
        """Return whether something has to reach the disk at once; what is only informative waits for the next round."""
        state, written = self.state, self.state.written
        if written is None:
            return True
        shut_down = state.shutting_down and not covered(state)
        told = (written.claim, written.trees, written.limits, written.flags.shut_down, written.generation)
        return told != (state.claim, self._entries(), state.limits, shut_down, state.generation)

    def _entries(self) -> tuple[TreeEntry, ...]:
        return tuple(
            TreeEntry(t.id, t.entry, t.ownership, t.rank)
            for t in self.state.trees
            if t.ownership or t.entry != Entry.NONE
        )

    def _said_goodbye(self) -> bool:
        return self.state.written is not None and self.state.written.flags.shut_down

    def _begin(self, slot: Slot | None, out: list[GuardEffect]) -> None:
        state = self.state
        hurry = (state.lease is Lease.BOOTING and not watches_own(state)) or (
            state.now.raw_s < state.hurry_until_s and any(moving(state, t) for t in state.trees)
        )
        pause_s = HURRY_GAP_S if hurry and disk_ok(state) else state.limits.round_s
        self.state = replace(
            state,
            reading=True,
            writing=slot,
            issued=state.now,
            number=slot.number if slot else state.number,
            round_due_s=state.now.raw_s + pause_s,
        )
        out.append(WriteRound(slot))

    def _declared(self) -> Slot:
        state = self.state
        seen = state.peer.age if state.peer else (0, 0)
        asking = state.asking
        return Slot(
            node=state.node,
            generation=state.generation,
            number=state.number + 1,
            boot_id=state.boot_id,
            limits=state.limits,
            claim=state.claim,
            seen_generation=seen[0],
            seen_number=seen[1],
            flags=Flags(
                reference_ok=bool(asking and asking.reference_ok),
                hears_peer=bool(asking and not asking.peer_silent),
                shut_down=state.shutting_down and not covered(state),
                eligible=bool(asking) and not state.shutting_down,
                watchdog_armed=state.armed and bool(state.watchdog),
                degraded=state.lease is Lease.DEGRADED,
            ),
            trees=self._entries(),
        )

    def _tell(self, out: list[GuardEffect]) -> None:
        state = self.state
        peer = state.peer
        view = View(
            number=state.view.number,
            answers=state.asking.number if state.asking else 0,
            lease=state.lease,
            because=state.because,
            otherwise=state.otherwise,
            sources=sources_word(state),
            disk_ok=disk_ok(state),
            disk_trouble=disk_trouble(state),
            watchdog=state.watchdog,
            generation=state.generation,
            entries=tuple(self._entry_view(t) for t in state.trees),
            peer_entries=tuple(peer.trees) if peer else (),
            peer_moves=peer_moves(state),
            peer_reference_ok=bool(peer and peer.flags.reference_ok),
            limits_differ=bool(peer and peer.limits != state.limits),
        )
        if view != state.view:
            view = replace(view, number=state.view.number + 1)
            self.state = replace(state, view=view)
            out.append(Tell(view))

    def _entry_view(self, tree: Held) -> EntryView:
        state = self.state
        granted = (
            tree.entry is Entry.HELD
            and state.lease in (Lease.LEASED, Lease.DEGRADED)
            and (tree.rounds >= 1 or state.forced)
        )
        because, otherwise = tree.because, tree.otherwise
        if tree.entry is Entry.HELD and not granted and state.lease in (Lease.LEASED, Lease.DEGRADED):
            because = say("it is being written to the quorum disk that this node holds it")
        return EntryView(tree.id, tree.entry, tree.ownership, granted, because, otherwise)


def begun_anew(state: GuardState) -> GuardState:
    """Forget the own slot, which somebody else writes: it is met again as at a boot, and watched for longer."""
    return replace(
        state,
        trees=tuple(_became(t, Entry.NONE) for t in state.trees),
        ending_since=None,
        intruder=False,
        twin=True,
        rewritten=0,
        written=None,
        own_since=None,
        basis=None,
        by_disk=None,
    )


def _became(tree: Held, entry: Entry) -> Held:
    return replace(tree, entry=entry, rounds=0, claims=False)


def _may_feed(state: GuardState) -> bool:
    return state.lease not in (Lease.ENDING, Lease.RESET) and age_word(state) is Age.FRESH
