"""What the silence of the peer entitles us to: from answers on the wire to one word, the node's right.

Two tables. RIGHTS: may this node act without its peer at all. PERMITS: may it start this one tree now. Neither
decides whether it should (placement.py) nor what it then becomes (rules.py).

With a quorum disk the right to one tree is the arbitration guard's to grant (lease.py): this file then only asks it,
and obeys. Without one, reachability is all there is, and it is not exclusion: two live nodes that both reach the
reference address and not each other may both be entitled (guarantee level 0 and 1 of the arbitration design). That
is why, there, an answer from the peer's host or from whoever holds a virtual address blocks every automatic start.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from servha.core.model import PeerHealth, Policy
from servha.core.table import Row
from servha.core.words import Text, say

SILENT_COUNT_MIN = 2
"""How many probes in a row must go unanswered before nobody counts as being there: one datagram may be lost."""

REFERENCE_MISS_COUNT = 3
"""How many probes of a reference address must fail in a row before it counts as unreachable (reading A05)."""


SILENT_KEPT_COUNT = 5


class Answer(StrEnum):
    """What asking on the wire has told us."""

    NOBODY_TO_ASK = "nobody-to-ask"
    UNKNOWN = "unknown"  # not asked long enough yet
    ANSWERS = "answers"
    SILENT = "silent"


class Guarded(StrEnum):
    """What the arbitration guard says of the node's lease."""

    NOT_NEEDED = "not-needed"  # no quorum disk in the policy
    UNKNOWN = "unknown"  # it has not answered yet
    ABSENT = "absent"  # it has not answered for too long
    LIVES = "lives"
    ENDED = "ended"


class Granted(StrEnum):
    """Whether the arbitration guard lets one tree start here."""

    NOT_NEEDED = "not-needed"
    NO = "no"
    YES = "yes"


class Right(StrEnum):
    """What this node may do, as far as its peer is concerned."""

    CONSENT = "consent"  # the peer is in contact: nothing starts here without its consent
    PENDING = "pending"  # evidence is being gathered: keep what runs, start nothing
    GRANTED = "granted"  # may act alone
    REFUSED = "refused"  # keep what runs, start nothing
    LOST = "lost"  # stop everything


class Permit(StrEnum):
    """Whether one tree may be started here now."""

    YES = "yes"
    ASK = "ask"  # announce the wish and wait for the peer's consent
    WAIT = "wait"
    NO = "no"
    MUST_STOP = "must-stop"


class There(StrEnum):
    """The peer's side of one tree: from its beats while it is in contact, else from the last one heard."""

    UNTOLD = "untold"  # nothing heard of it since our start
    OFF = "off"
    CONSENTS = "consents"  # off, and has seen the ownership number that we announced
    RESIGNED = "resigned"  # off, and says that it may start nothing: its consent would never come
    WANTS_BEFORE_US = "wants-before-us"
    WANTS_AFTER_US = "wants-after-us"
    HOLDS = "holds"


@dataclass(frozen=True, slots=True)
class Probe:
    """The memory of asking one question on the wire."""

    asked_s: float | None = None
    answered_by: str = ""
    silent_asked_s: tuple[float, ...] = ()
    """When the last unanswered probes were sent, since the last answer; at most SILENT_KEPT_COUNT."""

    def told(self, *, answered_by: str, asked_s: float) -> Probe:
        """Return the memory after one more probe, sent at `asked_s`, has ended."""
        if answered_by:
            return Probe(asked_s=asked_s, answered_by=answered_by)
        kept = (*self.silent_asked_s, asked_s)[-SILENT_KEPT_COUNT:]
        return Probe(asked_s=asked_s, silent_asked_s=kept)

    def word(self, *, since_s: float, silent_count_min: int = SILENT_COUNT_MIN) -> Answer:
        """Return what is known by probes that were sent at `since_s` or later; older ones say nothing."""
        if self.asked_s is None or self.asked_s < since_s:
            return Answer.UNKNOWN
        if self.answered_by:
            return Answer.ANSWERS
        counted = sum(1 for s in self.silent_asked_s if s >= since_s)
        return Answer.SILENT if counted >= silent_count_min else Answer.UNKNOWN


@dataclass(frozen=True, slots=True)
class Hearing:
    """Everything the node's right depends on, in words."""

    policy: Policy
    guard: Guarded
    peer: PeerHealth
    boot_wait_over: bool
    holds: bool
    reference: Answer
    peer_host: Answer


SILENCE = frozenset({PeerHealth.LOST, PeerHealth.UNHEARD})

