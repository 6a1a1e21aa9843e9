"""What a node sees as its file system, built by the node's first process before it becomes init.

The root is this machine's own root seen through an overlay: the node may write anywhere, and everything it writes
goes to the node's own disk. /run, /tmp and /dev are in memory and new at every boot. What belongs to the kernel
that both nodes and this machine share is read-only or replaced by a piece of the lab: /proc/sys (but not the
node's own network settings), /sys, /proc/sysrq-trigger, /dev/watchdog.
"""

from __future__ import annotations

import os
import stat
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from servha.lab import disk, kernel
from servha.lab.layout import NodeLayout

OWN_DISK = "run/disk"
_KERNEL_PLACES = ("/proc", "/sys", "/dev", "/run", "/tmp")  # noqa: S108  named, not used
_CHARACTER_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}


def build(node: NodeLayout) -> None:
    """Assemble the node's root and move into it. The caller has namespaces of its own."""
    shared_disks = {name: disk.devices(node.lab.lun(name))[node.number - 1] for name in disk.SIZE_MIB}
    kernel.mount("none", Path("/"), flags=kernel.MS_REC | kernel.MS_PRIVATE)
    # Mounted here and not in this machine's own namespace: every other mount namespace that is made while it is
    # there would get a copy of the mount and hold on to the disk.
    (own_disk,) = disk.devices(node.image)
    kernel.mount(str(own_disk), node.disk, "ext4", kernel.MS_NODEV)
    root = node.root
    _overlay(Path("/"), root, node.disk / "root")
    for number, place in enumerate(_separate_file_systems()):
        _overlay_or_read_only(place, root, node.disk / f"mount{number}")
    _memory(root / "run", "mode=0755")
    (root / "run" / "servha").mkdir(mode=0o711)  # RuntimeDirectory= of the daemon's unit
    (root / OWN_DISK).mkdir(mode=0o700)
    kernel.bind(node.disk, root / OWN_DISK)  # so that a power-off finds it
    _memory(root / "tmp", "mode=1777")
    for place in _program_places():
        target = root / place.relative_to("/")
        target.mkdir(parents=True, exist_ok=True)  # a venv in /tmp, say
        kernel.bind(place, target, kernel.MS_RDONLY)
    _dev(root / "dev", shared_disks)
    _kernel_views(node, root)
    kernel.become_root(root)


def _overlay(lower: Path, target: Path, store: Path) -> None:
    upper, work = store / "upper", store / "work"
    for place in (upper, work):
        place.mkdir(parents=True, exist_ok=True)
    kernel.mount("overlay", target, "overlay", options=f"lowerdir={lower},upperdir={upper},workdir={work}")


def _overlay_or_read_only(place: Path, root: Path, store: Path) -> None:
    target = root / place.relative_to("/")
    if not target.exists():
        return
    try:
        if not place.is_dir():
            raise OSError  # noqa: TRY301  a file mounted over a file, as containers have: no overlay of that
        _overlay(place, target, store)
    except OSError:
        # A file system that cannot lie under an overlay, say FAT in /boot/efi: look, do not touch.
        with suppress(OSError):
            kernel.bind(place, target, kernel.MS_RDONLY)


def _separate_file_systems() -> Iterator[Path]:
    """Yield the mount points of this machine, /home or /usr say, that an overlay of / alone would not show."""
    seen = {"/"}
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        place = line.split(" ")[4].encode("ascii").decode("unicode_escape")
        if place not in seen and not any(
            place == top or place.startswith(f"{top}/") for top in _KERNEL_PLACES
        ):
            seen.add(place)
            yield Path(place)


def _program_places() -> list[Path]:
    """Return where our own code lives.

    Bound, because what changes below a mounted overlay may not show in it: whoever edits the checkout wants the
    next start of a daemon to run the new code.
    """
    places = {Path(sys.prefix), Path(__file__).resolve().parents[2]} - {Path("/usr")}
    return sorted(place for place in places if not place.is_relative_to("/usr"))


def _memory(target: Path, options: str) -> None:
    kernel.mount("tmpfs", target, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)


def _dev(dev: Path, shared_disks: dict[str, Path]) -> None:
    kernel.mount("tmpfs", dev, "tmpfs", kernel.MS_NOSUID, "mode=0755")
    for name, (major, minor) in _CHARACTER_DEVICES.items():
        os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        (dev / name).chmod(0o666)
    for name, target in _LINKS.items():
        (dev / name).symlink_to(target)
    for name in ("pts", "shm", "servha"):
        (dev / name).mkdir()
    kernel.mount("devpts", dev / "pts", "devpts", options="newinstance,ptmxmode=0666,mode=0620")
    _memory(dev / "shm", "mode=1777")
    for name, device in shared_disks.items():
        os.mknod(dev / device.name, stat.S_IFBLK | 0o660, device.stat().st_rdev)
        (dev / "servha" / name).symlink_to(f"../{device.name}")


def _kernel_views(node: NodeLayout, root: Path) -> None:
    proc, sys_ = root / "proc", root / "sys"
    quiet = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", proc, "proc", quiet)
    settings = proc / "sys"
    kernel.bind(settings, settings)
    kernel.bind(settings / "net", settings / "net")
    kernel.mount("none", settings, flags=kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY | quiet)
    # Nodes share the kernel and so its boot id; the product tells one life of a machine from the next by it.
    boot_id = root / "run" / "boot_id"
    boot_id.write_text(f"{uuid.uuid4()}\n", encoding="ascii")
    kernel.bind(boot_id, settings / "kernel" / "random" / "boot_id", kernel.MS_RDONLY)
    trigger = root / "dev" / "sysrq-trigger"
    trigger.touch()
    kernel.bind(node.sysrq, trigger)
    if (proc / "sysrq-trigger").exists():  # else a kernel without sysrq: nothing to protect the machine from
        kernel.bind(node.sysrq, proc / "sysrq-trigger")
    watchdog = root / "dev" / "watchdog"
    watchdog.touch()
    kernel.bind(node.watchdog, watchdog)
    kernel.mount("sysfs", sys_, "sysfs", quiet | kernel.MS_RDONLY)
    kernel.mount("cgroup2", sys_ / "fs" / "cgroup", "cgroup2", quiet)
