"""What the rest of the product may ask of this machine, and the values it gets back.

Nothing here blocks: every question is a coroutine or costs microseconds. A question that cannot be answered
raises `HostError`, whose text names the thing and the reason; "no" is never used for "could not tell".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from servha.core.words import Text

if TYPE_CHECKING:
    from servha.host.disks import Disks

OUTPUT_BYTES_MAX = 64 * 1024
"""Of what a program writes, this much is kept; the rest is read and thrown away."""


class HostError(Exception):
    """The machine could not do it or could not tell; `text` says what and why."""

    def __init__(self, text: Text) -> None:
        super().__init__(str(text))
        self.text = text


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended: its exit code (negative: the signal that ended it, None: not seen to end)."""

    code: int | None
    output: str = ""
    timed_out: bool = False
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has ended: its exit code, the signal that ended it as a negative number, None if unknown."""

    pid: int
    name: str
    code: int | None


@dataclass(frozen=True, slots=True)
class LinkState:
    """A network interface: `up` is the administrator's wish, `carrier` what the cable says."""

    nic: str
    index: int
    mac: str
    up: bool
    carrier: bool


@dataclass(frozen=True, slots=True)
class LinkGone:
    """The interface was removed from the machine."""

    nic: str


@dataclass(frozen=True, slots=True)
class AddressChange:
    """An address ("192.0.2.100/24") came to or left an interface. By whose doing the kernel does not say."""

    nic: str
    address: str
    present: bool


@dataclass(frozen=True, slots=True)
class ChangesMissed:
    """The kernel told more than we could take in: look again at everything."""


Change = LinkState | LinkGone | AddressChange | ChangesMissed


class Duplicates(Enum):
    """What the kernel knows of other machines that have an IPv6 address of ours (RFC 4862 5.4)."""

    NONE = "none"
    LOOKING = "looking"
    """Still finding out: the address cannot be used yet ("tentative")."""
    FOUND = "found"
    """Another machine has it: the address cannot be used ("dadfailed")."""


class Changes(Protocol):
    """Network changes since the subscription began, in order."""

    async def next(self) -> Change:
        """Wait for the next change."""
        ...


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that waits for clients; `inode` names it in /proc/PID/fd."""

    protocol: str
    address: str
    port: int
    inode: int


@dataclass(frozen=True, slots=True)
class Process:
    """One process: `exe` is empty for the kernel's own, `command` may have been rewritten by the process."""

    pid: int
    name: str
    exe: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Desktop:
    """A user's graphical session: `env` is what a program needs in order to appear in it."""

    user: str
    session: str
    env: Mapping[str, str]


class Host(Protocol):
    """The machine as the kinds see it. Times are seconds; addresses of a NIC carry their prefix length."""

    node: str

    # programs and their control groups
    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        env: Mapping[str, str] | None = None,
        cgroup: Path | None = None,
        cwd: str = "/",
        user: str = "",
        output: Path | None = None,
    ) -> Completed:
        """Run a program to its end, or end it with everything it started after `timeout_s`.

        It starts inside `cgroup` and what it leaves behind there stays; without one it gets a group of its
        own and nothing it started outlives it. With `output` it writes to that file (a program that stays in
        the background must not lose its output when we end), else to us. Raises HostError when it cannot be
        started.
        """
        ...

    async def script_problem(self, path: str) -> Text | None:
        """Why this file may not be run as root, in words; None when it may."""
        ...

    async def desktop(self, user: str = "") -> Desktop | None:
        """The graphical session on this machine's screen, that of `user` if given; None when nobody has one."""
        ...

    def cgroup_of(self, tree: str, resource: str) -> Path:
        """The control group of a resource, made if need be; the same after a restart of the daemon."""
        ...

    def output_of(self, tree: str, resource: str) -> Path:
        """The file into which what a resource's start script leaves running writes its output."""
        ...

    def populated(self, cgroup: Path) -> bool:
        """Whether a process lives in the group or below it; False when there is no such group."""
        ...

    def cgroup_pids(self, cgroup: Path) -> tuple[int, ...]:
        """The processes in the group and below it."""
        ...

    async def emptied(self, cgroup: Path, *, told: Callable[[], None] | None = None) -> tuple[Ended, ...]:
        """Return when no process lives in the group, at once if so already; and how the first of them ended.

        `told` is called for each end of one that lived there already, as far as they are watched one by one.
        """
        ...

    async def kill_cgroup(self, cgroup: Path, *, timeout_s: float) -> bool:
        """Kill everything in the group; True when it was seen empty within `timeout_s`."""
        ...

    def signal_group(self, cgroup: Path, number: int) -> int:
        """Send a signal to those of the group that no other of its processes started; returns how many there were."""
        ...

    def group_at(self, path: str) -> Path:
        """The control group that systemd names by this path; raises HostError where there are none."""
        ...

    async def exited(self, pid: int) -> None:
        """Return when the process has ended; at once if there is none."""
        ...

    # network
    async def link(self, nic: str) -> LinkState | None:
        """The interface, or None when the machine has none of that name."""
        ...

    async def addresses(self, nic: str) -> tuple[str, ...]:
        """The IPv4 addresses on the interface, with prefix length; empty when there is no such interface."""
        ...

    async def addresses6(self, nic: str) -> Mapping[str, Duplicates]:
        """The IPv6 addresses on the interface, with prefix length, and whether others have them too."""
        ...

    async def add_address(self, nic: str, address: str, *, known_free: bool = False) -> None:
        """Put the address on the interface; already there is fine.

        An IPv6 address is never to be the source of what this node sends by itself; with `known_free` the kernel
        does not look for other machines that have it.
        """
        ...

    async def delete_address(self, nic: str, address: str) -> None:
        """Take the address off the interface and stop announcing it; absent is fine."""
        ...

    def network_changes(self) -> AbstractContextManager[Changes]:
        """Subscribe: what changes after entering is told, so look at the state after entering."""
        ...

    async def who_has(self, nic: str, address: str, *, wait_s: float = 0.05) -> str | None:
        """Ask the segment who uses the address (no prefix length): the MAC that answered, None for silence."""
        ...

    def announce(self, nic: str, address: str) -> None:
        """Tell the segment that the address is here: now, and twice more within 100 ms."""
        ...

    async def ping(self, address: str, *, nic: str = "", timeout_s: float) -> float | None:
        """One ICMP echo, leaving through `nic` if given; the round trip in seconds, or None for silence."""
        ...

    # processes and sockets
    async def listeners(self, protocol: str) -> tuple[Listener, ...]:
        """Every socket of "tcp" or "udp" that waits for clients."""
        ...

    async def owners(self, inodes: frozenset[int]) -> tuple[Process, ...]:
        """The processes that hold one of these sockets."""
        ...

    async def processes(self) -> tuple[Process, ...]:
        """Every process this one may see, except itself."""
        ...

    # disks
    @property
    def disks(self) -> Disks:
        """The machine's disks and file systems."""
        ...

    # time
    def boottime_s(self) -> float:
        """Seconds since the machine was started, sleep included."""
        ...

    def tree_group(self, tree: str) -> str:
        """The control group in which everything of a tree lives; raises HostError where there are none."""
        ...

    def boot_id(self) -> str:
        """A name for this life of the machine's kernel."""
        ...
