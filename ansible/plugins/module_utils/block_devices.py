"""A disk of the managed node: which one it is, what of the machine uses it, and what stands on it.

Looks and never writes. Decides what counts as "something stands on it"; whether the disk may be written all the same
is decided by the module that asks. Works before ServHA is there, with Python 3.8 and blkid alone.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.servha.cluster.plugins.module_utils.spoken import told

SYSFS = Path("/sys/dev/block")
UDEV = Path("/run/udev/data")
BY_ID = Path("/dev/disk/by-id")
MEBIBYTE = 1 << 20
PIECE_BYTES = 1 << 16
SAMPLE_BYTES = 4096
SAMPLES = 64
"""Places between the first two MiB and the last that are looked at as well: a disk of raw data shows itself."""
QUORUM_AT = MEBIBYTE
QUORUM_MARK = b"SERVHAQ1"
"""What the quorum area of a ServHA cluster begins with, 1 MiB into the disk; its cluster's number follows at 16."""
ASK_WITHIN_S = 30.0
_NOTHING_FOUND, _SEVERAL_FOUND = 2, 8  # exit statuses of blkid
MOUNTED = "{name} is mounted on {place}: umount {place}"
_FLUSH = 0x1261  # BLKFLSBUF: forget what is cached; the other node may have written since
_SERIAL_FILES = ("device/wwid", "wwid", "device/serial", "serial", "device/vpd_pg80", "dm/uuid")
_SERIAL_KEYS = (
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_SCSI_SERIAL",
    "ID_WWN",
    "ID_WWN_WITH_EXTENSION",
    "DM_UUID",
)


class CannotTell(Exception):
    """The disk is not there, is none, or does not answer; `sentence` says which."""

    def __init__(self, sentence: dict[str, Any]) -> None:
        super().__init__(sentence["template"].format(**sentence["params"]))
        self.sentence = sentence


@dataclass(frozen=True)
class BlockDevice:
    """One disk or partition. `path` as it was written in the inventory; `kernel_name` is today's, such as sdb."""

    path: str
    kernel_name: str
    number: str
    """Major and minor, as "8:16"."""
    size_bytes: int
    serials: tuple[str, ...] = ()
    """Every name that its maker or its array gave it; the same on both nodes. A loop device has its file's."""

    @property
    def sysfs(self) -> Path:
        """Where the kernel tells about it."""
        return SYSFS / self.number


@dataclass(frozen=True)
class Contents:
    """What stands on a disk. Everything empty: the disk is blank."""

    label: str = ""
    """Kind of partition label: dos (which parted calls msdos), gpt, another word of blkid; "" for none."""
    label_id: str = ""
    partitions: int = 0
    signatures: tuple[dict[str, Any], ...] = ()
    """File systems, volumes and members of arrays, as blkid calls them."""
    filesystem: str = ""
    quorum_of: str = ""
    """Number of the cluster whose quorum disk it is."""
    unknown_at: tuple[int, ...] = ()
    """Bytes of unknown origin: where the first few stand."""

    def words(self) -> list[dict[str, Any]]:
        """Everything that somebody may still need, as sentences; a bare label is nothing."""
        found = list(self.signatures)
        if self.partitions:
            found.append(
                told(
                    "{count} partition(s) in a {label} label", count=self.partitions, label=self.label or "?"
                )
            )
        if self.quorum_of:
            found.append(told("the quorum area of ServHA cluster {cluster}", cluster=self.quorum_of))
        if self.unknown_at:
            found.append(told("data of unknown origin (first at byte {at})", at=self.unknown_at[0]))
        return found


@dataclass
class _Partitions:
    """What the first bytes of a disk tell of its partitions, and which of those bytes that explains."""

    count: int = 0
    explained: list[range] = field(default_factory=list)


def block_device(path: str) -> BlockDevice:
    """Look at a disk. Raises `CannotTell`."""
    try:
        status = Path(path).stat()
    except OSError as error:
        raise CannotTell(
            told(
                "{path} is not there ({reason}): see /dev/disk/by-id, and whether the array maps it to this server",
                path=path,
                reason=error.strerror,
            )
        ) from error
    if not stat.S_ISBLK(status.st_mode):
        raise CannotTell(told("{path} is not a disk (block device)", path=path))
    number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CannotTell(
            told("{path} cannot be opened: {reason}", path=path, reason=error.strerror)
        ) from error
    try:
        size_bytes = os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)
    name = (SYSFS / number).resolve().name
    return BlockDevice(path, name, number, size_bytes, tuple(dict.fromkeys(_serials(SYSFS / number, number))))


