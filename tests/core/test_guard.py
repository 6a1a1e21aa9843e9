"""The guard's own promises, beside those of its tables: one guard, and a peer whose slot the test writes.

Each test names what would go wrong without what it asks for; tests/core/test_guard_needs.py takes that away and sees
the test turn red.
"""

from __future__ import annotations

from dataclasses import replace

from servha.core.clocks import at_least_s
from servha.core.guard_model import (
    AllStopped,
    ArmWatchdog,
    DaemonEnded,
    DisarmWatchdog,
    EmergencyStop,
    FeedWatchdog,
    GivePromise,
    LimitsChanged,
    PingHeard,
    PromiseHeard,
    WatchdogTold,
    WriteRound,
)
from servha.core.lease import Asked, Lease
from servha.core.register import Claim, Entry, Slot, TreeEntry
from servha.core.timing import Limits
from tests.core.one_guard import BOOT, LIMITS, THEIRS, TREE, Bench, held_by_peer, silent_for

# --- a renewal --------------------------------------------------------------------------------------------------


def test_a_round_renews_from_its_issue() -> None:
    bench = Bench().holds()
    bench.later(LIMITS.round_s)
    bench.wake()
    issued = bench.now
    bench.later(1.5)
    bench.answer()
    assert bench.guard.state.basis == issued


def test_a_promise_renews_from_its_ping() -> None:
    bench = Bench().holds()
    pinged = bench.now
    bench.later(1.5)
    bench.do(PromiseHeard(bench.now, bench.guard.state.generation, pinged))
    assert bench.guard.state.by_peer == pinged
    assert bench.guard.state.basis == pinged


def test_a_promise_to_another_life_of_this_node_renews_nothing() -> None:
    bench = Bench().holds()
    before = bench.guard.state.basis
    bench.later(1.0)
    bench.do(PromiseHeard(bench.now, bench.guard.state.generation - 1, bench.now))
    assert bench.guard.state.basis == before


def test_a_challenged_round_does_not_renew() -> None:
    bench = Bench().holds()
    before = bench.guard.state.basis
    bench.writes(replace(THEIRS, number=11, claim=Claim(bench.guard.state.generation, 1, 1)))
    bench.round()
    assert bench.guard.state.basis == before


def test_a_claim_on_an_earlier_life_does_not_hinder_renewing() -> None:
    bench = Bench().holds()
    bench.writes(replace(THEIRS, number=11, claim=Claim(bench.guard.state.generation - 1, 1, 1)))
    bench.round()
    assert bench.guard.state.basis is not None
    assert bench.guard.state.basis.raw_s == bench.now.raw_s


def test_what_does_not_come_back_as_it_was_written_renews_nothing() -> None:
    bench = Bench().holds()
    before, stale = bench.guard.state.basis, bench.guard.state.written
    bench.later(LIMITS.round_s)
    bench.wake()
    bench.answer(own=stale)
    assert bench.guard.state.basis == before


def test_somebody_else_in_our_slot_ends_everything() -> None:
    bench = Bench().holds()
    bench.later(LIMITS.round_s)
    bench.wake()
    writing = bench.guard.state.writing
    assert writing is not None
    bench.answer(own=replace(writing, number=writing.number + 5))
    assert bench.lease is Lease.ENDING


# --- the watchdog -----------------------------------------------------------------------------------------------


def test_the_watchdog_is_armed_before_anything_is_wanted_on_the_disk() -> None:
    bench = Bench().boots()
    bench.effects.clear()
    bench.ask(Asked.WANT)
    kinds = [type(e) for e in bench.effects]
    assert kinds.index(ArmWatchdog) < kinds.index(WriteRound)


def test_the_watchdog_is_not_fed_on_an_old_lease() -> None:
    bench = Bench().holds()
    assert bench.guard.state.basis is not None
    bench.later(LIMITS.keep_s() + 0.01)
    assert not any(isinstance(e, FeedWatchdog) for e in bench.wake())
    assert bench.lease is Lease.ENDING


def test_the_watchdog_is_fed_on_a_young_one() -> None:
    bench = Bench().holds()
    bench.later(1.0)
    assert any(isinstance(e, FeedWatchdog) for e in bench.wake())


def test_a_driver_that_keeps_longer_ends_the_lease_earlier() -> None:
    bench = Bench().holds()
    bench.do(WatchdogTold(bench.now, "slow", 2.0))
    bench.later(LIMITS.keep_s() - 1.0)
    bench.wake()
    assert bench.lease is Lease.ENDING


def test_the_watchdog_is_let_go_only_when_everything_was_seen_stopped() -> None:
    bench = Bench().holds()
    bench.later(LIMITS.keep_s() + 0.01)
    bench.wake()
    bench.effects.clear()
    sweep = bench.guard.state.sweep
    bench.do(AllStopped(bench.now, sweep))  # servhad may still have a start in hand
    assert bench.ends
    bench.do(DaemonEnded(bench.now))
    bench.do(AllStopped(bench.now, sweep))  # looked for before servhad's end was known
    assert bench.ends
    assert not any(isinstance(e, DisarmWatchdog) for e in bench.effects)
    bench.do(AllStopped(bench.now, bench.guard.state.sweep))
    assert bench.lease is Lease.FREE
    assert any(isinstance(e, DisarmWatchdog) for e in bench.effects)


