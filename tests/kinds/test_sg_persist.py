"""What sg_persist says is read to the letter: recorded sessions, made-up ones, and halves of both."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servha.fences import sg_persist
from servha.fences.sg_persist import Answer, Unreadable
from tests.kinds.scsi_unit import RECORDED, Said, Unit, sessions

KEYS = st.integers(1, 2**64 - 1)


@pytest.mark.parametrize("said", RECORDED, ids=lambda s: " ".join(s.argv[3:]))
def test_every_recorded_answer_is_understood(said: Said) -> None:
    answer = sg_persist.answer(said.code)
    assert answer is not Answer.UNCLEAR
    if answer is not Answer.DONE:
        return
    match said.argv[3]:
        case "--read-keys":
            assert len(sg_persist.keys_in(said.output).keys) == said.output.count("    0x")
        case "--read-reservation":
            found = sg_persist.reservation_in(said.output)
            assert (found is None) == ("NO reservation" in said.output)
            assert found is None or found.type == 5
        case "--report-capabilities":
            assert sg_persist.capabilities_in(said.output) == sg_persist.Capabilities(True, True)  # noqa: FBT003
        case _:
            assert said.output == ""


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (2, Answer.NOT_READY),
        (6, Answer.ATTENTION),
        (24, Answer.CONFLICT),
        (52, Answer.NO_DEVICE),
        (75, Answer.NO_DEVICE),
    ],
)
def test_the_failures_that_were_recorded_are_the_ones_we_know(code: int, answer: Answer) -> None:
    assert code in {said.code for said in RECORDED}
    assert sg_persist.answer(code) is answer


def test_every_argument_we_give_was_accepted_by_the_real_program() -> None:
    known = {word.partition("=")[0] for said in RECORDED for word in said.argv} | {"--preempt-abort"}
    for argv in (
        sg_persist.read_keys("d"), sg_persist.read_reservation("d"), sg_persist.report_capabilities("d"),
        sg_persist.register("d", 1), sg_persist.unregister("d", 1), sg_persist.confirm("d", 1),
        sg_persist.reserve("d", 1), sg_persist.release("d", 1), sg_persist.preempt_and_abort("d", 1, 2),
    ):  # fmt: skip
        assert {word.partition("=")[0] for word in argv} <= known | {"d"}


def test_the_unit_that_the_tests_below_use_answers_as_the_real_one_did() -> None:
    for session in sessions():
        unit = Unit()
        for said in session:
            if said.code <= 24:  # beyond: files that are no disk
                answered = unit.answer(said.argv)
                assert (answered.code, answered.output) == (said.code, said.output), said.argv


def keys_text(keys: list[int], generation: int) -> str:
    unit = Unit()
    unit.registered = {str(at): key for at, key in enumerate(keys)}
    unit.generation = generation
    return unit.answer(sg_persist.read_keys("d")).output


@given(st.lists(KEYS, max_size=40), st.integers(0, 2**32 - 1))
def test_keys_are_read_as_they_were_written(keys: list[int], generation: int) -> None:
    assert sg_persist.keys_in(keys_text(keys, generation)) == sg_persist.Keys(generation, tuple(keys))


@given(st.lists(KEYS, min_size=1, max_size=5), st.data())
def test_half_an_answer_is_no_answer(keys: list[int], data: st.DataObject) -> None:
    whole = keys_text(keys, 7)
    half = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(Unreadable):
        sg_persist.keys_in(half)


def test_half_a_reservation_is_no_answer() -> None:
    whole = next(s.output for s in RECORDED if "Reservation follows" in s.output)
    for end in range(len(whole)):
        with pytest.raises(Unreadable):
            sg_persist.reservation_in(whole[:end])


def shuffled(text: str) -> st.SearchStrategy[str]:
    return st.permutations(text.splitlines(keepends=True)).map("".join)


@given(st.text() | st.sampled_from([said.output for said in RECORDED]).flatmap(shuffled))
def test_anything_else_is_unreadable_and_nothing_worse(text: str) -> None:
    for read in (sg_persist.keys_in, sg_persist.reservation_in, sg_persist.capabilities_in):
        try:
            read(text)
        except Unreadable:
            continue
