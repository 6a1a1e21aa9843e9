"""Control groups (cgroup2): where every process of a resource lives, so that stopping it can be made certain.

A process cannot leave its group by forking, daemonising or changing its session, which is why groups and not
pid files say what is left of an application. Nothing here decides when something is to be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import signal
from collections.abc import Callable, Container
from pathlib import Path
from urllib.parse import quote

from servha.core.words import say
from servha.host import orphans
from servha.host.port import Ended, HostError
from servha.host.waiting import readable

MEMBERS_WATCHED_MAX = 64
RUNS_KEPT_MAX = 10_000
"""More short-lived groups than this are never made under one daemon at the same time."""


def mounted_at(mountinfo: str) -> tuple[Path, str] | None:
    """Where cgroup2 is mounted and which group stands there, from the text of /proc/self/mountinfo.

    >>> mounted_at("41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw")
    (PosixPath('/sys/fs/cgroup/unified'), '/')
    """
    for line in mountinfo.splitlines():
        ours, _, theirs = line.partition(" - ")
        if theirs.split(" ", 1)[0] == "cgroup2":
            fields = ours.split(" ")
            return Path(fields[4]), fields[3]
    return None


def own_path(cgroups: str) -> str | None:
    """The group of this process, from the text of /proc/self/cgroup, without a leaf of the daemon's own.

    >>> own_path("0::/system.slice/servhad.service/main")
    '/system.slice/servhad.service'
    """
    for line in cgroups.splitlines():
        if line.startswith("0::"):
            path = line[3:]
            parent, _, _ = path.rpartition("/")
            return parent if parent.endswith(".service") else path
    return None


def find_base(node: str) -> Path:
    """The group below which this daemon may make its own; raises HostError where there is none.

    A daemon started by hand sits in a group it does not own (often the root): it makes one by its node's name.
    """
    mounted = mounted_at(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    path = own_path(Path("/proc/self/cgroup").read_text(encoding="utf-8"))
    if mounted is None or path is None:
        raise HostError(
            say("no cgroup2 file system is mounted: mount one, or start the daemon through systemd")
        )
    mount, root = mounted
    # In a container the mount may show only the part below the container's own group.
    base = mount / path.removeprefix(root.rstrip("/")).strip("/")
    return base if path.endswith(".service") else base / f"servha-{quote(node, safe='')}"


class Cgroups:
    """The groups below one base directory."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self._runs = 0

    def of_tree(self, tree: str) -> Path:
        """The group of everything of a tree; it need not be there."""
        return self.base / f"tree-{quote(tree, safe='')}"

    def of(self, tree: str, resource: str) -> Path:
        """The group of a resource, made if need be. Raises HostError when it cannot be made."""
        return self._made(self.of_tree(tree) / f"resource-{quote(resource, safe='')}")

    def for_one_run(self) -> Path:
        """A fresh group for a program that is to leave nothing behind."""
        self._runs = (self._runs + 1) % RUNS_KEPT_MAX
        return self._made(self.base / "runs" / f"{os.getpid()}-{self._runs}")

    def _made(self, path: Path) -> Path:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(
                say(
                    "control group {path} cannot be made: {reason}",
                    path=str(path),
                    reason=error.strerror or "",
                )
            ) from error
        return path

    def sweep(self) -> None:
        """Remove the groups of runs that an earlier daemon did not live to remove; kill what is in them."""
        for path in tuple((self.base / "runs").glob("*-*")):
            with contextlib.suppress(OSError):
                (path / "cgroup.kill").write_text("1", encoding="ascii")
            discard(path)


def populated(path: Path) -> bool:
    """Whether a process lives in the group or below it; zombies do not count. False when there is no such group."""
    try:
        return "populated 1" in (path / "cgroup.events").read_text(encoding="ascii")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV):
            return False
        raise


def pids(path: Path) -> tuple[int, ...]:
    """The processes in the group and below it."""
    found: list[int] = []
    for directory, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            found += map(int, (Path(directory) / "cgroup.procs").read_text(encoding="ascii").split())
    return tuple(found)


async def emptied(
    path: Path, *, but: Container[int] | None = None, told: Callable[[], None] | None = None
) -> tuple[Ended, ...]:
    """Return when no process lives in the group, at once if so already; and the ends that were seen, in order.

    How a process ended is asked, and an orphan thereby waited for, only where `but` names the children that are
    not ours to wait for; else the answer is empty. The group's own notice comes at most every 10 ms, so that a
    program that dies right after its start would be noticed late: the ends of its first processes are watched
    beside it and make us look at once.
    """
    try:
        events = os.open(path / "cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ()
    members: dict[int, int] = {}
    seen: list[Ended] = []
    # The kernel announces a change of this file with POLLPRI, for which the loop does not look; an epoll of our
    # own in between does.
    with select.epoll() as watch:
        try:
            watch.register(events, select.EPOLLPRI)
            for pid in pids(path)[:MEMBERS_WATCHED_MAX]:
                with contextlib.suppress(ProcessLookupError):
                    member = os.pidfd_open(pid)
                    members[member] = pid
                    watch.register(member, select.EPOLLIN)
            # Reading arms the notice: a change between this read and the wait is not lost.
            while b"populated 1" in os.pread(events, 256, 0):
                await readable(watch.fileno())
                for ended in [fd for fd, _ in watch.poll(0) if fd in members]:
                    watch.unregister(ended)
                    pid = members.pop(ended)
                    if but is not None and pid not in but:
                        seen.append(orphans.how_it_ended(ended, pid))
                    os.close(ended)
                    if told is not None:
                        told()
                    await asyncio.sleep(0.0005)  # it leaves the group a moment after it has ended
        except OSError as error:
            if error.errno != errno.ENODEV:  # the group was removed
                raise
        finally:
            for fd in (events, *members):
                os.close(fd)
    return tuple(seen)


def signal_eldest(path: Path, number: int) -> int:
    """Send a signal to the processes of the group whose parent is not in it; returns how many there were.

    They are held by pidfd before it is looked up a second time who is in the group: a number given anew meanwhile
    is never hit.
    """
    held: dict[int, int] = {}
    try:
        for pid in pids(path):
            with contextlib.suppress(ProcessLookupError):
                held[pid] = os.pidfd_open(pid)
        members = set(pids(path))
        eldest = [fd for pid, fd in held.items() if pid in members and parent_of(pid) not in members]
        for fd in eldest:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, number)
        return len(eldest)
    finally:
        for fd in held.values():
            os.close(fd)


def parent_of(pid: int) -> int:
    """Who started the process, or who has taken it in since; 0 when it has gone (proc_pid_stat(5))."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def at(path: str) -> Path:
    """The directory of the group that systemd names by this path; raises HostError without cgroup2."""
    mounted = mounted_at(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    if mounted is None:
        raise HostError(
            say("no cgroup2 file system is mounted: mount one, or start the daemon through systemd")
        )
    mount, root = mounted
    return mount / path.removeprefix(root.rstrip("/")).strip("/")


async def kill(path: Path, *, timeout_s: float) -> bool:
    """Kill everything in the group; True when it was seen empty within `timeout_s`."""
    try:
        (path / "cgroup.kill").write_text("1", encoding="ascii")
    except FileNotFoundError:
        return True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await emptied(path)
    return not populated(path)


def discard(path: Path) -> None:
    """Remove an empty group; one that is not empty yet stays for the next sweep."""
    for directory, _, _ in os.walk(path, topdown=False):
        with contextlib.suppress(OSError):
            Path(directory).rmdir()
