"""The guard's one loop: the only clock, events in, effects out in the order given. Decides nothing.

It waits for servhad, the disk's thread, the emergency's thread, the end of servhad's process and the moment the core
asked for; whatever can hang runs elsewhere. The watchdog is fed from here and only after the core said so.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final, assert_never

from servha.arbiters.quorum_disk import BlockIo, QuorumDisk
from servha.core.clocks import Stamp
from servha.core.guard import WAKE_LEAST_S, Guard
from servha.core.guard_model import (
    AllStopped,
    ArmWatchdog,
    AskedBy,
    Asking,
    DaemonEnded,
    DisarmWatchdog,
    EmergencyStop,
    Ended,
    FeedWatchdog,
    GivePromise,
    GuardEffect,
    GuardEvent,
    LimitsChanged,
    Log,
    PingHeard,
    PromiseHeard,
    ResetNode,
    ShutDown,
    Tell,
    TreeAsked,
    WatchdogTold,
    Woken,
    WriteRound,
)
from servha.core.lease import Asked, Lease
from servha.core.words import Text, say
from servha.guard import systemd
from servha.guard.disk_thread import DiskThread
from servha.guard.emergency import Emergency
from servha.guard.journal import log
from servha.guard.leash import Leash
from servha.guard.memory import Memory, MemoryFile
from servha.guard.partner import Partner
from servha.wire.guard_talk import (
    AskingMessage,
    Belonging,
    BelongingsMessage,
    Message,
    PingMessage,
    PromiseMessage,
    RenewalMessage,
    RoundsMessage,
    Setup,
    SetupMessage,
    ViewMessage,
)
from servha.wire.keys import disk_key

SOCKET: Final = "guard.sock"
MEMORY: Final = "guard.state"
IDLE_S: Final = 5.0
ALONE_S: Final = 3.0
"""How long a guard that holds nothing keeps the disk after servhad has ended; a restart of servhad is shorter."""

EX_FOR_GOOD: Final = 200
"""Ended by INT; the unit names this status as one after which it is not started again."""


def stamp() -> Stamp:
    """Read the three clocks."""
    return Stamp(
        time.clock_gettime(time.CLOCK_MONOTONIC),
        time.clock_gettime(time.CLOCK_BOOTTIME),
        time.clock_gettime(time.CLOCK_MONOTONIC_RAW),
    )


class Guardd:
    """The daemon. `make_io` makes what stands between it and the disk; a lab puts its trouble there."""

    def __init__(self, run: str, reset: str, make_io: Callable[[], BlockIo | None] = lambda: None) -> None:
        self._reset, self._make_io = reset, make_io
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._memory = MemoryFile(f"{run}/{MEMORY}")
        self._emergency = Emergency(self._wake)
        self._swept = 0
        self._sweep_asked: tuple[int, int | None] = (0, None)
        self._guard: Guard | None = None
        self._setup: Setup | None = None
        self._next_setup: Setup | None = None
        self._belongings: tuple[Belonging, ...] = ()
        self._disk: DiskThread | None = None
        self._leash = Leash()
        self._kept = False
        self._ended = False
        self._for_good = self._told_to_end = False
        self._makes_way = False
        self._alone_since_s: float | None = None
        self._waiting: deque[GuardEvent] = deque()
        self._busy = False
        self._partner = Partner(f"{run}/{SOCKET}")
        self._signals, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def run(self) -> int:
        """Go on from a predecessor in this boot, if there was one; serve until told to end; return the status."""
        self._take_over()
        systemd.notify("READY=1")
        while not self._ended:
            self._serve()
        return EX_FOR_GOOD if self._for_good else 0

    # --- beginning --------------------------------------------------------------------------------------------------

    def _take_over(self) -> None:
        self._leash.adopt()
        left = self._memory.load()
        if left is None:
            return  # a watchdog without memory is not fed: who cannot tell what runs must not keep it running
        self._belongings = left.belongings
        log("info", say("a guard in this boot left what it protected: going on from there"))
        self._begin(left.setup, left)
        state = self._guard.state if self._guard is not None else None
        if state and state.armed and not self._leash.held and state.lease not in (Lease.ENDING, Lease.RESET):
            # It died between the decision to arm and the arming, or its service manager has kept nothing.
            self._arm(left.setup.limits.watchdog_s)

    def _begin(self, setup: Setup, left: Memory | None = None) -> None:
        """Serve this disk under these figures from now on."""
        try:
            with open(setup.key_file, encoding="ascii") as file:  # noqa: PTH123 - the guard loads no pathlib
                key = disk_key(bytes.fromhex(file.read().strip()))
        except (OSError, ValueError) as problem:
            log("error", say("{path} cannot be read: {reason}", path=setup.key_file, reason=str(problem)))
            self._next_setup = setup
            return
        if self._disk is not None:
            self._disk.close()
        self._setup = setup
        disk = QuorumDisk(setup.device, setup.cluster_id, setup.node, key, self._make_io())
        self._disk = DiskThread(disk, self._wake, host=setup.host, version=setup.version)
        self._guard = Guard(
            node=setup.node,
            boot_id=_boot_id(),
            limits=setup.limits,
            now=stamp(),
            saved=left.saved if left else None,
        )
        self._happen(Woken(stamp()))

    # --- events -----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        wait_s = IDLE_S if self._guard is None else min(IDLE_S, self._guard.wake_in_s(stamp()))
        poller = select.poll()
        for source in (self._wake, self._signals, *self._partner.descriptors()):
            poller.register(source, select.POLLIN)
        ready = {found for found, _ in poller.poll(min(wait_s, self._leash.feed_every_s or wait_s) * 1000)}
        if self._signals in ready:
            self._read_signals()
        if self._wake in ready:
            self._read_threads()
        for message in self._partner.said(ready):
            self._take(message)
        if self._partner.died(ready):
            self._happen(DaemonEnded(stamp()))
        if self._partner.came(ready) or self._partner.missed:
            self._introduce()
        if not ready or self._guard is None or self._guard.wake_in_s(stamp()) <= WAKE_LEAST_S:
            self._happen(Woken(stamp()))
        if self._leash.feed_every_s is not None:
            self._leash.feed()
        self._retire_when_alone()

    def _retire_when_alone(self) -> None:
        """Give the disk free when servhad has ended and nothing is held: it may be labelled anew, or measured."""
        if self._partner.here or self._guard is None or self._holds():
            self._alone_since_s = None
        elif self._alone_since_s is None:
            self._alone_since_s = time.monotonic()
        elif time.monotonic() >= self._alone_since_s + ALONE_S and not self._guard.state.shutting_down:
            self._happen(ShutDown(stamp()))

    def _retire(self) -> None:
        log("info", say("servhad has ended and nothing is held: the quorum disk is let go"))
        if self._disk is not None:
            self._disk.close()
        self._next_setup = self._setup if self._partner.here else None  # it came back a moment ago
        self._guard = self._disk = self._setup = self._alone_since_s = None

    def _introduce(self) -> None:
        if self._guard is not None:
            self._partner.tell(ViewMessage(self._guard.state.view))

    def _read_signals(self) -> None:
        """TERM makes way for a successor; INT, which the unit sends when the machine goes down, ends for good."""
        for_good = signal.SIGTERM not in os.read(self._signals, 64)
        if for_good and self._holds() and self._partner.here:
            log("warning", say("not ended: servhad is here, and what it runs is protected"))
            return
        self._for_good, self._told_to_end = for_good, True
        if self._guard is None:
            self._ended = True
        elif not self._holds():
            self._happen(ShutDown(stamp()))
        elif for_good:
            log(
                "warning",
                say("what servhad left running is stopped, because nobody will protect it any more"),
            )
            self._sweep_asked = (self._emergency.order(self._belongings), None)
        else:
            self._makes_way = True
            self._make_way()

    def _make_way(self) -> None:
        """End for the successor once no round is under way: a process inside a disk that hangs cannot end."""
        if self._makes_way and self._guard is not None:
            if self._guard.state.reading:
                log("info", say("it ends when the quorum disk has answered"))
            else:
                self._happen(ShutDown(stamp()))

    def _holds(self) -> bool:
        return self._guard is not None and self._guard.saved() is not None

    def _read_threads(self) -> None:
        os.eventfd_read(self._wake)
        now = stamp()
        for event in self._disk.ended(now) if self._disk is not None else ():
            self._happen(event)
        if self._disk is not None and (took_s := self._disk.took_s(now.mono_s)) and not self._partner.missed:
            self._partner.tell(RoundsMessage(took_s))
        self._make_way()
        if self._emergency.done > self._swept:
            self._swept = self._emergency.done
            self._all_stopped()

    def _all_stopped(self) -> None:
        order, sweep = self._sweep_asked
        if order != self._swept:
            return
        if sweep is not None:
            self._happen(AllStopped(stamp(), sweep))
        elif self._guard is not None and not self._partner.here:
            # servhad is dead, and all it ran was looked for and is gone: just what it would say itself.
            now, state = stamp(), self._guard.state
            trees = tuple(TreeAsked(t.id, Asked.OFF, t.ownership, t.rank) for t in state.trees)
            self._happen(AskedBy(now, replace(state.asking or Asking(), trees=trees)))
            self._happen(ShutDown(stamp()))

    def _take(self, message: Message) -> None:
        match message:
            case SetupMessage(setup=setup):
                self._adapt(setup)
            case BelongingsMessage(belongings=belongings):
                self._belongings = belongings
            case AskingMessage(asking=asking):
                self._happen(AskedBy(stamp(), asking))
            case PingMessage(generation=generation, token=token):
                self._happen(PingHeard(stamp(), generation, token))
            case RenewalMessage(generation=generation, pinged=pinged):
                self._happen(PromiseHeard(stamp(), generation, pinged))
            case _:
                log(
                    "warning",
                    say("a message of servhad cannot be read: {reason}", reason="it is the guard's own"),
                )
        self._change_disk()

    def _adapt(self, setup: Setup) -> None:
        """Take another configuration: new figures at once, another disk only when nothing is held on this one."""
        self._next_setup = None
        if setup == self._setup:
            return
        if self._guard is None or self._setup is None or not self._holds():
            self._begin(setup)
        elif (setup.device, setup.node, setup.cluster_id) == (
            self._setup.device,
            self._setup.node,
            self._setup.cluster_id,
        ):
            self._setup = setup
            self._happen(LimitsChanged(stamp(), setup.limits))
        else:
            log("warning", say("another quorum disk is used once nothing is held on the present one"))
            self._next_setup = setup

    def _change_disk(self) -> None:
        """Begin with a configuration that had to wait: for its key, or for the trees held on another disk."""
        if self._next_setup is not None and not self._holds() and not self._busy:
            setup, self._next_setup = self._next_setup, None
            self._begin(setup)

    # --- effects ----------------------------------------------------------------------------------------------------

    def _happen(self, event: GuardEvent) -> None:
        """Let the core handle `event`; one that arises while effects are carried out waits its turn."""
        self._waiting.append(event)
        if self._busy:
            return
        self._busy = True
        while self._waiting and self._guard is not None:
            effects = self._guard.handle(self._waiting.popleft())
            if effects:
                self._remember()  # before what it announces
            for effect in effects:
                self._carry_out(effect)
        self._waiting.clear()
        self._busy = False
        self._let_stray_watchdog_go()

    def _let_stray_watchdog_go(self) -> None:
        """Let go what a predecessor armed and no memory explains, once the disk has said that nothing is held."""
        if self._guard is None or not self._leash.held or self._leash.feed_every_s is not None:
            return
        if self._guard.state.lease is Lease.FREE and not self._guard.state.armed:
            self._leash.let_go()

    def _carry_out(self, effect: GuardEffect) -> None:
        match effect:
            case WriteRound(slot=slot):
                assert self._disk is not None
                self._disk.begin(slot)
            case ArmWatchdog(timeout_s=timeout_s):
                self._arm(timeout_s)
            case FeedWatchdog():
                self._leash.feed()
            case DisarmWatchdog():
                self._leash.let_go()
            case GivePromise(generation=generation, token=token):
                self._partner.tell(PromiseMessage(generation, token))
            case EmergencyStop(because=because, sweep=sweep, kill_daemon=kill_daemon):
                log("error", say("emergency stop: {because}", because=because))
                self._sweep_asked = (self._emergency.order(self._belongings), sweep)
                if kill_daemon and self._partner.here:
                    log(
                        "error", say("servhad does not answer and is killed: nothing may be started any more")
                    )
                    self._partner.kill()
            case ResetNode(because=because):
                self._reset_node(because)
            case Tell(view=view):
                self._partner.tell(ViewMessage(view))
            case Log(severity=severity, text=text):
                log(severity, text)
            case Ended(held=held):
                if not held:
                    self._leash.let_go()
                    self._memory.clear()
                if self._alone_since_s is not None and not self._told_to_end:
                    self._retire()
                else:
                    self._ended = True
            case _:
                assert_never(effect)

    def _arm(self, timeout_s: float) -> None:
        name, kept_s = self._leash.arm(self._setup.watchdog if self._setup is not None else "", timeout_s)
        self._happen(WatchdogTold(stamp(), name, kept_s))

    def _reset_node(self, because: Text) -> None:
        log("error", say("resetting the machine: {because}", because=because))
        try:
            trigger = os.open(self._reset, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.write(trigger, b"b")
        except OSError as problem:
            log("error", say("it cannot be reset, its watchdog has to: {reason}", reason=str(problem)))

    def _remember(self) -> None:
        saved = self._guard.saved() if self._guard is not None else None
        if saved is None or self._setup is None:
            if self._kept:
                self._memory.clear()
                self._kept = False
            return
        try:
            self._memory.keep(Memory(self._setup, self._belongings, saved))
            self._kept = True
        except OSError as problem:
            log("error", say("{path} cannot be written: {reason}", path=MEMORY, reason=str(problem)))


def _boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
        return file.read().strip().replace("-", "")
