"""A control group for each machine, so that two of them never meet in one.

systemd-nspawn puts the machine's systemd below the group it was started in. Two machines started from the same
group would share one tree of units, and stopping a unit in one would reach for the other's processes.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.machines.wait import wait_for


def hierarchies() -> list[Path]:
    """Our own group in each hierarchy that systemd keeps: the unified one, and `name=systemd` where it is old."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    found = []
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            wanted = r" - cgroup2 "
        elif controllers == "name=systemd":
            wanted = r" - cgroup .*\bname=systemd\b"
        else:
            continue
        found += [Path(mount.split()[4] + group) for mount in mounts if re.search(wanted, mount)]
    return found


def make(name: str) -> list[Path]:
    folders = [hierarchy / name for hierarchy in hierarchies()]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return folders


def below(name: str) -> Iterator[Path]:
    """The groups below `name` and itself, children first."""
    for hierarchy in hierarchies():
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            yield Path(folder)


def kill(name: str) -> None:
    """End whatever is still in the group. For machines whose owner is gone; a living owner ends its own."""
    for pid in processes(name):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def processes(name: str) -> list[int]:
    found: list[int] = []
    for folder in below(name):
        with suppress(OSError):
            found += map(int, (folder / "cgroup.procs").read_text(encoding="utf-8").split())
    return found


def remove(name: str) -> None:
    """Wait for the last process, which may take a moment to be gone after it was killed, and remove the group."""
    wait_for(lambda: not processes(name), within_s=20, what=f"the last process of {name} is gone")
    for folder in below(name):
        with suppress(FileNotFoundError):
            folder.rmdir()
