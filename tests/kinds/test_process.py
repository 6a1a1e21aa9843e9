"""The process detector: all listed programs, by name or by path."""

from __future__ import annotations

import asyncio

import pytest

from servha.core.model import ResourceState
from servha.detectors import ProcessRuns
from servha.host import LocalHost, Process, ScriptedHost

RUNS = (
    Process(10, "nginx", "/usr/sbin/nginx", ("nginx: worker",)),
    Process(11, "python3", "/usr/bin/python3.11", ("/usr/bin/python3", "/opt/app/server.py")),
    Process(12, "a-name-longer-t", "", ()),
)


@pytest.mark.parametrize(
    ("programs", "state"),
    [
        (("nginx",), ResourceState.RUNNING),
        (("/usr/sbin/nginx", "server.py"), ResourceState.RUNNING),
        (("/opt/app/server.py",), ResourceState.RUNNING),
        (("a-name-longer-than-the-kernel-keeps",), ResourceState.RUNNING),
        (("mysqld",), ResourceState.STOPPED),
        (("mysqld", "postgres"), ResourceState.STOPPED),
        (("nginx", "mysqld"), ResourceState.FAILED),
        (("/usr/local/sbin/nginx",), ResourceState.STOPPED),
    ],
)
async def test_what_the_process_detector_says(programs: tuple[str, ...], state: ResourceState) -> None:
    host = ScriptedHost()
    host.running = RUNS
    assert (await ProcessRuns(programs=programs).detect(host)).state is state


async def test_the_missing_one_is_named() -> None:
    host = ScriptedHost()
    host.running = RUNS
    found = await ProcessRuns(programs=("nginx", "mysqld")).detect(host)
    assert "mysqld" in str(found.because)
    assert "nginx" not in str(found.because)


@pytest.mark.parametrize("programs", [(), ("",), (" nginx",), ("sbin/nginx",)])
def test_what_is_no_program_is_refused(programs: tuple[str, ...]) -> None:
    assert ProcessRuns(programs=programs).problems()


@pytest.mark.root
async def test_a_real_process_is_seen_until_it_ends_even_as_a_zombie(host: LocalHost) -> None:
    child = await asyncio.create_subprocess_exec("/bin/sleep", "987654")
    detector = ProcessRuns(programs=("/usr/bin/sleep",))
    mine = [p for p in await host.processes() if p.pid == child.pid]
    assert mine[0].command == ("/bin/sleep", "987654")
    assert (await detector.detect(host)).state is ResourceState.RUNNING
    child.kill()
    await host.exited(child.pid)
    assert not [p for p in await host.processes() if p.pid == child.pid]
    await child.wait()
