"""Runs programs: argument list, clean environment, own control group, a time limit that ends everything.

The child joins its group before it becomes the program, by way of a short shell text of our own: joining
from here would leave a window in which the program could already have forked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from servha.core.words import say
from servha.host import cgroups
from servha.host.port import OUTPUT_BYTES_MAX, Completed, HostError
from servha.host.waiting import exited, readable

CLEAN = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/",
}
JOIN_AND_BECOME = (
    'echo 0 >"$0/cgroup.procs" || exit 125; { echo 0 >/proc/$$/oom_score_adj; } 2>/dev/null; exec "$@"'
)
KILL_WAIT_S = 2.0
"""How long a killed program may take to disappear; one that hangs in the kernel may take for ever."""


def command(argv: Sequence[str], *, cgroup: Path | None, user: str) -> list[str]:
    """The argument list that joins the group, changes the user and becomes the program."""
    full = list(argv)
    if user and user != "root":
        try:
            entry = pwd.getpwnam(user)
        except KeyError as error:
            raise HostError(say("user {user} does not exist on this node: create it", user=user)) from error
        full = [
            "setpriv",
            f"--reuid={entry.pw_uid}",
            f"--regid={entry.pw_gid}",
            "--init-groups",
            "--",
            *full,
        ]
    if cgroup is not None:
        full = ["/bin/sh", "-c", JOIN_AND_BECOME, str(cgroup), *full]
    return full


class Programs:
    """Starts programs and sees them to their end."""

    def __init__(self) -> None:
        self.children: set[int] = set()
        """Who is ours to wait for, and nobody else's."""
        self._turn = asyncio.Lock()
        self._unreaped: list[subprocess.Popen[bytes]] = []

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        env: Mapping[str, str],
        cgroup: Path | None,
        cwd: str,
        user: str,
        output: Path | None,
    ) -> Completed:
        """Run one program to its end; see `Host.run`. What it leaves in `cgroup` is the caller's business."""
        ended = [child for child in self._unreaped if child.poll() is not None]
        self._unreaped = [child for child in self._unreaped if child not in ended]
        self.children -= {child.pid for child in ended}
        # To fork takes milliseconds, and hundreds may be asked for at once (all resources of all trees): one for each
        # turn of the loop, so that heartbeats go out in between.
        async with self._turn:
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        began = loop.time()
        child, ours = self._spawn(command(argv, cgroup=cgroup, user=user), env, cwd, output)
        self.children.add(child.pid)
        kept = bytearray()
        timed_out = False
        try:
            async with asyncio.timeout(timeout_s):
                await self._see_through(child, ours, kept)
        except TimeoutError:
            timed_out = True
        finally:
            # Also when cancelled: nothing half started stays.
            if child.poll() is None:
                await self._end(child, cgroup)
            if child.poll() is not None:
                self.children.discard(child.pid)
            if ours is not None:
                with contextlib.suppress(OSError):
                    drain(ours, kept)
                os.close(ours)
            elif output is not None:
                kept = last_of(output)
        code = None if timed_out else child.poll()
        return Completed(code, kept.decode("utf-8", "replace"), timed_out, loop.time() - began)

    def _spawn(
        self, argv: list[str], env: Mapping[str, str], cwd: str, output: Path | None
    ) -> tuple[subprocess.Popen[bytes], int | None]:
        ours: int | None = None
        theirs = -1
        try:
            if output is None:
                ours, theirs = os.pipe2(os.O_CLOEXEC)
                os.set_blocking(ours, False)
            else:
                output.parent.mkdir(parents=True, exist_ok=True)
                # Append, so that cutting the file short does not leave a hole before what comes next.
                theirs = os.open(
                    output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o640
                )
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                env=CLEAN | dict(env),
                cwd=cwd,
                umask=0o027,
                start_new_session=True,
            )
        except OSError as error:
            if ours is not None:
                os.close(ours)
            raise HostError(
                say(
                    "{program} cannot be started: {reason}",
                    program=argv[0],
                    reason=error.strerror or str(error),
                )
            ) from error
        finally:
            if theirs >= 0:
                os.close(theirs)
        return child, ours

    async def _see_through(self, child: subprocess.Popen[bytes], ours: int | None, kept: bytearray) -> None:
        """Wait for the program itself, not for whoever still holds its output open."""
        loop = asyncio.get_running_loop()
        if ours is not None:
            fd = ours

            def take() -> None:
                if drain(fd, kept):
                    loop.remove_reader(fd)

            loop.add_reader(fd, take)
        pidfd = os.pidfd_open(child.pid)
        try:
            await readable(pidfd)
        finally:
            os.close(pidfd)
            if ours is not None:
                loop.remove_reader(ours)
        child.poll()

    async def _end(self, child: subprocess.Popen[bytes], cgroup: Path | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        if cgroup is not None:
            await cgroups.kill(cgroup, timeout_s=KILL_WAIT_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILL_WAIT_S):
                await exited(child.pid)
        if child.poll() is None:
            self._unreaped.append(child)


def drain(fd: int, kept: bytearray) -> bool:
    """Read what is there, keep the first 64 KiB; True when nothing more can come."""
    for _ in range(64):
        try:
            piece = os.read(fd, 65536)
        except BlockingIOError:
            return False
        if not piece:
            return True
        kept += piece[: OUTPUT_BYTES_MAX - len(kept)]
    return False


def last_of(path: Path) -> bytearray:
    """The last 64 KiB of a file; empty when it is not there."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - OUTPUT_BYTES_MAX))
            return bytearray(file.read(OUTPUT_BYTES_MAX))
    except OSError:
        return bytearray()
