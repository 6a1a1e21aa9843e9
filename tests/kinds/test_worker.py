"""The worker: one action at a time, patience after a start, events at once, the poll as their auditor."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from servha.core.model import Action, ResourceState
from servha.core.words import say
from servha.daemon.resource_worker import WorkerSettings
from servha.detectors import Command, Port
from servha.host import AddressChange, Completed, Ended, Listener, Outcome, ScriptedHost
from servha.resources import Custom, Ipv4
from tests.kinds.conftest import Desk, until

MakeDesk = Callable[..., Awaitable[Desk]]
RUNNING, STOPPED, FAILED = ResourceState.RUNNING, ResourceState.STOPPED, ResourceState.FAILED
QUICK = WorkerSettings(check_interval_s=0.01, start_timeout_s=2.0, stop_timeout_s=0.2)
VIP = Ipv4(address="192.0.2.100/24", nic="eth0", conflict_wait_ms=0)
APP = Custom(start_script="/start", stop_script="/stop")
TESTED = Custom(start_script="/start", stop_script="/stop", test_script="/test")


def machine(**programs: Completed | list[Completed]) -> ScriptedHost:
    """A machine whose start script starts something."""
    host = ScriptedHost().with_nic("eth0")
    host.on_nic["eth0"] = ["192.0.2.1/24"]
    group = host.cgroup_of("web", "app")

    def start() -> Completed:
        host.live(group, 100)
        return Completed(0)

    def stop() -> Completed:
        host.die(group)
        return Completed(0)

    host.programs = {"/start": [start], "/stop": [stop]}
    for name, answers in programs.items():
        host.programs[f"/{name}"] = list(answers) if isinstance(answers, list) else [answers]
    return host


def runs(host: ScriptedHost) -> list[str]:
    return [call[1] for call in host.calls if call[0] == "run"]


async def test_started_is_answered_when_it_is_seen_running_not_before(desk: MakeDesk) -> None:
    host = machine(test=[Completed(1), Completed(1), Completed(1), Completed(0)])
    app = await desk(host, TESTED)
    assert (await app.start()).ok
    assert runs(host) == ["/start", "/test", "/test", "/test", "/test"]


async def test_a_start_that_is_never_seen_running_fails_and_says_what_was_seen(desk: MakeDesk) -> None:
    host = machine(test=Completed(1))
    app = await desk(host, TESTED, settings=WorkerSettings(start_timeout_s=0.2))
    outcome = await app.start()
    assert not outcome.ok
    assert "exit 1" in str(outcome.because)


async def test_a_detector_decides_whether_a_start_is_done(desk: MakeDesk) -> None:
    host = machine()
    app = await desk(host, APP, Port(port=80), settings=QUICK)
    app.worker.start(ownership=1, reason=say("start"))
    await until(lambda: sum(call == ("listeners", "tcp") for call in host.calls) > 2)
    assert app.ends == []
    host.listening = (Listener("tcp", "192.0.2.1", 80, 7),)
    assert (await app.answer()).ok


async def test_two_actions_never_overlap_and_the_last_word_counts(desk: MakeDesk) -> None:
    host = machine()
    app = await desk(host, APP, settings=QUICK)
    assert (await app.start()).ok
    app.worker.stop(ownership=1, reason=say("stop"))
    app.worker.start(ownership=2, reason=say("start"))
    app.worker.stop(ownership=3, reason=say("stop"))
    app.worker.start(ownership=4, reason=say("start"))
    await until(lambda: len(app.ends) == 3)
    await asyncio.sleep(0.05)
    assert [action for action, _, _ in app.ends] == [Action.START, Action.STOP, Action.START]
    assert host.environments[-1]["SERVHA_OWNERSHIP"] == "4"
    assert runs(host) == ["/start", "/stop", "/start"]


async def test_whoever_is_told_may_ask_for_the_next_thing_at_once(desk: MakeDesk) -> None:
    """The core answers an outcome with the next action inside the call; none of them may be lost."""
    host = machine()
    app = await desk(host, APP, settings=QUICK)
    wished = deque([Action.STOP, Action.STOP, Action.START, Action.START, Action.STOP])

    def asks_at_once(action: Action, outcome: Outcome, took_s: float) -> None:
        app.ends.append((action, outcome, took_s))
        if wished:
            ask = app.worker.start if wished.popleft() is Action.START else app.worker.stop
            ask(ownership=1, reason=say("next"))

    app.worker._finished = asks_at_once
    app.worker.start(ownership=1, reason=say("first"))
    await until(lambda: len(app.ends) == 6)
    assert [action for action, _, _ in app.ends] == [
        Action.START, Action.STOP, Action.STOP, Action.START, Action.START, Action.STOP,
    ]  # fmt: skip


async def test_a_stop_withdraws_a_start_and_only_the_stop_is_answered(desk: MakeDesk) -> None:
    host = machine(test=Completed(1))
    app = await desk(host, TESTED, settings=WorkerSettings(start_timeout_s=60.0))
    app.worker.start(ownership=1, reason=say("start"))
    await until(lambda: "/test" in runs(host))
    assert (await app.stop()).ok
    assert [action for action, _, _ in app.ends] == [Action.STOP]
    assert not host.populated(host.cgroup_of("web", "app"))


async def test_a_full_stop_during_a_clean_up_is_still_done(desk: MakeDesk) -> None:
    host = machine()
    app = await desk(host, APP, settings=QUICK)
    await app.start()
    app.worker.stop(ownership=1, reason=say("remains"), clean_up=True)
    app.worker.stop(ownership=1, reason=say("stop"))
    await until(lambda: len(app.ends) == 3)
    assert [outcome.ok for _, outcome, _ in app.ends] == [True, True, True]


async def test_a_clean_up_runs_no_stop_script(desk: MakeDesk) -> None:
    host = machine()
    app = await desk(host, APP, settings=QUICK)
    await app.start()
    assert (await app.stop(clean_up=True)).ok
    assert "/stop" not in runs(host)


async def test_a_stop_after_which_it_still_runs_is_not_ok(desk: MakeDesk) -> None:
    host = machine(test=Completed(0))
    app = await desk(host, TESTED, settings=QUICK)
    await app.start()
    outcome = await app.stop()
    assert not outcome.ok
    assert "still runs" in str(outcome.because)


async def test_a_failed_stop_after_which_it_is_seen_stopped_is_ok(desk: MakeDesk) -> None:
    host = machine(stop=Completed(1, "no pid file"), test=[Completed(0), Completed(0), Completed(1)])
    app = await desk(host, TESTED, settings=QUICK)
    await app.start()
    host.die(host.cgroup_of("web", "app"))
    outcome = await app.stop()
    assert outcome.ok, outcome


async def test_nothing_is_looked_at_while_something_is_done(desk: MakeDesk) -> None:
    """A test script that is running when a stop begins is broken off, and its answer does not count."""
    host = machine(test=Completed(0))
    app = await desk(host, TESTED, settings=QUICK)
    await app.start()
    await until(lambda: runs(host).count("/test") > 3)
    app.worker.stop(ownership=1, reason=say("stop"))
    await asyncio.sleep(0)
    at = len(host.calls)
    host.programs["/test"] = [Completed(1)]
    await app.answer()
    during = [call[1] for call in host.calls[at:] if call[0] == "run"]
    assert during.count("/test") <= 2, "the stop's own look before and after"


async def test_an_end_is_reported_at_once_and_once(desk: MakeDesk) -> None:
    host = machine()
    app = await desk(host, APP)
    await app.start()
    await asyncio.sleep(0.01)
    host.die(host.cgroup_of("web", "app"))
    await until(lambda: bool(app.reports))
    assert app.states == [STOPPED]
    assert app.reports[0].source == "cgroup"
    assert app.worker.events_missed == 0


async def test_the_poll_finds_and_counts_what_no_event_told(desk: MakeDesk) -> None:
    host = machine()
    app = await desk(host, VIP, settings=QUICK)
    await app.start()
    await asyncio.sleep(0.03)
    host.on_nic["eth0"].remove("192.0.2.100/24")  # without a word on the network
    await until(lambda: bool(app.reports))
    assert app.states == [STOPPED]
    assert app.worker.events_missed == 1


async def test_the_standby_is_looked_at_too_and_what_runs_there_is_reported(desk: MakeDesk) -> None:
    host = machine(test=Completed(1))
    app = await desk(host, TESTED, settings=QUICK)
    assert (await app.worker.probe_once()).state is STOPPED
    app.worker.adopt()
    await until(lambda: runs(host).count("/test") > 3)
    assert app.reports == []
    host.programs["/test"] = [Completed(0)]
    await until(lambda: bool(app.reports))
    assert app.states == [RUNNING]


async def test_cannot_tell_is_a_failure_only_after_three_times_in_a_row(desk: MakeDesk) -> None:
    late = Completed(None, timed_out=True)
    host = machine(test=Completed(0))
    app = await desk(host, TESTED, settings=QUICK)
    await app.start()
    host.programs["/test"] = [late, late, Completed(0), late, late, late, late]
    await until(lambda: FAILED in app.states)
    unknown = ResourceState.UNKNOWN
    assert app.states == [unknown, RUNNING, unknown, FAILED]
    assert "3 times" in str(app.reports[-1].because)


async def test_the_end_of_a_mere_starter_is_not_the_end_of_the_application(desk: MakeDesk) -> None:
    """`systemctl start` and the like: the application lives elsewhere, only the starter lived in the group."""
    host = machine(test=Completed(0))
    app = await desk(host, TESTED)
    await app.start()
    await asyncio.sleep(0.01)
    before = runs(host).count("/test")
    host.die(host.cgroup_of("web", "app"))
    await until(lambda: runs(host).count("/test") > before)
    await asyncio.sleep(0.01)
    assert app.reports == []


async def test_an_application_that_a_signal_ended_is_reported_without_a_second_look(desk: MakeDesk) -> None:
    host = machine(test=Completed(0))
    app = await desk(host, TESTED)
    await app.start()
    await asyncio.sleep(0.01)
    before = runs(host).count("/test")
    host.ends = (Ended(7, "app", -9),)
    host.die(host.cgroup_of("web", "app"))
    await until(lambda: bool(app.reports))
    assert app.reports[0].state is ResourceState.STOPPED
    assert runs(host).count("/test") == before


async def test_an_application_that_dies_while_it_starts_fails_before_the_time_limit(desk: MakeDesk) -> None:
    host = machine()
    app = await desk(host, APP, Command(script="/ready"), settings=WorkerSettings(start_timeout_s=60.0))
    host.programs["/ready"] = [Completed(1)]
    app.worker.start(ownership=1, reason=say("start"))
    await until(lambda: "/ready" in runs(host))
    host.die(host.cgroup_of("web", "app"))
    outcome = await app.answer()
    assert not outcome.ok
    assert "ended again" in str(outcome.because)
    assert app.ends[-1][2] < 20.0


async def test_healing_is_told_every_time_and_ends_after_three(desk: MakeDesk) -> None:
    host = machine()
    app = await desk(host, VIP)
    await app.start()
    for times in range(1, 5):
        await asyncio.sleep(0.01)
        host.tell(AddressChange("eth0", "192.0.2.100/24", present=False))
        await until(lambda times=times: len(app.reports) == times)  # type: ignore[misc]
    assert app.states == [RUNNING, RUNNING, RUNNING, STOPPED]


async def test_a_kind_with_a_mistake_in_it_still_gets_an_answer(desk: MakeDesk) -> None:
    host = machine()

    def mistake() -> Completed:
        raise ZeroDivisionError

    host.programs["/start"] = [mistake]
    app = await desk(host, APP)
    outcome = await app.start()
    assert not outcome.ok
    assert "ZeroDivisionError" in str(outcome.because)


async def test_closing_leaves_what_runs_running(desk: MakeDesk) -> None:
    host = machine()
    app = await desk(host, APP, settings=QUICK)
    await app.start()
    await app.worker.close()
    assert host.populated(host.cgroup_of("web", "app"))
    assert "/stop" not in runs(host)
