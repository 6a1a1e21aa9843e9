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
from servha.host import Completed, Outcome
from servha.resources import Place, ResourceKind
from tests.kinds.test_laws import BROKEN, EXAMPLES, RUNNING, STOPPED, UNKNOWN, Machine, place

HANGS = Completed(None, timed_out=True)
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


async def programs_of(
    kind: ResourceKind, machine: Machine, act: Callable[[Place], Awaitable[object]]
) -> list[str]:
    """The programs that are run for this, but for those that every look runs."""
    before = len(machine.calls)
    await act(place(machine))
    ran = [call[1] for call in machine.calls[before:] if call[0] == "run"]
    looked = len(machine.calls)
    await kind.check(place(machine))
    looks = {call[1] for call in machine.calls[looked:] if call[0] == "run"}
    return [program for program in dict.fromkeys(ran) if program not in looks]


def assert_honest(outcome: Outcome, state: ResourceState) -> None:
    """A stop that is ok leaves nothing; one that is not says why, and a look agrees."""
    assert str(outcome.because)
    assert (state is STOPPED) == outcome.ok, (outcome, state)


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
    for program in await programs_of(kind, Machine(), kind.start):
        machine = Machine()
        machine.programs[program] = [HANGS]
        outcome = await kind.start(place(machine))
        assert not outcome.ok
        assert program in str(outcome.because)
        assert "120" in str(outcome.because), "the limit is named"
        assert (await kind.clean_up(place(machine))).ok
        assert await state_of(kind, machine) is STOPPED


@every_kind
@pytest.mark.parametrize("unkillable", [False, True], ids=["", "unkillable"])
async def test_a_stop_whose_program_hangs_is_made_certain_or_is_not_ok(
    kind: ResourceKind,
    unkillable: bool,  # noqa: FBT001
) -> None:
    for program in await programs_of(kind, await started(kind), kind.stop):
        machine = await started(kind)
        machine.programs[program] = [HANGS]
        if unkillable:
            machine.unkillable.add(machine.group)
        outcome = await kind.stop(place(machine))
        assert program in str(outcome.because)
        assert_honest(outcome, await state_of(kind, machine))


@every_kind
async def test_a_machine_that_cannot_tell_makes_a_stop_fail_in_words(kind: ResourceKind) -> None:
    programs = await programs_of(kind, await started(kind), kind.stop)
    machine = await started(kind)
    machine.broken = machine.disks.broken = BROKEN
    machine.programs.update({program: [BROKEN] for program in programs})
    outcome = await kind.stop(place(machine))
    assert not outcome.ok
    assert str(BROKEN) in str(outcome.because)
    machine.broken = machine.disks.broken = None
    assert await state_of(kind, machine) is RUNNING, "nothing was stopped, and nothing says so"


@every_kind
async def test_a_machine_that_cannot_tell_is_no_fit_place(kind: ResourceKind) -> None:
    machine = Machine()
    machine.broken = machine.disks.broken = BROKEN
    machine.script_problems = dict.fromkeys(machine.programs, BROKEN.text)
    assert [str(BROKEN)] == list({str(problem.because) for problem in await kind.unfit(place(machine))})


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
