"""Two network namespaces joined by a cable, and a control group, made for one test and removed after it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from servha.config.shape import Hooks
from servha.core.model import Action, ResourceState
from servha.core.words import say
from servha.daemon.resource_worker import ResourceWorker, WorkerSettings
from servha.detectors import DetectorKind
from servha.host import Finding, Host, LinkState, LocalHost, Outcome, cgroups
from servha.lab import kernel
from servha.resources import ResourceKind

DEADLINE_S = 20.0


async def until(claim: Callable[[], bool], what: str = "") -> None:
    """Wait for a condition, with a deadline."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DEADLINE_S
    while not claim():
        if loop.time() > deadline:
            pytest.fail(f"not within {DEADLINE_S} s: {what or claim}")
        await asyncio.sleep(0.001)


@dataclass
class Wire:
    """Our end is `v0` with 192.0.2.1/24 in the test's own namespace, the neighbour's `v1` with 192.0.2.2/24."""

    ours: int
    theirs: int

    def run(self, *argv: str, there: bool = False) -> str:
        if there:
            argv = ("nsenter", f"--net=/proc/{os.getpid()}/fd/{self.theirs}", *argv)
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    async def later(self, *argv: str, there: bool = False) -> None:
        """Run it while the loop goes on."""
        if there:
            argv = ("nsenter", f"--net=/proc/{os.getpid()}/fd/{self.theirs}", *argv)
        child = await asyncio.create_subprocess_exec(*argv)
        assert await child.wait() == 0

    @contextlib.contextmanager
    def there(self) -> Iterator[None]:
        """Be in the neighbour's namespace: sockets made meanwhile stay there."""
        kernel.setns(self.theirs, kernel.CLONE_NEWNET)
        try:
            yield
        finally:
            kernel.setns(self.ours, kernel.CLONE_NEWNET)


@pytest.fixture
def wire() -> Iterator[Wire]:
    here = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/ns/net")
    before = os.open(here, os.O_RDONLY)
    opened = [before]
    try:
        kernel.unshare(kernel.CLONE_NEWNET)
        opened.append(os.open(here, os.O_RDONLY))
        kernel.unshare(kernel.CLONE_NEWNET)
        opened.append(os.open(here, os.O_RDONLY))
        pair = Wire(ours=opened[1], theirs=opened[2])
        pair.run("ip", "link", "set", "lo", "up")
        kernel.setns(pair.ours, kernel.CLONE_NEWNET)
        pair.run("ip", "link", "set", "lo", "up")
        pair.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        pair.run("ip", "link", "set", "v1", "netns", f"/proc/{os.getpid()}/fd/{pair.theirs}")
        pair.run("ip", "addr", "add", "192.0.2.1/24", "dev", "v0")
        pair.run("ip", "link", "set", "v0", "up")
        pair.run("ip", "addr", "add", "192.0.2.2/24", "dev", "v1", there=True)
        pair.run("ip", "link", "set", "v1", "up", there=True)
        yield pair
    finally:
        kernel.setns(before, kernel.CLONE_NEWNET)
        for fd in opened:
            os.close(fd)


@pytest.fixture
def base() -> Iterator[Path]:
    """A control group of the test's own; whatever still lives in it afterwards is killed."""
    mounted = cgroups.mounted_at(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    assert mounted is not None
    path = mounted[0] / f"servha-kinds-{os.getpid()}"
    path.mkdir()
    try:
        yield path
    finally:
        asyncio.run(cgroups.kill(path, timeout_s=5.0))
        cgroups.discard(path)
        assert not path.exists()


@pytest.fixture
async def host(wire: Wire, base: Path, tmp_path: Path) -> AsyncIterator[LocalHost]:
    """This machine, as seen from the test's namespace and control group."""
    async with LocalHost(node="node1", run_dir=tmp_path / "run", base=base) as local:
        with local.network_changes() as changes:
            link = await local.link("v0")
            async with asyncio.timeout(DEADLINE_S):
                while link is None or not link.carrier:
                    change = await changes.next()
                    link = change if isinstance(change, LinkState) and change.nic == "v0" else link
        yield local


@pytest.fixture
def script() -> Iterator[Callable[[str, str], str]]:
    """Write scripts where only root can write: /tmp is open to all, and scripts there are refused."""
    directory = Path(f"/run/servha-kinds-{os.getpid()}")
    directory.mkdir(mode=0o755)

    def write(name: str, text: str) -> str:
        path = directory / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    try:
        yield write
    finally:
        subprocess.run(["rm", "-rf", str(directory)], check=True)


class Desk:
    """One worker, and what it said."""

    def __init__(
        self,
        host: Host,
        kind: ResourceKind,
        *detectors: DetectorKind,
        settings: WorkerSettings | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        self.reports: list[Finding] = []
        self.ends: list[tuple[Action, Outcome, float]] = []
        self.reported_at: list[float] = []
        self.told: list[tuple[str, str]] = []
        """What went to the event log: severity and sentence."""
        self.worker = ResourceWorker(
            tree="web",
            resource="app",
            kind=kind,
            detectors=detectors,
            settings=settings or WorkerSettings(check_interval_s=60.0),
            host=host,
            report=self._report,
            finished=lambda action, outcome, took_s: self.ends.append((action, outcome, took_s)),
            hooks=hooks or Hooks(),
            tell=lambda severity, text: self.told.append((severity, str(text))),
        )

    def _report(self, finding: Finding) -> None:
        self.reports.append(finding)
        self.reported_at.append(asyncio.get_running_loop().time())

    @property
    def states(self) -> list[ResourceState]:
        return [finding.state for finding in self.reports]

    async def start(self) -> Outcome:
        self.worker.start(ownership=7, reason=say("a test wants it"))
        return await self.answer()

    async def stop(self, *, clean_up: bool = False) -> Outcome:
        self.worker.stop(ownership=7, reason=say("a test wants it"), clean_up=clean_up)
        return await self.answer()

    async def answer(self) -> Outcome:
        before = len(self.ends)
        await until(lambda: len(self.ends) > before)
        return self.ends[-1][1]


@pytest.fixture
async def desk() -> AsyncIterator[Callable[..., Awaitable[Desk]]]:
    """Make a worker; it is closed after the test."""
    made: list[Desk] = []

    async def make(
        host: Host,
        kind: ResourceKind,
        *detectors: DetectorKind,
        settings: WorkerSettings | None = None,
        hooks: Hooks | None = None,
    ) -> Desk:
        made.append(Desk(host, kind, *detectors, settings=settings, hooks=hooks))
        return made[-1]

    yield make
    for one in made:
        await one.worker.close()
