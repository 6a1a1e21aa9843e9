"""One simulated server: its clocks, its processes, its watchdog, and what survives a power cut.

What its two daemons decide comes from core; servhad.py and guardd.py carry it out. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from servha.core.guard_model import Saved
from servha.core.model import Cluster, JournalEntry, Order, Phase
from servha.sim.clocks import Clocks

Act = Callable[[], None]


@dataclass
class Behaviour:
    """How one resource behaves on one node."""

    start_s: float = 0.02
    stop_s: float = 0.02
    start_ok: bool = True
    stop_ok: bool = True
    kill_s: float = 0.01
    """How long it takes to die when everything of it is killed."""
    killable: bool = True
    """False where a process stays in the kernel whatever is sent to it."""
    held: bool = False
    """True where a stranger uses its file system: only freeing that lets it stop."""


class Power(StrEnum):
    """What a machine's processor does."""

    OFF = "off"
    ON = "on"
    FROZEN = "frozen"  # the whole virtual machine stands still, clocks and watchdog included
    SUSPENDED = "suspended"  # the same, but BOOTTIME will count it


class Process:
    """A process that may be stopped by a signal, or end; what should happen in it meanwhile waits or is lost."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.alive = False
        self.paused = False
        self.life = 0
        """Grows with every start: what was begun in an earlier life does not come back in a later one."""
        self.inbox: list[Act] = []

    def begin(self) -> None:
        """Start it."""
        self.alive, self.paused = True, False
        self.life += 1

    def end(self) -> None:
        """End it, whatever it was doing."""
        self.alive = self.paused = False
        self.inbox.clear()

    def do(self, act: Act) -> None:
        """Do `act` in this process: now, when it goes on, or never."""
        if not self.alive:
            return
        if self.paused or self.machine.power is not Power.ON:
            self.inbox.append(act)
        else:
            act()

    def go_on(self, keep_count: int | None = None) -> None:
        """Do what has waited; sockets hold no more than `keep_count` of it."""
        if not self.alive or self.paused or self.machine.power is not Power.ON:
            return
        waiting, self.inbox = self.inbox, []
        for act in waiting if keep_count is None else waiting[-keep_count:]:
            self.do(act)


@dataclass
class Watchdog:
    """A reset timer in the machine. `present` False: there is none to open."""

    present: bool = True
    timeout_s: float = 0.0
    """Longest time it really keeps, once armed."""
    least_s: float = 0.0
    """Shortest time that its driver can keep."""
    armed: bool = False
    fed_s: float = 0.0
    """When it was fed last, by the true clock."""
    check_id: int = 0


class Starts:
    """Start scripts that are under way on one machine, so that an emergency stop can kill them."""

    def __init__(self) -> None:
        self._begun = 0
        self._under_way: set[int] = set()

    def begin(self) -> int:
        """Note that one began; return what `finish` wants to know."""
        self._begun += 1
        self._under_way.add(self._begun)
        return self._begun

    def finish(self, begun: int) -> bool:
        """Note that it ended; return False when it was killed before."""
        if begun not in self._under_way:
            return False
        self._under_way.remove(begun)
        return True

    def kill(self, dies: Callable[[], bool]) -> None:
        """End each one that `dies`."""
        self._under_way = {begun for begun in self._under_way if not dies()}


@dataclass
class Machine:
    """One simulated server."""

    cluster: Cluster
    number: int
    """0 or 1: which slot of the quorum disk is its own."""
    clocks: Clocks = field(default_factory=Clocks)
    power: Power = Power.OFF
    boot_number: int = 0
    watchdog: Watchdog = field(default_factory=Watchdog)
    running: set[tuple[str, str]] = field(default_factory=set)
    """Resources that really run on this machine, whatever the daemons believe."""
    starts: Starts = field(default_factory=Starts)
    dying: set[tuple[str, str]] = field(default_factory=set)
    """What was killed and is not gone yet."""
    strays: set[tuple[str, str]] = field(default_factory=set)
    """What somebody started by hand, past the daemon."""
    memory: dict[str, tuple[int, Order]] = field(default_factory=dict)
    volatile: dict[str, Phase] = field(default_factory=dict)
    """What /run holds: the phase of each tree, lost with the power."""
    saved: Saved | None = None
    """The guard's part of /run."""
    journal: list[JournalEntry] = field(default_factory=list)
    alarms: dict[str, str] = field(default_factory=dict)
    peer_lives: list[str] = field(default_factory=list)
    """Incarnations of the peer in the order in which they were met; beats of all but the last are refused."""
    frozen_s: float = 0.0
    """When it last began to stand still."""
    deferred: list[Act] = field(default_factory=list)
    """What the kernel would have done while it stood still."""

    @property
    def us(self) -> str:
        """The node's name."""
        return self.cluster.us

    @property
    def powered(self) -> bool:
        """Whether it has power, be it frozen or not."""
        return self.power is not Power.OFF

    def do(self, boot: int, act: Act) -> None:
        """Do `act` in the kernel of boot `boot`: now, when it goes on, or never."""
        if not self.powered or self.boot_number != boot:
            return
        if self.power is Power.ON:
            act()
        else:
            self.deferred.append(lambda: self.do(boot, act))
