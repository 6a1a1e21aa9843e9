"""Every row of every table is needed: taken out, at least one promise or one scenario turns red.

The rows are the guards. For each of them the table is put in force without it, and the promises over every
combination of words and then the scenarios are run until one of them objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from servha.core import arbitration, engine, placement, rules
from servha.core.table import Row
from servha.sim.scenario import play
from tests.core import test_tables

SCENARIOS = sorted((Path(__file__).parents[1] / "scenarios").glob("*.txt"))
TABLES: dict[str, tuple[Row[Any], ...]] = {
    "RIGHTS": arbitration.RIGHTS,
    "PERMITS": arbitration.PERMITS,
    "PLACEMENT": placement.PLACEMENT,
    "STANDING": rules.STANDING,
    "TREE": rules.TREE,
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
)
ABOUT_PLACEMENT: tuple[Callable[[], None], ...] = (
    test_tables.test_a_tree_that_a_peer_in_contact_holds_is_left_to_it,
    test_tables.test_under_start_failure_stay_nobody_tries_after_a_failure,
    test_tables.test_two_nodes_in_contact_never_both_wish_to_run_what_nobody_holds,
)


@cache
def wanted(path: Path) -> tuple[str, str]:
    asked, _, answer = path.read_text().partition("----\n")
    return asked, answer


def objections(name: str) -> Iterator[str]:
    """Yield who objects to the tables in force, the quickest to ask first."""
    for promise in PROMISES:
        try:
            promise()
        except (AssertionError, LookupError):
            yield promise.__name__
    for path in SCENARIOS:
        asked, answer = wanted(path)
        try:
            if play(asked) != answer:
                yield path.stem
        except (AssertionError, LookupError, RuntimeError) as problem:
            yield f"{path.stem}: {problem}"
    for promise in ABOUT_PLACEMENT if name == "PLACEMENT" else ():
        try:
            promise()
        except (AssertionError, LookupError):
            yield promise.__name__


ROWS = [(name, row.id) for name, table in TABLES.items() for row in table]


@pytest.mark.parametrize(("name", "row_id"), ROWS, ids=[f"{n}/{r}" for n, r in ROWS])
def test_without_this_guard_something_turns_red(
    name: str, row_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = tuple(row for row in TABLES[name] if row.id != row_id)
    for module in (engine, test_tables):
        monkeypatch.setattr(module, name, rest)
    assert next(objections(name), ""), f"{name}/{row_id} can be removed and nobody notices"


def test_nobody_objects_to_the_tables_as_they_are() -> None:
    assert list(objections("PLACEMENT")) == []
