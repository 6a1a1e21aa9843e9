"""The simulated quorum disk does what is said of real ones, also when the power goes."""

from __future__ import annotations

import random

from servha.core.register import Slot
from servha.core.timing import PROFILES
from servha.sim.disk import Condition, Disk, Seen, newest
from servha.sim.scenario import Scenario
from servha.sim.world import World


def slot(number: int, *, generation: int = 1) -> Slot:
    return Slot(
        node=0, generation=generation, number=number, boot_id="0" * 32, limits=PROFILES["manual"].limits
    )


def made(seed: int = 1) -> tuple[World, Disk]:
    """Return a world that is only a clock, and a disk of its own."""
    world = Scenario().world
    return world, Disk(random.Random(seed), world.later)  # noqa: S311 - it has to be repeatable


def test_what_was_written_is_read_by_both_and_any_change_shows() -> None:
    world, disk = made()
    seen: list[Seen] = []
    disk.write(0, slot(1), lambda good: seen.clear() if good else None)
    world.run(1.0)
    disk.read(1, seen.append)
    world.run(1.0)
    assert seen[0].peer == slot(1)
    assert seen[0].own is None
    assert seen[0].own_blank
    disk.spoil(0)
    disk.read(1, seen.append)
    world.run(1.0)
    assert seen[1].peer is None
    assert not seen[1].peer_blank
    assert seen[1].peer_mark != seen[0].peer_mark


def test_a_write_under_way_at_a_power_cut_lands_later_or_torn_or_never() -> None:
    fates = set()
    for seed in range(60):
        world, disk = made(seed)
        disk.set(0, Condition.HANG)
        disk.write(0, slot(2), lambda _: None)
        world.run(0.1)
        disk.lose_power(0, 0.5)
        assert not disk.busy(0)
        disk.write(0, slot(3, generation=2), lambda _: None)  # the next life writes the other copy
        world.run(1.0)
        copy = disk.slots[0][0]
        fates.add("landed" if copy.slot else "torn" if copy.changes else "lost")
        disk.set(0, Condition.OK)
        world.run(1.0)
        assert newest(disk.slots[0]) == slot(3, generation=2)
    assert fates == {"landed", "torn", "lost"}


def test_commands_that_hang_go_on_when_the_disk_does() -> None:
    world, disk = made()
    ended: list[bool] = []
    disk.set(0, Condition.HANG)
    disk.write(0, slot(1), ended.append)
    world.run(60.0)
    assert (ended, disk.busy(0), newest(disk.slots[0])) == ([], True, None)
    disk.set(0, Condition.OK)
    world.run(1.0)
    assert (ended, disk.busy(0), newest(disk.slots[0])) == ([True], False, slot(1))


def test_a_torn_write_is_acknowledged_and_leaves_the_other_copy() -> None:
    world, disk = made()
    for number in (1, 2):
        disk.access[0].torn_next = number == 2
        disk.write(0, slot(number), lambda _: None)
        world.run(1.0)
    assert newest(disk.slots[0]) == slot(1)


def test_a_stale_reader_sees_what_was_there_before() -> None:
    world, disk = made()
    seen: list[Seen] = []
    disk.set(1, Condition.STALE)
    disk.write(0, slot(1), lambda _: None)
    world.run(1.0)
    disk.read(1, seen.append)
    world.run(1.0)
    assert seen[0].peer is None
    assert seen[0].peer_blank
