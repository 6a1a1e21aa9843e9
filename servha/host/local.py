"""`LocalHost`: this machine, asked through its kernel. Puts the parts together and owns their lifetimes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from servha.core.words import Text, say
from servha.host import arp, cgroups, desktops, icmp, ndp, orphans, proc, scripts, waiting
from servha.host.local_disks import LocalDisks
from servha.host.netlink import Network, Subscription
from servha.host.port import Completed, Desktop, Duplicates, Ended, HostError, LinkState, Listener, Process
from servha.host.programs import KILL_WAIT_S, Programs

LOOK_S = 5.0
ANNOUNCE_AGAIN_S = (0.05, 0.1)
BURY_EVERY_S = 5.0
OUTPUT_FILE_BYTES_MAX = 1024 * 1024
"""A background program's output file is cut when it has grown beyond this."""


class LocalHost:
    """This machine. `base` is the control group to build below (default: the daemon's own)."""

    def __init__(
        self,
        *,
        node: str,
        run_dir: Path = Path("/run/servha"),
        base: Path | None = None,
        sessions: Path = desktops.SESSIONS,
    ) -> None:
        self.node = node
        self.disks = LocalDisks()
        self._run_dir = run_dir
        self._base = base
        self._sessions = sessions
        self._cgroups: cgroups.Cgroups | None = None
        self._programs = Programs()
        self._network = Network()
        self._announcer = arp.Announcer()
        self._burials: orphans.Burial | None = None
        self._burial: asyncio.TimerHandle | None = None
        self._announcing: dict[tuple[str, str], list[asyncio.TimerHandle]] = {}

    async def open(self) -> None:
        """Subscribe to the kernel's news and clear away what an earlier daemon left half done."""
        await self._network.open()
        with contextlib.suppress(HostError):
            self._groups().sweep()
            orphans.take_in()
            self._bury()

    async def close(self) -> None:
        """Give everything back; resources keep running."""
        for key in tuple(self._announcing):
            self._hush(*key)
        if self._burial is not None:
            self._bury()
            self._burial.cancel()
        self._announcer.close()
        await self._network.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _groups(self) -> cgroups.Cgroups:
        if self._cgroups is None:
            self._cgroups = cgroups.Cgroups(self._base or cgroups.find_base(self.node))
        return self._cgroups

    def _orphans(self) -> orphans.Burial:
        if self._burials is None:
            self._burials = orphans.Burial(self._groups().base)
        return self._burials

    def _bury(self) -> None:
        self._orphans().bury(but=self._programs.children)
        self._burial = asyncio.get_running_loop().call_later(BURY_EVERY_S, self._bury)

    # programs

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
        """Run a program to its end; see `port.Host.run`."""
        own = None
        if cgroup is None:
            with contextlib.suppress(HostError):  # without cgroup2 its process group is all we can end
                own = self._groups().for_one_run()
        try:
            return await self._programs.run(
                argv,
                timeout_s=timeout_s,
                env=env or {},
                cgroup=cgroup or own,
                cwd=cwd,
                user=user,
                output=output,
            )
        finally:
            if own is not None:
                if cgroups.populated(own):
                    await cgroups.kill(own, timeout_s=KILL_WAIT_S)
                cgroups.discard(own)

    async def script_problem(self, path: str) -> Text | None:
        """Why this file may not be run; looked at in a thread, it may lie on a disk that hangs."""
        try:
            async with asyncio.timeout(LOOK_S):
                return await asyncio.to_thread(scripts.problem, path)
        except TimeoutError:
            return say("{path} could not be looked at within {seconds} s", path=path, seconds=LOOK_S)

    async def desktop(self, user: str = "") -> Desktop | None:
        """The graphical session; looked for in a thread, which reads much of /proc."""
        return await asyncio.to_thread(desktops.find, self._sessions, user=user)

    def cgroup_of(self, tree: str, resource: str) -> Path:
        """The control group of a resource; see `port.Host.cgroup_of`."""
        return self._groups().of(tree, resource)

    def output_of(self, tree: str, resource: str) -> Path:
        """The output file of a resource, cut if it has grown too long."""
        path = self._run_dir / "output" / f"{tree}.{resource}"
        with contextlib.suppress(OSError):
            if path.stat().st_size > OUTPUT_FILE_BYTES_MAX:
                with path.open("r+b") as file:
                    file.truncate(0)
        return path

    def populated(self, cgroup: Path) -> bool:
        """Whether a process lives in the group."""
        return cgroups.populated(cgroup)

    def cgroup_pids(self, cgroup: Path) -> tuple[int, ...]:
        """The processes in the group and below it."""
        return cgroups.pids(cgroup)

    async def emptied(self, cgroup: Path, *, told: Callable[[], None] | None = None) -> tuple[Ended, ...]:
        """Return when no process lives in the group, and how its processes ended."""
        ended = await cgroups.emptied(cgroup, but=self._programs.children, told=told)
        self._bury_now()
        return ended

    async def kill_cgroup(self, cgroup: Path, *, timeout_s: float) -> bool:
        """Kill everything in the group; True when it was seen empty."""
        killed = await cgroups.kill(cgroup, timeout_s=timeout_s)
        self._bury_now()
        return killed

    def signal_group(self, cgroup: Path, number: int) -> int:
        """Send a signal to the eldest processes of the group."""
        return cgroups.signal_eldest(cgroup, number)

    def group_at(self, path: str) -> Path:
        """The control group of this path."""
        return cgroups.at(path)

    def _bury_now(self) -> None:
        """A dead orphan that nobody has waited for has a number still: to `kill -0` in a test script it lives."""
        with contextlib.suppress(HostError):
            self._orphans().bury(but=self._programs.children)

    async def exited(self, pid: int) -> None:
        """Return when the process has ended."""
        await waiting.exited(pid)

    # network

    async def link(self, nic: str) -> LinkState | None:
        """The interface, or None."""
        return await self._network.link(nic)

    async def addresses(self, nic: str) -> tuple[str, ...]:
        """The IPv4 addresses on the interface."""
        return await self._network.addresses(nic)

    async def addresses6(self, nic: str) -> Mapping[str, Duplicates]:
        """The IPv6 addresses on the interface, and what the kernel knows of other machines that have them."""
        return await self._network.addresses6(nic)

    async def add_address(self, nic: str, address: str, *, known_free: bool = False) -> None:
        """Put the address on the interface."""
        await self._network.change_address(nic, address, present=True, known_free=known_free)

    async def delete_address(self, nic: str, address: str) -> None:
        """Take the address off the interface; news of it still to be sent would lead clients astray."""
        self._hush(nic, address.partition("/")[0])
        await self._network.change_address(nic, address, present=False)

    def network_changes(self) -> contextlib.AbstractContextManager[Subscription]:
        """Subscribe to changes of interfaces and addresses."""
        return self._network.changes()

    async def who_has(self, nic: str, address: str, *, wait_s: float = 0.05) -> str | None:
        """The MAC that answered, or None."""
        if ":" in address:
            return await ndp.who_has(nic, address, wait_s=wait_s)
        return await arp.who_has(nic, address, wait_s=wait_s)

    def announce(self, nic: str, address: str) -> None:
        """Gratuitous ARP or advertisement, now and twice more within 100 ms; HostError when the first fails."""
        self._hush(nic, address)
        self._announce_once(nic, address)
        loop = asyncio.get_running_loop()
        self._announcing[nic, address] = [
            loop.call_later(delay_s, self._announce_again, nic, address) for delay_s in ANNOUNCE_AGAIN_S
        ]

    def _announce_again(self, nic: str, address: str) -> None:
        with contextlib.suppress(HostError):
            self._announce_once(nic, address)

    def _announce_once(self, nic: str, address: str) -> None:
        if ":" in address:
            ndp.announce(nic, address)
        else:
            self._announcer.announce(nic, address)

    def _hush(self, nic: str, address: str) -> None:
        for handle in self._announcing.pop((nic, address), []):
            handle.cancel()

    async def ping(self, address: str, *, nic: str = "", timeout_s: float) -> float | None:
        """One ICMP echo; the round trip in seconds, or None."""
        return await icmp.ping(address, nic=nic, timeout_s=timeout_s)

    # processes and sockets: /proc is read in a thread, it takes milliseconds

    async def listeners(self, protocol: str) -> tuple[Listener, ...]:
        """Every socket that waits for clients."""
        return await asyncio.to_thread(proc.listeners, protocol)

    async def owners(self, inodes: frozenset[int]) -> tuple[Process, ...]:
        """The processes that hold one of these sockets."""
        return await asyncio.to_thread(proc.owners, inodes)

    async def processes(self) -> tuple[Process, ...]:
        """Every process except this one."""
        return await asyncio.to_thread(proc.processes)

    # time

    def boottime_s(self) -> float:
        """Seconds since the machine was started, sleep included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def tree_group(self, tree: str) -> str:
        """The control group in which everything of a tree lives."""
        return str(self._groups().of_tree(tree))

    def boot_id(self) -> str:
        """A name for this life of the machine's kernel."""
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
