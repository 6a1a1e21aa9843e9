"""The bench counts right: what it prints is only worth something if its own sums are."""

from __future__ import annotations

import doctest
import socket
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bench import client, contestants, decision, footprint, handle, measures, report, spread, targets
from bench.address_watch import IFA_LOCAL, RTM_DELADDR, RTM_NEWADDR, changes_in
from bench.spread import Book
from servha.lab.attempts import Attempt

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("module", [client, decision, footprint, spread])
def test_the_examples_in_the_modules_are_true(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def address_message(kind: int, address: str) -> bytes:
    attribute = struct.pack("=HH", 8, IFA_LOCAL) + socket.inet_aton(address)
    body = struct.pack("=BBBBI", socket.AF_INET, 24, 0, 0, 2) + attribute
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_every_address_change_of_a_packet_is_read() -> None:
    packet = address_message(RTM_DELADDR, "192.0.2.100") + address_message(RTM_NEWADDR, "192.0.2.7")
    found = [(one.came, one.address) for one in changes_in(packet, at_s=1.0, node="node1")]
    assert found == [(False, "192.0.2.100"), (True, "192.0.2.7")]


@pytest.mark.parametrize("cut", range(1, 36))
def test_a_packet_cut_short_is_no_endless_loop(cut: int) -> None:
    assert len(list(changes_in(address_message(RTM_NEWADDR, "192.0.2.7")[:-cut], at_s=0.0, node="a"))) <= 1


def test_messages_of_another_kind_change_nothing() -> None:
    assert not list(changes_in(address_message(16, "192.0.2.7"), at_s=0.0, node="a"))


def test_an_open_attempt_of_the_bad_time_is_no_calm() -> None:
    good = [Attempt(n / 10, n / 10 + 0.001, "200", "a") for n in range(30)]
    late = [*good, Attempt(2.1, 2.6, "timeout", "")]
    assert client.calm(good, since_s=0.0, now_s=2.95)
    assert not client.calm(late, since_s=0.0, now_s=2.95)


def test_a_client_that_has_stopped_is_no_calm() -> None:
    good = [Attempt(n / 10, n / 10 + 0.001, "200", "a") for n in range(10)]
    assert not client.calm(good, since_s=0.0, now_s=5.0)


def test_the_middle_of_a_target_decides_and_its_absence_is_no_success() -> None:
    book = Book()
    for figure in (0.4, 0.49, 5.0):
        book.add(targets.OURS, "power.http", figure)
    met = {verdict.words: verdict.met for verdict in targets.verdicts(book)}
    assert met["power loss, HTTP: at most 0.5 s"] is True
    assert met["application killed: noticed within 20 ms"] is None


def test_a_ratio_over_the_limit_is_not_met() -> None:
    book = Book()
    book.add(targets.OURS, "power.icmp", 0.34)
    book.add(targets.PEER, "power.icmp", 0.30)
    words = "power loss, the address alone: at most 1.1 times keepalived at 0.1 s"
    (verdict,) = (one for one in targets.verdicts(book) if one.words == words)
    assert verdict.measured == "ratio 1.13"
    assert verdict.met is False


def test_the_applications_own_time_is_allowed_to_a_move() -> None:
    book = Book()
    for key, figure in (("app.start", 0.03), ("app.stop", 0.04)):
        book.add(contestants.APPLICATION_ALONE, key, figure)
    book.add(targets.OURS, "move.http", 0.165)
    assert any(one.measured == "165 ms, allowed 170" and one.met for one in targets.verdicts(book))


def test_a_line_of_the_report_compares_equal_beats() -> None:
    book = Book()
    fast, slow = contestants.Keepalived(0.1), contestants.Keepalived(1.0)
    field: tuple[contestants.Contestant, ...] = (
        fast, slow, contestants.ServHA("fast"), contestants.ServHA("manual"),
    )  # fmt: skip
    for one, figure in zip(field, (0.2, 2.0, 0.1, 4.0), strict=True):
        book.add(one.name, "power.http", figure)
    lines = report.case_tables(book, field)
    assert any(fast.name in line and line.endswith("| 0.50 |") for line in lines)
    assert any(slow.name in line and line.endswith("| 2.00 |") for line in lines)


def test_measures_have_keys_of_their_own() -> None:
    keys = [one.key for one in measures.MEASURES]
    assert len(keys) == len(set(keys))


def test_nobody_looks_at_an_application_that_notify_scripts_start() -> None:
    notify = contestants.Keepalived(0.1, starts_application=True)
    assert "kill" not in notify.cases
    assert "track_script" not in notify.configuration(100)
    assert "notify_master" in notify.configuration(100)
    assert "track_script" in contestants.Keepalived(0.1).configuration(100)


def test_the_core_alone_keeps_every_tree_running_while_it_is_measured() -> None:
    assert {"beat", "tick"} <= set(handle.run(2))


def test_the_report_names_neither_the_machine_nor_a_place_on_it() -> None:
    text = report.results(Book(), ())
    assert socket.gethostname() not in text
    assert str(ROOT) not in text


def test_help_says_what_can_be_measured() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "failover" in done.stdout