def test_a_servhad_that_does_not_answer_is_killed_and_everything_is_looked_for_again() -> None:
    bench = Bench().holds()
    bench.later(LIMITS.keep_s() + 0.01)
    bench.wake()
    bench.later(0.3)
    orders = [e for e in bench.wake() if isinstance(e, EmergencyStop)]
    assert [o.kill_daemon for o in orders] == [True]


# --- who is who -------------------------------------------------------------------------------------------------


def test_another_boot_is_another_life() -> None:
    own = Slot(0, 6, 20, "c" * 32, LIMITS)
    assert Bench(own=own).boots().guard.state.generation == 7


def test_a_slot_that_a_living_twin_writes_is_never_written() -> None:
    bench = Bench(own=Slot(0, 6, 20, "c" * 32, LIMITS))
    for number in range(21, 60):
        bench.round()
        assert bench.lease is Lease.BOOTING
        assert bench.guard.state.number <= number
        bench.own = Slot(0, 6, number, "c" * 32, LIMITS)
    assert "second machine" in str(bench.guard.state.view.disk_trouble)


def test_a_slot_of_another_boot_is_watched_before_it_is_written() -> None:
    bench = Bench(own=Slot(0, 6, 20, "c" * 32, LIMITS))
    began = bench.now
    bench.boots()
    assert at_least_s(began, bench.now) >= 2 * LIMITS.round_s


def test_after_an_intruder_nothing_is_wanted_until_it_has_been_silent_for_a_whole_lease() -> None:
    bench = Bench().holds()
    bench.later(LIMITS.round_s)
    bench.wake()
    bench.answer(own=Slot(0, 9, 90, "c" * 32, LIMITS))
    assert bench.ends
    met = bench.now
    bench.do(AllStopped(bench.now, bench.guard.state.sweep))
    bench.do(DaemonEnded(bench.now))
    bench.do(AllStopped(bench.now, bench.guard.state.sweep))
    assert bench.boots_again
    bench.asked = Asked.WANT
    while bench.guard.state.lease is Lease.BOOTING:
        assert at_least_s(met, bench.now) < 3 * LIMITS.take_s
        bench.round()
    assert at_least_s(met, bench.now) >= LIMITS.take_s
    assert bench.guard.state.generation == 10


def test_the_same_boot_is_the_same_life() -> None:
    own = Slot(0, 6, 20, BOOT, LIMITS)
    assert Bench(own=own).boots().guard.state.generation == 6


def test_a_slot_that_was_emptied_does_not_make_us_older_than_the_peer_saw_us() -> None:
    bench = Bench(peer=replace(THEIRS, seen_generation=9)).boots()
    written = [e.slot for e in bench.effects if isinstance(e, WriteRound) and e.slot is not None]
    assert {slot.generation for slot in written} == {10}, "from the first that is written"


def test_a_number_that_the_peer_saw_before_is_passed_at_once() -> None:
    """The disk showed an old state of both slots at boot: the life before had come further."""
    bench = Bench(own=replace(THEIRS, node=0, generation=3, number=5)).boots()
    bench.writes(replace(THEIRS, number=11, seen_generation=bench.guard.state.generation, seen_number=331))
    bench.round()
    bench.round()
    assert bench.own is not None
    assert bench.own.number > 331
    bench.writes(replace(THEIRS, number=12, seen_generation=9, seen_number=1))
    bench.round()
    bench.round()
    assert bench.own.generation == 10


def test_a_generation_stays_while_something_is_held() -> None:
    bench = Bench().holds()
    generation = bench.guard.state.generation
    bench.writes(replace(THEIRS, number=12, seen_generation=generation + 5, seen_number=1))
    bench.round()
    assert bench.guard.state.generation == generation


def test_a_boot_that_held_something_and_forgot_stops_everything_first() -> None:
    own = Slot(0, 6, 20, BOOT, LIMITS, trees=(TreeEntry(TREE, Entry.HELD, 3),))
    bench = Bench(own=own)
    bench.round()
    assert bench.lease is Lease.ENDING


# --- taking up --------------------------------------------------------------------------------------------------


def test_a_free_tree_is_taken_after_two_rounds_that_carried_the_want() -> None:
    bench = Bench().boots()
    bench.ask(Asked.WANT)
    carried = 0
    while bench.entry is not Entry.HELD:
        bench.round()
        written = bench.guard.state.written
        carried += written is not None and written.tree(TREE).entry is Entry.WANT
    assert carried >= 2


def test_a_round_that_failed_in_between_begins_the_count_anew() -> None:
    bench = Bench().boots()
    bench.ask(Asked.WANT)
    bench.round()
    while bench.guard.state.tree(TREE).rounds < 1:
        bench.round()
    if not bench.guard.state.reading:
        bench.later(LIMITS.round_s)
        bench.wake()
    bench.answer(read=False)
    assert bench.guard.state.tree(TREE).rounds == 0


