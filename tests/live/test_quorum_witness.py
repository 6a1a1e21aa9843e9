"""The witness of the shared disk: it sees two writers when there are two, and none when they follow each other."""

from __future__ import annotations

import pytest

from servha.lab import demo
from servha.lab.lab import Lab
from servha.lab.node import Node
from servha.lab.node_disk import APPLICATION, MOUNT_POINT, RECORDS
from tests.live.cluster import READY_S
from tests.live.observer import HeldTwice, watching
from tests.live.records import Records
from tests.live.wait import eventually


def begin(node: Node, ownership: int) -> None:
    node.run("mount", demo.DATA_DISK, str(MOUNT_POINT))
    program = f"python3 -I -S {APPLICATION}/writer.py start {RECORDS}"
    node.run("sh", "-c", f"SERVHA_OWNERSHIP={ownership} {program}")


def end(node: Node) -> None:
    node.run("python3", "-I", "-S", f"{APPLICATION}/writer.py", "stop", str(RECORDS))
    node.run("umount", str(MOUNT_POINT))


def made(lab: Lab) -> Records:
    demo.make_records(lab.node1)
    return Records.of(lab)


def told(records: Records) -> str:
    records.look()
    return "\n".join(records.problems())


def await_records(records: Records, node: Node, count: int) -> None:
    def enough() -> bool:
        records.look()
        return sum(record.node == node.name for record in records.seen.values()) >= count

    assert eventually(enough, within_s=READY_S)


def test_writers_that_follow_each_other_are_in_order(bare_lab: Lab) -> None:
    records = made(bare_lab)
    with watching(bare_lab, records=records) as seen:
        for number, node in enumerate((bare_lab.node1, bare_lab.node2, bare_lab.node1), 1):
            begin(node, number)
            seen.await_holders("disk", node.name)
            await_records(records, node, 5 * number)
            end(node)
            seen.await_holders("disk")
    assert [(life.first.node, life.ownership) for life in records.lives()] == [
        ("node1", 1),
        ("node2", 2),
        ("node1", 3),
    ]


def test_two_writers_are_seen_on_the_disk_and_in_the_kernel(bare_lab: Lab) -> None:
    records = made(bare_lab)
    with pytest.raises(HeldTwice, match="both nodes had the disk"), watching(bare_lab):
        begin(bare_lab.node1, 1)
        await_records(records, bare_lab.node1, 5)
        begin(bare_lab.node2, 2)
        assert eventually(lambda: told(records)), (
            "whose records are met first is chance; that there are two is not"
        )


def test_a_writer_under_a_number_that_is_over_is_seen(bare_lab: Lab) -> None:
    records = made(bare_lab)
    for number, node in ((2, bare_lab.node1), (1, bare_lab.node2)):
        begin(node, number)
        await_records(records, node, 5)
        end(node)
    assert "wrote under a number that was over" in "\n".join(records.problems())
