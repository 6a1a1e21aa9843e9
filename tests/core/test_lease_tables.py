"""The promises at the top of lease.py, over every combination of words."""

from __future__ import annotations

from servha.core.lease import (
    ANNOUNCED,
    DOWN,
    ENDED,
    ENTRY,
    HOLDING,
    LEASE,
    TAKEN,
    Age,
    Asked,
    Daemon,
    EntrySituation,
    Lease,
    LeaseSituation,
    Sources,
    There,
    Wait,
)
from servha.core.register import Entry
from servha.core.table import first_match
from tests.core.combinations import every

ASKED_FOR = (Asked.WANT, Asked.RUN)


def test_an_ended_lease_never_comes_back_to_life() -> None:
    for s in every(LeaseSituation):
        becomes = first_match(LEASE, s).becomes
        if s.lease is Lease.RESET:
            assert becomes is Lease.RESET, s
        if s.lease is Lease.ENDING:
            assert becomes in ENDED or (becomes in (Lease.FREE, Lease.BOOTING) and s.stopped), s


def test_what_does_not_stop_in_time_is_reset_and_what_stopped_is_not() -> None:
    for s in every(LeaseSituation):
        if s.lease is Lease.ENDING:
            late = Lease.RESET if s.age is Age.OVERDUE else Lease.ENDING
            stopped = Lease.BOOTING if s.intruder else Lease.FREE
            assert first_match(LEASE, s).becomes is (stopped if s.stopped else late), s


def test_nothing_is_held_on_an_ended_lease() -> None:
    for s in every(LeaseSituation):
        if s.holds and s.age is not Age.FRESH and s.lease not in ENDED:
            assert first_match(LEASE, s).becomes is Lease.ENDING, s


def test_nothing_is_held_that_nobody_watches() -> None:
    for s in every(LeaseSituation):
        if s.holds and s.daemon is Daemon.GONE and s.lease not in ENDED:
            assert first_match(LEASE, s).becomes is Lease.ENDING, s


def test_a_double_or_a_forgotten_past_or_a_rival_ends_the_lease() -> None:
    for s in every(LeaseSituation):
        if (s.amnesia or s.intruder or (s.rival and s.holds)) and s.lease not in ENDED:
            assert first_match(LEASE, s).becomes is Lease.ENDING, s


def test_a_lease_ends_for_no_other_reason() -> None:
    for s in every(LeaseSituation):
        wrong = s.amnesia or s.intruder
        if s.holds:
            wrong = wrong or s.rival or s.age is not Age.FRESH or s.daemon is Daemon.GONE
        if s.lease not in ENDED:
            assert (first_match(LEASE, s).becomes is Lease.ENDING) is wrong, s


def test_a_node_whose_lease_lives_is_reset_only_when_servhad_asks_for_it_and_it_holds_something() -> None:
    for s in every(LeaseSituation):
        becomes = first_match(LEASE, s).becomes
        wrong = s.amnesia or s.intruder or s.rival or s.age is not Age.FRESH or s.daemon is Daemon.GONE
        if s.lease not in ENDED and not (s.lease is Lease.BOOTING and not s.rewritten):
            assert (becomes is Lease.RESET) is (s.fence and s.holds and not wrong), s


def test_what_holds_nothing_needs_no_lease_and_boots_only_once() -> None:
    for s in every(LeaseSituation):
        if not s.holds and s.lease not in ENDED and not s.amnesia and not s.intruder:
            boots = s.lease is Lease.BOOTING and not s.rewritten
            assert first_match(LEASE, s).becomes is (Lease.BOOTING if boots else Lease.FREE), s


def test_a_lease_is_whole_only_with_both_sources_and_says_which_one_is_missing() -> None:
    said: dict[Sources, set[str]] = {}
    for s in every(LeaseSituation):
        row = first_match(LEASE, s)
        if row.becomes in (Lease.LEASED, Lease.DEGRADED):
            assert (row.becomes is Lease.LEASED) is (s.sources is Sources.BOTH), s
            said.setdefault(s.sources, set()).add(row.because)
    assert all(len(sentences) == 1 for sentences in said.values())
    assert len(set.union(*said.values())) == len(Sources)


def allowed(e: EntrySituation) -> bool:
    """Whether the node may want anything at all."""
    return e.asked in ASKED_FOR and e.lease not in ENDED and e.lease is not Lease.BOOTING and e.daemon_here


