"""What the kernel and /etc/fstab tell about mounts, and who uses a file system.

Text in, values out; and blocking looks at /proc, which take milliseconds and are called in a thread. A process that
ends while we look is simply not in the answer.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from servha.host.disks import Mount, TableEntry
from servha.host.port import Process
from servha.host.proc import PROC, pids, process

_ESCAPE = re.compile(r"\\([0-7]{3})")
_BY = {
    "UUID": "by-uuid",
    "LABEL": "by-label",
    "PARTUUID": "by-partuuid",
    "PARTLABEL": "by-partlabel",
    "ID": "by-id",
}
OWN = PROC / "self/mountinfo"
FDS_MAX = 100_000
"""Of one process no more open files than this are looked at."""


def number_of(device: int) -> str:
    """The number as the kernel writes it.

    >>> number_of(os.makedev(8, 16))
    '8:16'
    """
    return f"{os.major(device)}:{os.minor(device)}"


def block_number(path: str) -> str:
    """The device number behind a name, "" when there is no block device of that name."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return ""
    return number_of(status.st_rdev) if stat.S_ISBLK(status.st_mode) else ""


def plain(text: str) -> str:
    r"""Undo the escapes of blanks in mountinfo and fstab.

    >>> plain(r"/srv/two\040words")
    '/srv/two words'
    """
    raw = _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def own() -> tuple[Mount, ...]:
    """What is mounted in this process's namespace; the kernel tells without asking any disk."""
    return mounts_in(OWN.read_text(encoding="utf-8", errors="surrogateescape"))


def known(number: str) -> bool:
    """Whether the kernel has a block device of that number now; a name in /dev may outlive it."""
    return Path(f"/sys/dev/block/{number}").exists()


def holders(number: str) -> tuple[str, ...]:
    """The devices that are built on top of one."""
    return tuple(sorted(entry.name for entry in Path(f"/sys/dev/block/{number}/holders").glob("*")))


def mounts_in(text: str) -> tuple[Mount, ...]:
    r"""Read mountinfo. Some file systems (btrfs) hide their disk behind a number of their own: there its name tells.

    >>> mounts_in("36 35 8:16 / /srv/data rw,noatime shared:1 - ext4 /dev/sdz rw,errors=remount-ro\n")[0].where
    '/srv/data'
    """
    found: list[Mount] = []
    for line in text.splitlines():
        ours, _, theirs = line.partition(" - ")
        here, there = ours.split(" "), theirs.split(" ")
        source = plain(there[1])
        number = here[2]
        if number.startswith("0:") and source.startswith("/"):
            number = block_number(source) or number
        read_only = "ro" in here[5].split(",") or "ro" in there[2].split(",")
        found.append(Mount(int(here[0]), number, plain(here[4]), there[0], source, here[2], read_only))
    return tuple(found)


def table_in(text: str) -> tuple[TableEntry, ...]:
    """Read fstab; a line that `mount` would not understand names no disk."""
    found: list[TableEntry] = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 2 or fields[0].startswith("#"):
            continue
        source = plain(fields[0])
        tag, given, value = source.partition("=")
        path = source
        if given and tag in _BY:
            name = value.strip('"')
            path = f"/dev/disk/{_BY[tag]}/{name}"
        found.append(TableEntry(source, plain(fields[1]), block_number(path) if path.startswith("/") else ""))
    return tuple(found)


def users(mount: Mount) -> tuple[Process, ...]:
    """Who has a file of it open or mapped, stands in it or runs from it, except this process."""
    using = (process(pid) for pid in pids() if pid != os.getpid() and _uses(pid, mount.files))
    return tuple(user for user in using if user is not None)


def elsewhere(disk: str) -> tuple[Process, ...]:
    """Who lives in a mount namespace other than ours that has the disk mounted."""
    mounted = {_namespace(os.getpid()): False}
    found: list[Process] = []
    for pid in pids():
        namespace = _namespace(pid)
        if namespace not in mounted:
            mounted[namespace] = _mounted_there(pid, disk)
        user = process(pid) if mounted[namespace] else None
        if user is not None:
            found.append(user)
    return tuple(found)


def _namespace(pid: int) -> str:
    try:
        return str((PROC / str(pid) / "ns/mnt").readlink())
    except OSError:
        return ""


def _mounted_there(pid: int, disk: str) -> bool:
    """Whether the process lives in a namespace that has the disk mounted (a container, a service of its own)."""
    try:
        text = (PROC / str(pid) / "mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        return any(mount.disk == disk for mount in mounts_in(text))
    except (OSError, IndexError, ValueError):
        return False


def _uses(pid: int, files: str) -> bool:
    base = PROC / str(pid)
    for name in _handles(base):
        with contextlib.suppress(OSError):
            if number_of(name.stat().st_dev) == files:
                return True
    try:
        with (base / "maps").open(encoding="utf-8", errors="replace") as maps:
            return any(_device_in_maps(line) == files for line in maps)
    except OSError:
        return False


def _handles(base: Path) -> Iterator[Path]:
    yield from (base / "cwd", base / "root", base / "exe")
    with contextlib.suppress(OSError), os.scandir(base / "fd") as entries:
        for count, entry in enumerate(entries):
            if count >= FDS_MAX:
                return
            yield Path(entry.path)


def _device_in_maps(line: str) -> str:
    """The device number in a line of /proc/PID/maps, where it is hexadecimal.

    >>> _device_in_maps("7f00-7f01 r--p 00000000 08:1f 1234 /srv/data/file")
    '8:31'
    """
    fields = line.split(maxsplit=5)
    if len(fields) < 5 or fields[4] == "0":
        return ""
    major, _, minor = fields[3].partition(":")
    return f"{int(major, 16)}:{int(minor, 16)}"
