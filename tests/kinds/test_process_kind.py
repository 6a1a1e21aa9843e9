"""A program kept running: its surroundings, how it is asked to end, what happens to one that does not listen."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from servha.core.model import ResourceState
from servha.daemon.resource_worker import WorkerSettings
from servha.host import LocalHost, ScriptedHost
from servha.resources import Place, Process
from tests.kinds.conftest import Desk, until

MakeDesk = Callable[..., Awaitable[Desk]]
WriteScript = Callable[[str, str], str]
STAYS = "exec sleep 1000"


def place(host: ScriptedHost | LocalHost, **other: float) -> Place:
    return Place(tree="web", resource="app", host=host, **other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "field", "word"),
    [
        (Process(program="app"), "program", "app is not an absolute path"),
        (Process(program=""), "program", "'' is not an absolute path"),
        (Process(program="/a", directory="srv"), "directory", "srv is not an absolute path"),
        (Process(program="/a", arguments=("x\0",)), "arguments", "NUL"),
        (Process(program="/a", environment=("LANG",)), "environment", "'LANG' is not of the form NAME=value"),
        (Process(program="/a", environment=("1=2",)), "environment", "'1=2'"),
        (Process(program="/a", user=""), "user", "''"),
        (Process(program="/a", user="a b"), "user", "'a b'"),
        (Process(program="/a", stop_signal="KILL"), "stop_signal", "'KILL' does not ask a program to end: use one of"),
    ],
)  # fmt: skip
def test_bad_settings_name_the_field_the_value_and_what_would_be_right(
    kind: Process, field: str, word: str
) -> None:
    (problem,) = kind.problems()
    assert problem.field == field
    assert word in str(problem.because)


async def test_one_that_does_not_listen_is_killed_and_it_is_said() -> None:
    host = ScriptedHost()
    group = host.cgroup_of("web", "app")
    host.live(group, 1)
    host.deaf.add(group)
    outcome = await Process(program="/a", stop_signal="INT").stop(place(host, stop_timeout_s=0.01))
    assert outcome.ok
    assert "0.01 s after signal INT it had not ended" in str(outcome.because)
    assert [call[0] for call in host.calls] == ["signal_group", "kill_cgroup"]


async def test_one_that_cannot_be_killed_is_no_successful_stop() -> None:
    host = ScriptedHost()
    group = host.cgroup_of("web", "app")
    host.live(group, 4711)
    host.deaf.add(group)
    host.unkillable.add(group)
    outcome = await Process(program="/a").stop(place(host, stop_timeout_s=0.01))
    assert not outcome.ok
    assert "4711" in str(outcome.because)


# --- real processes ------------------------------------------------------------------------------------------


def ignored_by(pid: int) -> int:
    """The signals that a process ignores, as a mask (proc_pid_status(5))."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("SigIgn:")).split()[1], 16)


@pytest.mark.root
async def test_it_runs_in_its_directory_as_its_user_with_its_environment_and_its_signals(
    host: LocalHost, script: WriteScript, desk: MakeDesk
) -> None:
    program = script("app", f'echo "$(pwd) $(id -un) $COLOUR $SERVHA_RESOURCE $1"\n{STAYS}')
    kind = Process(
        program=program, arguments=("a b",), user="nobody", directory="/usr", environment=("COLOUR=red",)
    )
    app = await desk(host, kind)
    assert (await app.start()).ok
    output = host.output_of("web", "app")
    await until(lambda: output.read_text(encoding="utf-8") == "/usr nobody red app a b\n")
    (pid,) = host.cgroup_pids(host.cgroup_of("web", "app"))
    assert not ignored_by(pid) & (1 << signal.SIGINT - 1), (
        "a program that ignores SIGINT could not be stopped by it"
    )


@pytest.mark.root
async def test_a_second_start_leaves_the_first_and_a_stop_leaves_nothing(
    host: LocalHost, script: WriteScript, desk: MakeDesk
) -> None:
    kind = Process(program=script("app", STAYS), stop_signal="INT")
    app = await desk(host, kind)
    assert (await app.start()).ok
    group = host.cgroup_of("web", "app")
    before = host.cgroup_pids(group)
    assert (await app.start()).ok
    assert host.cgroup_pids(group) == before
    for _ in range(2):
        assert (await app.stop()).ok
        assert not host.populated(group)


@pytest.mark.root
async def test_its_end_is_told_by_the_kernel_with_the_signal_that_ended_it(
    host: LocalHost, script: WriteScript, desk: MakeDesk
) -> None:
    app = await desk(host, Process(program=script("app", STAYS)))
    assert (await app.start()).ok
    (pid,) = host.cgroup_pids(host.cgroup_of("web", "app"))
    os.kill(pid, signal.SIGKILL)
    await until(lambda: app.states == [ResourceState.STOPPED])
    assert "ended by signal 9" in str(app.reports[0].because)
    assert app.worker.events_missed == 0


@pytest.mark.root
async def test_a_later_daemon_adopts_it(
    base: Path, tmp_path: Path, script: WriteScript, desk: MakeDesk
) -> None:
    kind = Process(program=script("app", STAYS))
    async with LocalHost(node="node1", run_dir=tmp_path, base=base) as first:
        app = await desk(first, kind)
        assert (await app.start()).ok
        before = first.cgroup_pids(first.cgroup_of("web", "app"))
        await app.worker.close()
    async with LocalHost(node="node1", run_dir=tmp_path, base=base) as second:
        adopted = await desk(second, kind)
        assert (await adopted.worker.probe_once()).state is ResourceState.RUNNING
        adopted.worker.adopt()
        assert second.cgroup_pids(second.cgroup_of("web", "app")) == before
        await asyncio.to_thread(os.kill, before[0], signal.SIGKILL)
        await until(lambda: adopted.states == [ResourceState.STOPPED])
        await adopted.worker.close()


@pytest.mark.root
async def test_only_the_eldest_gets_the_signal_and_a_deaf_child_is_killed(
    host: LocalHost, script: WriteScript, desk: MakeDesk
) -> None:
    child = script("child", 'trap "echo child >&2" TERM\nwhile :; do sleep 1000; done')
    program = script("app", f'trap "echo eldest; exit 0" TERM\n{child} &\nwait')
    app = await desk(
        host, Process(program=program), settings=WorkerSettings(check_interval_s=60.0, stop_timeout_s=0.5)
    )
    assert (await app.start()).ok
    group = host.cgroup_of("web", "app")
    await until(lambda: len(host.cgroup_pids(group)) == 3)
    stopped = await app.stop()
    assert stopped.ok
    assert "was killed" in str(stopped.because)
    assert host.output_of("web", "app").read_text(encoding="utf-8") == "eldest\n"


@pytest.mark.root
async def test_what_is_missing_is_named(host: LocalHost, script: WriteScript) -> None:
    program = script("app", STAYS)
    nowhere = Process(program=program, directory="/nowhere")
    assert "working directory /nowhere" in str((await nowhere.start(place(host))).because)
    assert [one.field for one in await nowhere.unfit(place(host))] == ["directory"]
    nobody = Process(program=program, user="no-such-user")
    assert "no-such-user" in str((await nobody.start(place(host))).because)
    assert [one.field for one in await nobody.unfit(place(host))] == ["user"]
    assert [one.field for one in await Process(program="/nowhere/app").unfit(place(host))] == ["program"]
    assert await Process(program=program).unfit(place(host)) == []
