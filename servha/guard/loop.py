"""The guard's one loop: the only clock, events in, effects out in the order given. Decides nothing.

It waits for servhad, the disk's thread, the emergency's thread, the end of servhad's process and the moment the core
asked for; whatever can hang runs elsewhere. The watchdog is fed from here and only after the core said so.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import sys
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
    RoundEnded,
    ShutDown,
    Tell,
    WatchdogTold,
    Woken,
    WriteRound,
)
from servha.core.register import Slot
from servha.core.words import Text, say
from servha.fences.watchdog import Watchdog, adopted, open_watchdog
from servha.guard import systemd
from servha.guard.disk_thread import DiskThread
from servha.guard.emergency import Emergency
from servha.guard.memory import Memory, MemoryFile
from servha.wire.guard_talk import (
    SIZE_MAX,
    AskingMessage,
    Belonging,
    BelongingsMessage,
    PingMessage,
    PromiseMessage,
    RenewalMessage,
    Setup,
    SetupMessage,
    Unreadable,
    ViewMessage,
    decode,
    encode,
)
from servha.wire.keys import disk_key

SOCKET: Final = "guard.sock"
MEMORY: Final = "guard.state"
IDLE_S: Final = 5.0
_CREDENTIALS = struct.Struct("3i")
_LEVELS: Final = {"error": 3, "warning": 4, "cleared": 5, "info": 6}


def stamp() -> Stamp:
    """Read the three clocks."""
    return Stamp(
        time.clock_gettime(time.CLOCK_MONOTONIC),
        time.clock_gettime(time.CLOCK_BOOTTIME),
        time.clock_gettime(time.CLOCK_MONOTONIC_RAW),
    )


def log(severity: str, text: Text | str) -> None:
    """Write a line to standard error in the form the journal understands (sd-daemon(3))."""
    print(f"<{_LEVELS.get(severity, 6)}>{text}", file=sys.stderr, flush=True)


class Guardd:
    """The daemon. `make_io` makes what stands between it and the disk; a lab puts its trouble there."""

    def __init__(self, run: str, reset: str, make_io: Callable[[], BlockIo | None] = lambda: None) -> None:
        self._run_directory, self._reset, self._make_io = run, reset, make_io
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._memory = MemoryFile(f"{run}/{MEMORY}")
        self._emergency = Emergency(self._wake)
        self._swept = 0
        self._guard: Guard | None = None
        self._setup: Setup | None = None
        self._next_setup: Setup | None = None
        self._belongings: tuple[Belonging, ...] = ()
        self._disk: DiskThread | None = None
        self._writing: tuple[Slot, Slot] | None = None
        self._watchdog: Watchdog | None = None
        self._daemon: socket.socket | None = None
        self._daemon_life: int | None = None
        self._kept = False
        self._ended = False
        self._waiting: deque[GuardEvent] = deque()
        self._busy = False
        self._door = self._open_door()
        self._signals, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def run(self) -> None:
        """Go on from a predecessor in this boot, if there was one; then serve until told to end."""
        self._take_over()
        systemd.notify("READY=1")
        while not self._ended:
            self._serve()
        if self._disk is not None:
            self._disk.close()

    # --- beginning --------------------------------------------------------------------------------------------------

    def _open_door(self) -> socket.socket:
        place = f"{self._run_directory}/{SOCKET}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)  # noqa: PTH108 - the guard loads no pathlib
        door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        door.bind(place)
        os.umask(before)
        door.listen(4)
        return door

    def _take_over(self) -> None:
        descriptor = systemd.kept()
        if descriptor is not None:
            self._watchdog = adopted(descriptor)
        left = self._memory.load()
        if left is None:
            return
        self._belongings = left.belongings
        log("info", say("a guard in this boot left what it protected: going on from there"))
        self._begin(left.setup, left)

    def _begin(self, setup: Setup, left: Memory | None = None) -> None:
        """Serve this disk under these figures from now on."""
        if self._disk is not None:
            self._disk.close()
        try:
            with open(setup.key_file, encoding="ascii") as file:  # noqa: PTH123
                key = disk_key(bytes.fromhex(file.read().strip()))
        except (OSError, ValueError) as problem:
            log("error", say("{path} cannot be read: {reason}", path=setup.key_file, reason=str(problem)))
            return
        self._setup = setup
        disk = QuorumDisk(setup.device, setup.cluster_id, setup.node, key, self._make_io())
        self._disk = DiskThread(disk, self._wake)
        self._writing = None
        self._guard = Guard(
            node=setup.node,
            boot_id=_boot_id(),
            limits=setup.limits,
            now=stamp(),
            saved=left.saved if left else None,
        )
        if self._watchdog is not None and left is None:
            self._disarm()
        self._happen(Woken(stamp()))

    # --- events -----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        wait_s = IDLE_S if self._guard is None else min(IDLE_S, self._guard.wake_in_s(stamp()))
        poller = select.poll()
        sources = [self._door.fileno(), self._wake, self._signals]
        if self._daemon is not None:
            sources.append(self._daemon.fileno())
        if self._daemon_life is not None:
            sources.append(self._daemon_life)
        for source in sources:
            poller.register(source, select.POLLIN)
        ready = {descriptor for descriptor, _ in poller.poll(wait_s * 1000)}
        if self._signals in ready and os.read(self._signals, 64):
            self._shut_down()
        if self._wake in ready:
            self._read_threads()
        if self._daemon is not None and self._daemon.fileno() in ready:
            self._read_daemon(self._daemon)
        if self._daemon_life is not None and self._daemon_life in ready:
            self._daemon_died()
        if self._door.fileno() in ready:
            self._accept()
        if not ready or self._guard is None or self._guard.wake_in_s(stamp()) <= WAKE_LEAST_S:
            self._happen(Woken(stamp()))

    def _shut_down(self) -> None:
        if self._guard is None:
            self._ended = True
        else:
            self._happen(ShutDown(stamp()))

    def _read_threads(self) -> None:
        os.eventfd_read(self._wake)
        for result in self._disk.results() if self._disk is not None else ():
            own, written = result.own, self._writing
            if written is not None and own == written[1]:
                own = written[0]  # what the core asked to write, without what is only for people
            self._happen(
                RoundEnded(
                    stamp(),
                    read=result.read,
                    own=own,
                    own_blank=result.own_blank,
                    peer=result.peer,
                    peer_mark=result.peer_mark,
                    peer_blank=result.peer_blank,
                    trouble=result.trouble,
                )
            )
        if self._emergency.done > self._swept:
            self._swept = self._emergency.done
            self._happen(AllStopped(stamp(), self._swept))

    def _accept(self) -> None:
        """Let servhad in; a new one takes the place of the old, whose process may be dead or may linger."""
        with contextlib.suppress(OSError):
            line, _ = self._door.accept()
            pid, uid, _ = _CREDENTIALS.unpack(
                line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            )
            if uid != 0:
                line.close()
                return
            self._part_from_daemon()
            if self._daemon_life is not None:
                os.close(self._daemon_life)
            line.setblocking(False)  # noqa: FBT003  it takes no keyword
            self._daemon = line
            self._daemon_life = os.pidfd_open(pid)
            if self._guard is not None:
                self._send(encode(ViewMessage(self._guard.state.view)))

    def _read_daemon(self, line: socket.socket) -> None:
        while line is self._daemon:
            try:
                datagram = line.recv(SIZE_MAX)
            except BlockingIOError:
                return
            except OSError:
                datagram = b""
            if not datagram:
                self._part_from_daemon()
                return
            self._take(datagram)

    def _take(self, datagram: bytes) -> None:
        match decode(datagram):
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
            case Unreadable(reason=reason):
                log("warning", say("a message of servhad cannot be read: {reason}", reason=reason))

    def _adapt(self, setup: Setup) -> None:
        """Take another configuration: new figures at once, another disk only when nothing is held on this one."""
        self._next_setup = None
        if setup == self._setup:
            return
        if self._guard is None or self._setup is None or self._guard.saved() is None:
            self._begin(setup)
        elif setup.device == self._setup.device and setup.node == self._setup.node:
            self._setup = setup
            self._happen(LimitsChanged(stamp(), setup.limits))
        else:
            log("warning", say("another quorum disk is used once nothing is held on the present one"))
            self._next_setup = setup

    def _part_from_daemon(self) -> None:
        if self._daemon is not None:
            self._daemon.close()
            self._daemon = None

    def _daemon_died(self) -> None:
        if self._daemon_life is not None:
            os.close(self._daemon_life)
            self._daemon_life = None
        self._part_from_daemon()
        self._happen(DaemonEnded(stamp()))

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
        self._change_disk()

    def _change_disk(self) -> None:
        if self._guard is None:
            return
        if self._next_setup is not None and self._guard.saved() is None:
            setup, self._next_setup = self._next_setup, None
            self._begin(setup)

    def _carry_out(self, effect: GuardEffect) -> None:
        match effect:
            case WriteRound(slot=slot):
                self._begin_round(slot)
            case ArmWatchdog(timeout_s=timeout_s):
                self._arm(timeout_s)
            case FeedWatchdog():
                self._feed()
            case DisarmWatchdog():
                self._disarm()
            case GivePromise(generation=generation, token=token):
                self._send(encode(PromiseMessage(generation, token)))
            case EmergencyStop(because=because, sweep=sweep, kill_daemon=kill_daemon):
                log("error", say("emergency stop: {because}", because=because))
                self._emergency.order(sweep, self._belongings)
                if kill_daemon:
                    self._kill_daemon()
            case ResetNode(because=because):
                self._reset_node(because)
            case Tell(view=view):
                self._send(encode(ViewMessage(view)))
            case Log(severity=severity, text=text):
                log(severity, text)
            case Ended(held=held):
                self._end(held=held)
            case _:
                assert_never(effect)

    def _begin_round(self, slot: Slot | None) -> None:
        assert self._disk is not None
        assert self._setup is not None
        if slot is None:
            self._writing = None
            self._disk.begin(None)
            return
        shown = replace(slot, host=self._setup.host, version=self._setup.version, written_at=time.time_ns())
        self._writing = (slot, shown)
        self._disk.begin(shown)

    def _arm(self, timeout_s: float) -> None:
        name, kept_s = "", 0.0
        try:
            if self._watchdog is None and self._setup is not None and self._setup.watchdog:
                self._watchdog = open_watchdog(self._setup.watchdog)
            if self._watchdog is not None:
                kept_s = self._watchdog.set_timeout(timeout_s)
                name = self._watchdog.name
                self._watchdog.feed()
                systemd.keep(self._watchdog.fileno())
        except (OSError, ValueError) as problem:
            self._watchdog = None
            log("warning", say("there is no usable watchdog: {reason}", reason=str(problem)))
        self._happen(WatchdogTold(stamp(), name, kept_s))

    def _feed(self) -> None:
        if self._watchdog is not None:
            try:
                self._watchdog.feed()
            except OSError as problem:
                log("error", say("the watchdog cannot be fed: {reason}", reason=str(problem)))

    def _disarm(self) -> None:
        if self._watchdog is not None:
            with contextlib.suppress(OSError):
                self._watchdog.disarm()
            self._watchdog = None
            systemd.forget()

    def _kill_daemon(self) -> None:
        if self._daemon_life is None:
            return
        log("error", say("servhad does not answer and is killed: nothing may be started any more"))
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._daemon_life, signal.SIGKILL)

    def _reset_node(self, because: Text) -> None:
        log("error", say("resetting the machine: {because}", because=because))
        with contextlib.suppress(OSError):
            trigger = os.open(self._reset, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.write(trigger, b"b")

    def _end(self, *, held: bool) -> None:
        if not held:
            self._disarm()
            self._memory.clear()
        self._ended = True

    def _send(self, datagram: bytes) -> None:
        if self._daemon is not None:
            with contextlib.suppress(OSError):  # what it missed it is told again
                self._daemon.send(datagram)

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
