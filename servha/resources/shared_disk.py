"""A file system on a shared disk: mounted here and nowhere else, unmounted for certain before another may have it.

It refuses to mount what this machine would mount by itself, what is mounted or used otherwise, and what cannot be
seen. A stop is over when the kernel has let go of the device: a lazy unmount, which only hides the file system while
it is still written, is never used. That no other node has it is the core's to see to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from servha.core.model import ResourceState
from servha.core.words import Text, say
from servha.host import Completed, Disk, FieldProblem, Finding, Host, HostError, Mount, Outcome, Process
from servha.resources.kind import Place

BUSY_WAIT_S = 3.0
"""How long a stop waits for others than the tree's own processes to leave: a listing, a backup's last file."""
BUSY_AGAIN_S = 0.1
KILL_WAIT_S = 5.0
NAMED_MAX = 10
FSCK_FINE = 1
"""fsck(8): 0 no errors, 1 errors were corrected; everything above needs somebody to look."""


@dataclass(frozen=True, kw_only=True)
class SharedDisk:
    """File system on a shared disk."""

    name: ClassVar[str] = "shared_disk"

    device: Annotated[
        str,
        Meta(description="Absolute path of the volume, best one below /dev/disk/by-id, which does not move"),
    ]
    mount_point: Annotated[str, Meta(description="Directory on which it is mounted, an absolute path")]
    filesystem: Annotated[
        str, Meta(description="Type such as ext4 or xfs; auto: what is found on the volume")
    ] = "auto"
    options: Annotated[str, Meta(description="Mount options, separated by commas")] = ""
    fsck: Annotated[
        Literal["never", "before-mount"], Meta(description="When the file system is checked and repaired")
    ] = "never"

    def problems(self) -> list[FieldProblem]:
        """Every reason why the fields may not be saved."""
        found = [
            FieldProblem(name, say("{path} is not an absolute path", path=path))
            for name, path in (("device", self.device), ("mount_point", self.mount_point))
            if not path.startswith("/") or any(c in path for c in "\0\n")
        ]
        if found:
            return found
        plain = str(PurePosixPath(self.mount_point))
        if plain != self.mount_point or plain.startswith("//") or ".." in plain.split("/"):
            because = say("{path} has detours: write the directory's own path", path=self.mount_point)
            found.append(FieldProblem("mount_point", because))
        elif plain == "/":
            found.append(FieldProblem("mount_point", say("nothing may be mounted over /")))
        for name, word in (("filesystem", self.filesystem), ("options", self.options)):
            if any(c.isspace() or c == "\0" for c in word) or word.startswith("-"):
                found.append(FieldProblem(name, say("{word} cannot be given to mount", word=repr(word))))
        if not self.filesystem:
            found.append(
                FieldProblem("filesystem", say("a type is needed; auto: what is found on the volume"))
            )
        return found

    async def unfit(self, place: Place) -> list[FieldProblem]:
        """Why this node could not mount it now; nothing where it is mounted as it should be."""
        try:
            return await self._unfit(place.host)
        except HostError as error:
            return [FieldProblem("device", error.text)]

    async def _unfit(self, host: Host) -> list[FieldProblem]:
        disk = await host.disks.disk(self.device)
        if disk is None:
            return [FieldProblem("device", self._missing())]
        found: list[FieldProblem] = []
        for entry in await host.disks.table():
            if disk.number == entry.disk or entry.source == self.device:
                because = say(
                    "/etc/fstab mounts {device} as {source}: this machine would do so by itself; take the line out",
                    device=self.device,
                    source=entry.source,
                )
                found.append(FieldProblem("device", because))
            elif entry.where == self.mount_point:
                because = say("/etc/fstab mounts {source} on {where}", source=entry.source, where=entry.where)
                found.append(FieldProblem("mount_point", because))
        mounts = await host.disks.mounts()
        if self._in_place(mounts, disk):
            return found
        for mount in mounts:
            if mount.disk == disk.number:
                because = say("{device} is mounted on {where}", device=self.device, where=mount.where)
                found.append(FieldProblem("device", because))
            elif mount.where == self.mount_point:
                found.append(FieldProblem("mount_point", self._occupied(mount)))
        if disk.holders:
            because = say(
                "{device} is a part of {holders}: name the volume that is on it",
                device=self.device,
                holders=" ".join(disk.holders),
            )
            found.append(FieldProblem("device", because))
        trouble = await host.disks.directory_problem(self.mount_point)
        if trouble:
            found.append(FieldProblem("mount_point", trouble))
        return found

    async def start(self, place: Place) -> Outcome:
        """Mount it, and see that it is there. Already there is fine."""
        host = place.host
        try:
            refusals = await self._unfit(host)
            if refusals:
                return Outcome(ok=False, because=refusals[0].because)
            disk = await host.disks.disk(self.device)
            if self._in_place(await host.disks.mounts(), disk):
                return Outcome(ok=True, because=say("{device} was mounted already", device=self.device))
            for argv in self._commands():
                done = await host.run(argv, timeout_s=place.start_timeout_s)
                if done.code is None or not 0 <= done.code <= (FSCK_FINE if argv[0] == "fsck" else 0):
                    return Outcome(ok=False, because=_failed(argv[0], done, place.start_timeout_s))
            if not self._in_place(await host.disks.mounts(), disk):
                because = say(
                    "mount ended well, but {device} is not on {where}",
                    device=self.device,
                    where=self.mount_point,
                )
                return Outcome(ok=False, because=because)
        except HostError as error:
            return Outcome(ok=False, because=error.text)
        return Outcome(ok=True)

    def _commands(self) -> list[list[str]]:
        kind = [] if self.filesystem == "auto" else ["-t", self.filesystem]
        options = ["-o", self.options] if self.options else []
        # -a: repair what can be repaired without asking; -T: no title.
        check = [["fsck", "-T", *kind, self.device, "-a"]] if self.fsck == "before-mount" else []
        return [*check, ["mount", *kind, *options, self.device, self.mount_point]]

    async def stop(self, place: Place) -> Outcome:
        """Unmount it and wait until the device is free. Not mounted is fine."""
        host = place.host
        try:
            disk = await host.disks.disk(self.device)
            here = [mount for mount in await host.disks.mounts() if mount.where == self.mount_point]
            strange = [mount for mount in here if disk is not None and mount.disk != disk.number]
            if strange:
                return Outcome(ok=False, because=self._occupied(strange[-1]))
            for mount in reversed(here):
                refusal = await self._unmount(place, mount)
                if refusal:
                    return Outcome(ok=False, because=refusal)
            if disk is not None and not await host.disks.unused(self.device, timeout_s=BUSY_WAIT_S):
                return Outcome(ok=False, because=await self._still_held(host, disk))
        except HostError as error:
            return Outcome(ok=False, because=error.text)
        return Outcome(ok=True)

    async def _unmount(self, place: Place, mount: Mount) -> Text | None:
        """Unmount one; why it could not be done, or None. Kills nobody but the tree's own processes."""
        host = place.host
        loop = asyncio.get_running_loop()
        deadline = loop.time() + BUSY_WAIT_S
        while True:
            done = await host.run(["umount", mount.where], timeout_s=place.stop_timeout_s)
            mounts = await host.disks.mounts()
            if mount.id not in {other.id for other in mounts}:
                return None
            if done.timed_out:
                return _failed("umount", done, place.stop_timeout_s)
            users = await host.disks.users(mount)
            own = set(host.cgroup_pids(host.cgroup_of(place.tree, place.resource).parent))
            left = [user.pid for user in users if user.pid in own]
            if left and not await host.disks.kill(left, timeout_s=KILL_WAIT_S):
                return _survive(left, mount)
            if loop.time() > deadline:
                return _in_use(mount, users, mounts, done)
            if not left:
                await asyncio.sleep(BUSY_AGAIN_S)

    async def free(self, place: Place) -> Outcome:
        """Kill everybody who uses the file system, by what their files show, not by their path; then stop.

        Nobody is killed for another disk mounted in its place, nor for a namespace in which it is mounted as well.
        """
        disks = place.host.disks
        try:
            disk = await disks.disk(self.device)
            here = tuple(m for m in await disks.mounts() if m.where == self.mount_point)
            for mount in here if self._in_place(here, disk) else ():
                users = [user.pid for user in await disks.users(mount) if user.pid != 1]
                if users and not await disks.kill(users, timeout_s=KILL_WAIT_S):
                    return Outcome(ok=False, because=_survive(users, mount))
        except HostError as error:
            return Outcome(ok=False, because=error.text)
        return await self.stop(place)

    async def _still_held(self, host: Host, disk: Disk) -> Text:
        for mount in await host.disks.mounts():
            if mount.disk == disk.number:
                return say("{device} is mounted on {where}", device=self.device, where=mount.where)
        others = await host.disks.elsewhere(disk.number)
        if others:
            return say(
                "{device} is still mounted in a namespace of {users}: end them",
                device=self.device,
                users=_names(others),
            )
        return say(
            "something holds {device} that cannot be seen from here: look for a device on top of it",
            device=self.device,
        )

    async def clean_up(self, place: Place) -> Outcome:
        """The same as stopping."""
        return await self.stop(place)

    async def check(self, place: Place) -> Finding:
        """Look whether it is mounted, writable as asked, and answers."""
        disks = place.host.disks
        try:
            disk = await disks.disk(self.device)
            mounts = await disks.mounts()
            here = [mount for mount in mounts if mount.where == self.mount_point]
            if not here:
                elsewhere = [mount for mount in mounts if disk is not None and mount.disk == disk.number]
                if elsewhere:
                    because = say(
                        "{device} is mounted on {where}", device=self.device, where=elsewhere[0].where
                    )
                    return Finding(ResourceState.FAILED, because, "mounts")
                because = say("{device} is not mounted", device=self.device)
                return Finding(ResourceState.STOPPED, because, "mounts")
            if disk is None:
                return Finding(ResourceState.FAILED, self._missing(), "mounts")
            if not self._in_place(mounts, disk):
                return Finding(ResourceState.FAILED, self._occupied(here[-1]), "mounts")
            if here[-1].read_only and "ro" not in self.options.split(","):
                because = say(
                    "{where} has become read-only: the kernel does that after an error on the disk",
                    where=self.mount_point,
                )
                return Finding(ResourceState.FAILED, because, "mounts")
            trouble = await disks.trouble(self.mount_point)
        except HostError as error:
            return Finding(ResourceState.UNKNOWN, error.text, "shared_disk")
        if trouble:
            return Finding(ResourceState.FAILED, trouble, "shared_disk", asked=True)
        because = say("{device} is mounted on {where}", device=self.device, where=self.mount_point)
        return Finding(ResourceState.RUNNING, because, "mounts")

    async def watch(self, place: Place) -> AsyncGenerator[Finding, None]:
        """An unmount by somebody else, something mounted over it, a disk that goes away."""
        with place.host.disks.mount_changes() as changes:
            fine = True
            while True:  # as long as it runs; the worker ends it
                finding = await self.check(place)
                if finding.state is not ResourceState.RUNNING or not fine:
                    yield finding
                fine = finding.state is ResourceState.RUNNING
                await changes.next()

    async def heal(self, place: Place) -> None:
        """A mount that went away is no small thing: what used it has to be started again too."""

    def _in_place(self, mounts: tuple[Mount, ...], disk: Disk | None) -> bool:
        """Whether what is seen on the mount point is this disk, by its number and not by its name."""
        here = [mount for mount in mounts if mount.where == self.mount_point]
        return bool(here) and disk is not None and here[-1].disk == disk.number

    def _missing(self) -> Text:
        return say(
            "there is no device {device}: look at the cable, the zoning and multipath", device=self.device
        )

    def _occupied(self, mount: Mount) -> Text:
        return say("{source} is mounted on {where}", source=mount.source, where=mount.where)


