"""`servha quorum show` and `test` on a real disk."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

from servha.arbiters.quorum_disk import DirectIo
from servha.cli.quorum_latency import Latency, inequalities, latency, least_lease_ms
from servha.core.timing import PROFILES, Limits
from servha.wire import sector
from tests.cli import recorded
from tests.cli.conftest import FakeDaemon
from tests.cli.quorum_bench import CLUSTER, KEY, OTHER_CLUSTER, Bench, a_slot

# --- show -------------------------------------------------------------------------------------------------------


def test_show_tells_who_writes_and_what(bench: Bench) -> None:
    bench.labelled()
    with bench.guard(0):
        pass
    with bench.guard(1):
        ran = bench.on("node1", "show")
    assert ran.status == 0, ran.err
    first, second = ran.out.split("Slot 0: ")[1].split("Slot 1: ")
    assert "node1 (this node)" in first
    assert "not written in" in first
    assert "holds it (ownership 7)" in first
    assert "tree web" in first
    assert "tree 9" in first
    assert "watchdog armed" in first
    assert "written " in second
    assert "wants it (ownership 7)" in second
    assert "boot 3 of node1" in second
    chinese = bench.on("node1", "show", "--lang", "zh-CN")
    assert "持有（所有权 7）" in chinese.out


def test_show_as_json_says_the_same(bench: Bench) -> None:
    bench.labelled()
    with bench.guard(1):
        told = json.loads(bench.on("node1", "show", "-o", "json").out)
    mine, theirs = told["slots"]
    assert (mine["node"], mine["blank"], mine["record"], mine["changes"]) == ("node1", True, None, 0)
    assert theirs["changes"] > 2
    assert 0 <= theirs["changed_ago_s"] < 1
    assert theirs["record"]["trees"][0] == {
        "id": 1,
        "entry": "want",
        "ownership": 7,
        "rank": 0,
        "name": "web",
    }
    assert told["label"]["generation"] == 7
    assert told["problems"] == []


def test_show_names_what_is_not_as_it_should_be(bench: Bench) -> None:
    bench.labelled()
    fast = replace(a_slot(1, 2), limits=PROFILES["fast"].limits)
    bench.put(sector.slot_at(1, 2), sector.encode_slot(fast, CLUSTER, KEY))
    bench.put(sector.slot_at(0, 1), b"SHQD" + bytes.fromhex("0000" * 2 + OTHER_CLUSTER))
    bench.put(sector.HEADERS_AT + 4096 + 300, b"rot")
    ran = bench.on("node1", "show")
    assert ran.status == 3
    assert "copies of the label is damaged" in ran.out
    assert "node2 runs with other figures than the configuration: lease 2400 ms" in ran.out
    assert "a copy of the slot of node1 is not to be believed: a record of another cluster" in ran.out


def test_show_of_a_disk_that_is_not_ours(bench: Bench) -> None:
    ran = bench.on("node1", "show")
    assert (ran.status, "servha quorum label" in ran.err) == (6, True)
    assert bench.on("node1", "test", "--seconds", "0.1").status == 6


# --- test -------------------------------------------------------------------------------------------------------


def test_writing_is_measured_beside_the_slots(bench: Bench) -> None:
    bench.labelled()
    before = bench.content()
    ran = bench.on("node1", "test", "--write", "--seconds", "0.3")
    assert ran.status == 0, ran.err + ran.out
    assert "write and read" in ran.out
    assert "holds" in ran.out
    assert "limits the timing" in ran.out
    assert bench.content() == before, "nothing is left"


def test_while_the_guard_runs_only_reading_is_measured(bench: Bench) -> None:
    bench.labelled()
    with bench.guard(0), bench.guard(1):
        told = measured(bench, "--write")
    assert (told["measured"], told["in_use_here"], told["same_disk"]) == ("read", True, True)
    assert told["rounds"]["count"] > 20
    assert told["rounds"]["p50_ms"] <= told["rounds"]["p999_ms"] <= told["rounds"]["most_ms"]


def test_two_tests_at_once_see_each_other(bench: Bench) -> None:
    bench.labelled()
    ended = threading.Event()
    io = DirectIo()

    def other_test() -> None:
        io.open(bench.devices[1])
        number = 0
        while not ended.wait(0.01):
            number += 1
            block = b"SHQTEST1" + number.to_bytes(8, "little")
            io.write(sector.SCRATCH_AT + 4096, block.ljust(4096, b"\0"))
        io.close()

    thread = threading.Thread(target=other_test)
    thread.start()
    try:
        told = measured(bench)
    finally:
        ended.set()
        thread.join()
    assert told["same_disk"] is True


def test_nobody_seen_is_not_called_the_same_disk(bench: Bench) -> None:
    bench.labelled()
    told = measured(bench)
    assert (told["same_disk"], told["guarantee"]) == (None, {})


def test_the_guarantee_is_the_one_of_status(bench: Bench, daemon: FakeDaemon) -> None:
    bench.labelled()
    daemon.answers["status"] = recorded.STATUS
    assert measured(bench)["guarantee"]["level"] == 1
    assert "level 1" in bench.on("node1", "test", "--seconds", "0.1").out


def measured(bench: Bench, *more: str) -> dict[str, Any]:
    ran = bench.on("node1", "test", "--seconds", "0.3", "-o", "json", *more)
    assert ran.status == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_a_disk_too_slow_for_the_figures_is_told_by_the_inequality_that_breaks_first() -> None:
    slow, quick = Latency(5000, 1.0, 20.0, 60.0, 900.0), Limits(2400, 1000, 100, 5000, 400)
    conditions = inequalities(quick, slow)
    assert [(one.name, one.spare_ms) for one in conditions] == [("I1", -20.0), ("I3", 340.0)]
    assert least_lease_ms(quick, slow) == 2000 + 20 + 300 + 120
    assert [one.name for one in inequalities(PROFILES["manual"].limits, slow)] == ["I3", "I1"]
    assert least_lease_ms(PROFILES["manual"].limits, slow) == 8 * 500


def test_the_slowest_of_few_stands_for_one_in_a_thousand() -> None:
    found = latency([0.001] * 99 + [0.5])
    assert (found.p50_ms, found.p99_ms, found.p999_ms, found.most_ms) == (1.0, 1.0, 500.0, 500.0)
