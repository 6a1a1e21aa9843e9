"""Applications started by scripts: nothing of them escapes, nothing is run that others may change."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from servha.core.model import Action, ResourceState
from servha.core.words import say
from servha.daemon.resource_worker import WorkerSettings
from servha.host import Completed, LocalHost, ScriptedHost, scripts
from servha.resources import Custom, Place
from tests.kinds.conftest import Desk, until

MakeDesk = Callable[..., Awaitable[Desk]]
Script = Callable[[str, str], str]
LIVING = "trap '' TERM HUP; while :; do sleep 1000; done"


def place(host: ScriptedHost | LocalHost, *, detected: bool = False) -> Place:
    return Place(
        tree="web",
        resource="app",
        host=host,
        ownership=7,
        reason=say("a test wants it"),
        start_timeout_s=5.0,
        stop_timeout_s=0.3,
        detected=detected,
    )


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (Custom(start_script=""), "start_script"),
        (Custom(start_script="bin/start"), "start_script"),
        (Custom(start_script="/a\n/b"), "start_script"),
        (Custom(start_script="/a", stop_script="b"), "stop_script"),
        (Custom(start_script="/a", test_script="~/b"), "test_script"),
        (Custom(start_script="/a", test_arguments=("\0",)), "test_arguments"),
    ],
)
def test_what_is_no_script_is_refused(kind: Custom, field: str) -> None:
    assert [problem.field for problem in kind.problems()] == [field]


async def test_a_script_that_others_may_change_is_not_run() -> None:
    for refused in ("/start", "/stop", "/test"):
        host = ScriptedHost()
        host.live(host.cgroup_of("web", "app"), 100)
        host.script_problems[refused] = say("others may change {what}: chmod go-w {what}", what=refused)
        kind = Custom(start_script="/start", stop_script="/stop", test_script="/test")
        assert [str(one.because) for one in await kind.unfit(place(host))] == [
            f"others may change {refused}: chmod go-w {refused}"
        ]
        await kind.start(place(host))
        await kind.stop(place(host))
        await kind.check(place(host))
        assert ("run", refused) not in host.calls


async def test_a_start_that_leaves_nothing_to_be_seen_is_refused_with_a_hint() -> None:
    host = ScriptedHost()
    outcome = await Custom(start_script="/start").start(place(host))
    assert not outcome.ok
    assert "detector" in str(outcome.because)
    assert (await Custom(start_script="/start").start(place(host, detected=True))).ok
    assert await Custom(start_script="/start").check(place(host, detected=True)) is None


async def test_a_program_is_told_for_whom_and_why_it_runs() -> None:
    host = ScriptedHost(node="node2")
    await Custom(start_script="/start", test_script="/test").start(place(host))
    assert host.environments[0] == {
        "SERVHA_TREE": "web",
        "SERVHA_RESOURCE": "app",
        "SERVHA_NODE": "node2",
        "SERVHA_OWNERSHIP": "7",
        "SERVHA_REASON": "a test wants it",
    }


async def test_processes_that_survive_a_kill_are_named_and_the_stop_is_not_ok() -> None:
    host = ScriptedHost()
    group = host.cgroup_of("web", "app")
    host.live(group, 100, 101)
    host.unkillable.add(group)
    outcome = await Custom(start_script="/start").stop(place(host))
    assert not outcome.ok
    assert "100 101" in str(outcome.because)


async def test_a_failed_stop_script_ends_in_a_kill_that_is_told() -> None:
    host = ScriptedHost(programs={"/stop": [Completed(3, "cannot find the pid file\n")]})
    host.live(host.cgroup_of("web", "app"), 100)
    outcome = await Custom(start_script="/start", stop_script="/stop").stop(place(host))
    assert outcome.ok
    for word in ("killed", "code 3", "cannot find the pid file"):
        assert word in str(outcome.because)


@pytest.mark.parametrize(
    ("answer", "living", "state"),
    [
        (Completed(0), True, ResourceState.RUNNING),
        (Completed(0), False, ResourceState.RUNNING),
        (Completed(1), False, ResourceState.STOPPED),
        (Completed(1), True, ResourceState.FAILED),
        (Completed(None, timed_out=True), False, ResourceState.UNKNOWN),
    ],
)
async def test_what_a_test_script_says(answer: Completed, living: bool, state: ResourceState) -> None:  # noqa: FBT001
    host = ScriptedHost(programs={"/test": [answer]})
    if living:
        host.live(host.cgroup_of("web", "app"), 100)
    found = await Custom(start_script="/start", test_script="/test").check(place(host))
    assert found is not None
    assert found.state is state


# --- real scripts --------------------------------------------------------------------------------------------


@pytest.mark.root
async def test_a_real_application_is_started_seen_stopped_and_nothing_is_left(
    host: LocalHost, script: Script, desk: MakeDesk
) -> None:
    group = host.cgroup_of("web", "app")
    app = await desk(
        host,
        Custom(
            start_script=script("start", "sleep 1000 & sleep 1000 &"),
            stop_script=script("stop", f"kill $(cat {group}/cgroup.procs)"),
        ),
    )
    assert (await app.start()).ok
    assert len(host.cgroup_pids(group)) == 2
    assert (await app.stop()).ok
    assert host.cgroup_pids(group) == ()
    assert (await app.stop()).ok


@pytest.mark.root
async def test_a_process_that_ignores_terminate_is_ended_by_its_group(
    host: LocalHost, script: Script, desk: MakeDesk
) -> None:
    group = host.cgroup_of("web", "app")
    kind = Custom(
        # Twice forked and in a session of its own: neither its parent nor its process group leads to it.
        start_script=script("start", f"setsid sh -c \"{LIVING}\" >/dev/null 2>&1 &"),
        stop_script=script("stop", f"kill $(cat {group}/cgroup.procs)"),
    )  # fmt: skip
    app = await desk(host, kind, settings=WorkerSettings(check_interval_s=60.0, stop_timeout_s=0.5))
    assert (await app.start()).ok
    await until(lambda: len(host.cgroup_pids(group)) == 2, "the shell has set its trap and sleeps")
    outcome = await app.stop()
    assert outcome.ok
    assert "killed" in str(outcome.because)
    assert host.cgroup_pids(group) == ()


@pytest.mark.root
@pytest.mark.parametrize("watched_before", [False, True])
async def test_a_killed_application_is_noticed_at_once(
    host: LocalHost,
    script: Script,
    desk: MakeDesk,
    watched_before: bool,  # noqa: FBT001
) -> None:
    app = await desk(host, Custom(start_script=script("start", "sleep 1000 &")))
    assert (await app.start()).ok
    if watched_before:
        await asyncio.sleep(0.05)  # beyond the 10 ms in which the kernel holds the group's second notice back
    began = asyncio.get_running_loop().time()
    os.kill(host.cgroup_pids(host.cgroup_of("web", "app"))[0], signal.SIGKILL)
    await until(lambda: bool(app.reports))
    assert app.states == [ResourceState.STOPPED]
    assert app.worker.events_missed == 0
    assert "was ended by signal 9" in str(app.reports[0].because)
    print(f"\nkill -9 was reported after {(app.reported_at[0] - began) * 1000:.1f} ms")


@pytest.mark.root
async def test_a_start_that_does_not_return_is_ended_with_everything_it_started(
    host: LocalHost, script: Script, desk: MakeDesk
) -> None:
    kind = Custom(start_script=script("start", "setsid sleep 1000 & sleep 1000"))
    app = await desk(host, kind, settings=WorkerSettings(start_timeout_s=0.3))
    outcome = await app.start()
    assert not outcome.ok
    assert "background" in str(outcome.because)
    assert not host.populated(host.cgroup_of("web", "app"))


@pytest.mark.root
async def test_a_stop_during_a_start_breaks_the_start_off(
    host: LocalHost, script: Script, desk: MakeDesk
) -> None:
    app = await desk(host, Custom(start_script=script("start", "sleep 1000")))
    app.worker.start(ownership=1, reason=say("start"))
    group = host.cgroup_of("web", "app")
    await until(lambda: host.populated(group))
    assert (await app.stop()).ok
    assert [action for action, _, _ in app.ends] == [Action.STOP], "the withdrawn start is not answered"
    assert not host.populated(group)


@pytest.mark.root
async def test_a_background_program_keeps_its_output_when_we_are_gone(
    host: LocalHost, script: Script
) -> None:
    """It writes to a file: at the end of a pipe of ours it would be killed by its next word after we end."""
    kind = Custom(start_script=script("start", "while :; do echo alive; sleep 0.01; done &"))
    assert (await kind.start(place(host))).ok
    said = host.output_of("web", "app")
    await until(lambda: said.exists() and said.stat().st_size > 30)
    assert host.populated(host.cgroup_of("web", "app"))
    assert "alive" in said.read_text()


@pytest.mark.root
async def test_a_restarted_daemon_finds_the_same_group_and_what_runs_in_it(
    host: LocalHost, script: Script, desk: MakeDesk, base: Path, tmp_path: Path
) -> None:
    kind = Custom(start_script=script("start", "sleep 1000 &"))
    assert (await kind.start(place(host))).ok
    async with LocalHost(node="node1", run_dir=tmp_path / "run", base=base) as next_life:
        app = await desk(next_life, kind)
        assert (await app.worker.probe_once()).state is ResourceState.RUNNING
        app.worker.adopt(ownership=7)
        await asyncio.sleep(0)
        os.kill(next_life.cgroup_pids(next_life.cgroup_of("web", "app"))[0], signal.SIGKILL)
        await until(lambda: bool(app.reports))
        assert app.states == [ResourceState.STOPPED]
        await app.worker.close()


@pytest.mark.root
async def test_a_script_of_another_user_or_open_to_others_is_refused(host: LocalHost, script: Script) -> None:
    path = Path(script("start", "sleep 1000 &"))
    kind = Custom(start_script=str(path))
    assert (await kind.start(place(host))).ok
    await kind.clean_up(place(host))
    spoilt: tuple[tuple[Callable[[], None], Callable[[], None], str], ...] = (
        (lambda: os.chown(path, 65534, 0), lambda: os.chown(path, 0, 0), "belongs to another user"),
        (lambda: path.chmod(0o775), lambda: path.chmod(0o755), "others may change"),
        (lambda: path.chmod(0o644), lambda: path.chmod(0o755), "not executable"),
        (lambda: path.parent.chmod(0o777), lambda: path.parent.chmod(0o755), "others may change"),
    )
    for spoil, mend, words in spoilt:
        spoil()
        outcome = await kind.start(place(host))
        mend()
        assert not outcome.ok
        assert words in str(outcome.because)
        assert str(path) in str(outcome.because) or str(path.parent) in str(outcome.because)
    assert not host.populated(host.cgroup_of("web", "app"))


@pytest.mark.root
def test_a_link_is_judged_by_the_place_it_leads_to_as_well(script: Script, tmp_path: Path) -> None:
    path = Path(script("start", "sleep 1000 &"))
    assert scripts.problem(str(path)) is None
    target = tmp_path / "open"
    target.write_text("#!/bin/sh\n", encoding="utf-8")
    target.chmod(0o755)
    path.unlink()
    path.symlink_to(target)
    assert "others may change" in str(scripts.problem(str(path))), "below /tmp anybody may add files"


@pytest.mark.root
async def test_a_script_runs_as_the_user_it_is_given_inside_the_group(
    host: LocalHost, script: Script
) -> None:
    kind = Custom(start_script=script("start", "id -un; sleep 1000 &"), user="nobody")
    assert (await kind.start(place(host))).ok
    assert host.output_of("web", "app").read_text() == "nobody\n"
    (pid,) = host.cgroup_pids(host.cgroup_of("web", "app"))
    assert os.stat(f"/proc/{pid}").st_uid == 65534  # noqa: PTH116
    await kind.clean_up(place(host))
    unknown = await Custom(start_script=script("start", "true"), user="who-is-this").start(place(host))
    assert not unknown.ok
