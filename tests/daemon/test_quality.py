"""The hour of a link: which minute each figure is put down to, and what is not known."""

from __future__ import annotations

import pytest

from servha.daemon.quality import MINUTES, SMOOTHING, Hour, told


def counted(hour: Hour, now_s: float) -> dict[int, tuple[int, int]]:
    return {row["ago_min"]: (row["good"], row["lost"]) for row in hour.told(now_s)}


def test_a_minute_has_its_least_mean_and_most() -> None:
    hour = Hour()
    for took_s in (0.001, 0.004, 0.0025):
        hour.count(601.0, took_s=took_s)
    hour.count(602.0)  # one that could not be timed
    assert hour.told(655.0) == [
        {"ago_min": 0, "good": 4, "lost": 0, "least_ms": 1.0, "mean_ms": 2.5, "most_ms": 4.0}
    ]


def test_minutes_of_silence_are_left_out() -> None:
    hour = Hour()
    hour.count(60.0)
    hour.count(300.0)
    assert counted(hour, 300.0) == {4: (1, 0), 0: (1, 0)}


def test_what_was_lost_while_nothing_came_is_put_down_to_those_minutes() -> None:
    hour = Hour()
    hour.count(90.0)
    hour.count(210.0, lost=119)
    found = counted(hour, 210.0)
    assert {ago: lost for ago, (_, lost) in found.items()} == {2: 30, 1: 59, 0: 30}
    assert hour.lost == 119


def test_what_was_lost_at_once_is_lost_now() -> None:
    hour = Hour()
    hour.count(90.0, lost=3)
    hour.count(90.0, lost=2)
    assert counted(hour, 90.0) == {0: (2, 5)}


def test_what_only_came_late_was_not_lost() -> None:
    hour = Hour()
    hour.count(61.0)
    hour.count(62.0, lost=2)
    hour.count(63.0, lost=-1)
    assert counted(hour, 63.0) == {0: (3, 1)}
    hour.count(121.0, lost=-1)
    assert counted(hour, 121.0) == {1: (3, 1), 0: (1, 0)}, "no minute has less than nothing lost"


def test_the_hour_has_sixty_minutes_whatever_was_before() -> None:
    hour = Hour()
    for minute in range(3 * MINUTES):
        hour.count(60.0 * minute)
    assert sorted(counted(hour, 60.0 * (3 * MINUTES - 1))) == list(range(MINUTES))
    assert hour.told(60.0 * 6 * MINUTES) == []
    hour.count(60.0 * 9 * MINUTES, lost=10 * MINUTES)
    assert sum(lost for _, lost in counted(hour, 60.0 * 9 * MINUTES).values()) == 10 * MINUTES


def test_the_loss_of_now_is_that_of_two_minutes() -> None:
    hour = Hour()
    assert hour.loss(100.0) is None
    hour.count(100.0, lost=1)
    assert hour.loss(110.0) == 0.5
    hour.count(130.0)
    hour.count(131.0)
    assert hour.loss(131.0) == 0.25
    assert hour.loss(190.0) == 0.0
    assert hour.loss(900.0) is None, "nothing was due that is known of"


def test_the_time_of_now_follows_slowly() -> None:
    hour = Hour()
    hour.count(1.0, took_s=0.008)
    hour.count(2.0, took_s=0.016)
    assert hour.took_s == pytest.approx(0.008 + 0.008 * SMOOTHING)


def test_every_way_is_told() -> None:
    link, disk = Hour(), Hour()
    disk.count(5.0, good=0, lost=1)
    shown = told({"private": link}, disk, 6.0)
    assert shown["links"] == {"private": []}
    assert shown["disk"] == [
        {"ago_min": 0, "good": 0, "lost": 1, "least_ms": None, "mean_ms": None, "most_ms": None}
    ]
    assert told({}, None, 6.0)["disk"] is None
