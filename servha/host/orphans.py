"""How a program ended that is not our child: we take in orphans, so that the kernel tells us and nobody else.

A start script's background program loses its parent when the script returns, and passes to the nearest process
that has asked for orphans: this one. Only what lives in our control groups is ever waited for here; the ends of
other children belong to whoever started them. After a restart of the daemon the old orphans are init's, and how
they end is not known.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from collections.abc import Container, Iterator
from pathlib import Path

from servha.host.port import Ended

PR_SET_CHILD_SUBREAPER = 36
REAPED_AT_ONCE_MAX = 200
FORSAKEN_S = 1.0


def take_in() -> bool:
    """Ask for the orphans of everything we start; False where the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def name_of(pid: int) -> str:
    """The process's name; empty when it has gone."""
    try:
        return (Path("/proc") / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def how_it_ended(pidfd: int, pid: int) -> Ended:
    """The end of a process whose pidfd says that it has ended; its code is None when it was not our orphan."""
    name = name_of(pid)  # a dead process keeps its name until it is waited for
    result = None
    with contextlib.suppress(ChildProcessError):
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    if result is None:
        return Ended(pid, name, None)
    return Ended(pid, name, result.si_status if result.si_code == os.CLD_EXITED else -result.si_status)


class Burial:
    """Waits for the orphans of our groups that nobody watched, so that their numbers are free again.

    Other people's dead children are left to them. One that nobody has waited for after `FORSAKEN_S` has nobody: it
    left our groups alive, as everything does that `su -` starts where sessions have groups of their own.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._seen_s: dict[int, float] = {}
        """Other people's dead children, and since when they have been seen."""

    def bury(self, *, but: Container[int]) -> int:
        """Wait for those that are dead now; returns how many there were. `but` are our own children."""
        for count in range(REAPED_AT_ONCE_MAX):
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return count
            if dead is None or dead.si_pid in but:
                return count
            if not _in_a_group_of_ours(dead.si_pid, self._base):
                # The kernel names this one again and again, so that the others have to be looked for.
                return count + self._look_through(but)
            _wait_for(dead.si_pid)
        return REAPED_AT_ONCE_MAX

    def _look_through(self, but: Container[int]) -> int:
        now_s = time.monotonic()
        dead = [pid for pid in _dead_children() if pid not in but]
        ours = [pid for pid in dead if _in_a_group_of_ours(pid, self._base)]
        self._seen_s = {pid: self._seen_s.get(pid, now_s) for pid in dead if pid not in ours}
        ours += [pid for pid, seen_s in self._seen_s.items() if now_s - seen_s >= FORSAKEN_S]
        for pid in ours:
            _wait_for(pid)
        return len(ours)


def _wait_for(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)


def _dead_children() -> Iterator[int]:
    """From proc(5), /proc/PID/stat: after the name in parentheses come the state and the parent."""
    parent = str(os.getpid())
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                if stat.rpartition(") ")[2].split(maxsplit=2)[:2] == ["Z", parent]:
                    yield int(entry.name)


def _in_a_group_of_ours(pid: int, base: Path) -> bool:
    try:
        groups = (Path("/proc") / str(pid) / "cgroup").read_text(encoding="utf-8")
    except OSError:
        return False
    path = next((line[3:] for line in groups.splitlines() if line.startswith("0::")), "")
    return f"/{base.name}/tree-" in path or f"/{base.name}/runs/" in path
