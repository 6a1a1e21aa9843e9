"""What can happen to the arbitration guard, what it asks of the world, and what it remembers. Values only.

servhad and guard tell each other everything, every time: `Asking` is the whole wish of servhad, `View` the whole
answer. A message that is lost or a partner that restarts loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from servha.core.clocks import Stamp
from servha.core.lease import Asked, Lease, Sources
from servha.core.register import NO_CLAIM, Claim, Entry, Slot, TreeEntry
from servha.core.timing import Limits
from servha.core.words import NOTHING_SAID, Text

# --- what servhad and guard tell each other ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TreeAsked:
    """What servhad says of one tree."""

    id: int
    asked: Asked = Asked.OFF
    ownership: int = 0
    """The highest ownership number servhad knows of; the guard never gives a lower one."""
    rank: int = 0
    """0 where this node goes first if both want the tree."""
    forced: bool = False
    """Whether an administrator says that the peer is off."""
    name: str = ""
    peer_holds: bool = False
    """Whether the peer's last beat said that it holds the tree."""
    released: int = 0
    """The ownership number up to which the peer, heard now, says that it has stopped the tree."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Everything servhad asks of the guard."""

    trees: tuple[TreeAsked, ...] = ()
    peer_silent: bool = False
    """Whether the peer is lost on every link (C1), by servhad's membership."""
    reference_ok: bool = False
    detached: bool = False
    """Whether servhad leaves for good and its trees stay: no grace runs then."""
    seen: int = 0
    """Number of the last `View` that servhad has acted on."""
    peer: str = ""
    fence: str = ""
    """Name of a tree that nothing could stop: the node is to be reset for its sake."""
    number: int = 0
    """Grows whenever something but `seen` is new; `View.answers` names it."""


@dataclass(frozen=True, slots=True)
class EntryView:
    """One tree as the guard has it. Only `granted` allows to start it."""

    id: int
    entry: Entry
    ownership: int
    granted: bool = False
    """Held, and seen to be held on the disk (or by an administrator's word)."""
    because: Text = NOTHING_SAID
    otherwise: Text = NOTHING_SAID


@dataclass(frozen=True, slots=True)
class View:
    """Everything the guard tells servhad."""

    number: int = 0
    lease: Lease = Lease.BOOTING
    because: Text = NOTHING_SAID
    otherwise: Text = NOTHING_SAID
    sources: Sources = Sources.NONE
    disk_ok: bool = False
    disk_trouble: Text = NOTHING_SAID
    watchdog: str = ""
    """What its driver calls the watchdog; empty for none."""
    generation: int = 0
    entries: tuple[EntryView, ...] = ()
    peer_entries: tuple[TreeEntry, ...] = ()
    peer_moves: bool = False
    """Whether the peer's slot changed within the time that allows to announce a takeover."""
    peer_reference_ok: bool = False
    limits_differ: bool = False
    answers: int = 0
    """Number of the last `Asking` that this view answers."""

    def entry(self, tree_id: int) -> EntryView:
        """Return what the guard says of tree `tree_id`."""
        return next((e for e in self.entries if e.id == tree_id), EntryView(tree_id, Entry.NONE, 0))

    def peer_entry(self, tree_id: int) -> TreeEntry:
        """Return what the peer declares on the disk about tree `tree_id`."""
        return next((e for e in self.peer_entries if e.id == tree_id), TreeEntry(tree_id))


# --- events -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Woken:
    """Time has passed: the moment asked for by `Guard.wake_in_s`, or later."""

    now: Stamp


@dataclass(frozen=True, slots=True)
class AskedBy:
    """servhad spoke."""

    now: Stamp
    asking: Asking


@dataclass(frozen=True, slots=True)
class DaemonEnded:
    """servhad's process is gone for certain: its side of the socket closed and it was seen dead."""

    now: Stamp


@dataclass(frozen=True, slots=True)
class PingHeard:
    """A beat of the peer carried a new lease ping: `generation` of its boot, and its own send stamp, opaque here."""

    now: Stamp
    generation: int
    token: int


@dataclass(frozen=True, slots=True)
class PromiseHeard:
    """A beat of the peer echoed our lease ping that was sent at `pinged`."""

    now: Stamp
    generation: int
    pinged: Stamp


@dataclass(frozen=True, slots=True)
class RoundEnded:
    """A round on the disk has ended: the own slot written, then all slots read; or not, as `trouble` says.

    `own`, `peer`: None where no valid record was found; `peer_mark` stands for the peer's raw bytes.
    """

    now: Stamp
    read: bool
    own: Slot | None = None
    own_blank: bool = False
    """Whether the own copies are all zeros: nothing was ever written."""
    peer: Slot | None = None
    peer_mark: bytes = b""
    peer_blank: bool = False
    """Whether the peer's copies are all zeros: it never wrote."""
    trouble: Text = NOTHING_SAID


@dataclass(frozen=True, slots=True)
class WatchdogTold:
    """The watchdog driver answered an order to arm: its name and the time it really keeps; empty name for none."""

    now: Stamp
    name: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class AllStopped:
    """Everything of every tree was looked for after the order `sweep`, and nothing is left."""

    now: Stamp
    sweep: int


@dataclass(frozen=True, slots=True)
class LimitsChanged:
    """The configuration has other lease figures."""

    now: Stamp
    limits: Limits


@dataclass(frozen=True, slots=True)
class ShutDown:
    """The guard is asked to end."""

    now: Stamp


