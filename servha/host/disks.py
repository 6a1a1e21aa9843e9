"""What may be asked about disks and file systems on this machine, and the values that come back.

A disk is known by its device number ("8:16"), whatever its name: names move when a cable does. Nothing here decides
whether a disk may be mounted.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from servha.core.words import Text
from servha.host.port import Process


@dataclass(frozen=True, slots=True)
class Disk:
    """A block device: its number, and the devices built on top of it ("dm-0"), which use it."""

    number: str
    holders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system. `disk` is the device number below it, `files` the one its files show in stat()."""

    id: int
    disk: str
    where: str
    kind: str
    source: str
    files: str
    read_only: bool = False
    """By mount option, or because the kernel made the file system read-only after an error."""


@dataclass(frozen=True, slots=True)
class TableEntry:
    """A line of /etc/fstab; `disk` is the number of what it names, "" where that is not here or no disk."""

    source: str
    where: str
    disk: str = ""


class MountChanges(Protocol):
    """Notice of changes in what is mounted, and of disks that go away; not of which, and several may come as one."""

    async def next(self) -> None:
        """Wait for the next change since the subscription, or since the last call."""
        ...


class Disks(Protocol):
    """The machine's disks. Every question ends within seconds; HostError means that it could not tell."""

    async def disk(self, path: str) -> Disk | None:
        """The block device, None when nothing has that name; HostError also for what is no block device."""
        ...

    async def mounts(self) -> tuple[Mount, ...]:
        """What is mounted, in the order it was done: of two in one place the later one is seen."""
        ...

    def mount_changes(self) -> AbstractContextManager[MountChanges]:
        """Subscribe: what changes after entering is told, so look at the state after entering."""
        ...

    async def table(self) -> tuple[TableEntry, ...]:
        """What this machine mounts by itself (/etc/fstab); empty when there is none."""
        ...

    async def directory_problem(self, path: str) -> Text | None:
        """Why nothing can be mounted on the directory, in words; None when it can."""
        ...

    async def trouble(self, where: str) -> Text | None:
        """What the file system says when it is touched: None when it is fine; HostError when it does not answer."""
        ...

    async def users(self, mount: Mount) -> tuple[Process, ...]:
        """Who has a file of the file system open, stands in it or runs from it, this process not among them."""
        ...

    async def elsewhere(self, disk: str) -> tuple[Process, ...]:
        """Who lives in another mount namespace (a container, some services) in which the disk is mounted."""
        ...

    async def unused(self, path: str, *, timeout_s: float) -> bool:
        """Wait until nothing holds the device, no file system in whichever namespace either; False if not in time."""
        ...

    async def kill(self, pids: Sequence[int], *, timeout_s: float) -> bool:
        """Kill these processes; True when all were seen to end within `timeout_s`."""
        ...
