"""What every kind owes when something goes wrong: a kill, a program that hangs, a machine that cannot tell, a cancel.

The examples, and the machine on which they run, are those of test_laws.py: a kind that is entered there is held to
these laws too. Which programs a kind runs is not written down here but seen, so that each of them is made to hang.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from servha.core.model import ResourceState
from servha.host import Completed, HostError, Outcome
from servha.resources import Place, ResourceKind
from tests.kinds.test_laws import BROKEN, EXAMPLES, RUNNING, STOPPED, UNIT_GROUP, UNKNOWN, Machine, place

HANGS = Completed(None, timed_out=True, took_s=120.0)
STEPS = 40
"""More than any start or stop of the examples takes."""

every_kind = pytest.mark.parametrize("kind", EXAMPLES.values(), ids=lambda kind: kind.name)


async def state_of(kind: ResourceKind, machine: Machine) -> ResourceState:
    """What a look says."""
    found = await kind.check(place(machine))
    assert found is not None
    return found.state


async def started(kind: ResourceKind) -> Machine:
    """A machine on which it runs."""
    machine = Machine()
    assert (await kind.start(place(machine))).ok
    assert await state_of(kind, machine) is RUNNING
    return machine


async def calls_of(
    kind: ResourceKind, machine: Machine, act: Callable[[Place], Awaitable[object]]
) -> list[tuple[str, ...]]:
    """The programs that are run for this, with their arguments, but for those that every look runs."""
    before = len(machine.calls)
    await act(place(machine))
    ran = [call for call in machine.calls[before:] if call[0] == "run"]
    looked = len(machine.calls)
    await kind.check(place(machine))
    looks = machine.calls[looked:]
    return [call for call in dict.fromkeys(ran) if call not in looks]


def spoil(machine: Machine, call: tuple[str, ...], instead: Completed | HostError) -> None:
    """Let this call of a program end so; its other calls go on as they were."""
    before = machine.programs.get(call[1], [Completed(0)])[-1]

    def answer() -> Completed:
        found = instead if machine.calls[-1] == call else before
        if isinstance(found, HostError):
            raise found
        return found if isinstance(found, Completed) else found()

    machine.programs[call[1]] = [answer]


def assert_named(kind: ResourceKind, call: tuple[str, ...], outcome: Outcome) -> None:
    """The program is named, or what the administrator knows it by."""
    known = [call[1], *(value for value in vars(kind).values() if isinstance(value, str) and value)]
    assert [name for name in known if name in str(outcome.because)], outcome


@every_kind
async def test_what_was_killed_is_seen_can_be_stopped_and_started_again(kind: ResourceKind) -> None:
    machine = await started(kind)
    await machine.vanish()
    assert await state_of(kind, machine) not in (RUNNING, UNKNOWN)
    for _ in range(2):
        assert (await kind.stop(place(machine))).ok
        assert await state_of(kind, machine) is STOPPED
    assert (await kind.start(place(machine))).ok
    await machine.vanish()
    assert (await kind.start(place(machine))).ok, "without a stop between"
    assert await state_of(kind, machine) is RUNNING


@every_kind
async def test_a_start_whose_program_hangs_fails_in_words_and_can_be_cleaned_up(kind: ResourceKind) -> None:
    calls = await calls_of(kind, Machine(), kind.start)
    failed = 0
    for call in calls:
        machine = Machine()
        spoil(machine, call, HANGS)
        outcome = await kind.start(place(machine))
        if outcome.ok:
            assert await state_of(kind, machine) is RUNNING, "only what the start can do without"
            continue
        failed += 1
        assert_named(kind, call, outcome)
        assert "120" in str(outcome.because), "the limit is named"
        assert (await kind.clean_up(place(machine))).ok
        assert await state_of(kind, machine) is STOPPED
    assert bool(failed) == bool(calls)


@every_kind
@pytest.mark.parametrize("unkillable", [False, True], ids=["", "unkillable"])
async def test_a_stop_whose_program_hangs_is_made_certain_or_is_not_ok(
    kind: ResourceKind,
    unkillable: bool,  # noqa: FBT001
) -> None:
    for call in await calls_of(kind, await started(kind), kind.stop):
        machine = await started(kind)
        spoil(machine, call, HANGS)
        if unkillable:
            machine.unkillable |= {machine.group, machine.group_at(UNIT_GROUP)}
        outcome = await kind.stop(place(machine))
        if outcome.ok:
            assert await state_of(kind, machine) is STOPPED
        if not outcome.ok or "kill_cgroup" in {name for name, *_ in machine.calls}:
            assert_named(kind, call, outcome)


@every_kind
async def test_a_machine_that_cannot_tell_makes_a_stop_fail_in_words(kind: ResourceKind) -> None:
    calls = await calls_of(kind, await started(kind), kind.stop)
    machine = await started(kind)
    programs = {name: list(answers) for name, answers in machine.programs.items()}
    machine.broken = machine.disks.broken = BROKEN
    for call in calls:
        spoil(machine, call, BROKEN)
    outcome = await kind.stop(place(machine))
    assert not outcome.ok
    assert str(BROKEN) in str(outcome.because)
    machine.broken = machine.disks.broken = None
    machine.programs = programs
    assert await state_of(kind, machine) is RUNNING, "nothing was stopped, and nothing says so"


@every_kind
async def test_a_machine_that_cannot_tell_is_no_fit_place(kind: ResourceKind) -> None:
    machine = Machine()
    machine.broken = machine.disks.broken = BROKEN
    files = [*machine.programs, *(value for value in vars(kind).values() if isinstance(value, str))]
    machine.script_problems = dict.fromkeys(files, BROKEN.text)
    problems = await kind.unfit(place(machine))
    assert problems
    assert all(str(BROKEN) in str(problem.because) for problem in problems)


@every_kind
@pytest.mark.parametrize("action", ["start", "stop"])
async def test_what_is_cancelled_at_any_step_can_be_stopped_and_started_again(
    kind: ResourceKind, action: str
) -> None:
    ends = 0
    for steps in range(STEPS):
        machine = Machine() if action == "start" else await started(kind)
        act = asyncio.ensure_future(getattr(kind, action)(place(machine)))
        for _ in range(steps):
            await asyncio.sleep(0)
        ends += act.done()
        act.cancel()
        with suppress(asyncio.CancelledError):
            await act
        assert (await kind.stop(place(machine))).ok
        assert await state_of(kind, machine) is STOPPED
        assert (await kind.start(place(machine))).ok
        assert await state_of(kind, machine) is RUNNING
    assert 0 < ends < STEPS, "some were cancelled on the way, some had ended"