GuardEvent = (
    Woken
    | AskedBy
    | DaemonEnded
    | PingHeard
    | PromiseHeard
    | RoundEnded
    | WatchdogTold
    | AllStopped
    | LimitsChanged
    | ShutDown
)

# --- effects ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WriteRound:
    """Write this slot (nothing when None), then read all slots; answered by `RoundEnded`. One at a time."""

    slot: Slot | None


@dataclass(frozen=True, slots=True)
class ArmWatchdog:
    """Open the watchdog and set its time, before anything that follows; answered by `WatchdogTold`."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class FeedWatchdog:
    """Feed it, now."""


@dataclass(frozen=True, slots=True)
class DisarmWatchdog:
    """Nothing is held: let it run no longer."""


@dataclass(frozen=True, slots=True)
class GivePromise:
    """Let servhad answer the peer's ping: no takeover of what it holds before the whole wait from now."""

    generation: int
    token: int


@dataclass(frozen=True, slots=True)
class EmergencyStop:
    """Addresses off, processes killed, file systems let go: at once, without grace or sync, until nothing is left.

    `kill_daemon` ends servhad too: it has not answered, and a start that it has in hand must not happen.
    """

    because: Text
    sweep: int = 1
    """Which order this is: `AllStopped` names the order after which its looking began."""
    kill_daemon: bool = False


@dataclass(frozen=True, slots=True)
class ResetNode:
    """Reset the machine, without sync, without unmounting: a late write is what must not happen."""

    because: Text


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell servhad everything again."""

    view: View


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line to the system's own log: servhad may not be there."""

    severity: str
    text: Text


@dataclass(frozen=True, slots=True)
class Ended:
    """The guard may end now. `held` says that trees still run: its watchdog stays armed for its successor."""

    held: bool


GuardEffect = (
    WriteRound
    | ArmWatchdog
    | FeedWatchdog
    | DisarmWatchdog
    | GivePromise
    | EmergencyStop
    | ResetNode
    | Tell
    | Log
    | Ended
)

# --- memory -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """One tree in the guard's memory."""

    id: int
    entry: Entry = Entry.NONE
    ownership: int = 0
    rank: int = 0
    rounds: int = 0
    """Good rounds in a row that carried this entry, with the peer as the entry needs it."""
    claims: bool = False
    """Whether it is wanted against a silent holder."""
    paused_until_s: float = 0.0
    """Moment by CLOCK_MONOTONIC_RAW until which it stands back for the peer."""
    because: Text = NOTHING_SAID
    otherwise: Text = NOTHING_SAID


@dataclass(frozen=True, slots=True)
class Saved:
    """What a guard that is replaced within one boot hands to its successor, by way of /run."""

    boot_id: str
    slot: Slot  # the last that was, or was about to be, written
    basis: Stamp | None
    trees: tuple[Held, ...]
    asking: Asking | None
    watchdog: str
    watchdog_s: float
    forced: bool = False


@dataclass(frozen=True, slots=True)
class GuardState:
    """Everything the guard remembers."""

    node: int
    boot_id: str
    limits: Limits
    now: Stamp
    former_limits: Limits | None = None  # in force until both copies of the own slot carry the new ones
    lease: Lease = Lease.BOOTING
    because: Text = NOTHING_SAID
    otherwise: Text = NOTHING_SAID
    # The own register.
    generation: int = 0
    number: int = 0
    writing: Slot | None = None  # the slot of the round that is under way
    reading: bool = False  # whether a round is under way at all
    issued: Stamp | None = None
    written: Slot | None = None  # the last that was read back as it had been written
    rewritten: int = 0  # how often the own slot was written in this life of the guard; both copies after two
    round_due_s: float = 0.0
    hurry_until_s: float = 0.0  # until then rounds follow each other without pause; by CLOCK_MONOTONIC_RAW
    disk_trouble: Text = NOTHING_SAID
    amnesia: bool = False
    intruder: bool = False
    twin: bool = False  # whether an intruder was met before this beginning
    own_met: Slot | None = None
    own_since: Stamp | None = None  # since when the own slot, before we write it, is as it was met
    # The lease.
    basis: Stamp | None = None
    by_disk: Stamp | None = None
    by_peer: Stamp | None = None
    forced: bool = False  # an administrator's word stands in for renewals, until the peer shows itself
    last_promise: Stamp | None = None
    # The peer's register.
    peer: Slot | None = None
    peer_mark: bytes | None = None
    peer_blank: bool = False
    peer_doubtful: bool = False
    """Whether the last read gave no record of the peer, or an older one: `peer` is the newest known."""
    peer_since: Stamp | None = None
    claim: Claim = NO_CLAIM
    claim_since: Stamp | None = None
    claim_rounds: int = 0
    backed_off_until_s: float = 0.0
    # Trees, servhad, watchdog.
    trees: tuple[Held, ...] = ()
    asking: Asking | None = None
    asked_at: Stamp | None = None
    daemon_ended: bool = False
    watchdog: str = ""
    watchdog_s: float = 0.0
    armed: bool = False
    fed_s: float = float("-inf")
    ending_since: Stamp | None = None
    ending_view: int = 0  # the first that told servhad of the end
    sweep: int = 0
    sweep_quiet: bool = False  # whether servhad could start nothing any more when it was ordered
    daemon_killed: bool = False
    all_stopped: bool = False
    shutting_down: bool = False
    view: View = View()

    def tree(self, tree_id: int) -> Held:
        """Return what is remembered of tree `tree_id`."""
        return next((t for t in self.trees if t.id == tree_id), Held(tree_id))
