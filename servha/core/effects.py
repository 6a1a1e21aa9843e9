"""Everything a node can ask of the world. The shell carries the effects out in the order given."""

from __future__ import annotations

from dataclasses import dataclass

from servha.core.guard_model import Asking
from servha.core.model import Force, JournalEntry, Order, Report
from servha.core.words import Text


@dataclass(frozen=True, slots=True)
class SendBeat:
    """Send this report on every link, at once."""

    report: Report


@dataclass(frozen=True, slots=True)
class StartResource:
    """Start one resource. `address_known_free` spares a second conflict probe after a fresh one."""

    tree: str
    resource: str
    ownership: int
    reason: Text
    address_known_free: bool = False


@dataclass(frozen=True, slots=True)
class StopResource:
    """Stop one resource; with `clean_up` only what is left of a dead one is removed and no stop script runs."""

    tree: str
    resource: str
    ownership: int
    reason: Text
    clean_up: bool = False
    force: Force | None = None
    """How, when it could not be stopped before."""


@dataclass(frozen=True, slots=True)
class ProbeReferences:
    """Ask every reference address once, now."""


@dataclass(frozen=True, slots=True)
class ProbePeer:
    """Ask every known address of the peer's host once, now: an answer proves that its kernel lives."""


@dataclass(frozen=True, slots=True)
class ProbeTreeAddresses:
    """Ask on the wire who holds the virtual addresses of this tree."""

    tree: str


@dataclass(frozen=True, slots=True)
class AskGuard:
    """Tell the arbitration guard everything this node asks of it."""

    asking: Asking


@dataclass(frozen=True, slots=True)
class Remember:
    """Write to stable memory, before anything that follows: ownership number and order of one tree."""

    tree: str
    ownership: int
    order: Order


@dataclass(frozen=True, slots=True)
class Record:
    """Write a journal line."""

    entry: JournalEntry


@dataclass(frozen=True, slots=True)
class Raise:
    """A condition that lasts begins. `key` identifies it until it is cleared; raising it again changes its text."""

    key: str
    severity: str
    text: Text


@dataclass(frozen=True, slots=True)
class Clear:
    """The condition has ended."""

    key: str


@dataclass(frozen=True, slots=True)
class Farewell:
    """Everything that had to be done before the daemon may end is done."""


Effect = (
    SendBeat
    | StartResource
    | StopResource
    | ProbeReferences
    | ProbePeer
    | ProbeTreeAddresses
    | AskGuard
    | Remember
    | Record
    | Raise
    | Clear
    | Farewell
)
