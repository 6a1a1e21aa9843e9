"""What stands for the password: sealed, bound to it, and over after some hours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from servha.daemon.caller import Right
from servha.daemon.password import PasswordRecord
from servha.daemon.tickets import LASTS_S, issue, read

KEY = bytes(range(32))
RECORD = PasswordRecord(salt=bytes(16), hash=bytes(32))
NOW_S = 1_800_000_000.0


@pytest.mark.parametrize("right", [Right.ADMINISTRATOR, Right.CHOOSER])
def test_it_gives_the_right_it_was_made_for_until_its_time_is_over(right: Right) -> None:
    ticket = issue(KEY, RECORD, right, now_unix_s=NOW_S)
    assert read(KEY, RECORD, ticket, now_unix_s=NOW_S + LASTS_S - 1) is right
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
