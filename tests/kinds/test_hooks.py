"""Hooks around starts and stops: in which order, with what environment, and that no stop waits for one for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from servha.config.shape import Hooks
from servha.core.model import Action, ResourceState
from servha.core.words import say
from servha.daemon.resource_worker import WorkerSettings
from servha.host import Completed, HostError, LocalHost, ScriptedHost
from servha.resources import Custom
from tests.kinds.conftest import Desk, until

MakeDesk = Callable[..., Awaitable[Desk]]
APP = Custom(start_script="/start", stop_script="/stop")
HOOKS = Hooks(
    before_start=("/hook", "1"),
    after_start=("/hook", "2"),
    before_stop=("/hook", "3"),
    after_stop=("/hook", "4"),
    on_stop_failure=("/hook", "5"),
)


def machine(*, hook: Completed | HostError = Completed(0)) -> ScriptedHost:  # noqa: B008 - frozen
    host = ScriptedHost()
    group = host.cgroup_of("web", "app")

    def start() -> Completed:
        host.live(group, 100)
        return Completed(0)

    def stop() -> Completed:
        host.die(group)
        return Completed(0)

    host.programs = {"/start": [start], "/stop": [stop], "/hook": [hook]}
    return host


def runs(host: ScriptedHost) -> list[str]:
    return [" ".join(call[1:]) for call in host.calls if call[0] == "run"]


async def test_each_runs_at_its_moment_and_is_told(desk: MakeDesk) -> None:
    host = machine(hook=Completed(0, "first\n\nlast\n", took_s=0.0123))
    app = await desk(host, APP, hooks=HOOKS)
    assert (await app.start()).ok
    assert (await app.stop()).ok
    assert runs(host) == ["/hook 1", "/start", "/hook 2", "/hook 3", "/stop", "/hook 4"]
    names = [env["SERVHA_HOOK"] for env in host.environments if "SERVHA_HOOK" in env]
    assert names == ["before_start", "after_start", "before_stop", "after_stop"]
    assert host.environments[0]["SERVHA_TREE"] == "web"
    assert host.environments[0]["SERVHA_OWNERSHIP"] == "7"
    assert host.environments[0]["SERVHA_REASON"] == "a test wants it"
    assert app.told[0] == ("info", "hook before_start (/hook) went well in 12 ms: first / last")
    assert len(app.told) == 4


async def test_a_failed_before_start_fails_the_start_with_its_words(desk: MakeDesk) -> None:
    host = machine(hook=Completed(3, "licence server does not answer\n"))
    app = await desk(host, APP, hooks=HOOKS)
    outcome = await app.start()
    assert not outcome.ok
    assert (
        str(outcome.because)
        == "hook before_start failed: /hook ended with code 3: licence server does not answer"
    )
    assert runs(host) == ["/hook 1"]


@pytest.mark.parametrize(
    ("end", "word"),
    [
        (Completed(None, timed_out=True), "30.0 s"),
        (Completed(9, "no"), "code 9"),
        (Completed(-9), "signal 9"),
        (HostError(say("the program is not there")), "not there"),
    ],
)
async def test_no_other_failed_hook_stands_in_the_way(
    desk: MakeDesk, end: Completed | HostError, word: str
) -> None:
    host = machine(hook=end)
    app = await desk(
        host, APP, hooks=Hooks(after_start=("/hook",), before_stop=("/hook",), after_stop=("/hook",))
    )
    assert (await app.start()).ok
    assert (await app.stop()).ok
    assert not host.populated(host.cgroup_of("web", "app"))
    assert [severity for severity, _ in app.told] == ["warning"] * 3
    assert all(word in text for _, text in app.told), app.told


async def test_a_hook_that_others_may_change_is_not_run(desk: MakeDesk) -> None:
    host = machine()
    host.script_problems["/hook"] = say("others may change {what}: chmod go-w {what}", what="/hook")
    app = await desk(host, APP, hooks=HOOKS)
    assert "chmod" in str((await app.start()).because)
    assert runs(host) == []


async def test_a_failed_stop_has_its_own_hook_which_is_told_why(desk: MakeDesk) -> None:
    host = machine()
    app = await desk(host, APP, hooks=HOOKS)
    await app.start()
    host.programs["/stop"] = [Completed(1, "cannot")]
    host.unkillable.add(host.cgroup_of("web", "app"))
    assert not (await app.stop()).ok
    assert runs(host)[-3:] == ["/hook 3", "/stop", "/hook 5"]
    assert "survive being killed" in host.environments[-1]["SERVHA_FAILURE"]


async def test_clearing_away_after_a_dead_start_runs_none(desk: MakeDesk) -> None:
    host = machine()
    app = await desk(host, APP, hooks=Hooks(before_stop=("/hook",), after_stop=("/hook",)))
    await app.start()
    assert (await app.stop(clean_up=True)).ok
    assert "/hook" not in runs(host)


async def test_what_ends_during_after_start_is_seen_right_after_it(desk: MakeDesk) -> None:
    """Nobody watches yet while the hook runs, and the poll is an hour away."""
    host = machine()
    group = host.cgroup_of("web", "app")

    def kills() -> Completed:
        host.die(group)
        return Completed(0)

    host.programs["/hook"] = [kills]
    app = await desk(
        host, APP, hooks=Hooks(after_start=("/hook",)), settings=WorkerSettings(check_interval_s=3600.0)
    )
    assert (await app.start()).ok
    await until(lambda: app.states == [ResourceState.STOPPED])


@pytest.mark.root
async def test_real_scripts_run_in_order_leave_nothing_and_cannot_hold_a_stop_up(
    host: LocalHost, script: Callable[[str, str], str], desk: MakeDesk
) -> None:
    script("log", "")
    log = script("log", "").replace("/log", "/said")
    note = script("note", f'echo "$SERVHA_HOOK $SERVHA_RESOURCE $1" >>{log}; sleep 1000 & echo done')
    hangs = script("hangs", f"echo hangs >>{log}; sleep 1000")
    app = await desk(
        host,
        Custom(start_script=script("start", f"echo started >>{log}; sleep 1000 &")),
        hooks=Hooks(
            before_start=(note, "a b"), after_start=(note, "c"), before_stop=(hangs,), after_stop=(note, "d"),
            timeout_s=0.5,
        ),
    )  # fmt: skip
    assert (await app.start()).ok
    assert (await app.stop()).ok
    assert [action for action, _, _ in app.ends] == [Action.START, Action.STOP]
    with open(log, encoding="utf-8") as file:  # noqa: ASYNC230, PTH123
        assert file.read().splitlines() == [
            "before_start app a b", "started", "after_start app c", "hangs", "after_stop app d",
        ]  # fmt: skip
    assert [severity for severity, _ in app.told] == ["info", "info", "warning", "info"]
    assert "0.5 s" in app.told[2][1]
    await asyncio.sleep(0)
    assert host.cgroup_pids(host.cgroup_of("web", "app").parent.parent) == ()