ASKS_REFERENCE = frozenset({Policy.REFERENCE, Policy.BOTH})

RIGHTS: tuple[Row[Right], ...] = (
    # With a quorum disk nothing goes without a living lease.
    Row(
        "lease-ended",
        {"guard": Guarded.ENDED, "holds": True},
        Right.LOST,
        "{lease_because}",
        "{lease_otherwise}",
    ),
    Row("lease-ending", {"guard": Guarded.ENDED}, Right.REFUSED, "{lease_because}", "{lease_otherwise}"),
    Row(
        "unguarded-owner",
        {"guard": Guarded.ABSENT, "holds": True},
        Right.LOST,
        "servha-guardd has not answered for {guard_grace_s} s: nobody renews the lease",
        "an answer of servha-guardd would have let it continue",
    ),
    Row(
        "unguarded",
        {"guard": Guarded.ABSENT},
        Right.REFUSED,
        "servha-guardd does not answer: nobody can ask the quorum disk",
        "an answer of servha-guardd would have allowed to ask",
    ),
    Row("guard-expected", {"guard": Guarded.UNKNOWN}, Right.PENDING, "servha-guardd has not answered yet"),
    Row("alone", {"peer": PeerHealth.ABSENT}, Right.GRANTED, "this cluster has only one node"),
    Row(
        "in-contact",
        {"peer": {PeerHealth.ALIVE, PeerHealth.SUSPECT}},
        Right.CONSENT,
        "{peer} is in contact: whatever starts here starts with its consent",
    ),
    Row(
        "said-goodbye",
        {"peer": PeerHealth.LEFT},
        Right.GRANTED,
        "{peer} said goodbye, having stopped everything",
    ),
    Row(
        "first-start-delay",
        {"peer": PeerHealth.UNHEARD, "boot_wait_over": False},
        Right.PENDING,
        "{peer} has not been heard yet; this node waits {first_start_s} s after its start before it may act alone",
        "a beat from {peer} would have ended the wait at once; whichever node was switched off last is best switched on"
        " first",
    ),
    Row(
        "no-reference",
        {"policy": Policy.REFERENCE, "peer": SILENCE, "reference": Answer.NOBODY_TO_ASK},
        Right.REFUSED,
        "{peer} is silent and there is no reference address that could tell which of the two is cut off",
        "a reference address other than 127.0.0.1, or a quorum disk, would have decided it",
    ),
    Row(
        "cut-off-owner",
        {"policy": Policy.REFERENCE, "peer": SILENCE, "reference": Answer.SILENT, "holds": True},
        Right.LOST,
        "{peer} is silent and no reference address answers: this node is the one that is cut off",
        "an answer from {references} would have let it continue",
    ),
    Row(
        "cut-off",
        {"policy": ASKS_REFERENCE, "peer": SILENCE, "reference": Answer.SILENT},
        Right.REFUSED,
        "{peer} is silent and no reference address answers: this node may be the one that is cut off",
        "an answer from {references} would have let it take over",
    ),
    Row(
        "asking-references",
        {"policy": ASKS_REFERENCE, "peer": SILENCE, "reference": Answer.UNKNOWN},
        Right.PENDING,
        "{peer} is silent; the reference addresses are being asked",
    ),
    Row(
        "disk-decides",
        {"guard": Guarded.LIVES, "peer": SILENCE},
        Right.GRANTED,
        "{peer} is silent on every link; the quorum disk decides",
    ),
    Row(
        "host-answers",
        {"peer": SILENCE, "peer_host": Answer.ANSWERS},
        Right.REFUSED,
        "no beat comes from {peer}, but its host answers at {peer_host}: it is alive and may be running everything",
        "silence from every address of {peer} would have let this node take over",
    ),
    Row(
        "asking-host",
        {"peer": SILENCE, "peer_host": {Answer.UNKNOWN, Answer.NOBODY_TO_ASK}},
        Right.PENDING,
        "{peer} is silent; its addresses are being asked",
    ),
    Row(
        "reference-and-silence",
        {
            "policy": Policy.REFERENCE,
            "peer": SILENCE,
            "reference": Answer.ANSWERS,
            "peer_host": Answer.SILENT,
        },
        Right.GRANTED,
        "{peer} is silent on every link and at every address, and {reference} answers",
        "an answer from {peer} at any address, or no answer from {references}, would have refused it",
    ),
    Row(
        "silence",
        {"peer": SILENCE, "peer_host": Answer.SILENT},
        Right.GRANTED,
        "{peer} is silent on every link and at every address",
        "an answer from {peer} at any address would have refused it",
    ),
)


