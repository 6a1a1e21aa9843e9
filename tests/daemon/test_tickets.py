"""What stands for the password: sealed, bound to it, and over after some hours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from servha.daemon.caller import Right
from servha.daemon.password import PasswordRecord
from servha.daemon.tickets import LASTS_S, SHORT_S, Proven, issue, read, shorter, whole

KEY = bytes(range(32))
RECORD = PasswordRecord(salt=bytes(16), hash=bytes(32))
NOW_S = 1_800_000_000.0


@pytest.mark.parametrize("right", [Right.ADMINISTRATOR, Right.CHOOSER])
def test_it_gives_the_right_it_was_made_for_until_its_time_is_over(right: Right) -> None:
    ticket = issue(KEY, RECORD, right, now_unix_s=NOW_S)
    proven = read(KEY, RECORD, ticket, now_unix_s=NOW_S + LASTS_S - 1)
    assert proven is not None
    assert (proven.right, proven.short) == (right, False)
    assert read(KEY, RECORD, ticket, now_unix_s=NOW_S + LASTS_S) is None


def test_it_is_void_with_another_password_or_in_another_cluster() -> None:
    ticket = issue(KEY, RECORD, Right.ADMINISTRATOR, now_unix_s=NOW_S)
    assert read(KEY, replace(RECORD, hash=bytes([1] * 32)), ticket, now_unix_s=NOW_S) is None
    assert read(KEY, replace(RECORD, salt=bytes([1] * 16)), ticket, now_unix_s=NOW_S) is None
    assert read(bytes(32), RECORD, ticket, now_unix_s=NOW_S) is None


def test_nothing_in_it_can_be_changed() -> None:
    chooser = issue(KEY, RECORD, Right.CHOOSER, now_unix_s=NOW_S)
    administrator = issue(KEY, RECORD, Right.ADMINISTRATOR, now_unix_s=NOW_S)
    crossed = administrator.partition(".")[0] + "." + chooser.partition(".")[2]
    for forged in (
        crossed,
        chooser[1:],
        chooser + "A",
        "",
        ".",
        "a.b",
        "é.é",
        chooser.partition(".")[0] + ".",
    ):
        assert read(KEY, RECORD, forged, now_unix_s=NOW_S) is None, forged


def test_no_other_right_can_be_had_by_one() -> None:
    """A ticket for the peer's right would let a console act as the other node."""
    assert read(KEY, RECORD, issue(KEY, RECORD, Right.PEER, now_unix_s=NOW_S), now_unix_s=NOW_S) is None


def proven_at(ticket: str, now_s: float) -> Proven:
    proven = read(KEY, RECORD, ticket, now_unix_s=now_s)
    assert proven is not None
    return proven


def test_a_short_one_is_over_soon_and_stands_for_the_login_it_comes_from() -> None:
    login = proven_at(issue(KEY, RECORD, Right.ADMINISTRATOR, now_unix_s=NOW_S), NOW_S)
    short = shorter(KEY, RECORD, login, now_unix_s=NOW_S + 60)
    assert proven_at(short, NOW_S + 60 + SHORT_S - 1).short
    assert read(KEY, RECORD, short, now_unix_s=NOW_S + 60 + SHORT_S) is None
    again = whole(KEY, RECORD, proven_at(short, NOW_S + 60))
    assert proven_at(again, NOW_S + LASTS_S - 1) == login
    assert read(KEY, RECORD, again, now_unix_s=NOW_S + LASTS_S) is None, "no login is made longer by it"


def test_a_short_one_at_the_end_of_a_login_ends_with_it() -> None:
    login = proven_at(issue(KEY, RECORD, Right.ADMINISTRATOR, now_unix_s=NOW_S), NOW_S)
    late_s = NOW_S + LASTS_S - 10
    assert (
        read(KEY, RECORD, shorter(KEY, RECORD, login, now_unix_s=late_s), now_unix_s=NOW_S + LASTS_S) is None
    )
