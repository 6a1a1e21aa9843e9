"""Which figures may be saved together, and what follows from those that may."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servha.core.timing import IN_FLIGHT_LEAST_MS, MARGIN_S, PROFILES, Limits, Timing

MANUAL = PROFILES["manual"]
FIGURES = st.builds(
    Timing,
    interval_ms=st.integers(50, 5000),
    timeout_ms=st.integers(60, 10_000),
    dead_count=st.integers(2, 6),
    first_start_ms=st.integers(0, 60_000),
    lease_ms=st.integers(1000, 60_000),
    watchdog_ms=st.integers(200, 10_000),
    round_ms=st.integers(20, 2000),
    drift_ppm=st.integers(100, 100_000),
    in_flight_ms=st.integers(0, 2000),
    warn_count=st.just(1),
)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_the_profiles_may_be_saved_with_and_without_a_quorum_disk(name: str) -> None:
    assert PROFILES[name].problems(leased=True) == []
    assert PROFILES[name].problems() == []


def test_the_manuals_figures_give_the_times_of_the_design() -> None:
    limits = MANUAL.limits
    assert (MANUAL.warn_s, MANUAL.dead_s) == (5.2, 7.4)
    assert limits.take_s == pytest.approx(6.56)
    assert limits.keep_s() == pytest.approx(3.98)
    assert limits.reset_s() == pytest.approx(4.8)
    assert limits.claim_s == pytest.approx(3.28)
    assert limits.feed_s == pytest.approx(0.2)


def test_the_fast_figures_keep_their_order_too() -> None:
    limits = PROFILES["fast"].limits
    assert limits.keep_s() == pytest.approx(0.38)
    assert limits.take_s == pytest.approx(2.424 + limits.in_flight_ms / 1000)
    assert limits.keep_s() < limits.reset_s() < limits.lease_s < limits.take_s


def test_a_driver_that_keeps_longer_shortens_what_may_be_kept() -> None:
    limits = MANUAL.limits
    assert limits.keep_s(1.5) == pytest.approx(2.98)
    assert limits.reset_s(1.5) == pytest.approx(4.3)
    assert limits.keep_s(0.5) == limits.keep_s()  # it is never lengthened


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"interval_ms": 49, "timeout_ms": 600}, "heartbeat interval 49 ms is outside"),
        ({"interval_ms": 50, "timeout_ms": 59}, "heartbeat timeout 59 ms is outside"),
        ({"first_start_ms": 3_600_001}, "first start delay 3600001 ms is outside"),
        ({"interval_ms": 3000}, "must be longer than the interval"),
        ({"warn_count": 3}, "lost beats before the warning (3)"),
        ({"warn_count": 0}, "lost beats before the warning (0)"),
        ({"dead_count": 101}, "lost beats before the warning (2)"),
        (
            {"interval_ms": 100, "timeout_ms": 110, "dead_count": 2, "warn_count": 1},
            "an ordinary delay looks",
        ),
        ({"first_start_ms": 7000}, "shorter than the silence that counts as death"),
        ({"lease_ms": 999}, "lease 999 ms is outside"),
        ({"watchdog_ms": 199}, "watchdog time 199 ms is outside"),
        ({"round_ms": 19}, "disk round 19 ms is outside"),
        ({"in_flight_ms": IN_FLIGHT_LEAST_MS - 1}, "time for commands in flight 249 ms is outside"),
        ({"drift_ppm": 99}, "clock error 99 ppm is outside"),
        ({"drift_ppm": 100_001}, "clock error 100001 ppm is outside"),
        ({"watchdog_ms": 2300}, "too short for three disk rounds of 500 ms"),
        ({"round_ms": 751}, "is longer than an eighth of the lease"),
        ({"first_start_ms": 8059}, "could not see whether the lease of its peer has ended"),
    ],
)
def test_each_inequality_that_does_not_hold_is_told_in_words(change: dict[str, int], words: str) -> None:
    assert any(words in str(p) for p in replace(MANUAL, **change).problems(leased=True))


def test_bad_clocks_beside_a_long_lease_lengthen_the_wait_by_more_than_twice_their_error() -> None:
    limits = Limits(lease_ms=60_000, watchdog_ms=1000, round_ms=500, drift_ppm=100_000, in_flight_ms=0)
    assert limits.take_s == pytest.approx(60 * 1.1 / 0.9 - MARGIN_S)


def test_the_leases_figures_do_not_matter_without_a_quorum_disk() -> None:
    assert replace(MANUAL, lease_ms=1).problems() == []


@given(FIGURES)
def test_whatever_may_be_saved_is_safe(timing: Timing) -> None:
    """A node whose last look was just in time is reset before its peer's wait is over, by the slowest clocks."""
    if timing.problems(leased=True):
        return
    limits = timing.limits
    rho = timing.drift_ppm / 1_000_000
    last_look_s, period_s = limits.keep_s(), limits.watchdog_s
    gone_s = (last_look_s + 2 * period_s) / (1 - rho)  # by an owner's clock that runs slow
    taken_s = limits.take_s / (1 + rho)  # by a standby's clock that runs fast
    assert gone_s + limits.in_flight_ms / 1000 / (1 + rho) <= taken_s + 1e-9
    assert limits.keep_s() >= 3 * limits.round_s - 0.001
    assert timing.first_start_s >= timing.dead_s


@given(
    st.builds(Limits, *[st.integers(1, 60_000)] * 3, st.integers(0, 100_000), st.integers(0, 60_000)),
    st.floats(0, 60),
)
def test_the_figures_stand_in_their_order_whatever_they_are(limits: Limits, watchdog_s: float) -> None:
    period_s = max(limits.watchdog_s, watchdog_s)
    assert limits.keep_s(watchdog_s) + 2 * period_s == pytest.approx(limits.lease_s - MARGIN_S)
    assert limits.take_s >= limits.lease_s + limits.in_flight_ms / 1000
    assert limits.claim_s >= limits.take_s / 2
    assert 0 < limits.feed_s <= 0.25
