"""The real Guard as a finite machine: one tick of time, one tree, every number brought to its place in an order.

The exploration asks the same question millions of times: what does a guard in this state do when that happens? Here
it is asked of the real `Guard.handle` once, and the answer kept. What has no influence on what a guard does later is
brought to one form (`_normal`); each such step says why it loses nothing. What is left is a few thousand states.

Nothing about disks, processes and time's passing over two nodes is decided here (explore_node.py, explore.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from servha.core import guard_model as gm
from servha.core.clocks import Stamp
from servha.core.guard import Guard
from servha.core.lease import Asked, Lease
from servha.core.register import NO_CLAIM, Claim, Entry, Flags, Slot, TreeEntry
from servha.core.timing import Limits
from servha.core.words import NOTHING_SAID, say

TREE = 7
NOW = Stamp(0.0, 0.0, 0.0)
LIVING = (Lease.LEASED, Lease.DEGRADED)
SAME, CHANGED = b"=", b"!"
"""What the raw bytes of the peer's slot are, compared with the last time they were read."""

FAILED = say("input/output error")
BOOT_IDS = ("1" * 32, "2" * 32)


@dataclass(frozen=True, slots=True)
class Content:
    """What one slot says of the tree, as far as the other node reads it."""

    entry: Entry = Entry.NONE
    claim: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the guard's effects amount to, once `Guard.handle` has returned."""

    local: int
    """The guard's new state."""
    writes: bool = False
    promises: bool = False
    arms: bool = False
    feeds: bool = False
    disarms: bool = False
    stops: bool = False
    resets: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What the world around a guard has to know of its state."""

    granted: bool
    """Whether servhad may start the tree by what the guard last told."""
    ended: bool
    reset: bool
    reading: bool
    armed: bool
    holds: bool
    declares: Content
    """What the round under way writes."""
    asking: gm.Asking
    kills: bool
    """Whether servhad was ordered killed, and its end not yet seen."""


class LocalGuards:
    """Every state of a guard that came up so far, under its number; transitions are computed once.

    For each node, `waits_s` is the age beyond which silence of the peer is no longer told apart, 0 where it never takes
    anything over; `lasting` says that its lease never ends, which leaves it more to do and never less.
    """

    def __init__(self, limits: Limits, *, waits_s: tuple[float, float], lasting: tuple[bool, bool]) -> None:
        self.limits = limits
        self.waits_s = waits_s
        self.lasting = lasting
        self.states: list[gm.GuardState] = []
        self.facts: list[Facts] = []
        self._numbers: dict[gm.GuardState, int] = {}
        self._answers: dict[tuple[int, gm.GuardEvent, bool], Outcome] = {}
        self._later: dict[int, int] = {}
        self.rivals: set[int] = set()
        """Nodes that held the tree on a living lease and read that the peer holds it too."""

    def number(self, state: gm.GuardState) -> int:
        """Return the number under which `state`, in its normal form, is known."""
        state = self._normal(state)
        known = self._numbers.get(state)
        if known is None:
            known = self._numbers[state] = len(self.states)
            self.states.append(state)
            self.facts.append(_facts(state))
        return known

    def handle(self, local: int, event: gm.GuardEvent, *, due: bool = False) -> Outcome:
        """Return what the guard does; `due` says whether the next round is due by its own clock."""
        asked = (local, event, due)
        answer = self._answers.get(asked)
        if answer is None:
            answer = self._answers[asked] = self._handle(self.states[local], event, due=due)
        return answer

    def _handle(self, state: gm.GuardState, event: gm.GuardEvent, *, due: bool) -> Outcome:
        guard = Guard(node=state.node, boot_id=state.boot_id, limits=self.limits, now=NOW)
        guard.state = replace(state, round_due_s=-1.0 if due else 9.0)
        effects = guard.handle(event)
        made = {type(e) for e in effects}
        after = guard.state
        theirs = after.peer.tree(TREE).entry if after.peer else Entry.NONE
        if after.tree(TREE).entry.holds and after.lease in LIVING and theirs.holds:
            self.rivals.add(after.node)
        return Outcome(
            self.number(after),
            writes=gm.WriteRound in made,
            promises=gm.GivePromise in made,
            arms=gm.ArmWatchdog in made,
            feeds=gm.FeedWatchdog in made,
            disarms=gm.DisarmWatchdog in made,
            stops=gm.EmergencyStop in made,
            resets=gm.ResetNode in made,
        )

    def later(self, local: int) -> int:
        """Return the state one tick later."""
        known = self._later.get(local)
        if known is None:
            known = self._later[local] = self.number(_aged(self.states[local]))
        return known

    def _normal(self, state: gm.GuardState) -> gm.GuardState:
        ended = state.lease in (Lease.ENDING, Lease.RESET)
        waits_s, lasting = self.waits_s[state.node], self.lasting[state.node]
        claims = {state.claim: 1, NO_CLAIM: 0}
        ownership = state.tree(TREE).ownership
        asking = state.asking or gm.Asking()
        seen = int(ended and asking.seen >= state.ending_view)
        return replace(
            state,
            now=NOW,
            # Sentences, and which of two sources renewed: words for people only.
            lease=Lease.DEGRADED if state.lease is Lease.LEASED else state.lease,
            because=NOTHING_SAID,
            otherwise=NOTHING_SAID,
            by_disk=None,
            by_peer=None,
            # Own numbers only ever grow and are compared with what was just written.
            number=0,
            writing=_own_slot(state.writing, claims, ownership),
            written=_own_slot(state.written, claims, ownership),
            rewritten=2,
            issued=_no_older(state.issued, 0.0 if lasting else 3.0),
            # When the next round is due is left free: any pace is explored (`due`).
            round_due_s=0.0,
            hurry_until_s=0.0,
            disk_trouble=FAILED if state.disk_trouble.template else NOTHING_SAID,
            basis=_no_older(state.basis, 0.0 if lasting else 3.0),
            last_promise=_no_older(state.last_promise, waits_s),
            peer_mark=SAME,
            peer_since=_no_older(state.peer_since, waits_s),
            claim=_claim(state.claim, claims),
            claim_since=_no_older(state.claim_since, 0.0),
            backed_off_until_s=0.0,
            trees=tuple(
                gm.Held(t.id, t.entry, 2 if t.ownership else 0, t.rank, t.rounds, t.claims)
                for t in state.trees
            ),
            asking=replace(asking, seen=seen),
            asked_at=NOW,
            watchdog="watchdog",
            watchdog_s=0.0,
            fed_s=max(state.fed_s, -1.0) if state.armed and not lasting else 0.0,
            ending_since=_no_older(state.ending_since, 1.0),
            ending_view=int(ended),
            sweep=0,
            view=gm.View(number=int(ended)),
        )


def _facts(state: gm.GuardState) -> Facts:
    tree = state.tree(TREE)
    assert state.asking is not None
    return Facts(
        granted=tree.entry is Entry.HELD and state.lease in LIVING and tree.rounds >= 1,
        ended=state.lease in (Lease.ENDING, Lease.RESET),
        reset=state.lease is Lease.RESET,
        reading=state.reading,
        armed=state.armed,
        holds=tree.entry.holds,
        declares=content(state.writing),
        asking=state.asking,
        kills=state.daemon_killed and not state.daemon_ended,
    )


def content(slot: Slot | None) -> Content:
    """Return what the peer would read in `slot`: released is as good as never held."""
    if slot is None:
        return Content()
    entry = slot.tree(TREE).entry
    return Content(Entry.NONE if entry is Entry.RELEASED else entry, slot.claim != NO_CLAIM)


def peer_slot(node: int, limits: Limits, said: Content) -> Slot:
    """Return the slot of the peer, node `node`, that says `said`; its rank is its number."""
    claim = Claim(1, 0, 1) if said.claim else NO_CLAIM
    tree = TreeEntry(TREE, said.entry, int(said.entry is not Entry.NONE), node)
    return Slot(node, 1, 0, BOOT_IDS[node], limits, claim, trees=(tree,))


def asking(asked: Asked, *, silent: bool, seen: bool, rank: int) -> gm.Asking:
    """Return what servhad asks for; its own absence is explored elsewhere, so it is never missed."""
    return gm.Asking(
        (gm.TreeAsked(TREE, asked, rank=rank),), peer_silent=silent, detached=True, seen=int(seen)
    )


def _no_older(since: Stamp | None, age_s: float) -> Stamp | None:
    """Clamp a moment to `age_s`, after which no threshold lies."""
    return since if since is None or since.raw_s > -age_s else NOW.later(-age_s)


def _claim(claim: Claim, known: dict[Claim, int]) -> Claim:
    """Give equal claims equal numbers; more than that is never asked of one."""
    return NO_CLAIM if claim == NO_CLAIM else Claim(1, 0, known.setdefault(claim, 1 + len(known)))


def _own_slot(slot: Slot | None, claims: dict[Claim, int], ownership: int) -> Slot | None:
    if slot is None:
        return None
    # Of an ownership number it only matters whether it is still the one declared.
    trees = tuple(
        replace(t, ownership=0 if not t.ownership else 2 if t.ownership == ownership else 1)
        for t in slot.trees
    )
    return Slot(
        slot.node, slot.generation, 0, slot.boot_id, slot.limits, _claim(slot.claim, claims), 1, 0,
        Flags(), trees,
    )  # fmt: skip


def _aged(state: gm.GuardState) -> gm.GuardState:
    def older(since: Stamp | None) -> Stamp | None:
        return None if since is None else since.later(-1.0)

    return replace(
        state,
        issued=older(state.issued),
        basis=older(state.basis),
        last_promise=older(state.last_promise),
        peer_since=older(state.peer_since),
        claim_since=older(state.claim_since),
        ending_since=older(state.ending_since),
        fed_s=state.fed_s - 1.0,
    )
