"""Persistent reservations: what a disk says is read to the letter, and of two nodes only one can ever write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servha.core.words import say
from servha.fences import reservation_steps, sg_persist
from servha.fences import scsi_reservation as reservation
from servha.fences.reservation_steps import Outcome, Progress, Step, Verdict
from servha.fences.scsi_reservation import Hold, Sight
from servha.fences.sg_persist import Answer, Unreadable
from servha.host import Completed, HostError, ScriptedHost
from tests.kinds.scsi_unit import OnUnit, Unit

CLUSTER = bytes(range(16))
ONE = reservation.key_of(CLUSTER, node=1, tree=2, ownership=3)
TWO = reservation.key_of(CLUSTER, node=2, tree=2, ownership=4)
OURS, THEIRS = ("/dev/sda", "/dev/sdb"), ("/dev/sdc",)
KEYS = st.integers(1, 2**64 - 1)


@dataclass(frozen=True)
class Said:
    argv: tuple[str, ...]
    output: str
    code: int


def sessions() -> Iterator[list[Said]]:
    text = (Path(__file__).parent / "recorded" / "sg_persist.txt").read_text(encoding="utf-8")
    for session in text.split("\n== ")[1:]:
        said: list[Said] = []
        for block in session.split("\n$ ")[1:]:
            command, *output, status = block.strip("\n").split("\n")
            said.append(
                Said(tuple(command.split()), "".join(f"{line}\n" for line in output), int(status[2:]))
            )
        yield said


RECORDED = [said for session in sessions() for said in session if said.argv[0] == "sg_persist"]


# --- reading what was really said -----------------------------------------------------------------------------


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


@given(st.binary(max_size=16), st.integers(0, 15), st.integers(0, 4095), st.integers(0, 2**63))
def test_a_key_tells_whose_it_is(cluster: bytes, node: int, tree: int, ownership: int) -> None:
    key = reservation.key_of(cluster, node=node, tree=tree, ownership=ownership)
    assert 0 < key < 2**64
    assert key & 0xFFFF == ownership & 0xFFFF
    assert f"of node {node} for tree {tree}" in str(reservation.whose(key, cluster))


def test_strangers_are_named_as_such_and_what_does_not_fit_is_refused() -> None:
    assert "another cluster" in str(reservation.whose(ONE, b"other"))
    assert "another program" in str(reservation.whose(0x123ABC, CLUSTER))
    for node, tree in ((16, 1), (1, 4096), (-1, 1)):
        with pytest.raises(ValueError, match="does not fit"):
            reservation.key_of(CLUSTER, node=node, tree=tree, ownership=1)


@pytest.mark.parametrize(
    ("device", "disks"),
    [
        ("dm-1", ("/dev/sda", "/dev/sdb")),
        ("dm-0", ("/dev/sda", "/dev/sdb")),
        ("sda", ("/dev/sda",)),
        ("sda1", ("/dev/sda",)),
    ],
)
def test_every_path_below_a_device_is_found(device: str, disks: tuple[str, ...], tmp_path: Path) -> None:
    """A volume (dm-1) on a multipath device (dm-0) over two disks, and a partition; laid out as in /sys."""
    blocks, links = tmp_path / "devices/virtual/block", tmp_path / "class/block"
    links.mkdir(parents=True)
    for name, slaves in (("sda", ()), ("sdb", ()), ("dm-0", ("sda", "sdb")), ("dm-1", ("dm-0",))):
        (blocks / name / "slaves").mkdir(parents=True)
        (links / name).symlink_to(blocks / name)
        for slave in slaves:
            (blocks / name / "slaves" / slave).symlink_to(blocks / slave)
    (blocks / "sda/sda1").mkdir()
    (blocks / "sda/sda1/partition").write_text("1\n", encoding="ascii")
    (links / "sda1").symlink_to(blocks / "sda/sda1")
    assert reservation.paths_of(f"/dev/{device}", sys=tmp_path) == disks
    with pytest.raises(OSError, match="nothing"):
        reservation.paths_of("/dev/nothing", sys=tmp_path)


# --- one node ---------------------------------------------------------------------------------------------------


async def test_who_activates_can_write_on_every_path_and_nobody_else_can() -> None:
    unit = Unit()
    found = await reservation.activate(OnUnit(unit), ONE, OURS)
    assert found.outcome is Outcome.HELD
    assert [unit.may_write(path) for path in OURS + THEIRS] == [True, True, False]
    assert unit.persistent
    assert (await reservation.look(OnUnit(unit), ONE, OURS)).hold is Hold.HELD


async def test_activating_again_changes_nothing_but_is_proved_anew() -> None:
    unit = Unit()
    for _ in range(2):
        assert (await reservation.activate(OnUnit(unit), ONE, OURS)).outcome is Outcome.HELD
    assert list(unit.registered.values()) == [ONE, ONE]


async def test_a_takeover_throws_the_other_out_and_he_sees_it() -> None:
    unit = Unit()
    owner, survivor = OnUnit(unit), OnUnit(unit)
    await reservation.activate(owner, ONE, OURS)
    found = await reservation.activate(survivor, TWO, THEIRS)
    assert (found.outcome, found.thrown_out) == (Outcome.HELD, (ONE,))
    assert ("sg_persist", "--no-inquiry", "--out", "--preempt-abort", f"--param-rk={TWO:x}", f"--param-sark={ONE:x}",
            "--prout-type=5", "/dev/sdc") in survivor.calls  # fmt: skip
    assert [unit.may_write(path) for path in OURS + THEIRS] == [False, False, True]
    assert (await reservation.look(owner, ONE, OURS)).hold is Hold.LOST
    assert (await reservation.deactivate(owner, ONE, OURS)).outcome is Outcome.FREE
    assert list(unit.registered) == ["/dev/sdc"], "giving back takes nothing from the new owner"


async def test_what_an_earlier_start_of_ours_left_is_thrown_out_too() -> None:
    unit = Unit()
    await reservation.activate(OnUnit(unit), ONE, ("/dev/sdx", *OURS))
    newer = reservation.key_of(CLUSTER, node=1, tree=2, ownership=4)
    found = await reservation.activate(OnUnit(unit), newer, OURS)
    assert (found.outcome, found.thrown_out) == (Outcome.HELD, (ONE,))
    assert not unit.may_write("/dev/sdx"), "a path that is gone now keeps no right"


@pytest.mark.parametrize("reserved_on", OURS)
async def test_giving_back_leaves_nothing_whichever_path_reserved(reserved_on: str) -> None:
    unit = Unit()
    await reservation.activate(OnUnit(unit), ONE, tuple(sorted(OURS, key=lambda path: path != reserved_on)))
    assert unit.holder == reserved_on
    assert (await reservation.deactivate(OnUnit(unit), ONE, OURS)).outcome is Outcome.FREE
    assert unit.registered == {}
    assert unit.holder is None


@pytest.mark.parametrize("path", OURS)
@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (Completed(2), "not ready"), (Completed(5), "does not know"), (Completed(9), "no persistent"),
        (Completed(52), "cannot be opened"), (Completed(6), "attention"), (Completed(None, timed_out=True), "in time"),
        (Completed(127), "sg3-utils"), (Completed(0, "  PR generation=0x1, what is this\n"), ""),
    ],
)  # fmt: skip
async def test_a_path_that_cannot_be_registered_is_named_and_the_start_is_refused(
    path: str, ended: Completed, words: str
) -> None:
    host = OnUnit(Unit())
    host.broken_paths[path] = ended
    found = await reservation.activate(host, ONE, OURS)
    assert found.outcome is not Outcome.HELD
    assert words in str(found.because)
    assert path in str(found.because) or found.outcome is Outcome.LOST


async def test_a_key_that_could_not_be_thrown_out_for_certain_is_no_success() -> None:
    """The key may be gone and its last write not: no look at the keys would tell."""
    unit = Unit()
    await reservation.activate(OnUnit(unit), ONE, OURS)
    progress = Progress(TWO, THEIRS, Step.PREEMPT, foreign=(ONE,))
    for answer in (Answer.TIMED_OUT, Answer.ABORTED, Answer.NOT_READY, Answer.UNCLEAR):
        found = reservation_steps.advance(progress, answer, "")
        assert isinstance(found, Progress)
        assert found.step is Step.WITHDRAW
        assert found.ending is not None
        assert found.ending.outcome is Outcome.REFUSED


async def test_a_reservation_that_went_away_is_made_again_while_the_tree_runs_on() -> None:
    unit = Unit()
    host = OnUnit(unit)
    await reservation.activate(host, ONE, OURS)
    unit.holder = None
    assert (await reservation.restore(host, ONE, OURS)).outcome is Outcome.HELD
    assert not unit.may_write("/dev/sdc")
    host.broken_paths["/dev/sdb"] = Completed(2)
    unit.holder = None
    assert (await reservation.restore(host, ONE, OURS)).outcome is Outcome.REFUSED
    assert list(unit.registered) == list(OURS), "a running tree keeps what lets it write"


async def test_a_failed_start_leaves_nobody_who_could_write_without_holding_the_disk() -> None:
    unit = Unit()
    host = OnUnit(unit)
    host.broken_paths["/dev/sdb"] = Completed(2)
    assert (await reservation.activate(host, ONE, OURS)).outcome is Outcome.REFUSED
    assert unit.registered == {}


async def test_a_reservation_of_another_type_is_refused() -> None:
    unit = Unit()
    unit.registered, unit.holder, unit.type = {"/dev/sda": ONE}, "/dev/sda", 7
    found = await reservation.activate(OnUnit(unit), ONE, OURS)
    assert found.outcome is Outcome.REFUSED
    assert "another type" in str(found.because)


async def test_keys_that_keep_coming_end_in_a_refusal() -> None:
    class Restless(OnUnit):
        async def run(self, argv, **given):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN202
            if argv[3] == "--read-keys":
                self.unit.registered["/dev/sdz"] = len(self.calls) + 1
            return await super().run(argv, **given)

    host = Restless(Unit())
    found = await reservation.activate(host, ONE, OURS)
    assert found.outcome is Outcome.REFUSED
    assert len(host.calls) < 60


async def test_a_look_tells_lost_from_unreadable_and_the_worst_counts() -> None:
    unit = Unit()
    host = OnUnit(unit)
    await reservation.activate(host, ONE, OURS)
    unit.registered["/dev/sdc"] = TWO
    assert (await reservation.look(host, ONE, OURS)).foreign == (TWO,), "somebody may write beside us"
    host.broken_paths["/dev/sdb"] = Completed(None, timed_out=True)
    seen = await reservation.look(host, ONE, OURS)
    assert (seen.hold, seen.unread) == (Hold.HELD, ("/dev/sdb",))
    unit.holder = None
    assert (await reservation.look(host, ONE, OURS)).hold is Hold.UNRESERVED
    unit.registered = {}
    assert (await reservation.look(host, ONE, OURS)).hold is Hold.LOST
    host.broken_paths["/dev/sda"] = Completed(5)
    assert (await reservation.look(host, ONE, OURS)).hold is Hold.UNREADABLE
    assert (await reservation.look(host, ONE, ())).hold is Hold.UNREADABLE
    assert (await reservation.activate(host, ONE, ())).outcome is Outcome.REFUSED


async def test_a_disk_that_cannot_or_a_node_without_the_program_is_unfit() -> None:
    assert await reservation.unfit(OnUnit(Unit()), "/dev/sda") is None
    whole = next(s.output for s in RECORDED if "--report-capabilities" in s.argv)
    for old, new, words in (
        ("PTPL_C): 1", "PTPL_C): 0", "loses power"),
        (
            "      Write Exclusive, registrants only: 1",
            "      Write Exclusive, registrants only: 0",
            "registrants",
        ),
        ("PTPL_C", "XXXX", "understood"),
    ):
        host = ScriptedHost(programs={"sg_persist": [Completed(0, whole.replace(old, new))]})
        assert words in str(await reservation.unfit(host, "/dev/sda"))
    absent = ScriptedHost(programs={"sg_persist": [HostError(say("nothing"))]})
    assert "sg3-utils" in str(await reservation.unfit(absent, "/dev/sda"))
    assert await reservation.look(absent, ONE, OURS) == Sight(
        Hold.UNREADABLE, (await reservation.look(absent, ONE, OURS)).because, (), OURS
    )


# --- two nodes at the same time ---------------------------------------------------------------------------------


@given(st.lists(st.booleans(), max_size=60))
def test_of_two_nodes_that_take_it_at_once_never_both_can_write(turns: list[bool]) -> None:
    unit = Unit()
    going: dict[bool, Progress | Verdict] = {
        True: Progress(ONE, OURS, Step.REGISTER),
        False: Progress(TWO, ("/dev/sdc", "/dev/sdd"), Step.REGISTER),
    }
    for who in turns + [True] * 400 + [False] * 400:
        now = going[who]
        if isinstance(now, Progress):
            said = unit.answer(now.argv())
            answer = sg_persist.answer(said.code)
            going[who] = now if answer.again else reservation_steps.advance(now, answer, said.output)
    one, two = going[True], going[False]
    assert isinstance(one, Verdict)
    assert isinstance(two, Verdict)
    registered = set(unit.registered.values())
    assert registered <= {key for key, end in ((ONE, one), (TWO, two)) if end.outcome is Outcome.HELD}
    assert len(registered) <= 1
    assert unit.holder is not None or not registered, "whoever is left, is left alone"


def test_the_table_has_a_reason_in_every_row_and_leads_somewhere_from_every_step() -> None:
    pairs = [(turn.step, turn.sign) for turn in reservation_steps.TURNS]
    assert len(set(pairs)) == len(pairs)
    assert all(str(turn.because) for turn in reservation_steps.TURNS)
    assert {turn.step for turn in reservation_steps.TURNS} == set(Step) - {Step.WITHDRAW}
    reached = {turn.then for turn in reservation_steps.TURNS} | {Step.REGISTER, Step.RELEASE, Step.WITHDRAW}
    assert reached == set(Step) | set(Outcome)