def test_a_tree_that_the_silent_peer_holds_is_taken_no_earlier_than_the_whole_wait() -> None:
    bench = Bench(peer=held_by_peer()).boots()
    bench.later(3.0)  # longer ago than that, it promised at its own start
    bench.writes(held_by_peer(11))
    bench.round()
    silent_for(bench, LIMITS.take_s - 1.0)
    assert not bench.entry.holds
    assert bench.guard.state.claim != Claim()
    silent_for(bench, 4.0)
    assert bench.entry is Entry.HELD


def test_a_sign_of_life_on_the_disk_ends_the_takeover() -> None:
    bench = Bench(peer=held_by_peer()).boots()
    silent_for(bench, LIMITS.take_s - 2.0)
    bench.writes(held_by_peer(11))
    silent_for(bench, 3.0)
    assert not bench.entry.holds


def test_a_slot_that_goes_back_in_time_is_a_sign_of_life_and_says_nothing() -> None:
    """A read that shows an older, free slot must not free what the newest known one holds."""
    bench = Bench(peer=held_by_peer()).boots()
    bench.writes(replace(THEIRS, number=8))
    bench.ask(Asked.WANT)
    for _ in range(8):
        bench.round()
        bench.ask()
    assert not bench.entry.holds


def test_a_peer_that_turned_unreadable_frees_nothing() -> None:
    bench = Bench(peer=THEIRS).boots()
    bench.peer, bench.changes = None, 99
    bench.ask(Asked.WANT)
    for _ in range(8):
        bench.round()
        bench.ask()
    assert not bench.entry.holds


def test_a_peer_with_other_figures_is_not_waited_for() -> None:
    other = replace(LIMITS, lease_ms=60_000)
    bench = Bench(peer=replace(held_by_peer(), limits=other)).boots()
    silent_for(bench, 12.0)
    assert not bench.entry.holds


def test_a_promise_holds_for_the_whole_wait() -> None:
    bench = Bench(peer=held_by_peer()).boots()
    bench.later(2.0)
    bench.do(PingHeard(bench.now, 4, 1))
    given = bench.guard.state.last_promise
    assert given == bench.now
    silent_for(bench, LIMITS.take_s - 1.0)
    assert not bench.entry.holds


def test_who_has_a_claim_out_promises_nothing() -> None:
    bench = Bench(peer=held_by_peer()).boots()
    silent_for(bench, LIMITS.take_s - 1.0)
    assert bench.guard.state.claim != Claim()
    assert not any(isinstance(e, GivePromise) for e in bench.do(PingHeard(bench.now, 4, 1)))


def test_while_the_figures_change_the_shorter_lease_and_the_longer_wait_hold() -> None:
    longer = Limits(**{f: getattr(LIMITS, f) for f in LIMITS.__slots__} | {"lease_ms": 20_000})
    bench = Bench().holds()
    bench.do(LimitsChanged(bench.now, longer))
    bench.later(LIMITS.keep_s() + 0.01)
    bench.wake()
    assert bench.lease is Lease.ENDING


def test_an_ownership_number_is_never_used_twice() -> None:
    bench = Bench(peer=replace(THEIRS, trees=(TreeEntry(TREE, Entry.RELEASED, 41),))).holds()
    assert bench.guard.state.tree(TREE).ownership > 41


def test_a_rival_with_the_higher_number_ends_everything() -> None:
    bench = Bench().holds()
    mine = bench.guard.state.tree(TREE).ownership
    bench.writes(replace(THEIRS, number=11, trees=(TreeEntry(TREE, Entry.HELD, mine + 1),)))
    bench.round()
    assert bench.lease is Lease.ENDING


# --- clocks -----------------------------------------------------------------------------------------------------


def test_a_suspended_owner_counts_the_sleep() -> None:
    """MONOTONIC stood still; BOOTTIME did not."""
    bench = Bench().holds()
    bench.now = replace(bench.now, boot_s=bench.now.boot_s + 60.0)
    bench.wake()
    assert bench.lease in (Lease.ENDING, Lease.RESET)


def test_a_slewed_clock_does_not_shorten_the_wait() -> None:
    """MONOTONIC runs ahead; RAW does not: the standby waits by the slower one."""
    bench = Bench(peer=held_by_peer()).boots()
    bench.now = replace(bench.now, mono_s=bench.now.mono_s + 60.0, boot_s=bench.now.boot_s + 60.0)
    silent_for(bench, LIMITS.take_s - 1.0)
    assert not bench.entry.holds


def test_a_suspended_standby_does_not_count_the_sleep() -> None:
    bench = Bench(peer=held_by_peer()).boots()
    bench.now = replace(bench.now, boot_s=bench.now.boot_s + 60.0, raw_s=bench.now.raw_s + 60.0)
    silent_for(bench, LIMITS.take_s - 1.0)
    assert not bench.entry.holds
