"""Control groups as the power switch: everything in one is frozen, killed and counted together."""

from __future__ import annotations

import errno
import os
import select
import time
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def hierarchy() -> Path:
    """Return where this machine has cgroup2: /sys/fs/cgroup, or a place of its own beside the old kind.

    Raises:
        FileNotFoundError: the kernel or its set-up has no cgroup2.
    """
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields, _, source = line.partition(" - ")
        if source.startswith("cgroup2 "):
            return Path(fields.split()[4])
    raise FileNotFoundError("no cgroup2 in /proc/self/mountinfo")


def join(group: Path) -> None:
    """Move this process into `group`.

    Raises:
        FileNotFoundError: there is no such group; a lab that was removed a moment ago has none.
    """
    with (group / "cgroup.procs").open("r+", encoding="ascii") as processes:
        processes.write("0")


def members(group: Path) -> list[int]:
    """Return the processes directly in `group`; a group that does not exist has none."""
    try:
        return [int(pid) for pid in (group / "cgroup.procs").read_text(encoding="ascii").split()]
    except OSError:
        return []


def _event(group: Path, name: str) -> bool:
    try:
        text = (group / "cgroup.events").read_text(encoding="ascii")
    except OSError:
        return False
    return f"{name} 1" in text


def populated(group: Path) -> bool:
    """Say whether any process lives in `group` or below it."""
    return _event(group, "populated")


def frozen(group: Path) -> bool:
    """Say whether every process in `group` stands still."""
    return _event(group, "frozen")


def _wait(group: Path, name: str, *, value: bool, within_s: float) -> bool:
    """Wait until the kernel says so; it wakes us through the events file, we do not poll."""
    deadline = time.monotonic() + within_s
    try:
        descriptor = os.open(group / "cgroup.events", os.O_RDONLY)
    except FileNotFoundError:
        return not value
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLPRI)
        while (f"{name} 1" in os.pread(descriptor, 256, 0).decode("ascii")) is not value:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            poll.poll(left_s * 1000)
    finally:
        os.close(descriptor)
    return True


def freeze(group: Path, *, within_s: float) -> bool:
    """Stop every process where it is; say whether all stood still in time."""
    (group / "cgroup.freeze").write_text("1", encoding="ascii")
    return _wait(group, "frozen", value=True, within_s=within_s)


def thaw(group: Path) -> None:
    """Let the processes run on."""
    (group / "cgroup.freeze").write_text("0", encoding="ascii")


def kill(group: Path, *, within_s: float) -> bool:
    """Kill everything in `group` and below, frozen or not; say whether all were gone in time."""
    with suppress(FileNotFoundError):
        (group / "cgroup.kill").write_text("1", encoding="ascii")
    return _wait(group, "populated", value=False, within_s=within_s)


def remove(group: Path, *, within_s: float) -> bool:
    """Kill and remove `group` with all below it; say whether it is gone.

    Killed again as long as it cannot be removed: somebody may have been on the way in.
    """
    deadline = time.monotonic() + within_s
    while group.is_dir():
        kill(group, within_s=deadline - time.monotonic())
        with suppress(FileNotFoundError):
            try:
                for path, _, _ in os.walk(group, topdown=False):
                    Path(path).rmdir()
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    return False
                time.sleep(0.001)
    return True