def stable_names(device: BlockDevice) -> list[str]:
    """Names below /dev/disk/by-id, which stay when disks are found in another order."""
    found = []
    for link in sorted(BY_ID.glob("*")):
        try:
            status = link.stat()
        except OSError:
            continue
        if f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}" == device.number:
            found.append(str(link))
    return found


def _serials(sysfs: Path, number: str) -> Iterator[str]:
    for place in _SERIAL_FILES:
        serial = "".join(
            character for character in first_line(sysfs / place) if character.isprintable()
        ).strip()
        if serial:
            yield serial
    for line in lines(UDEV / f"b{number}"):
        key, _, value = line.partition("=")
        if key[:2] == "E:" and key[2:] in _SERIAL_KEYS and value:
            yield value
    file = first_line(sysfs / "loop" / "backing_file")
    if file:
        yield file


def first_line(path: Path) -> str:
    """The first line of a file of the kernel; "" where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip().partition("\n")[0]
    except OSError:
        return ""


def lines(path: Path) -> list[str]:
    """The lines of a file; none where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


# --- what uses it -----------------------------------------------------------------------------------------------


def uses(device: BlockDevice, fstab: Path = Path("/etc/fstab")) -> list[dict[str, Any]]:
    """Return, as sentences, what of this machine uses the disk or a partition of it, now or from the next boot."""
    numbers: dict[str, str] = {device.number: device.kernel_name}
    for part in device.sysfs.glob("*/partition"):
        numbers[first_line(part.parent / "dev")] = part.parent.name
    found = []
    for line in lines(Path("/proc/self/mountinfo")):
        words = line.split(" ")
        if words[2] in numbers:
            found.append(told(MOUNTED, name=numbers[words[2]], place=words[4]))
    for number, name in numbers.items():
        found += [
            told(
                "{name} is part of {holder} (RAID, LVM or multipath): name that, or take it apart",
                name=name,
                holder=holder.name,
            )
            for holder in sorted((SYSFS / number / "holders").glob("*"))
        ]
    swaps = {line.split(" ")[0].replace("/dev/", "", 1) for line in lines(Path("/proc/swaps"))}
    found += [
        told("{name} is swap space: swapoff /dev/{name}", name=name)
        for name in numbers.values()
        if name in swaps
    ]
    for number, where in _table(fstab):
        if number in numbers:
            found.append(
                told(
                    "/etc/fstab mounts {name} on {place} at boot: remove that line",
                    name=numbers[number],
                    place=where,
                )
            )
    return found


def _table(path: Path) -> Iterator[tuple[str, str]]:
    """Yield number and mount point of each line of /etc/fstab that names a device that is here."""
    for line in lines(path):
        words = line.split("#", 1)[0].split()
        if len(words) < 2:
            continue
        name = words[0]
        key, _, value = name.partition("=")
        if value and key in ("UUID", "LABEL", "PARTUUID", "PARTLABEL", "ID"):
            value = value.strip('"')
            link = Path(f"/dev/disk/by-{key.lower()}") / value
            name = str(link) if link.exists() else _found_by_blkid(key, value)
        try:
            status = Path(name).stat()
        except OSError:
            continue
        if stat.S_ISBLK(status.st_mode):
            yield f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}", words[1]


def _found_by_blkid(key: str, value: str) -> str:
    """Where udev keeps no link (a container, an early boot), blkid looks through the disks; "" when none has it."""
    done = _blkid(["--cache-file", "/dev/null", "--match-token", f"{key}={value}", "--output", "device"])
    return (done.stdout.split() or [""])[0]


