"""Why two never run one tree: the node's lease, and how one tree's entry on the quorum disk changes.

LEASE: what the whole node may do, judged by the age of the last renewal. ENTRY: what the node declares about one
tree. Both are walked by guard.py inside servha-guardd; servhad may start a tree only while its entry is held and
the lease lives.

The promises, each a test:
  - nothing is held unless the watchdog was armed first, and nothing is held on an ended lease;
  - an ended lease never comes back to life: the node stops everything first, or is reset;
  - what the peer holds is taken only after it was silent by every measure for the whole wait, and after a claim
    that it would have had to see before it could renew again;
  - what nobody holds is taken only after two rounds in which the peer neither held nor wanted it.

What is refused here: any clock, any number, any I/O; and whether a tree should run here (placement.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from servha.core.register import Entry
from servha.core.table import Row


class Lease(StrEnum):
    """What the node's lease amounts to."""

    BOOTING = "booting"  # own slot not yet rewritten since the start: nothing may be wanted
    FREE = "free"  # nothing is held, so no lease is needed
    LEASED = "leased"
    DEGRADED = "degraded"  # held, but renewed by one of two sources only
    ENDING = "ending"  # everything has to stop now; there is no way back
    RESET = "reset"  # stopping took too long: the node resets itself


class Age(StrEnum):
    """How old the last renewal is."""

    FRESH = "fresh"
    ENDED = "ended"  # too old for anything to run
    OVERDUE = "overdue"  # so old that what still runs must be cut off with the node


class Sources(StrEnum):
    """Who renewed the lease within its life."""

    BOTH = "both"
    DISK = "disk"
    PEER = "peer"
    NONE = "none"


class Daemon(StrEnum):
    """How servhad is, as the guard sees it."""

    HERE = "here"
    AWAY = "away"
    GONE = "gone"  # for longer than its grace


@dataclass(frozen=True, slots=True)
class LeaseSituation:
    """Everything the node's lease depends on."""

    lease: Lease
    rewritten: bool
    """Whether both copies of the own slot were written in this life of the guard, or taken over whole."""
    holds: bool
    age: Age
    sources: Sources
    daemon: Daemon
    stopped: bool
    """Whether everything was seen stopped after an emergency stop, and servhad knows that it may start nothing."""
    amnesia: bool
    """Whether the own slot says that this boot holds something that the guard does not remember."""
    intruder: bool
    """Whether somebody else writes the own slot."""
    rival: bool
    """Whether the peer holds one of our trees with a higher ownership number: must be impossible."""
    fence: bool
    """Whether servhad asks for the node's end, because nothing else ends what it could not stop."""


ENDED = frozenset({Lease.ENDING, Lease.RESET})

