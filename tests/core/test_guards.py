"""Every row of every table is needed: taken out, at least one promise or one scenario turns red.

The rows are the guards. For each of them the table is put in force without it, and the promises over every
combination of words and then the scenarios are run until one of them objects.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from servha.core import arbitration, engine, guard, lease, placement, rules, table
from servha.core.table import Row
from servha.sim.scenario import play
from tests.core import test_lease_tables, test_tables

SCENARIOS = sorted((Path(__file__).parents[1] / "scenarios").glob("*.txt"))
TABLES: dict[str, tuple[Row[Any], ...]] = {
    "RIGHTS": arbitration.RIGHTS,
    "PERMITS": arbitration.PERMITS,
    "PLACEMENT": placement.PLACEMENT,
    "STANDING": rules.STANDING,
    "TREE": rules.TREE,
    "LEASE": lease.LEASE,
    "ENTRY": lease.ENTRY,
}
PROMISES: tuple[Callable[[], None], ...] = (
    test_tables.test_beats_alone_never_move_anything,
    test_tables.test_a_peer_in_contact_is_never_overruled,
    test_tables.test_under_a_reference_policy_nobody_acts_alone_without_its_answer,
    test_tables.test_a_booting_node_waits_before_it_acts_alone,
    test_tables.test_an_owner_that_is_cut_off_loses_the_right,
    test_tables.test_a_tree_that_the_peer_holds_is_never_started_beside_it,
    test_tables.test_an_answering_address_blocks_every_start_alone,
    test_tables.test_only_consent_or_a_grant_permits_a_start,
    test_tables.test_a_tree_comes_up_only_with_a_permit_and_a_wish,
    test_tables.test_a_lost_right_stops_whatever_runs_whatever_was_wished,
    test_tables.test_a_rival_with_the_better_claim_makes_us_stop,
    test_tables.test_what_may_still_run_is_never_called_off,
    test_tables.test_a_node_with_no_right_never_stands_active,
    test_tables.test_a_cluster_of_one_node_acts_at_once,
    test_tables.test_what_the_peer_holds_or_announced_first_is_not_even_asked_for,
    test_tables.test_under_both_a_node_that_reaches_no_reference_takes_nothing_and_keeps_what_it_has,
    test_tables.test_with_a_quorum_disk_the_right_is_lost_exactly_when_the_lease_is,
    test_tables.test_nobody_acts_before_the_guard_was_heard,
    test_tables.test_a_silent_peer_whose_lease_can_be_waited_for_needs_no_answer_of_its_host,
    test_tables.test_with_a_quorum_disk_nothing_starts_that_is_not_held_there,
    test_tables.test_what_is_held_on_the_quorum_disk_may_start_unless_the_right_is_missing,
    test_tables.test_whoever_may_act_alone_asks_the_quorum_disk,
    test_tables.test_an_administrators_word_is_stronger_than_a_missing_right_but_not_than_a_lost_one,
)
ABOUT: dict[str, tuple[Callable[[], None], ...]] = {
    "LEASE": test_lease_tables.PROMISES_LEASE,
    "ENTRY": test_lease_tables.PROMISES_ENTRY,
}
ABOUT_PLACEMENT: tuple[Callable[[], None], ...] = (
    test_tables.test_a_tree_that_a_peer_in_contact_holds_is_left_to_it,
    test_tables.test_under_start_failure_stay_nobody_tries_after_a_failure,
    test_tables.test_two_nodes_in_contact_never_both_wish_to_run_what_nobody_holds,
)


@cache
def played() -> dict[str, tuple[str, str, frozenset[int]]]:
    """Play every scenario once; return what was asked, the answer, and which rows decided anything in it."""
    found = {}
    for path in SCENARIOS:
        asked, _, answer = path.read_text().partition("----\n")
        fired: set[int] = set()

        def noting(rows: tuple[Row[Any], ...], situation: Hashable, fired: set[int] = fired) -> Row[Any]:
            row = table.first_match(rows, situation)
            fired.add(id(row))
            return row

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine, "first_match", noting)
            patch.setattr(guard, "first_match", noting)
            got = play(asked)
        assert got == answer, f"{path.stem} is red already"
        found[path.stem] = (asked, answer, frozenset(fired))
    return found


def objections(name: str, without: Row[Any]) -> Iterator[str]:
    """Yield who objects to the tables in force, the quickest to ask first.

    A scenario in which the missing row decided nothing goes as before, so only the others are played.
    """
    for promise in ABOUT.get(name, PROMISES):
        try:
            promise()
        except (AssertionError, LookupError):
            yield promise.__name__
    for stem, (asked, answer, fired) in played().items():
        if id(without) not in fired:
            continue
        try:
            if play(asked) != answer:
                yield stem
        except (AssertionError, LookupError, RuntimeError) as problem:
            yield f"{stem}: {problem}"
    for promise in ABOUT_PLACEMENT if name == "PLACEMENT" else ():
        try:
            promise()
        except (AssertionError, LookupError):
            yield promise.__name__


ROWS = [(name, row.id) for name, rows in TABLES.items() for row in rows]


@pytest.mark.parametrize(("name", "row_id"), ROWS, ids=[f"{n}/{r}" for n, r in ROWS])
def test_without_this_guard_something_turns_red(
    name: str, row_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    played()  # with all rows, before one of them goes
    without = next(row for row in TABLES[name] if row.id == row_id)
    rest = tuple(row for row in TABLES[name] if row is not without)
    for module in (guard, test_lease_tables) if name in ABOUT else (engine, test_tables):
        monkeypatch.setattr(module, name, rest)
    assert next(objections(name, without), ""), f"{name}/{row_id} can be removed and nobody notices"


def test_nobody_objects_to_the_tables_as_they_are() -> None:
    for promise in (*PROMISES, *ABOUT_PLACEMENT, *ABOUT["LEASE"], *ABOUT["ENTRY"]):
        promise()
    assert played()
