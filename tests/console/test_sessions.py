"""When a session ends: idle, old, logged out, or pushed out by newer ones."""

from __future__ import annotations

from servha.console.sessions import IDLE_S, SESSIONS_MAX, WHOLE_S, Place, Sessions


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def opened(sessions: Sessions) -> str:
    return sessions.open(
        place=Place("/x"), browser="192.0.2.9", right="administrator", choose_password=False, ticket="t"
    )


def test_a_session_that_is_used_lives_until_it_is_old() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    word = opened(sessions)
    while clock.now_s < 1000.0 + WHOLE_S - IDLE_S:
        clock.now_s += IDLE_S - 1
        assert sessions.find(word) is not None
    clock.now_s = 1000.0 + WHOLE_S
    assert sessions.find(word) is None


def test_a_session_that_is_idle_ends() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    word = opened(sessions)
    clock.now_s += IDLE_S
    assert sessions.find(word) is None


def test_logging_out_ends_one_and_a_new_password_all_others() -> None:
    sessions = Sessions(Clock())
    one, two, three = (opened(sessions) for _ in range(3))
    sessions.close(one)
    assert sessions.find(one) is None
    sessions.close_all_but(two)
    assert sessions.find(two) is not None
    assert sessions.find(three) is None


def test_too_many_push_out_the_one_that_has_been_idle_longest() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    first, second = opened(sessions), opened(sessions)
    clock.now_s += 1.0
    assert sessions.find(first) is not None
    for _ in range(SESSIONS_MAX - 1):
        clock.now_s += 0.001
        opened(sessions)
    assert sessions.find(second) is None
    assert sessions.find(first) is not None


def test_words_cannot_be_guessed_from_each_other() -> None:
    sessions = Sessions(Clock())
    words = {opened(sessions) for _ in range(100)}
    assert len(words) == 100
    assert all(len(word) >= 43 for word in words)
