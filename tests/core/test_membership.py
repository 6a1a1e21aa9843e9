"""Silence on links and what it amounts to."""

from __future__ import annotations

import pytest

from servha.core.membership import LinkHealth, Membership, membership_for
from servha.core.model import PeerHealth, Phase, Report, Standing, TreeReport
from servha.core.timing import PROFILES, Timing

MANUAL = PROFILES["manual"]
REPORT = Report(node="node2", incarnation="one", standing=Standing.STANDBY, reference_ok=True, number=5)


def heard(*links: str, at_s: float = 100.0, report: Report = REPORT) -> Membership:
    view = membership_for(("private", "public"))
    for link in links:
        view = view.heard(link, report, at_s)
    return view


@pytest.mark.parametrize(
    ("silent_s", "health"),
    [
        (0.0, LinkHealth.UP),
        (2.99, LinkHealth.UP),
        (3.0, LinkHealth.LATE),
        (5.2, LinkHealth.WARNED),
        (7.39, LinkHealth.WARNED),
        (7.4, LinkHealth.DEAD),
    ],
)
def test_the_manuals_figures_give_the_moments_of_reading_a01(silent_s: float, health: LinkHealth) -> None:
    assert heard("private").links[0].health(100.0 + silent_s, MANUAL) is health


def test_a_node_is_lost_only_when_every_link_is_dead() -> None:
    view = heard("private").heard("public", REPORT, 105.0)
    assert view.peer(107.5, MANUAL, exists=True) is PeerHealth.ALIVE
    assert view.peer(112.4, MANUAL, exists=True) is PeerHealth.LOST


def test_nothing_heard_is_not_lost() -> None:
    assert heard().peer(1e6, MANUAL, exists=True) is PeerHealth.UNHEARD


def test_a_process_that_was_stopped_counts_silence_anew() -> None:
    view = heard("private", "public").passed(100.1, MANUAL).passed(160.0, MANUAL)
    assert view.peer(160.0, MANUAL, exists=True) is PeerHealth.ALIVE
    assert view.peer(167.4, MANUAL, exists=True) is PeerHealth.LOST


def test_time_that_passes_in_small_steps_is_silence() -> None:
    view = heard("private", "public")
    for tenth in range(80):
        view = view.passed(100.0 + tenth / 10, MANUAL)
    assert view.peer(107.9, MANUAL, exists=True) is PeerHealth.LOST


def test_an_older_report_that_arrives_late_changes_nothing_but_the_link() -> None:
    older = Report(node="node2", incarnation="one", standing=Standing.ACTIVE, reference_ok=True, number=4)
    view = heard("private").heard("public", older, 101.0)
    assert view.report == REPORT
    assert view.links[1].heard_s == 101.0


def test_a_goodbye_that_leaves_trees_running_is_no_goodbye() -> None:
    running = TreeReport(id=1, phase=Phase.RUNNING, ownership=3)
    left = Report(
        node="node2",
        incarnation="one",
        standing=Standing.ACTIVE,
        reference_ok=True,
        leaving=True,
        trees=(running,),
    )
    assert heard("private", report=left).peer(100.0, MANUAL, exists=True) is PeerHealth.ALIVE
    gone = Report(
        node="node2", incarnation="one", standing=Standing.ISOLATED, reference_ok=True, leaving=True
    )
    assert heard("private", report=gone).peer(100.0, MANUAL, exists=True) is PeerHealth.LEFT


@pytest.mark.parametrize("timing", PROFILES.values(), ids=PROFILES)
def test_every_profile_may_be_saved(timing: Timing) -> None:
    assert timing.problems() == []
    assert timing.late_s <= timing.suspect_s < timing.dead_s


@pytest.mark.parametrize(
    "timing",
    [
        Timing(interval_ms=3000, timeout_ms=3000),
        Timing(warn_count=3, dead_count=3),
        Timing(interval_ms=100, timeout_ms=110, dead_count=2, warn_count=1),
        Timing(first_start_ms=100),
        Timing(interval_ms=1),
        Timing(timeout_ms=10**9),
    ],
)
def test_figures_that_would_mistake_delay_for_death_are_refused_in_words(timing: Timing) -> None:
    assert timing.problems()