def open_elsewhere(device: BlockDevice) -> bool:
    """Whether somebody has the disk for itself, as a mount has it, or servha-guardd."""
    try:
        os.close(os.open(device.path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return True
        raise CannotTell(
            told("{path} cannot be opened: {reason}", path=device.path, reason=error.strerror)
        ) from error
    return False


# --- what stands on it --------------------------------------------------------------------------------------------


def contents(device: BlockDevice) -> Contents:
    """Look what stands on the disk. Raises `CannotTell`."""
    try:
        with open(device.path, "rb", buffering=0) as disk:  # noqa: PTH123  unbuffered, as Path.open is not with Python 3.8
            with suppress(OSError):  # only root of the machine may; then what is cached has to do
                fcntl.ioctl(disk.fileno(), _FLUSH)
            first = disk.read(2 * MEBIBYTE)
            facts, several = _probed(device)
            quorum_of = ""
            block = first[QUORUM_AT : QUORUM_AT + SAMPLE_BYTES]
            if block.startswith(QUORUM_MARK):
                quorum_of = block[16:32].hex()
            found = partitions_in(first)
            if quorum_of:
                found.explained.append(range(QUORUM_AT, 2 * QUORUM_AT))
            backup = 33 * SAMPLE_BYTES if facts.get("PTTYPE") == "gpt" else 0
            unknown = _unknown(first, found.explained) + _sampled(disk, device.size_bytes, len(first), backup)
    except OSError as error:
        raise CannotTell(
            told("{path} cannot be read: {reason}", path=device.path, reason=error.strerror)
        ) from error
    signatures = []
    if several:
        signatures.append(told("signatures of several file systems at once"))
    elif facts.get("TYPE"):
        named = " ".join(facts[key] for key in ("TYPE", "LABEL", "UUID") if facts.get(key))
        signatures.append(told("a file system or volume ({named})", named=named))
    count = max(found.count, len(list(device.sysfs.glob("*/partition"))))
    # A file system explains its own bytes.
    return Contents(
        label=facts.get("PTTYPE", ""),
        label_id=facts.get("PTUUID", ""),
        partitions=count,
        signatures=tuple(signatures),
        filesystem=facts.get("TYPE", ""),
        quorum_of=quorum_of,
        unknown_at=() if signatures or count else tuple(unknown[:4]),
    )


def _blkid(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["blkid", *words], capture_output=True, text=True, timeout=ASK_WITHIN_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotTell(
            told(
                "what is on the disk cannot be told without blkid (package util-linux): {reason}",
                reason=str(error),
            )
        ) from error


def _probed(device: BlockDevice) -> tuple[dict[str, str], bool]:
    """What blkid tells; True where it finds several file systems at once."""
    done = _blkid(["--probe", "--output", "export", device.path])
    if done.returncode == _SEVERAL_FOUND:
        return {}, True
    if done.returncode not in (0, _NOTHING_FOUND):
        raise CannotTell(
            told("blkid could not look at {path}: {reason}", path=device.path, reason=done.stderr.strip())
        )
    facts = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        facts[key] = value
    return facts, False


def partitions_in(first: bytes) -> _Partitions:
    """Return how many partitions an msdos or GPT label tells of, and which bytes the label takes.

    >>> partitions_in(bytes(2 * MEBIBYTE)).count
    0
    """
    found = _Partitions()
    if first[510:512] != b"\x55\xaa":
        return found
    found.explained.append(range(512))
    found.count = sum(first[446 + 16 * place + 4] not in (0, 0xEE) for place in range(4))
    for sector in (512, 4096):
        if first[sector : sector + 8] != b"EFI PART":
            continue
        start = sector * int.from_bytes(first[sector + 72 : sector + 80], "little")
        entries = int.from_bytes(first[sector + 80 : sector + 84], "little")
        size = int.from_bytes(first[sector + 84 : sector + 88], "little")
        if size < 128:
            continue
        end = min(start + entries * size, len(first))
        found.count += sum(any(first[at : at + 16]) for at in range(start, end, size))
        found.explained += [range(sector, 2 * sector), range(start, end)]
    return found


def _unknown(first: bytes, explained: Sequence[range]) -> list[int]:
    """Where bytes stand in the first two MiB that nothing explains, by blocks."""
    rest = bytearray(first)
    for part in explained:
        rest[part.start : part.stop] = bytes(len(part))
    return [at for at in range(0, len(rest), SAMPLE_BYTES) if any(rest[at : at + SAMPLE_BYTES])]


def _sampled(disk: object, size_bytes: int, start: int, backup: int) -> list[int]:
    """Where bytes stand further on, looked at in places, and all through the end but for a label's copy."""
    fileno = disk.fileno()  # type: ignore[attr-defined]
    end = max(start, size_bytes - MEBIBYTE)
    step = max(SAMPLE_BYTES, (end - start) // SAMPLES // SAMPLE_BYTES * SAMPLE_BYTES)
    found = [at for at in range(start, end, step) if any(os.pread(fileno, SAMPLE_BYTES, at))]
    last = size_bytes - backup
    found += [
        at for at in range(end, last, PIECE_BYTES) if any(os.pread(fileno, min(PIECE_BYTES, last - at), at))
    ]
    return found