LEASE: tuple[Row[Lease], ...] = (
    # There is no way back from an ended lease but through a full stop.
    Row(
        "twin",
        {"lease": Lease.ENDING, "stopped": True, "intruder": True},
        Lease.BOOTING,
        "a second machine with this node's identity writes its slot: nothing is wanted here while it does",
        "only one machine with this node's identity, and the other one switched off, would have let it go on",
    ),
    Row("all-stopped", {"lease": Lease.ENDING, "stopped": True}, Lease.FREE, "everything is stopped"),
    Row(
        "resetting",
        {"lease": Lease.RESET},
        Lease.RESET,
        "not everything stopped in time: the node resets itself before {peer} may take over",
    ),
    Row(
        "stop-too-slow",
        {"lease": Lease.ENDING, "age": Age.OVERDUE},
        Lease.RESET,
        "not everything stopped in time: the node resets itself before {peer} may take over",
    ),
    Row("stopping", {"lease": Lease.ENDING}, Lease.ENDING, "everything is being stopped"),
    Row(
        "amnesia",
        {"amnesia": True},
        Lease.ENDING,
        "the quorum disk says that this node holds trees, and nothing here remembers how",
    ),
    Row(
        "intruder",
        {"intruder": True},
        Lease.ENDING,
        "somebody else writes this node's slot on the quorum disk: a second machine has its identity",
    ),
    Row(
        "booting", {"lease": Lease.BOOTING, "rewritten": False}, Lease.BOOTING, "its slot is being rewritten"
    ),
    Row("nothing-held", {"holds": False}, Lease.FREE, "nothing is held"),
    Row(
        "rival",
        {"rival": True},
        Lease.ENDING,
        "{peer} holds {rival} with a higher ownership number: this must never happen, so everything stops",
    ),
    Row(
        "lease-ended",
        {"age": frozenset({Age.ENDED, Age.OVERDUE})},
        Lease.ENDING,
        "neither the quorum disk nor {peer} renewed the lease for {keep_s} s",
        "a completed round on the quorum disk, or a promise of {peer} on any link, would have renewed it",
    ),
    Row(
        "daemon-gone",
        {"daemon": Daemon.GONE},
        Lease.ENDING,
        "servhad has been away for more than {grace_s} s, so nobody watches what runs",
        "servhad coming back within {grace_s} s would have found everything running and adopted it",
    ),
    Row(
        "fence",
        {"fence": True},
        Lease.RESET,
        "{fence} could not be stopped by anything: the node resets itself so that {peer} may take over",
        "stop failure policy wait would have left it to an administrator",
    ),
    Row("both-renew", {"sources": Sources.BOTH}, Lease.LEASED, "the quorum disk and {peer} renew the lease"),
    Row("disk-renews", {"sources": Sources.DISK}, Lease.DEGRADED, "only the quorum disk renews the lease"),
    Row(
        "peer-renews",
        {"sources": Sources.PEER},
        Lease.DEGRADED,
        "only {peer} renews the lease: {disk_trouble}; no takeover is possible until the disk is back",
    ),
    Row("renewal-due", {}, Lease.DEGRADED, "the lease lives and waits for its next renewal"),
)


class Asked(StrEnum):
    """What servhad says of one tree: the whole of its wish, repeated with every message."""

    OFF = "off"  # nothing of it runs here, and it is not wanted
    WANT = "want"  # it is to start here
    RUN = "run"  # it may be running here, and is to
    STOP = "stop"  # it is being stopped, and may still be running
    STUCK = "stuck"  # it could not be stopped


class There(StrEnum):
    """The peer's entry for the tree, as read from its slot."""

    UNREAD = "unread"  # its slot was never read, or never readable
    FREE = "free"
    WANTS_FIRST = "wants-first"
    WANTS_AFTER = "wants-after"
    HOLDS = "holds"


class Wait(StrEnum):
    """What a takeover still waits for; the conditions C1 to C4 of section 2.6, the first that is not met."""

    CONTACT = "contact"  # C1: the peer is heard
    LIMITS = "limits"  # I8: its slot has other figures, so its lease cannot be waited for
    MOVING = "moving"  # C3: its slot changed too lately even to announce the takeover
    BACKED_OFF = "backed-off"  # it answered the last claim, or the claim grew old
    UNCHANGED = "unchanged"  # C3: announced; its slot has not been unchanged for the whole wait
    PROMISED = "promised"  # C2: it was promised not to, too lately
    CLAIM = "claim"  # C4: the claim has not been seen unanswered twice
    OVER = "over"
    FORCED = "forced"  # an administrator says that the peer is off


@dataclass(frozen=True, slots=True)
class EntrySituation:
    """Everything that decides what the node declares about one tree."""

    entry: Entry
    asked: Asked
    lease: Lease
    fresh: bool
    """Whether the last renewal is young enough for something to run."""
    daemon_here: bool
    there: There
    wait: Wait
    settled: bool
    """Whether two rounds in a row carried our want and found the peer neither holding nor wanting."""
    paused: bool
    """Whether it stood back for the peer a moment ago."""


HOLDING = frozenset({Entry.HELD, Entry.STOP_FAILED})
DOWN = frozenset({Entry.NONE, Entry.RELEASED})
TAKEN = frozenset({There.HOLDS, There.WANTS_FIRST, There.WANTS_AFTER})
ANNOUNCED = frozenset({Wait.UNCHANGED, Wait.PROMISED, Wait.CLAIM})

