"""What the journal keeps, over restarts and torn files, and what followers get."""

from __future__ import annotations

import asyncio
from pathlib import Path

from servha.core.model import Fact, JournalEntry
from servha.core.words import say
from servha.daemon import journal as journal_module
from servha.daemon.journal import Journal


def entry(number: int) -> JournalEntry:
    return JournalEntry(
        at_s=float(number),
        node="node1",
        subject="web",
        before="off",
        after="starting",
        rule="tree/start",
        because=say("{peer} consents to number {number}", peer="node2", number=number),
        facts=(Fact(say("last beat on link {link}", link="private"), "heartbeat", 0.1),),
    )


def test_entries_survive_a_restart_and_numbers_go_on(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    for number in range(3):
        first.add(entry(number))
    first.close()
    again = Journal(tmp_path)
    assert [line["id"] for line in again.last()] == [1, 2, 3]
    assert again.add(entry(3))["id"] == 4
    again.close()


def test_a_line_torn_by_a_power_cut_costs_one_entry(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.add(entry(0))
    first.add(entry(1))
    first.close()
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    again = Journal(tmp_path)
    assert [line["id"] for line in again.last()] == [1]
    again.close()


def test_a_full_file_becomes_the_older_of_two(tmp_path: Path) -> None:
    limit = journal_module.FILE_BYTES_MAX
    journal_module.FILE_BYTES_MAX = 2000
    try:
        kept = Journal(tmp_path)
        for number in range(30):
            kept.add(entry(number))
        kept.close()
    finally:
        journal_module.FILE_BYTES_MAX = limit
    assert (tmp_path / "journal.jsonl.1").exists()
    assert (tmp_path / "journal.jsonl").stat().st_size < 4000


def test_the_newest_are_given_and_only_those_after_a_number(tmp_path: Path) -> None:
    kept = Journal(tmp_path)
    for number in range(10):
        kept.add(entry(number))
    assert [line["id"] for line in kept.last(limit=3)] == [8, 9, 10]
    assert [line["id"] for line in kept.last(since=8)] == [9, 10]
    assert [line["id"] for line in kept.last(since=2, limit=3)] == [3, 4, 5], "the next page, none left out"
    kept.close()


async def test_who_follows_gets_what_was_missed_and_what_comes(tmp_path: Path) -> None:
    kept = Journal(tmp_path)
    kept.add(entry(0))
    kept.add(entry(1))
    followed = kept.follow(since=1)
    assert (await anext(followed))["id"] == 2
    coming = asyncio.ensure_future(anext(followed))
    await asyncio.sleep(0)
    kept.add(entry(2))
    assert (await asyncio.wait_for(coming, 5.0))["id"] == 3
    await followed.aclose()  # type: ignore[attr-defined]
    kept.close()