@dataclass(frozen=True, slots=True)
class Petition:
    """Everything the permit for one tree depends on, in words."""

    right: Right
    there: There
    addresses: Answer
    granted: Granted = Granted.NOT_NEEDED
    forced: bool = False
    """Whether an administrator confirmed, by typing its name, that the silent peer is off."""


ALONE = frozenset({Right.PENDING, Right.GRANTED, Right.REFUSED})

PERMITS: tuple[Row[Permit], ...] = (
    Row("right-lost", {"right": Right.LOST}, Permit.MUST_STOP, "{right_because}"),
    Row(
        "forced",
        {"right": ALONE, "granted": {Granted.NOT_NEEDED, Granted.YES}, "forced": True},
        Permit.YES,
        "an administrator confirmed that {peer} is off",
    ),
    Row(
        "ask-by-force",
        {"right": ALONE, "granted": Granted.NO, "forced": True},
        Permit.ASK,
        "an administrator confirmed that {peer} is off; {entry_because}",
        "{entry_otherwise}",
    ),
    Row("refused", {"right": Right.REFUSED}, Permit.NO, "{right_because}"),
    Row("pending", {"right": Right.PENDING}, Permit.WAIT, "{right_because}"),
    Row(
        "held",
        {"granted": Granted.YES},
        Permit.YES,
        "this node holds it on the quorum disk under ownership number {entry_ownership}",
    ),
    Row("peer-holds", {"right": Right.CONSENT, "there": There.HOLDS}, Permit.NO, "{peer} holds it"),
    Row(
        "peer-first",
        {"right": Right.CONSENT, "there": There.WANTS_BEFORE_US},
        Permit.NO,
        "{peer} is about to start it and goes first",
    ),
    Row("ask-disk", {"granted": Granted.NO}, Permit.ASK, "{entry_because}", "{entry_otherwise}"),
    Row(
        "resigned",
        {"right": Right.CONSENT, "there": There.RESIGNED},
        Permit.YES,
        "{peer} says that it holds nothing and may start nothing",
    ),
    Row("consent", {"right": Right.CONSENT, "there": There.CONSENTS}, Permit.YES, "{peer} consents"),
    Row("ask-peer", {"right": Right.CONSENT}, Permit.ASK, "{peer} is asked for its consent"),
    Row(
        "address-held",
        {"right": Right.GRANTED, "addresses": Answer.ANSWERS},
        Permit.NO,
        "one of its addresses is in use: {held_by}",
        "silence from all addresses of the tree would have let it start here",
    ),
    Row(
        "asking-addresses",
        {"right": Right.GRANTED, "addresses": Answer.UNKNOWN},
        Permit.WAIT,
        "its addresses are being asked for on the wire",
    ),
    Row("granted", {"right": Right.GRANTED}, Permit.YES, "this node may act alone"),
)


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What the configuration can promise about exclusion (section 2.14 of the arbitration design)."""

    level: int
    text: Text


def guarantee(
    policy: Policy, watchdog: str = "", *, guarded: bool = True, reservations: bool = False
) -> Guarantee:
    """Return what policy, watchdog and reservations together can promise.

    `watchdog` is the name its driver gives itself, empty for none; `guarded` whether servha-guardd answers.
    """
    level = _level(policy, watchdog, guarded=guarded, reservations=reservations)
    return Guarantee(level, LEVELS[level])


def _level(policy: Policy, watchdog: str, *, guarded: bool, reservations: bool) -> int:
    if policy is Policy.NONE or (policy.leased and not guarded):
        return 0
    if not policy.leased:
        return 1
    if not watchdog:
        return 2
    if watchdog == SOFTDOG:
        return 3
    return 5 if reservations else 4


SOFTDOG = "Software Watchdog"
"""How the kernel's own software watchdog names itself; every other one counts while the kernel hangs."""

LEVELS = (
    say("level 0: nothing is guaranteed; both nodes run the trees when every link between them breaks"),
    say(
        "level 1: best effort; both nodes may run the trees when they reach the reference address and no address of"
        " each other"
    ),
    say(
        "level 2: one node at a time as long as both kernels work and servha-guardd is scheduled in time; without a"
        " watchdog nothing ends a node that hangs"
    ),
    say(
        "level 3: one node at a time through every crash, pause and stall of programs and disks; the software watchdog"
        " does not end a kernel that hangs with its interrupts off"
    ),
    say(
        "level 4: one node at a time also when a kernel hangs; only a paused or migrated virtual machine may overlap"
    ),
    say("level 5: one node at a time; data on shared disks is never written by two, whatever happens"),
)
