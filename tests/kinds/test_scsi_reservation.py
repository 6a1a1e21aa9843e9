"""Persistent reservations: what a disk says is read to the letter, and of two nodes only one can ever write."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servha.core.words import say
from servha.fences import reservation_steps, sg_persist
from servha.fences import scsi_reservation as reservation
from servha.fences.reservation_steps import Outcome, Progress, Step, Verdict
from servha.fences.scsi_reservation import Hold, Sight
from servha.fences.sg_persist import Answer
from servha.host import Completed, HostError, ScriptedHost
from tests.kinds.scsi_unit import RECORDED, OnUnit, Unit

CLUSTER = bytes(range(16))
ONE = reservation.key_of(CLUSTER, node=1, tree=2, ownership=3)
TWO = reservation.key_of(CLUSTER, node=2, tree=2, ownership=4)
OURS, THEIRS = ("/dev/sda", "/dev/sdb"), ("/dev/sdc",)


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


async def test_a_path_whose_registration_is_lost_while_we_take_the_disk_is_found_out() -> None:
    """A new session on one path is a new registrant; the other path's key hides that in the list of keys."""
    unit = Unit()
    host = OnUnit(unit)
    reserved = sg_persist.reserve(OURS[0], ONE)
    progress: Progress | Verdict = Progress(ONE, OURS, Step.REGISTER)
    while isinstance(progress, Progress):
        argv = progress.argv()
        said = await host.run(argv, timeout_s=1.0)
        if argv == reserved:
            del unit.registered[OURS[1]]
        progress = reservation_steps.advance(progress, sg_persist.answer(said.code), said.output)
    assert progress.outcome is Outcome.LOST
    assert unit.registered == {}


@pytest.mark.parametrize(
    ("registered", "follows"),
    [
        ((ONE, ONE), Step.VERIFY_RESERVATION),
        ((ONE, ONE, TWO), Step.READ_KEYS),
        ((TWO,), Step.WITHDRAW),
        ((), Step.WITHDRAW),
    ],
)
def test_whoever_registered_while_we_reserved_is_seen_before_the_disk_counts_as_held(
    registered: tuple[int, ...], follows: Step
) -> None:
    unit = Unit()
    unit.registered = {f"/dev/sd{at}": key for at, key in enumerate(registered)}
    said = unit.answer(sg_persist.read_keys(OURS[1]))
    after = reservation_steps.advance(Progress(ONE, OURS, Step.VERIFY_KEYS, at=1), Answer.DONE, said.output)
    assert isinstance(after, Progress)
    assert after.step is follows


async def test_a_key_that_stays_on_the_disk_is_told_and_so_is_a_reservation_that_changed_hands() -> None:
    unit = Unit()
    await reservation.activate(OnUnit(unit), ONE, OURS)
    left = reservation_steps.advance(
        Progress(ONE, OURS, Step.READ_LEFT), Answer.DONE, unit.answer(sg_persist.read_keys(OURS[0])).output
    )
    assert isinstance(left, Verdict)
    assert left.outcome is Outcome.REFUSED
    theirs = unit.answer(sg_persist.read_reservation(OURS[0])).output.replace(f"{ONE:x}", f"{TWO:x}")
    after = reservation_steps.advance(Progress(ONE, OURS, Step.VERIFY_RESERVATION, at=1), Answer.DONE, theirs)
    assert isinstance(after, Progress)
    assert after.step is Step.READ_KEYS


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
            after = now if answer.again else reservation_steps.advance(now, answer, said.output)
            if isinstance(after, Verdict) and after.outcome is Outcome.HELD:
                assert [unit.registered.get(path) for path in now.paths] == [now.key] * 2, "on every path"
                assert unit.holder in now.paths
                if isinstance(going[not who], Verdict):  # else it is on its way, and may throw us out yet
                    assert set(unit.registered) == set(now.paths), "nobody who has lost can write"
            going[who] = after
    one, two = going[True], going[False]
    assert isinstance(one, Verdict)
    assert isinstance(two, Verdict)
    registered = set(unit.registered.values())
    assert registered <= {key for key, end in ((ONE, one), (TWO, two)) if end.outcome is Outcome.HELD}
    assert len(registered) <= 1
    paths = set(unit.registered)
    assert paths in (set(), set(OURS), {"/dev/sdc", "/dev/sdd"}), "a node that has it has it on every path"
    assert unit.holder is not None or not registered, "whoever is left, is left alone"


def test_the_table_has_a_reason_in_every_row_and_leads_somewhere_from_every_step() -> None:
    pairs = [(turn.step, turn.sign) for turn in reservation_steps.TURNS]
    assert len(set(pairs)) == len(pairs)
    assert all(str(turn.because) for turn in reservation_steps.TURNS)
    assert {turn.step for turn in reservation_steps.TURNS} == set(Step) - {Step.WITHDRAW}
    reached = {turn.then for turn in reservation_steps.TURNS} | {Step.REGISTER, Step.RELEASE, Step.WITHDRAW}
    assert reached == set(Step) | set(Outcome)
