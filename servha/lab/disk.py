"""Disks: image files behind loop devices, and how a power-off takes them away without a last write.

A shared disk is one image with a loop device for each node: two machines on one LUN. The devices bypass the
page cache of this machine, else a node could read what the other has not written yet.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from contextlib import suppress
from pathlib import Path

from servha.core.words import say
from servha.lab import kernel
from servha.lab.layout import Layout
from servha.lab.programs import run
from servha.lab.trouble import LabError

SIZE_MIB = {"data": 256, "quorum": 64}
NODE_DISK_MIB = 512

_EXT4_IOC_SHUTDOWN = 0x8004587D  # XFS answers to the same number
_NOLOGFLUSH = struct.pack("I", 2)


def make_image(path: Path, size_mib: int) -> None:
    """Make a sparse image."""
    with path.open("wb") as image:
        image.truncate(size_mib << 20)


def make_file_system(path: Path, size_mib: int, content: Path | None = None) -> None:
    """Make a sparse image with an ext4 in it, and in that a copy of the directory `content`."""
    make_image(path, size_mib)
    lazily = "lazy_itable_init=1,lazy_journal_init=1,nodiscard"
    run(
        "mkfs.ext4",
        "-q",
        "-F",
        "-m",
        "0",
        "-E",
        lazily,
        *(("-d", str(content)) if content else ()),
        str(path),
    )


def attach(image: Path) -> Path:
    """Return a new loop device over `image`."""
    return Path(run("losetup", "--find", "--show", "--direct-io=on", str(image)).strip())


def devices(image: Path) -> list[Path]:
    """Return the loop devices over `image`, in the order they were made."""
    return sorted(
        (
            Path("/dev") / loop.name
            for loop in Path("/sys/block").glob("loop*")
            if _backing(loop) == str(image)
        ),
        key=lambda device: int(device.name.removeprefix("loop")),
    )


def devices_of(lab: Layout) -> list[Path]:
    """Return every loop device of a lab."""
    inside = f"{lab.disks}/"
    return [
        Path("/dev") / loop.name
        for loop in Path("/sys/block").glob("loop*")
        if _backing(loop).startswith(inside)
    ]


def _backing(loop: Path) -> str:
    try:
        return (loop / "loop" / "backing_file").read_text(encoding="utf-8").strip().removesuffix(" (deleted)")
    except OSError:
        return ""


def detach_all(lab: Layout) -> None:
    """Give every loop device of a lab back."""
    found = devices_of(lab)
    if found:
        run("losetup", "--detach", *map(str, found))


def shut_down(mount_point: Path) -> None:
    """Cut a file system off from its disk: nothing that is not on the disk yet will get there."""
    try:
        descriptor = os.open(mount_point, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return  # gone already
    try:
        fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, _NOLOGFLUSH)
    except OSError as error:
        if error.errno not in {errno.EIO, errno.ENOTTY, errno.EOPNOTSUPP}:
            raise
    finally:
        os.close(descriptor)


def mounts_on(pid: int, of_devices: list[Path]) -> list[Path]:
    """Return where process `pid` has one of these devices mounted, as paths that this machine can open."""
    numbers = {_number(device) for device in of_devices}
    try:
        lines = Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    fields = (line.split(" ") for line in lines)
    return [Path(f"/proc/{pid}/root{part[4]}") for part in fields if part[2] in numbers]


def _number(device: Path) -> str:
    status = device.stat()
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


def wait_unused(device: Path, *, within_s: float) -> None:
    """Wait until no file system holds `device` any more: the kernel lets go of it some time after the last umount.

    Raises:
        LabError: something still has it mounted.
    """
    deadline = time.monotonic() + within_s
    while True:
        with suppress(OSError):
            os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
            return
        if time.monotonic() > deadline:
            raise LabError(
                say(
                    "{device} is still mounted somewhere after {limit_s} s",
                    device=str(device),
                    limit_s=within_s,
                )
            )
        time.sleep(0.002)


def unmount_below(top: Path) -> None:
    """Unmount whatever is mounted below `top` on this machine; the lab itself mounts nothing there."""
    for line in reversed(Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()):
        place = Path(line.split(" ")[4])
        if place.is_relative_to(top):
            with suppress(OSError):
                kernel.detach(place)
