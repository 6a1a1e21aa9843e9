"""Takes a node's power away, so suddenly that it cannot say or write anything any more."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from servha.core.words import say
from servha.lab import cgroup, disk, switch
from servha.lab.layout import NodeLayout
from servha.lab.trouble import LabError

FREEZE_S = 0.2
GONE_S = 10.0


@dataclass(frozen=True)
class Darkness:
    """When the node went silent (CLOCK_MONOTONIC), and when its last process and mount were gone."""

    dark_at_s: float
    gone_at_s: float


@contextmanager
def _switch_in_hand(node: NodeLayout) -> Iterator[None]:
    """One hand on the power switch at a time: an operator's, or the machine's when the node died by itself."""
    with (node.run / "switch.lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def init_pid(node: NodeLayout) -> int | None:
    """The node's first process as this machine counts, if the node runs."""
    pids = cgroup.members(node.cgroup / "init.scope")
    return pids[0] if pids else None


def cut(node: NodeLayout, *, keep_machine: bool = False) -> Darkness:
    """End the node between two instructions.

    The order matters. Frozen first, so that nothing runs while we take the carriers; then the disks, because what
    the kernel still holds in memory for the node must not reach them; killed last, because the dying close
    their sockets and files, and by now nobody can see that.
    """
    with _switch_in_hand(node):
        pid = init_pid(node)
        if cgroup.populated(node.cgroup):
            cgroup.freeze(node.cgroup, within_s=FREEZE_S)
        switch.go_dark(node)
        dark_at_s = time.monotonic()
        if not keep_machine:
            cgroup.kill(node.machine_cgroup, within_s=GONE_S)
        _cut_off_disks(node, pid)
        if not cgroup.remove(node.cgroup, within_s=GONE_S):
            raise LabError(
                say("{node}: some processes did not die in {limit_s} s", node=node.name, limit_s=GONE_S)
            )
        # The kernel forgets the file systems a moment after the last process; only then may they be used again.
        for device in _disks(node):
            disk.wait_unused(device, within_s=GONE_S)
        switch.unplug(node)
        return Darkness(dark_at_s, time.monotonic())


def _disks(node: NodeLayout) -> list[Path]:
    luns = (disk.devices(node.lab.lun(name)) for name in disk.SIZE_MIB)
    shared = [loops[node.number - 1] for loops in luns if len(loops) >= node.number]
    return shared + disk.devices(node.image)


def _cut_off_disks(node: NodeLayout, pid: int | None) -> None:
    if pid is not None:
        for place in disk.mounts_on(pid, _disks(node)):
            disk.shut_down(place)
