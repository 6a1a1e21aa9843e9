"""Every safeguard of the guard that is not a row of a table is needed: taken out, a named test turns red.

Each is a change of a few characters in one function of the core, in force for the length of one test. The rows are
in test_guards.py; what only two nodes and time can show is in test_explore.py.
"""

from __future__ import annotations
import __future__

import inspect
import textwrap
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import pytest

from servha.core import clocks, guard, guard_memory, guard_words
from tests.core import test_guard as t


class Need(NamedTuple):
    """`old` in `function` of `module` becomes `new`; then `test` must object."""

    name: str
    module: ModuleType
    function: str
    old: str
    new: str
    test: Callable[[], None]


CLOCKS, MEMORY, WORDS, GUARD = clocks, guard_memory, guard_words, guard
NEEDS = (
    Need(
        "issue, not answer",
        MEMORY,
        "_round",
        "by_disk, issued)), issued)",
        "by_disk, state.now)), state.now)",
        t.test_a_round_renews_from_its_issue,
    ),
    Need(
        "ping, not promise",
        MEMORY,
        "remember",
        "_later(state.by_peer, pinged)), pinged)",
        "_later(state.by_peer, state.now)), state.now)",
        t.test_a_promise_renews_from_its_ping,
    ),
    Need(
        "promise to this life",
        MEMORY,
        "remember",
        "generation == state.generation and",
        "",
        t.test_a_promise_to_another_life_of_this_node_renews_nothing,
    ),
    Need(
        "numbers caught up",
        MEMORY,
        "_caught_up",
        "max(state.number, peer.seen_number)",
        "state.number",
        t.test_a_number_that_the_peer_saw_before_is_passed_at_once,
    ),
    Need(
        "no new generation while held",
        MEMORY,
        "_caught_up",
        " and not covered(state)",
        "",
        t.test_a_generation_stays_while_something_is_held,
    ),
    Need(
        "challenged",
        MEMORY,
        "_round",
        "not challenged and issued",
        "issued",
        t.test_a_challenged_round_does_not_renew,
    ),
    Need(
        "own read-back",
        MEMORY,
        "_round",
        "event.own is None or event.own != writing",
        "event.own is None",
        t.test_what_does_not_come_back_as_it_was_written_renews_nothing,
    ),
    Need(
        "intruder",
        MEMORY,
        "_round",
        "event.own is not None and event.own.age > writing.age",
        "False",
        t.test_somebody_else_in_our_slot_ends_everything,
    ),
    Need(
        "armed before the want",
        GUARD,
        "Guard.handle",
        "        self._tend_watchdog(out)\n        self._write(out)\n",
        "        self._write(out)\n        self._tend_watchdog(out)\n",
        t.test_the_watchdog_is_armed_before_anything_is_wanted_on_the_disk,
    ),
    Need(
        "no feeding on old age",
        GUARD,
        "_may_feed",
        "return ",
        "return True or ",
        t.test_the_watchdog_is_not_fed_on_an_old_lease,
    ),
    Need(
        "the driver's own time",
        WORDS,
        "keep_s",
        "state.watchdog_s",
        "0.0",
        t.test_a_driver_that_keeps_longer_ends_the_lease_earlier,
    ),
    Need(
        "a sweep after servhad is quiet",
        WORDS,
        "lease_situation",
        "state.all_stopped and state.sweep_quiet",
        "state.all_stopped",
        t.test_the_watchdog_is_let_go_only_when_everything_was_seen_stopped,
    ),
    Need(
        "that very sweep",
        MEMORY,
        "remember",
        "state.all_stopped or sweep == state.sweep",
        "True",
        t.test_the_watchdog_is_let_go_only_when_everything_was_seen_stopped,
    ),
    Need(
        "servhad is killed",
        GUARD,
        "Guard._stop_everything",
        "at_most_s(state.ending_since, state.now) >= DAEMON_ANSWER_S",
        "False",
        t.test_a_servhad_that_does_not_answer_is_killed_and_everything_is_looked_for_again,
    ),
    Need(
        "a boot is a life",
        MEMORY,
        "_met_own",
        "own.boot_id != state.boot_id\n",
        "False\n",
        t.test_another_boot_is_another_life,
    ),
    Need(
        "a life is a boot",
        MEMORY,
        "_met_own",
        "own.boot_id != state.boot_id\n",
        "True\n",
        t.test_the_same_boot_is_the_same_life,
    ),
    Need(
        "seen generation",
        MEMORY,
        "_met_own",
        "event.peer.seen_generation if event.peer else 0",
        "0",
        t.test_a_slot_that_was_emptied_does_not_make_us_older_than_the_peer_saw_us,
    ),
    Need(
        "amnesia",
        MEMORY,
        "_met_own",
        "not reboot and any(t.entry.holds for t in own.trees)",
        "False",
        t.test_a_boot_that_held_something_and_forgot_stops_everything_first,
    ),
    Need(
        "want rounds",
        WORDS,
        "entry_situation",
        "tree.rounds >= WANT_ROUNDS",
        "tree.rounds >= 1",
        t.test_a_free_tree_is_taken_after_two_rounds_that_carried_the_want,
    ),
    Need(
        "want rounds in a row",
        MEMORY,
        "_failed",
        "replace(t, rounds=0) if t.entry is Entry.WANT else t",
        "t",
        t.test_a_round_that_failed_in_between_begins_the_count_anew,
    ),
    Need(
        "unchanged for the whole wait",
        MEMORY,
        "_met_peer",
        "peer_since=state.now",
        "peer_since=state.peer_since or state.now",
        t.test_a_sign_of_life_on_the_disk_ends_the_takeover,
    ),
    Need(
        "the whole wait",
        WORDS,
        "wait_word",
        "if at_least_s(state.peer_since, state.now) < take_s(state):",
        "if False:",
        t.test_a_tree_that_the_silent_peer_holds_is_taken_no_earlier_than_the_whole_wait,
    ),
    Need(
        "no way back in time",
        MEMORY,
        "_met_peer",
        "known is not None and (peer is None or peer.age < known.age)",
        "known is not None and peer is None",
        t.test_a_slot_that_goes_back_in_time_is_a_sign_of_life_and_says_nothing,
    ),
    Need(
        "unreadable is not free",
        WORDS,
        "there_word",
        "There.UNREAD if state.peer_doubtful else There.FREE",
        "There.FREE",
        t.test_a_peer_that_turned_unreadable_frees_nothing,
    ),
    Need(
        "equal figures",
        WORDS,
        "wait_word",
        "state.peer.limits != state.limits or",
        "",
        t.test_a_peer_with_other_figures_is_not_waited_for,
    ),
    Need(
        "former figures",
        WORDS,
        "keep_s",
        "if state.former_limits is None else",
        "if True else",
        t.test_while_the_figures_change_the_shorter_lease_and_the_longer_wait_hold,
    ),
    Need(
        "the promise is remembered",
        GUARD,
        "Guard._promise",
        "last_promise=state.now",
        "last_promise=state.last_promise",
        t.test_a_promise_holds_for_the_whole_wait,
    ),
    Need(
        "the promise is kept",
        WORDS,
        "wait_word",
        "state.last_promise is not None and",
        "False and",
        t.test_a_promise_holds_for_the_whole_wait,
    ),
    Need(
        "no promise beside a claim",
        GUARD,
        "Guard._promise",
        "state.claim != NO_CLAIM or any(t.claims for t in state.trees)",
        "False",
        t.test_who_has_a_claim_out_promises_nothing,
    ),
    Need(
        "ownership grows",
        WORDS,
        "next_ownership",
        "max(tree.ownership, asked, theirs)",
        "tree.ownership",
        t.test_an_ownership_number_is_never_used_twice,
    ),
    Need(
        "rivals",
        WORDS,
        "rivals",
        "theirs[t.id].ownership > t.ownership",
        "False",
        t.test_a_rival_with_the_higher_number_ends_everything,
    ),
    Need(
        "sleep counts for the owner",
        CLOCKS,
        "at_most_s",
        "max(now.boot_s - since.boot_s, now.raw_s - since.raw_s)",
        "now.mono_s - since.mono_s",
        t.test_a_suspended_owner_counts_the_sleep,
    ),
    Need(
        "sleep does not count for the standby",
        CLOCKS,
        "at_least_s",
        "now.mono_s - since.mono_s, now.raw_s - since.raw_s",
        "now.boot_s - since.boot_s, now.raw_s - since.raw_s",
        t.test_a_suspended_standby_does_not_count_the_sleep,
    ),
    Need(
        "a fast clock does not count for the standby",
        CLOCKS,
        "at_least_s",
        "min(now.mono_s - since.mono_s, now.raw_s - since.raw_s)",
        "now.mono_s - since.mono_s",
        t.test_a_slewed_clock_does_not_shorten_the_wait,
    ),
)


