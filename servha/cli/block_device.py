"""A disk as its owner knows it: names that stay, size, number of the array, and whatever already lives on it.

Looks and never writes. Decides what counts as "something lives there"; whether a disk may be used all the same is
decided by the command that asks.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from servha.core.words import Text, say
from servha.wire.rpc import Code, Refusal

BY_ID = Path("/dev/disk/by-id")
LABEL_BYTES = 1 << 20
"""What a partition table and its copy of the boot code can take at the beginning."""

_ASK_WITHIN_S = 20.0
_NOTHING_FOUND, _SEVERAL_FOUND = 2, 8  # exit statuses of blkid


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """One disk. `name` as it was typed; `kernel_name` is today's, such as sdb."""

    name: str
    kernel_name: str
    number: str
    """Major and minor, as "8:16"."""
    size_bytes: int
    stable_names: tuple[str, ...] = ()
    """Names below /dev/disk/by-id and /dev/mapper, which stay when disks are found in another order."""
    array_id: str = ""
    """WWN or serial number, the same on both nodes; empty where the disk has none."""

    @property
    def is_stable(self) -> bool:
        """Whether the name that was typed will mean the same disk tomorrow."""
        return self.name.startswith(("/dev/disk/by-id/", "/dev/mapper/", "/dev/servha/"))

    @property
    def sysfs(self) -> Path:
        """Where the kernel tells about it."""
        return Path("/sys/dev/block") / self.number


def block_device(name: str) -> BlockDevice:
    """Look at a disk. Raises `Refusal`: not there, not a disk, or not permitted."""
    try:
        status = Path(name).stat()
        if not stat.S_ISBLK(status.st_mode):
            raise Refusal(Code.USAGE, say("{device} is not a disk (block device)", device=name))
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        raise Refusal(Code.NOT_PERMITTED, say("{device} may only be read by root", device=name)) from error
    except OSError as error:
        text = say("{device} cannot be opened: {reason}", device=name, reason=error.strerror or str(error))
        raise Refusal(Code.NO_SUCH, text) from error
    try:
        size_bytes = os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)
    number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    sysfs = Path("/sys/dev/block") / number
    return BlockDevice(
        name,
        sysfs.resolve().name,
        number,
        size_bytes,
        tuple(sorted(_names_of(status.st_rdev))),
        next(filter(None, (_first_line(sysfs / place) for place in _ARRAY_PLACES)), ""),
    )


_ARRAY_PLACES = ("wwid", "device/wwid", "serial", "device/serial", "dm/uuid", "device/vpd_pg80")


def _names_of(number: int) -> Iterator[str]:
    for folder in (BY_ID, Path("/dev/mapper")):
        for link in folder.glob("*"):
            try:
                if link.stat().st_rdev == number:
                    yield str(link)
            except OSError:
                continue


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="ignore").strip().partition("\n")[0]
    except OSError:
        return ""


# --- what uses it -----------------------------------------------------------------------------------------------


def uses(
    device: BlockDevice,
    *,
    mountinfo: Path = Path("/proc/self/mountinfo"),
    fstab: Path = Path("/etc/fstab"),
) -> list[Text]:
    """Return, in words, what of this machine uses the disk or a partition of it."""
    found: list[Text] = []
    numbers = {device.number: device.kernel_name}
    for part in device.sysfs.glob("*/partition"):
        numbers[_first_line(part.parent / "dev")] = part.parent.name
    for line in _lines(mountinfo):
        words = line.split(" ")
        if words[2] in numbers:
            found.append(say("{disk} is mounted on {place}", disk=numbers[words[2]], place=words[4]))
    found += [
        say("{disk} is part of {whole}", disk=device.kernel_name, whole=holder.name)
        for holder in sorted(device.sysfs.glob("holders/*"))
    ]
    swaps = {line.split(" ")[0].removeprefix("/dev/") for line in _lines(Path("/proc/swaps"))}
    found += [say("{disk} is swap space", disk=name) for name in numbers.values() if name in swaps]
    found += [
        say("/etc/fstab mounts {disk} on {place}", disk=numbers[number], place=place)
        for number, place in _fstab(fstab)
        if number in numbers
    ]
    return found


def _fstab(path: Path) -> Iterator[tuple[str, str]]:
    """Yield number and mount point of each line that names a device; UUIDs need a file system to be there."""
    for line in _lines(path):
        words = line.split()
        if len(words) > 1 and words[0].startswith("/"):
            try:
                number = Path(words[0]).stat().st_rdev
            except OSError:
                continue
            yield f"{os.major(number)}:{os.minor(number)}", words[1]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


# --- what is on it ----------------------------------------------------------------------------------------------


def signatures(device: BlockDevice) -> list[Text]:
    """Return, in words, every file system, volume or RAID member that blkid knows; a bare partition label is none."""
    try:
        asked = subprocess.run(
            ["blkid", "--probe", "--output", "export", device.name],
            capture_output=True,
            text=True,
            timeout=_ASK_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        text = say(
            "what is on {device} cannot be told without `blkid`: {reason}",
            device=device.name,
            reason=str(error),
        )
        raise Refusal(Code.FAILED, text) from error
    if asked.returncode == _SEVERAL_FOUND:
        return [say("signatures of several file systems at once")]
    if asked.returncode not in (0, _NOTHING_FOUND):
        raise Refusal(
            Code.FAILED,
            say(
                "`blkid` could not look at {device}: {reason}",
                device=device.name,
                reason=asked.stderr.strip(),
            ),
        )
    told = dict(line.partition("=")[::2] for line in asked.stdout.splitlines())
    if not told.get("TYPE"):
        return []
    name = " ".join(told[key] for key in ("TYPE", "LABEL", "UUID") if told.get(key))
    return [say("a file system or volume: {name}", name=name)]


def partition_count(first: bytes) -> int:
    """Return how many partitions the first MiB of a disk tells of, in an msdos or a GPT label; 0 without one.

    >>> partition_count(bytes(LABEL_BYTES))
    0
    """
    if first[510:512] != b"\x55\xaa":
        return 0
    kinds = [first[446 + 16 * place + 4] for place in range(4)]
    count = sum(kind not in (0, 0xEE) for kind in kinds)
    for sector in (512, 4096):
        if first[sector : sector + 8] == b"EFI PART":
            start = sector * int.from_bytes(first[sector + 72 : sector + 80], "little")
            entries = int.from_bytes(first[sector + 80 : sector + 84], "little")
            size = int.from_bytes(first[sector + 84 : sector + 88], "little")
            if size >= 128:
                places = range(start, min(start + entries * size, len(first)), size)
                count += sum(any(first[at : at + 16]) for at in places)
    return count


def queues_forever(device: BlockDevice) -> bool:
    """Whether it is a multipath device that waits without end when every path is gone (inequality I9)."""
    if not _first_line(device.sysfs / "dm" / "uuid").startswith("mpath-"):
        return False
    try:
        table = subprocess.run(
            ["dmsetup", "table", device.name],
            capture_output=True,
            text=True,
            timeout=_ASK_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return "queue_if_no_path" in table.stdout.split()
