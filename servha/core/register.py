"""What one node writes about itself on the quorum disk: its slot, which only it writes and its peer reads.

Values only. When a slot is written and what reading one entitles to is decided in guard.py; how it lies on the
disk is in wire/sector.py. One node writes one slot, one write at a time, so each slot is a register whose reads
and writes have an order (section 2.3 of the arbitration design).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from servha.core.timing import Limits

TREES_MAX = 64
"""How many trees a slot has room for."""


class Entry(StrEnum):
    """What a node declares about one tree."""

    NONE = "none"
    WANT = "want"  # about to hold it, unless the peer does or goes first
    HELD = "held"  # it may be running here
    RELEASED = "released"  # was held, and is stopped for certain
    STOP_FAILED = "stop-failed"  # could not be stopped: counts as held

    @property
    def holds(self) -> bool:
        """Whether the tree may be running on the node that declares this."""
        return self in (Entry.HELD, Entry.STOP_FAILED)


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One tree in a slot. `ownership` is its ownership number (fencing token), never used twice."""

    id: int
    entry: Entry = Entry.NONE
    ownership: int = 0
    rank: int = 0
    """Who goes first when both want it: the lower rank, then the node with the lower id."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An announcement to one life of the peer that its lease will not be waited for again; 0 means no claim."""

    target_generation: int = 0
    target_number: int = 0
    nonce: int = 0


NO_CLAIM = Claim()


@dataclass(frozen=True, slots=True)
class Flags:
    """What a node says of itself beside its trees."""

    reference_ok: bool = False
    hears_peer: bool = False
    shut_down: bool = False
    """Written last before an orderly end: nothing is held."""
    maintenance: bool = False
    eligible: bool = False
    watchdog_armed: bool = False
    reservations_ok: bool = False
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """One whole record of one node.

    `generation` counts the boots of the machine; the same boot keeps it, so that a restarted daemon is not taken
    for a rebooted node. `number` grows with every write.
    """

    node: int
    generation: int
    number: int
    boot_id: str
    """32 hexadecimal digits, as the kernel draws them at each boot."""
    limits: Limits
    claim: Claim = NO_CLAIM
    seen_generation: int = 0
    seen_number: int = 0
    flags: Flags = Flags()
    trees: tuple[TreeEntry, ...] = ()
    host: str = ""
    version: str = ""
    written_at: int = 0
    """Calendar time in nanoseconds, for people to read; nothing depends on it."""

    def tree(self, tree_id: int) -> TreeEntry:
        """Return the entry of tree `tree_id`; a tree that is not in the slot is not held."""
        return next((t for t in self.trees if t.id == tree_id), TreeEntry(tree_id))

    @property
    def age(self) -> tuple[int, int]:
        """Generation and number: the greater of two slots of one node is the newer one."""
        return (self.generation, self.number)