def test_a_tree_is_taken_up_in_three_ways_only() -> None:
    """By a takeover that waited for everything, by two rounds that found it free, or by an administrator's word."""
    for e in every(EntrySituation):
        if e.entry in HOLDING:
            continue
        over = e.there in TAKEN and e.wait is Wait.OVER and e.entry is Entry.WANT
        free = e.there is There.FREE and e.entry is Entry.WANT and e.settled and not e.paused
        forced = e.wait is Wait.FORCED
        held = first_match(ENTRY, e).becomes is Entry.HELD
        assert held is (allowed(e) and (forced or (e.fresh and (over or free)))), e


def test_what_is_held_stays_held_until_nothing_of_it_runs() -> None:
    for e in every(EntrySituation):
        if e.entry in HOLDING:
            becomes = first_match(ENTRY, e).becomes
            assert (becomes is Entry.RELEASED) is (e.asked is Asked.OFF and e.lease not in ENDED), e
            assert becomes.holds or becomes is Entry.RELEASED, e


def test_what_could_not_be_stopped_says_so() -> None:
    for e in every(EntrySituation):
        stuck = e.entry in HOLDING and e.asked is Asked.STUCK and e.lease not in ENDED
        assert (first_match(ENTRY, e).becomes is Entry.STOP_FAILED) is stuck, e


def test_released_is_said_only_of_what_was_held() -> None:
    for e in every(EntrySituation):
        was = e.entry in HOLDING or e.entry is Entry.RELEASED
        said = first_match(ENTRY, e).becomes is Entry.RELEASED
        assert said is (was and e.asked is Asked.OFF and e.lease not in ENDED), e


def test_nothing_is_wanted_without_a_wish_a_lease_a_daemon_and_a_peer_that_was_read() -> None:
    for e in every(EntrySituation):
        if first_match(ENTRY, e).becomes is Entry.WANT:
            assert allowed(e) and e.fresh and e.there is not There.UNREAD, e
            assert e.entry in DOWN or e.entry is Entry.WANT, e


def test_what_the_peer_holds_is_wanted_only_by_a_claim_on_a_silent_one() -> None:
    for e in every(EntrySituation):
        row = first_match(ENTRY, e)
        if e.there is There.HOLDS and row.becomes is Entry.WANT:
            assert e.wait in ANNOUNCED | {Wait.OVER} and row.id == "claiming", e


def test_a_silent_holder_is_claimed_from() -> None:
    for e in every(EntrySituation):
        if allowed(e) and e.fresh and e.there in TAKEN and e.entry not in HOLDING and e.wait in ANNOUNCED:
            assert first_match(ENTRY, e).id == "claiming", e


def test_nobody_takes_what_a_peer_with_other_figures_or_a_moving_slot_holds() -> None:
    for e in every(EntrySituation):
        stop = e.wait in (Wait.LIMITS, Wait.MOVING, Wait.BACKED_OFF)
        if e.there in TAKEN and stop and e.entry not in HOLDING:
            assert first_match(ENTRY, e).becomes in DOWN, e


def test_of_two_that_want_it_the_one_that_goes_second_stands_back_for_a_while() -> None:
    for e in every(EntrySituation):
        if e.entry in HOLDING or not (allowed(e) and e.fresh) or e.wait is not Wait.CONTACT:
            continue
        becomes = first_match(ENTRY, e).becomes
        if e.there is There.WANTS_FIRST or e.paused:
            assert becomes is Entry.NONE, e
        elif e.there is There.WANTS_AFTER or (e.there is There.FREE and not e.settled):
            assert becomes is Entry.WANT, e


PROMISES_LEASE = (
    test_an_ended_lease_never_comes_back_to_life,
    test_what_does_not_stop_in_time_is_reset_and_what_stopped_is_not,
    test_nothing_is_held_on_an_ended_lease,
    test_nothing_is_held_that_nobody_watches,
    test_a_double_or_a_forgotten_past_or_a_rival_ends_the_lease,
    test_a_lease_ends_for_no_other_reason,
    test_what_holds_nothing_needs_no_lease_and_boots_only_once,
    test_a_lease_is_whole_only_with_both_sources_and_says_which_one_is_missing,
)
PROMISES_ENTRY = (
    test_a_tree_is_taken_up_in_three_ways_only,
    test_what_is_held_stays_held_until_nothing_of_it_runs,
    test_what_could_not_be_stopped_says_so,
    test_released_is_said_only_of_what_was_held,
    test_nothing_is_wanted_without_a_wish_a_lease_a_daemon_and_a_peer_that_was_read,
    test_what_the_peer_holds_is_wanted_only_by_a_claim_on_a_silent_one,
    test_a_silent_holder_is_claimed_from,
    test_nobody_takes_what_a_peer_with_other_figures_or_a_moving_slot_holds,
    test_of_two_that_want_it_the_one_that_goes_second_stands_back_for_a_while,
)
