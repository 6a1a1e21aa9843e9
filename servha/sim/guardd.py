"""servha-guardd on a simulated machine: the guard's own decisions, carried out on a simulated disk and watchdog.

It has one thread for the disk, so that one round is under way at most and everything else goes on meanwhile. A guard
that is killed is started again by systemd and goes on from what it left in /run; while a write of it is under way,
the kernel does not let it end. What is decided is decided in core/guard.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from servha.core import guard_model as gm
from servha.core.clocks import Stamp
from servha.core.guard import Guard
from servha.core.model import JournalEntry
from servha.core.register import Slot
from servha.sim.disk import IO_ERROR, Disk, Seen
from servha.sim.machine import Machine, Process
from servha.sim.servhad import TALK_S, Servhad

if TYPE_CHECKING:
    from servha.sim.world import World

Happening = Callable[[Stamp], gm.GuardEvent]
"""Makes the event, given the stamp at which the guard sees it."""

REBORN_LEAST_S, REBORN_MOST_S = 0.06, 0.3
"""What systemd and the interpreter take to bring a guard back that was killed."""


class Guardd(Process):
    """One node's guard."""

    def __init__(self, machine: Machine, world: World, disk: Disk, daemon: Servhad) -> None:
        super().__init__(machine)
        self.world = world
        self.disk = disk
        self.daemon = daemon
        self.guard: Guard | None = None
        self.dies_after: int | None = None
        """Killed amid the next effects, after so many of them."""
        self.stalls: tuple[int, float] | None = None
        """Stands still amid the next effects: after how many of them, and for how long."""
        self._wake_id = 0
        self._handling = False
        self._next: list[Happening] = []

    # --- its life -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, going on from a predecessor in this boot."""
        machine = self.machine
        if not machine.powered or self.alive:
            return
        self.begin()
        self._handling = False
        self._next.clear()
        self.guard = Guard(
            node=machine.number,
            boot_id=f"{machine.number:04x}{machine.boot_number:028x}",
            limits=machine.cluster.timing.limits,
            now=machine.clocks.read(self.world.now_s),
            saved=machine.saved,
        )
        self.event(gm.Woken)
        self.connect()

    def connect(self) -> None:
        """servhad's side of the socket is there."""
        if not self.alive or not self.daemon.alive:
            return
        self.world.later(TALK_S, self.daemon.guard_connected)
        if self.guard is not None and self.guard.state.view.number:
            self._tell(self.guard.state.view)

    def kill(self) -> None:
        """End it; systemd brings it back."""
        if not self.alive:
            return
        self.end()
        wait_s = self.world.random.uniform(REBORN_LEAST_S, REBORN_MOST_S)
        self.world.later(wait_s, partial(self.machine.do, self.machine.boot_number, self._reborn))

    def _reborn(self) -> None:
        if self.alive:
            return
        if self.disk.busy(self.machine.number):  # the kernel does not let the old one end
            again = partial(self.machine.do, self.machine.boot_number, self._reborn)
            self.world.later(0.02, again)
        else:
            self.start()

    def end(self) -> None:
        """End it; what it wrote to /run stays, and the watchdog that it opened counts on."""
        if self.guard is not None:
            self.machine.saved = self.guard.saved()
        super().end()
        self.guard = None
        self._wake_id += 1
        if self.daemon.alive and self.machine.powered:
            self.daemon.guard_says(None)

    def resume(self) -> None:
        """Go on after having stood still."""
        self.paused = False
        self.go_on()
        if self.guard is not None:
            self.event(gm.Woken)

    # --- events and effects ---------------------------------------------------------------------------------

    def event(self, happening: Happening, after_s: float = 0.0) -> None:
        """Let it see something, now or after a while; lost if this life of the guard has ended by then."""
        if after_s:
            life = self.life
            self.world.later(after_s, lambda: self.event(happening) if self.life == life else None)
        else:
            self.do(partial(self._handle, happening))

    def _handle(self, happening: Happening) -> None:
        if self._handling:  # an answer to one of the effects being carried out
            self._next.append(happening)
            return
        guard = self.guard
        if guard is None:
            return
        self._handling = True
        before = guard.state.lease
        effects = guard.handle(happening(self.machine.clocks.read(self.world.now_s)))
        self._go_through(guard, effects, before)

    def _go_through(self, guard: Guard, effects: list[gm.GuardEffect], before: str) -> None:
        """Carry out what was decided; a kill or a pause may come between any two effects."""
        life = self.life
        for index, effect in enumerate(effects):
            if self.dies_after is not None and index >= self.dies_after:
                self.dies_after = None
                self.kill()
            if self.life != life or not self.alive:
                return
            if self.stalls is not None and index >= self.stalls[0]:
                stall_s, self.stalls, self.paused = self.stalls[1], None, True
                self.inbox.insert(0, partial(self._go_through, guard, effects[index:], before))
                self.world.later(stall_s, lambda: self.resume() if self.life == life else None)
                return
            self._carry_out(effect, before)
        self._handling = False
        if self._next:
            self._handle(self._next.pop(0))
        elif self.guard is guard:
            self._arm(guard)

    def _arm(self, guard: Guard) -> None:
        self._wake_id += 1
        wait_s = guard.wake_in_s(self.machine.clocks.read(self.world.now_s))
        wait_s = max(0.0005, self.machine.clocks.mono.true_wait_s(wait_s))
        self.world.later(wait_s, partial(self._wake, self._wake_id))

    def _wake(self, wake_id: int) -> None:
        if wake_id == self._wake_id:
            self.event(gm.Woken)

    def _carry_out(self, effect: gm.GuardEffect, before: str) -> None:
        world, machine = self.world, self.machine
        match effect:
            case gm.WriteRound(slot=slot):
                self._round(slot)
            case gm.ArmWatchdog(timeout_s=timeout_s):
                name, kept_s = world.arm_watchdog(machine, timeout_s)
                self.event(lambda now: gm.WatchdogTold(now, name, kept_s))
            case gm.FeedWatchdog():
                machine.watchdog.fed_s = world.now_s
            case gm.DisarmWatchdog():
                machine.watchdog.armed = False
            case gm.GivePromise(generation=generation, token=token):
                world.later(
                    TALK_S, lambda: self.daemon.do(lambda: self.daemon.give_promise(generation, token))
                )
            case gm.EmergencyStop(sweep=sweep, kill_daemon=kill_daemon):
                world.emergency_stop(machine, sweep, kill_daemon=kill_daemon)
            case gm.ResetNode(because=because):
                world.reset(machine, str(because))
            case gm.Tell(view=view):
                self._tell(view)
            case gm.Log(severity=severity, text=text) if severity == "error":
                assert self.guard is not None  # the rest is told by servhad
                after = self.guard.state.lease
                machine.journal.append(
                    JournalEntry(world.now_s, machine.us, "guard", before, after, "", text, severity=severity)
                )
            case gm.Ended():
                self.end()

    def _tell(self, view: gm.View) -> None:
        life = self.daemon.life
        self.world.later(TALK_S, lambda: self.daemon.guard_says(view) if self.daemon.life == life else None)

    # --- the disk -------------------------------------------------------------------------------------------

    def _round(self, slot: Slot | None) -> None:
        """Write and then read, in the guard's other thread: it stands still when the guard does."""
        number, life = self.machine.number, self.life

        def read(good: bool) -> None:  # noqa: FBT001
            if self.life == life:
                self.do(partial(self._read, life, good=good))

        if slot is None:
            self._read(life, good=True)
        else:
            self.world.writes(self.machine, slot)
            self.disk.write(number, slot, read)

    def _read(self, life: int, *, good: bool) -> None:
        def ended(seen: Seen) -> None:
            if self.life == life:
                self.event(
                    lambda now: gm.RoundEnded(
                        now,
                        read=seen.read,
                        own=seen.own,
                        own_blank=seen.own_blank,
                        peer=seen.peer,
                        peer_mark=seen.peer_mark,
                        peer_blank=seen.peer_blank,
                        trouble=seen.trouble,
                    )
                )

        if good:
            self.disk.read(self.machine.number, ended)
        else:
            ended(Seen(read=False, trouble=IO_ERROR))
