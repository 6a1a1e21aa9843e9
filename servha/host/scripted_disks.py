"""`ScriptedDisks`: disks that exist only in a test. What was not scripted is a machine without disks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

from servha.core.words import Text
from servha.host.disks import Disk, Mount, TableEntry
from servha.host.port import HostError, Process


class Told:
    """Notice that the test gives by mounting and unmounting."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def next(self) -> None:
        """Wait for the test."""
        await self.event.wait()
        self.event.clear()


class ScriptedDisks:
    """`here` maps names to disks, `mounted` is what stands where; `killed` is what was asked to end."""

    def __init__(self) -> None:
        self.here: dict[str, Disk] = {}
        self.mounted: tuple[Mount, ...] = ()
        self.entries: tuple[TableEntry, ...] = ()
        self.directory_problems: dict[str, Text] = {}
        self.troubles: dict[str, Text | HostError] = {}
        self.using: tuple[Process, ...] = ()
        self.held: set[str] = set()
        """Device numbers that something holds which is not in `mounted`."""
        self.containers: tuple[Process, ...] = ()
        self.killed: list[int] = []
        self.broken: HostError | None = None
        """When set, every question fails with it."""
        self._subscribers: list[Told] = []

    def mount(self, *mounted: Mount) -> None:
        """Let exactly this be mounted from now on, and tell it."""
        self.mounted = mounted
        for subscriber in self._subscribers:
            subscriber.event.set()

    async def _asked(self) -> None:
        await asyncio.sleep(0)
        if self.broken is not None:
            raise self.broken

    async def disk(self, path: str) -> Disk | None:
        """What the test put there."""
        await self._asked()
        return self.here.get(path)

    async def mounts(self) -> tuple[Mount, ...]:
        """What the test mounted."""
        await self._asked()
        return self.mounted

    @contextlib.contextmanager
    def mount_changes(self) -> Iterator[Told]:
        """Subscribe to what the test mounts."""
        mine = Told()
        self._subscribers.append(mine)
        try:
            yield mine
        finally:
            self._subscribers.remove(mine)

    async def table(self) -> tuple[TableEntry, ...]:
        """The lines that the test wrote."""
        await self._asked()
        return self.entries

    async def directory_problem(self, path: str) -> Text | None:
        """What the test wrote about it; by default nothing is wrong."""
        await self._asked()
        return self.directory_problems.get(path)

    async def trouble(self, where: str) -> Text | None:
        """What the test wrote about it; by default it is fine."""
        await self._asked()
        found = self.troubles.get(where)
        if isinstance(found, HostError):
            raise found
        return found

    async def users(self, mount: Mount) -> tuple[Process, ...]:
        """Whom the test let use it, until they are killed."""
        del mount
        await self._asked()
        return self.using

    async def elsewhere(self, disk: str) -> tuple[Process, ...]:
        """Whom the test let have it mounted in another namespace."""
        del disk
        await self._asked()
        return self.containers

    async def unused(self, path: str, *, timeout_s: float) -> bool:
        """Whether nothing that the test wrote holds it."""
        del timeout_s
        await self._asked()
        disk = self.here.get(path)
        return disk is None or disk.number not in {mount.disk for mount in self.mounted} | self.held

    async def kill(self, pids: Sequence[int], *, timeout_s: float) -> bool:
        """Kill at once."""
        del timeout_s
        await self._asked()
        self.killed += pids
        self.using = tuple(user for user in self.using if user.pid not in pids)
        return True
