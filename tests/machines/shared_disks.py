"""Disks that several machines see, as they see the LUNs of an array.

Every machine has loop devices of its own on the same images: what one has for itself is nobody else's business, as
between two computers. They go past the cache, for two computers share none.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.machines.guarded import DATA, QUORUM, OuterWatchdog
from tests.machines.machine import Machine

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class SharedDisks:
    """Images by the name of the device in the machines, and the watchdog of each machine by its name."""

    images: dict[str, Path]
    watchdogs: dict[str, OuterWatchdog]


@contextmanager
def shared_disks(machines: Sequence[Machine], folder: Path) -> Iterator[SharedDisks]:
    """A quorum disk and a data disk for machines that are off, and a watchdog each."""
    watchdogs = {}
    images = {QUORUM: folder / "quorum.img", DATA: folder / "data.img"}
    for image in images.values():
        with image.open("wb") as empty:
            empty.truncate(32 * MEBIBYTE)
    with ExitStack() as stack:
        for machine in machines:
            for device, image in images.items():
                machine.binds[stack.enter_context(_loop(image))] = device
            watchdog = OuterWatchdog(folder / f"watchdog-{machine.name}", machine)
            stack.enter_context(watchdog.serving())
            machine.binds[str(watchdog.place)] = "/dev/watchdog"
            stack.callback(watchdog.cut)
            watchdogs[machine.name] = watchdog
        yield SharedDisks(images, watchdogs)


@contextmanager
def _loop(image: Path) -> Iterator[str]:
    made = subprocess.run(
        ["losetup", "--find", "--show", "--direct-io=on", image], capture_output=True, text=True, check=True
    )
    device = made.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
