"""Disks that several machines see, as they see the LUNs of an array: loop devices bound into each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.machines.guarded import DATA, QUORUM, OuterWatchdog, loop_device
from tests.machines.machine import Machine


@contextmanager
def shared_disks(machines: Sequence[Machine], folder: Path) -> Iterator[dict[str, Path]]:
    """A quorum disk and a data disk for machines that are off, and a watchdog each; their images by device."""
    images = {QUORUM: folder / "quorum.img", DATA: folder / "data.img"}
    with ExitStack() as stack:
        loops = {stack.enter_context(loop_device(image, "32M")): name for name, image in images.items()}
        for machine in machines:
            watchdog = OuterWatchdog(folder / f"watchdog-{machine.name}", machine)
            stack.enter_context(watchdog.serving())
            machine.binds = {**loops, str(watchdog.place): "/dev/watchdog"}
            stack.callback(watchdog.cut)
        yield images