ENTRY: tuple[Row[Entry], ...] = (
    # It is held: it stays so until servhad says that nothing of it runs.
    Row(
        "ending",
        {"lease": ENDED, "entry": HOLDING},
        Entry.HELD,
        "it is held until everything is seen stopped",
    ),
    Row("given-up", {"lease": ENDED}, Entry.NONE, "the lease has ended"),
    Row("released", {"entry": HOLDING, "asked": Asked.OFF}, Entry.RELEASED, "it is stopped"),
    Row("stuck", {"entry": HOLDING, "asked": Asked.STUCK}, Entry.STOP_FAILED, "it could not be stopped"),
    Row("held", {"entry": HOLDING}, Entry.HELD, "it is held here"),
    # It is not held, and not wanted.
    Row("still-released", {"entry": Entry.RELEASED, "asked": Asked.OFF}, Entry.RELEASED, "it is stopped"),
    Row(
        "not-wanted",
        {"asked": frozenset({Asked.OFF, Asked.STOP, Asked.STUCK})},
        Entry.NONE,
        "it is not wanted here",
    ),
    # It is wanted. First what forbids even to want it.
    Row(
        "booting",
        {"lease": Lease.BOOTING},
        Entry.NONE,
        "this node's slot on the quorum disk is being rewritten",
    ),
    Row("unattended", {"daemon_here": False}, Entry.NONE, "servhad is away"),
    Row("forced", {"wait": Wait.FORCED}, Entry.HELD, "an administrator confirmed that {peer} is off"),
    Row(
        "no-lease",
        {"fresh": False},
        Entry.NONE,
        "neither the quorum disk nor {peer} has renewed the lease of this node: {disk_trouble}",
        "a completed round on the quorum disk would have allowed it",
    ),
    Row(
        "peer-unread",
        {"there": There.UNREAD},
        Entry.NONE,
        "the slot of {peer} on the quorum disk cannot be read: {disk_trouble}",
        "a readable slot of {peer} would have allowed it",
    ),
    # The peer holds it, or is silent and wanted it: the only way is the takeover.
    Row(
        "peer-holds",
        {"there": There.HOLDS, "wait": Wait.CONTACT},
        Entry.NONE,
        "{peer} holds it on the quorum disk and is heard",
        "its release by {peer}, or silence of {peer} on every link and on the disk, would have allowed it",
    ),
    Row(
        "limits-differ",
        {"there": TAKEN, "wait": Wait.LIMITS},
        Entry.NONE,
        "{peer} runs with other lease figures, so nobody can tell when its lease ends",
        "the same lease figures on both nodes would have allowed it",
    ),
    Row(
        "peer-moves",
        {"there": TAKEN, "wait": frozenset({Wait.MOVING, Wait.BACKED_OFF})},
        Entry.NONE,
        "the slot of {peer} on the quorum disk still changes, or changed within {claim_s} s: {peer} is alive there",
        "an unchanged slot of {peer} for {take_s} s would have allowed it",
    ),
    Row(
        "take",
        {"there": TAKEN, "wait": Wait.OVER, "entry": Entry.WANT},
        Entry.HELD,
        "{peer} was silent on every link, its slot unchanged for {take_s} s, and the claim unanswered",
    ),
    Row(
        "claiming",
        {"there": TAKEN, "wait": ANNOUNCED | {Wait.OVER}},
        Entry.WANT,
        "{peer} is silent; its lease is being waited for, at most {take_s} s from its last sign of life",
        "a sign of life of {peer} on the disk would have ended the takeover",
    ),
    # Both want it, and both are there.
    Row(
        "stood-back",
        {"paused": True},
        Entry.NONE,
        "it stood back for {peer} a moment ago",
    ),
    Row("peer-first", {"there": There.WANTS_FIRST}, Entry.NONE, "{peer} wants it too and goes first"),
    # Nobody holds it.
    Row(
        "acquire",
        {"there": There.FREE, "entry": Entry.WANT, "settled": True},
        Entry.HELD,
        "the quorum disk shows that {peer} neither holds nor wants it",
    ),
    Row("wanting", {}, Entry.WANT, "the quorum disk is being asked"),
)
