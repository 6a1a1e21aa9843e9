"""A simulated quorum disk: two copies of each node's slot, and everything that goes wrong on the way to them.

A write takes effect at one moment and is acknowledged at a later one; what was under way when the power went may
still land, whole or torn, for a while. A copy holds a slot or something that no key accepts. Every change of a copy
counts, so that a reader sees that bytes changed even where they say nothing. Which copy is the newest is decided
as in arbiters/quorum_disk.py; what reading it entitles to is decided in core/guard.py.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial

from servha.core.register import Slot
from servha.core.words import NOTHING_SAID, Text, say


class Condition(StrEnum):
    """What happens to the commands of one node."""

    OK = "ok"
    ERROR = "error"  # they end with an error; a write may have taken effect all the same (`lands`)
    HANG = "hang"  # they do not end until the condition changes
    STALE = "stale"  # reads show what was there when the condition began


@dataclass
class Copy:
    """One of the two copies of a slot."""

    slot: Slot | None = None
    blank: bool = True
    """All zeros: never written."""
    changes: int = 0

    def put(self, slot: Slot | None, *, blank: bool = False) -> None:
        """Overwrite it; None stands for bytes that no key accepts."""
        if slot is not None and slot == self.slot:
            return
        self.slot, self.blank = slot, blank
        self.changes += 1


Copies = tuple[Copy, Copy]


@dataclass
class Access:
    """How one node reaches the disk."""

    condition: Condition = Condition.OK
    least_s: float = 0.001
    most_s: float = 0.003
    late_s: float = 0.0
    """Most time between a write's effect and its acknowledgement, beyond the usual."""
    lands: float = 0.0
    """How likely a write takes effect that ends with an error."""
    torn_next: bool = False
    """Whether the next write leaves a copy that no key accepts, and is acknowledged as if nothing were wrong."""
    frozen: tuple[Copies, Copies] | None = None
    waiting: list[Callable[[], None]] = field(default_factory=list)
    writing: Flight | None = None


@dataclass
class Flight:
    """A write command on its way."""

    copy: Copy
    slot: Slot | None
    landed: bool = False
    dropped: bool = False

    def land(self) -> None:
        """Take effect, unless it did already or was lost with its sender."""
        if not self.landed and not self.dropped:
            self.landed = True
            self.copy.put(self.slot)


@dataclass(frozen=True)
class Seen:
    """What one read of all four copies showed; `own` and `peer` are the newest valid ones."""

    read: bool
    own: Slot | None = None
    own_blank: bool = False
    peer: Slot | None = None
    peer_mark: bytes = b""
    peer_blank: bool = False
    trouble: Text = NOTHING_SAID


IO_ERROR = say("input/output error")


class Disk:
    """The disk and both nodes' ways to it. `later` schedules in virtual time."""

    def __init__(self, chance: random.Random, later: Callable[[float, Callable[[], None]], None]) -> None:
        self._chance = chance
        self._later = later
        self.slots: tuple[Copies, Copies] = ((Copy(), Copy()), (Copy(), Copy()))
        self.access = (Access(), Access())

    # --- what an accident does ------------------------------------------------------------------------------

    def set(self, node: int, condition: Condition) -> None:
        """Change what happens to the commands of `node`; those that hung go on."""
        access = self.access[node]
        access.condition = condition
        access.frozen = self._picture() if condition is Condition.STALE else None
        if condition is not Condition.HANG:
            waiting, access.waiting = access.waiting, []
            for go_on in waiting:
                self._later(self._chance.uniform(access.least_s, access.most_s), go_on)

    def spoil(self, node: int, *, blank: bool = False) -> None:
        """Let somebody else overwrite both copies of the slot of `node`."""
        for copy in self.slots[node]:
            copy.put(None, blank=blank)

    def lose_power(self, node: int, in_flight_s: float) -> None:
        """End the commands of `node`: a write under way may still land within `in_flight_s`, or be torn, or be lost."""
        access = self.access[node]
        access.waiting.clear()
        flight, access.writing = access.writing, None
        if flight is None or flight.landed:
            return
        fate = self._chance.random()
        if fate < 0.4:
            flight.dropped = True
        else:
            flight.slot = None if fate > 0.85 else flight.slot
            self._later(self._chance.uniform(0.0, in_flight_s), flight.land)

    # --- what a guard does ----------------------------------------------------------------------------------

    def busy(self, node: int) -> bool:
        """Whether a write of `node` is under way; a process that issued it cannot end before."""
        return self.access[node].writing is not None

    def write(self, node: int, slot: Slot, ended: Callable[[bool], None]) -> None:
        """Write `slot` of `node`; `ended` is told whether it was acknowledged as good."""
        access = self.access[node]
        assert access.writing is None, "one write at a time"
        torn, access.torn_next = access.torn_next, False
        flight = access.writing = Flight(self.slots[node][slot.number & 1], None if torn else slot)
        self._command(access, lambda: self._arrive(access, flight, ended))

    def read(self, node: int, ended: Callable[[Seen], None]) -> None:
        """Read all copies; they may be looked at any moment before `ended` is called."""
        access = self.access[node]
        if access.condition is Condition.OK and self._chance.random() < 0.5:
            seen = self._look(node)
            self._later(self._chance.uniform(access.least_s, access.most_s), lambda: ended(seen))
        else:
            self._command(access, lambda: ended(self._look(node)))

    def _command(self, access: Access, go_on: Callable[[], None]) -> None:
        if access.condition is Condition.HANG:
            access.waiting.append(go_on)
        else:
            self._later(
                self._chance.uniform(access.least_s, access.most_s), partial(self._due, access, go_on)
            )

    def _due(self, access: Access, go_on: Callable[[], None]) -> None:
        """Go on with a command, unless the disk began to hang meanwhile."""
        if access.condition is Condition.HANG:
            access.waiting.append(go_on)
        else:
            go_on()

    def _arrive(self, access: Access, flight: Flight, ended: Callable[[bool], None]) -> None:
        if access.writing is not flight:
            return  # its sender lost power; what becomes of it was drawn then
        good = access.condition is not Condition.ERROR
        if good or self._chance.random() < access.lands:
            flight.land()
        else:
            flight.dropped = True

        def acknowledged() -> None:
            if access.writing is flight:
                access.writing = None
                ended(good)

        if access.late_s:
            self._later(self._chance.uniform(0.0, access.late_s), partial(self._due, access, acknowledged))
        elif self._chance.random() < 0.2:
            self._later(self._chance.uniform(0.0, access.most_s), acknowledged)
        else:
            acknowledged()

    def _look(self, node: int) -> Seen:
        access = self.access[node]
        if access.condition is Condition.ERROR:
            return Seen(read=False, trouble=IO_ERROR)
        slots = access.frozen or self.slots
        own, peer = slots[node], slots[1 - node]
        return Seen(
            read=True,
            own=newest(own),
            own_blank=own[0].blank and own[1].blank,
            peer=newest(peer),
            peer_mark=b"%d.%d" % (peer[0].changes, peer[1].changes),
            peer_blank=peer[0].blank and peer[1].blank,
        )

    def _picture(self) -> tuple[Copies, Copies]:
        def same(copies: Copies) -> Copies:
            return (replace(copies[0]), replace(copies[1]))

        return (same(self.slots[0]), same(self.slots[1]))


def newest(copies: Copies) -> Slot | None:
    """Return the valid copy with the highest generation and number, or None."""
    first, second = copies[0].slot, copies[1].slot
    if first is None or second is None:
        return first or second
    return first if first.age > second.age else second