def changed(need: Need) -> Callable[..., object]:
    """Return the function with the change made; its text must hold what is to be changed exactly once."""
    owner: object = need.module
    for name in need.function.split("."):
        owner = getattr(owner, name)
    assert callable(owner)
    text = inspect.getsource(owner)
    assert text.count(need.old) == 1, f"{need.function} no longer reads as this test knows it: {need.old}"
    made: dict[str, Callable[..., object]] = {}
    code = compile(
        textwrap.dedent(text.replace(need.old, need.new)),
        need.name,
        "exec",
        __future__.annotations.compiler_flag,
    )
    exec(code, vars(need.module), made)  # noqa: S102 (our own source, a few characters changed)
    return made[need.function.rpartition(".")[2]]


@pytest.mark.parametrize("need", NEEDS, ids=[n.name for n in NEEDS])
def test_without_this_safeguard_its_test_turns_red(need: Need, monkeypatch: pytest.MonkeyPatch) -> None:
    need.test()
    function = changed(need)
    if "." in need.function:
        monkeypatch.setattr(guard.Guard, need.function.rpartition(".")[2], function)
    else:
        for module in (guard, guard_memory, guard_words):
            if need.function in vars(module):
                monkeypatch.setattr(module, need.function, function)
    with pytest.raises(AssertionError):
        need.test()
