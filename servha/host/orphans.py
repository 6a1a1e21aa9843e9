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
from collections.abc import Container
from pathlib import Path

from servha.host.port import Ended

PR_SET_CHILD_SUBREAPER = 36
REAPED_AT_ONCE_MAX = 200


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


def bury(base: Path, *, but: Container[int]) -> int:
    """Wait for the orphans of our groups that nobody watched; returns how many there were.

    `but` are our own children. Looking stops at the first dead child that is not ours to wait for: whoever
    started it will see to it before the next time.
    """
    for count in range(REAPED_AT_ONCE_MAX):
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return count
        if dead is None or dead.si_pid in but or not _in_a_group_of_ours(dead.si_pid, base):
            return count
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, dead.si_pid, os.WEXITED | os.WNOHANG)
    return REAPED_AT_ONCE_MAX


def _in_a_group_of_ours(pid: int, base: Path) -> bool:
    try:
        groups = (Path("/proc") / str(pid) / "cgroup").read_text(encoding="utf-8")
    except OSError:
        return False
    path = next((line[3:] for line in groups.splitlines() if line.startswith("0::")), "")
    return f"/{base.name}/tree-" in path or f"/{base.name}/runs/" in path
