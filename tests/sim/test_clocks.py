"""The three clocks of a simulated machine differ as real ones do."""

from __future__ import annotations

import pytest

from servha.core.clocks import Stamp, at_least_s, at_most_s
from servha.sim.clocks import Clocks


def near(stamp: Stamp) -> tuple[float, float, float]:
    return (round(stamp.mono_s, 9), round(stamp.boot_s, 9), round(stamp.raw_s, 9))


def test_sound_clocks_show_the_true_time() -> None:
    assert Clocks().read(12.5) == Stamp(12.5, 12.5, 12.5)


def test_slewing_bends_all_but_the_raw_clock() -> None:
    clocks = Clocks()
    clocks.slew(10.0, 1.08)
    assert near(clocks.read(20.0)) == (20.8, 20.8, 20.0)


def test_an_oscillator_that_is_wrong_bends_all() -> None:
    clocks = Clocks()
    clocks.drift(0.0, 0.995)
    assert near(clocks.read(100.0)) == (99.5, 99.5, 99.5)


def test_a_suspend_is_counted_by_boottime_alone() -> None:
    clocks = Clocks()
    clocks.suspend(10.0)
    clocks.go_on(70.0)
    before, after = Stamp(10.0, 10.0, 10.0), clocks.read(75.0)
    assert near(after) == (15.0, 75.0, 15.0)
    assert at_most_s(before, after) == pytest.approx(65.0)
    assert at_least_s(before, after) == pytest.approx(5.0)


def test_a_machine_that_stands_still_does_not_know() -> None:
    clocks = Clocks()
    clocks.freeze(10.0)
    clocks.go_on(70.0)
    assert near(clocks.read(75.0)) == (15.0, 15.0, 15.0)
