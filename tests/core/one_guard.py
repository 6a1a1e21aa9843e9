"""One guard that a test drives by hand: its peer's slot, the answers of the disk, the passing of time."""

from __future__ import annotations

from dataclasses import replace

from servha.core.clocks import Stamp
from servha.core.guard import Guard
from servha.core.guard_model import (
    ArmWatchdog,
    AskedBy,
    Asking,
    GuardEffect,
    RoundEnded,
    TreeAsked,
    WatchdogTold,
    Woken,
)
from servha.core.lease import Asked, Lease
from servha.core.register import Entry, Slot, TreeEntry
from servha.core.timing import PROFILES
from servha.core.words import say

LIMITS = PROFILES["manual"].limits
TREE = 7
BOOT, PEER_BOOT = "a" * 32, "b" * 32
THEIRS = Slot(1, 4, 10, PEER_BOOT, LIMITS)


class Bench:
    """One guard at a time that the test sets, over a disk whose answers the test may change."""

    def __init__(self, own: Slot | None = None, peer: Slot | None = THEIRS, boot_id: str = BOOT) -> None:
        self.now = Stamp(100.0, 100.0, 100.0)
        self.guard = Guard(node=0, boot_id=boot_id, limits=LIMITS, now=self.now)
        self.own, self.peer = own, peer
        self.asked = Asked.OFF
        self.silent = False
        self.effects: list[GuardEffect] = []
        self.changes = 0
        self.do(Woken(self.now))

    def do(self, event: object) -> list[GuardEffect]:
        """Let the guard see `event`; return and keep its effects. The watchdog answers at once."""
        effects = self.guard.handle(event)  # type: ignore[arg-type]
        self.effects += effects
        if any(isinstance(e, ArmWatchdog) for e in effects):
            self.do(WatchdogTold(self.now, "softdog", LIMITS.watchdog_s))
        return effects

    def later(self, seconds: float) -> None:
        self.now = self.now.later(seconds)

    def wake(self) -> list[GuardEffect]:
        return self.do(Woken(self.now))

    def ask(self, asked: Asked | None = None, *, silent: bool | None = None) -> list[GuardEffect]:
        self.asked = self.asked if asked is None else asked
        self.silent = self.silent if silent is None else silent
        trees = (TreeAsked(TREE, self.asked),)
        return self.do(AskedBy(self.now, Asking(trees, peer_silent=self.silent, seen=0, peer="node2")))

    def writes(self, slot: Slot) -> None:
        """The peer's slot changes."""
        self.peer, self.changes = slot, self.changes + 1

    def answer(self, *, own: Slot | None = None, read: bool = True) -> list[GuardEffect]:
        """The round under way ends, giving back what it wrote or `own`."""
        writing = self.guard.state.writing
        self.own = own or writing or self.own
        return self.do(
            RoundEnded(
                self.now,
                read=read,
                own=self.own,
                own_blank=self.own is None,
                peer=self.peer,
                peer_mark=b"%d" % self.changes,
                peer_blank=self.peer is None,
                trouble=say("input/output error"),
            )
        )

    def round(self) -> None:
        """One whole round: whatever is under way ends, else a new one is begun and ends."""
        if not self.guard.state.reading:
            self.later(LIMITS.round_s)
            self.wake()
        assert self.guard.state.reading
        self.answer()

    def boots(self) -> Bench:
        for _ in range(12):
            if self.guard.state.lease is not Lease.FREE:
                self.round()
        assert self.guard.state.lease is Lease.FREE
        return self

    def holds(self) -> Bench:
        """Boot, want the tree, get it."""
        self.boots().ask(Asked.WANT)
        for _ in range(6):
            self.round()
        assert self.entry is Entry.HELD
        assert self.granted
        return self

    @property
    def entry(self) -> Entry:
        return self.guard.state.tree(TREE).entry

    @property
    def lease(self) -> Lease:
        return self.guard.state.lease

    @property
    def ends(self) -> bool:
        """Whether everything has to stop."""
        return self.lease is Lease.ENDING

    @property
    def boots_again(self) -> bool:
        """Whether its slot is being rewritten."""
        return self.lease is Lease.BOOTING

    @property
    def granted(self) -> bool:
        return self.guard.state.view.entry(TREE).granted


def held_by_peer(number: int = 10) -> Slot:
    return replace(THEIRS, number=number, trees=(TreeEntry(TREE, Entry.HELD, 5, 1),))


def silent_for(bench: Bench, seconds: float) -> None:
    """Let the peer be silent while the own rounds go on."""
    bench.ask(Asked.WANT, silent=True)
    end_s = bench.now.raw_s + seconds
    while bench.now.raw_s < end_s:
        bench.round()
        bench.ask()
