"""A systemd service: what its states mean, and what systemctl is asked. A real systemd is in tests/machines."""

from __future__ import annotations

import asyncio

import pytest

from servha.core.model import ResourceState
from servha.host import Completed, Finding, ScriptedHost
from servha.resources import Place, Service
from tests.kinds.conftest import until

RUNNING, STOPPED, FAILED, UNKNOWN = (
    ResourceState.RUNNING,
    ResourceState.STOPPED,
    ResourceState.FAILED,
    ResourceState.UNKNOWN,
)
KIND = Service(unit="nginx.service")
GROUP = "/system.slice/nginx.service"


def place(host: ScriptedHost) -> Place:
    return Place(tree="web", resource="nginx", host=host, stop_timeout_s=3.0)


def shown(active: str, sub: str = "", **other: str) -> Completed:
    """What `systemctl show` prints."""
    said = {
        "LoadState": "loaded",
        "ActiveState": active,
        "SubState": sub,
        "UnitFileState": "disabled",
        **other,
    }
    return Completed(0, "".join(f"{name}={value}\n" for name, value in said.items()))


def machine(*answers: Completed) -> ScriptedHost:
    return ScriptedHost(programs={"systemctl": answers})


def verbs(host: ScriptedHost) -> list[str]:
    return [call[2] for call in host.calls if call[:2] == ("run", "systemctl")]


@pytest.mark.parametrize(
    ("unit", "word"),
    [
        ("nginx", "'nginx' is not the name of a service unit: write it as in nginx.service"),
        ("nginx.timer", "'nginx.timer' is not the name"),
        ("app@.service", "an instance of a template"),
        ("../a.service", "is not the name"),
        ("--now.service x", "is not the name"),
        ("servhad.service", "runs the trees"),
    ],
)
def test_what_is_no_unit_of_a_tree_is_refused(unit: str, word: str) -> None:
    (problem,) = Service(unit=unit).problems()
    assert problem.field == "unit"
    assert word in str(problem.because)


def test_an_instance_of_a_template_is_a_unit() -> None:
    assert Service(unit="postgresql@15-main.service").problems() == []


@pytest.mark.parametrize(
    ("answer", "alive", "state", "word"),
    [
        (shown("active", "running"), 1, RUNNING, "active (running)"),
        (shown("active", "exited"), 0, RUNNING, "active (exited)"),
        (shown("reloading", "reload"), 1, RUNNING, "reloading"),
        (shown("inactive", "dead"), 0, STOPPED, "inactive (dead)"),
        (shown("failed", "failed", Result="signal"), 0, STOPPED, "has failed: signal"),
        (shown("failed", "failed", Result="timeout"), 1, FAILED, "processes of it are left"),
        (shown("activating", "auto-restart", Result="exit-code"), 0, FAILED, "will start it again"),
        (shown("activating", "start"), 1, UNKNOWN, "activating (start)"),
        (shown("deactivating", "stop-sigterm"), 1, FAILED, "being stopped"),
        (shown("inactive", "dead", LoadState="not-found"), 0, STOPPED, "inactive"),
        (Completed(1, "System has not been booted with systemd"), 0, UNKNOWN, "not been booted"),
        (Completed(0, ""), 0, UNKNOWN, "could not say"),
        (Completed(None, timed_out=True), 0, UNKNOWN, "did not say within"),
    ],
)
async def test_what_a_state_means(answer: Completed, alive: int, state: ResourceState, word: str) -> None:
    if answer.code == 0 and answer.output:
        answer = Completed(answer.code, f"{answer.output}\nControlGroup={GROUP}\n", answer.timed_out)
    host = machine(answer)
    if alive:
        host.live(host.group_at(GROUP), 300)
    found = await KIND.check(place(host))
    assert found.state is state
    assert word in str(found.because)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (shown("inactive", LoadState="not-found"), "no unit nginx.service"),
        (shown("inactive", LoadState="masked"), "systemctl unmask nginx.service"),
        (shown("inactive", LoadState="bad-setting"), "systemd-analyze verify"),
        (shown("inactive", UnitFileState="enabled"), "systemctl disable nginx.service"),
        (shown("inactive", UnitFileState="enabled-runtime"), "start.conf"),
        (Completed(1, "no bus"), "no bus"),
    ],
)
async def test_an_unfit_node_says_what_to_do(answer: Completed, word: str) -> None:
    (problem,) = await KIND.unfit(place(machine(answer)))
    assert problem.field == "unit"
    assert word in str(problem.because)


async def test_a_node_with_the_unit_loaded_and_disabled_is_fit() -> None:
    assert await KIND.unfit(place(machine(shown("inactive")))) == []


async def test_a_masked_unit_is_not_started_and_one_that_fails_says_why() -> None:
    masked = machine(shown("inactive", LoadState="masked"))
    assert not (await KIND.start(place(masked))).ok
    assert verbs(masked) == ["show"]
    failing = machine(shown("inactive"), Completed(1, "Job for nginx.service failed."))
    assert "Job for nginx.service failed." in str((await KIND.start(place(failing))).because)


async def test_a_stop_that_takes_too_long_ends_in_a_kill() -> None:
    host = machine(
        shown("active", "running"),
        Completed(None, timed_out=True),
        Completed(0),
        Completed(0),
        Completed(0),
        shown("inactive", "dead"),
    )
    outcome = await KIND.stop(place(host))
    assert outcome.ok
    assert "had not returned after 3.0 s" in str(outcome.because)
    assert verbs(host) == ["show", "stop", "kill", "stop", "reset-failed", "show"]


async def test_a_unit_that_survives_the_kill_is_no_successful_stop() -> None:
    active, no = shown("active", "running"), Completed(1, "no")
    host = machine(active, no, Completed(0), no, Completed(0), active)
    outcome = await KIND.stop(place(host))
    assert not outcome.ok
    assert "survives" in str(outcome.because)


async def test_a_unit_that_is_not_there_needs_no_stop() -> None:
    host = machine(shown("inactive", "dead", LoadState="not-found"))
    assert (await KIND.stop(place(host))).ok
    assert verbs(host) == ["show"]


async def watched(host: ScriptedHost) -> list[Finding]:
    """Watch to the end; the group empties once systemd was asked."""

    async def look() -> list[Finding]:
        return [finding async for finding in KIND.watch(place(host))]

    looking = asyncio.create_task(look())
    await until(lambda: bool(host.calls))
    for _ in range(5):
        await asyncio.sleep(0)
    host.die(host.group_at(GROUP))
    async with asyncio.timeout(5):
        return await looking


async def test_an_end_is_told_when_systemd_has_noticed_it_too() -> None:
    """The kernel tells us first: for a moment systemd still says that the unit is active."""
    alive = shown("active", "running", ControlGroup=GROUP)
    host = machine(alive, alive, shown("failed", "failed", Result="signal"))
    host.live(host.group_at(GROUP), 300)
    (found,) = await watched(host)
    assert found.state is STOPPED
    assert found.violent


async def test_a_unit_that_stays_active_without_processes_is_no_end() -> None:
    host = machine(shown("active", "exited", ControlGroup=GROUP))
    host.live(host.group_at(GROUP), 300)
    assert await watched(host) == []
