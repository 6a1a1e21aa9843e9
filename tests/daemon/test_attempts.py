"""Guessing is made slow for others and never for whoever sits at the machine."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servha.core.words import Text
from servha.daemon.attempts import DELAY_MAX_S, FAILURES_PER_ADDRESS, FAILURES_TOTAL, Attempts
from servha.daemon.password import PasswordRecord, password_problems
from servha.daemon.proof import Invitation, JoinCode
from servha.wire.rpc import Refusal


def test_five_failures_in_a_minute_make_an_address_wait() -> None:
    attempts = Attempts()
    for second in range(FAILURES_PER_ADDRESS):
        assert attempts.wait_s("a", same_machine=False, now_s=second) == 0
        attempts.failed("a", same_machine=False, now_s=second)
    assert attempts.wait_s("a", same_machine=False, now_s=5) > 0
    assert attempts.wait_s("b", same_machine=False, now_s=5) == 0


def test_five_failures_in_an_hour_do_not() -> None:
    attempts = Attempts()
    for hour in range(FAILURES_PER_ADDRESS):
        attempts.failed("a", same_machine=False, now_s=hour * 720.0)
    assert attempts.wait_s("a", same_machine=False, now_s=5 * 720.0) == 0


def test_many_addresses_together_are_made_to_wait() -> None:
    attempts = Attempts()
    for number in range(FAILURES_TOTAL):
        attempts.failed(f"a{number}", same_machine=False, now_s=1.0)
    assert attempts.wait_s("another", same_machine=False, now_s=2.0) > 0


def test_the_wait_grows_up_to_a_quarter_of_an_hour_and_not_further() -> None:
    attempts, now_s, waits = Attempts(), 0.0, []
    for _ in range(12):
        while (wait_s := attempts.wait_s("a", same_machine=False, now_s=now_s)) == 0:
            attempts.failed("a", same_machine=False, now_s=now_s)
        waits.append(wait_s)
        now_s += wait_s
    assert waits == sorted(waits)
    assert waits[0] < waits[1] < waits[-1] == DELAY_MAX_S


@given(st.lists(st.floats(0, 1e6), max_size=60))
def test_the_machine_itself_never_waits(failures_s: list[float]) -> None:
    attempts = Attempts()
    for now_s in failures_s:
        attempts.failed("192.0.2.1", same_machine=True, now_s=now_s)
        attempts.failed("198.51.100.7", same_machine=False, now_s=now_s)
        assert attempts.wait_s("192.0.2.1", same_machine=True, now_s=now_s) == 0


def test_a_flood_of_addresses_takes_no_more_memory() -> None:
    attempts = Attempts()
    for number in range(5000):
        attempts.failed(str(number), same_machine=False, now_s=0.0)
    assert len(attempts._by_address) <= 1024


def test_a_join_code_survives_being_typed() -> None:
    code = JoinCode.made(bytes(range(16)), "ab" * 32)
    typed = f"  {str(code).lower().replace('-', ' ')} "
    assert JoinCode.read(typed) == code
    assert code.is_of("ab" * 32)
    assert not code.is_of("ac" * 32)


@given(st.text(max_size=80))
def test_whatever_is_typed_is_a_code_or_refused_in_words(typed: str) -> None:
    with contextlib.suppress(Refusal):
        assert len(JoinCode.read(typed).secret) == 16
        return
    with pytest.raises(Refusal, match="copy all of what"):
        JoinCode.read(typed)


def test_an_invitation_ends_by_use_by_time_and_by_the_next_one() -> None:
    invitation = Invitation()
    assert invitation.secret(now_s=0.0) is None
    invitation.make(b"a" * 16, "00" * 32, now_s=0.0)
    invitation.make(b"b" * 16, "00" * 32, now_s=1.0)
    assert invitation.secret(now_s=600.0) == b"b" * 16
    assert invitation.secret(now_s=601.0) is None
    invitation.make(b"c" * 16, "00" * 32, now_s=700.0)
    invitation.use()
    assert invitation.secret(now_s=700.0) is None


def test_the_initial_password_and_short_ones_cannot_be_chosen() -> None:
    assert [isinstance(p, Text) for p in password_problems("1")] == [True]
    assert password_problems("short")
    assert password_problems("tab\tinside it")
    assert not password_problems("correct horse")
    assert not password_problems("正确的马电池订书钉")


@pytest.mark.parametrize(
    "record",
    [
        None,
        {},
        {"n": 2, "r": 8, "p": 1, "salt": "00" * 16},
        {"n": 2**30, "r": 8, "p": 1, "salt": "00" * 16},
        {"n": 2**15 + 1, "r": 8, "p": 1, "salt": "00" * 16},
        {"n": 2**15, "r": 8, "p": 1, "salt": "00"},
        {"n": 2**15, "r": 8, "p": 1, "salt": "zz" * 16},
    ],
)
def test_figures_that_are_weak_or_would_fill_the_memory_are_refused(record: dict[str, object] | None) -> None:
    with pytest.raises(ValueError, match=r"."):
        PasswordRecord.from_json(record)  # type: ignore[arg-type]