def _in_use(mount: Mount, users: tuple[Process, ...], mounts: tuple[Mount, ...], done: Completed) -> Text:
    """Why it could not be unmounted: what is mounted below it, or who uses it."""
    below = [other.where for other in mounts if other.where.startswith(f"{mount.where}/")]
    if below:
        return say("{below} is mounted below {where}: unmount it first", below=below[0], where=mount.where)
    if users:
        return say("{where} is in use by {users}: end them", where=mount.where, users=_names(users))
    return say(
        "{where} is in use, but by no process: look for swap files, loop devices and NFS exports ({why})",
        where=mount.where,
        why=_last_line(done),
    )


def _survive(pids: Sequence[int], mount: Mount) -> Text:
    return say(
        "processes {pids} survive being killed, they hang in the kernel: only a restart of the node ends them ({why})",
        pids=" ".join(map(str, pids[:NAMED_MAX])),
        why=say("they use {where}", where=mount.where),
    )


def _names(users: tuple[Process, ...]) -> str:
    named = ", ".join(f"{user.pid} ({user.name})" for user in users[:NAMED_MAX])
    return named if len(users) <= NAMED_MAX else f"{named}, ... ({len(users)})"


def _failed(program: str, done: Completed, limit_s: float) -> Text:
    if done.timed_out:
        return say(
            "{program} had not returned after {seconds} s and was ended",
            program=program,
            seconds=round(limit_s, 3),
        )
    return say(
        "{program} ended with code {code}: {said}",
        program=program,
        code="?" if done.code is None else done.code,
        said=_last_line(done),
    )


def _last_line(done: Completed) -> str:
    lines = [line.strip() for line in done.output.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
