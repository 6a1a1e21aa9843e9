"""`LocalDisks`: the disks and file systems of this machine, asked so that none that hangs can hold us up.

A call into a file system whose disk has gone may never return. Each such call has a thread of its own that nobody
waits for at exit, and the same question is not asked a second time while the first is unanswered.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import signal
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from servha.core.words import Text, say
from servha.host import mounts
from servha.host.disks import Disk, Mount, TableEntry
from servha.host.port import HostError, Process
from servha.host.uevents import block_devices_going
from servha.host.waiting import exited

ANSWER_S = 5.0
UNUSED_LOOK_S = 0.01
TABLE = Path("/etc/fstab")

T = TypeVar("T")


class Changes:
    """Told by the kernel through /proc/self/mountinfo."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    def tell(self) -> None:
        """Something has changed."""
        self._told.set()

    async def next(self) -> None:
        """Wait for the next change."""
        await self._told.wait()
        self._told.clear()


class LocalDisks:
    """See `disks.Disks`."""

    def __init__(self) -> None:
        self._asked: dict[str, asyncio.Future[Any]] = {}

    async def _ask(self, question: str, call: Callable[[], T], what: str, timeout_s: float = ANSWER_S) -> T:
        """Call in a thread. Raises HostError when there is no answer in time, or the call failed."""
        future: asyncio.Future[T] | None = self._asked.get(question)
        if future is None or future.done():
            future = self._asked[question] = _in_thread(call)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(future)
        except TimeoutError:
            raise HostError(
                say("{what} did not answer within {seconds} s: it hangs", what=what, seconds=timeout_s)
            ) from None
        except OSError as error:
            raise HostError(
                say("{what} cannot be read: {reason}", what=what, reason=error.strerror or str(error))
            ) from error
        finally:
            if future.done():
                self._asked.pop(question, None)

    async def disk(self, path: str) -> Disk | None:
        """The block device; see `Disks.disk`."""
        try:
            status = await self._ask(f"disk {path}", Path(path).stat, path)
        except HostError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        if not stat.S_ISBLK(status.st_mode):
            raise HostError(say("{path} is not a block device", path=path))
        number = mounts.number_of(status.st_rdev)
        if not mounts.known(number):
            return None  # a name that was left behind
        return Disk(number, mounts.holders(number))

    async def mounts(self) -> tuple[Mount, ...]:
        """What is mounted in this process's namespace."""
        # Not through `_ask`, which might hand out an answer from before the mount that is to be verified.
        try:
            return mounts.own()
        except OSError as error:
            raise HostError(
                say(
                    "{what} cannot be read: {reason}",
                    what=str(mounts.OWN),
                    reason=error.strerror or str(error),
                )
            ) from error

    @contextlib.contextmanager
    def mount_changes(self) -> Iterator[Changes]:
        """Subscribe to changes of mounts, and to disks that go away.

        The kernel announces one with POLLPRI, for which the loop does not look; an epoll of our own in between does.
        It stays registered: looking uses the announcement up, so one that came between two registrations would be
        lost.
        """
        changes = Changes()
        loop = asyncio.get_running_loop()
        with mounts.OWN.open(encoding="utf-8") as file, select.epoll() as watch:
            watch.register(file.fileno(), select.EPOLLPRI)
            loop.add_reader(watch.fileno(), changes.tell)
            try:
                with block_devices_going(changes.tell):
                    yield changes
            finally:
                loop.remove_reader(watch.fileno())

    async def table(self) -> tuple[TableEntry, ...]:
        """The lines of /etc/fstab."""
        try:
            return await self._ask(
                "table",
                lambda: mounts.table_in(TABLE.read_text(encoding="utf-8", errors="replace")),
                str(TABLE),
            )
        except HostError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return ()
            raise

    async def directory_problem(self, path: str) -> Text | None:
        """Why nothing can be mounted there; None when it can."""
        try:
            real = await self._ask(f"directory {path}", lambda: _real_directory(path), path)
        except HostError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return say("there is no directory {path}: mkdir {path}", path=path)
            if isinstance(error.__cause__, NotADirectoryError):
                return say("{path} is not a directory", path=path)
            raise
        return None if real == path else say("{path} leads to {real}: name that", path=path, real=real)

    async def trouble(self, where: str) -> Text | None:
        """What the file system says when its top directory is looked at."""
        try:
            await self._ask(f"trouble {where}", lambda: _touch(where), where)
        except HostError as error:
            if error.__cause__ is not None:
                return error.text
            raise
        return None

    async def users(self, mount: Mount) -> tuple[Process, ...]:
        """Who uses the file system."""
        return await self._ask(f"users {mount.id}", lambda: mounts.users(mount), mount.where)

    async def elsewhere(self, disk: str) -> tuple[Process, ...]:
        """Who has it mounted in another namespace."""
        return await self._ask(f"elsewhere {disk}", lambda: mounts.elsewhere(disk), "/proc")

    async def unused(self, path: str, *, timeout_s: float) -> bool:
        """Wait until the kernel would give the device away exclusively, which it does when nobody has it mounted."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            if await self._ask(f"unused {path}", lambda: _free(path), path):
                return True
            if loop.time() > deadline:
                return False
            await asyncio.sleep(UNUSED_LOOK_S)

    async def kill(self, pids: Sequence[int], *, timeout_s: float) -> bool:
        """Kill these processes and see them end."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            async with asyncio.timeout(timeout_s):
                for pid in pids:
                    await exited(pid)
        except TimeoutError:
            return False
        return True


def _in_thread(call: Callable[[], T]) -> asyncio.Future[T]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    # Whoever asked may have given up by then: its failure is nobody's any more.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())

    def answer(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result: T | None = None
        failure: Exception | None = None
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - it is raised again where it was asked
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(answer, result, failure)

    threading.Thread(target=work, name="disk", daemon=True).start()
    return future


def _real_directory(path: str) -> str:
    real = Path(path).resolve(strict=True)
    if not real.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return str(real)


def _touch(where: str) -> None:
    os.statvfs(where)
    directory = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # What is cached is still told after the disk has gone. This asks the file system itself, and writes nothing
        # unless the top directory was changed.
        os.fsync(directory)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a kind of file system that is never written
            raise
    finally:
        os.close(directory)


def _free(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return False
        if error.errno in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
            return True  # the disk has gone
        raise
    return True
