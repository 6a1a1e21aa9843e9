"""The promises of the tables, over every combination of words."""

from __future__ import annotations

import string
from collections import Counter
from typing import Any

import pytest

from servha.core.arbitration import PERMITS, RIGHTS, Answer, Hearing, Permit, Petition, Right, There
from servha.core.model import Goal, PeerHealth, Phase, Policy, Standing, StartFailure
from servha.core.placement import PLACEMENT, Holder, Pin, Question, Side, Wish
from servha.core.rules import STANDING, TREE, NodeSituation, TreeSituation
from servha.core.table import Row, first_match
from tests.core.combinations import every

TABLES: list[tuple[str, tuple[Row[Any], ...], Any]] = [
    ("RIGHTS", RIGHTS, Hearing),
    ("PERMITS", PERMITS, Petition),
    ("PLACEMENT", PLACEMENT, Question),
    ("STANDING", STANDING, NodeSituation),
    ("TREE", TREE, TreeSituation),
]


@pytest.mark.parametrize(("name", "rows", "kind"), TABLES)
def test_every_situation_has_a_rule_and_no_rule_is_dead(
    name: str, rows: tuple[Row[Any], ...], kind: Any
) -> None:
    fired = Counter(first_match(rows, situation).id for situation in every(kind))
    assert set(fired) == {row.id for row in rows}, f"{name}: rules that can never fire"
    assert len({row.id for row in rows}) == len(rows), f"{name}: two rules of the same name"


@pytest.mark.parametrize(("name", "rows", "kind"), TABLES)
def test_every_condition_names_a_field_and_a_word_of_it(
    name: str, rows: tuple[Row[Any], ...], kind: Any
) -> None:
    situations = list(every(kind))
    for row in rows:
        for field, wanted in row.when.items():
            seen = {getattr(s, field) for s in situations}
            asked = wanted if isinstance(wanted, (set, frozenset)) else {wanted}
            assert asked <= seen, f"{name}/{row.id} asks {field} for {asked - seen}"


@pytest.mark.parametrize(("name", "rows", "kind"), TABLES)
def test_every_reason_is_a_sentence_whose_values_are_known(
    name: str, rows: tuple[Row[Any], ...], kind: Any
) -> None:
    known = {
        "peer", "references", "reference", "peer_host", "first_start_s", "held", "right_because", "tree", "failure",
        "held_by", "hold_down_s", "rival", "limit", "window_s", "wish_because", "permit_because",
    }  # fmt: skip
    for row in rows:
        for template in (row.because, row.otherwise):
            used = {field for _, field, _, _ in string.Formatter().parse(template) if field}
            assert used <= known, f"{name}/{row.id} uses {used - known}"
        assert row.because, f"{name}/{row.id} gives no reason"


def test_beats_alone_never_move_anything() -> None:
    """Silence by itself never grants the right: somebody else on the wire has to have been asked."""
    for h in every(Hearing):
        if h.peer in (PeerHealth.LOST, PeerHealth.UNHEARD) and h.peer_host is not Answer.SILENT:
            assert first_match(RIGHTS, h).becomes is not Right.GRANTED, h


def test_a_peer_in_contact_is_never_overruled() -> None:
    for h in every(Hearing):
        if h.peer in (PeerHealth.ALIVE, PeerHealth.SUSPECT):
            assert first_match(RIGHTS, h).becomes is Right.CONSENT, h


def test_under_a_reference_policy_nobody_acts_alone_without_its_answer() -> None:
    for h in every(Hearing):
        silent = h.peer in (PeerHealth.LOST, PeerHealth.UNHEARD)
        if h.policy is Policy.REFERENCE and silent and h.reference is not Answer.ANSWERS:
            assert first_match(RIGHTS, h).becomes is not Right.GRANTED, h


def test_a_booting_node_waits_before_it_acts_alone() -> None:
    for h in every(Hearing):
        if h.peer is PeerHealth.UNHEARD and not h.boot_wait_over:
            assert first_match(RIGHTS, h).becomes is Right.PENDING, h


def test_an_owner_that_is_cut_off_loses_the_right() -> None:
    for h in every(Hearing):
        cut_off = h.peer is PeerHealth.LOST and h.reference is Answer.SILENT and h.holds
        if h.policy is Policy.REFERENCE and cut_off:
            assert first_match(RIGHTS, h).becomes is Right.LOST, h


def test_a_tree_that_the_peer_holds_is_never_started_beside_it() -> None:
    for p in every(Petition):
        if p.right is Right.CONSENT and p.there not in (There.CONSENTS, There.RESIGNED):
            assert first_match(PERMITS, p).becomes is not Permit.YES, p


def test_an_answering_address_blocks_every_start_alone() -> None:
    for p in every(Petition):
        if p.right is not Right.CONSENT and p.addresses in (Answer.ANSWERS, Answer.UNKNOWN):
            assert first_match(PERMITS, p).becomes is not Permit.YES, p


def test_only_consent_or_a_grant_permits_a_start() -> None:
    for p in every(Petition):
        if first_match(PERMITS, p).becomes is Permit.YES:
            assert p.right is Right.GRANTED or p.there in (There.CONSENTS, There.RESIGNED), p


def test_a_tree_comes_up_only_with_a_permit_and_a_wish() -> None:
    for t in every(TreeSituation):
        becomes = first_match(TREE, t).becomes
        if not t.phase.holds and becomes.holds:
            assert becomes is Phase.STARTING and t.permit is Permit.YES and t.wish is Wish.HERE, t


def test_a_lost_right_stops_whatever_runs_whatever_was_wished() -> None:
    for t in every(TreeSituation):
        if t.permit is Permit.MUST_STOP:
            becomes = first_match(TREE, t).becomes
            assert becomes in (Phase.STOPPING, Phase.OFF, Phase.STOP_FAILED), t


def test_a_rival_with_the_better_claim_makes_us_stop() -> None:
    for t in every(TreeSituation):
        if t.rival and t.phase in (Phase.STARTING, Phase.RUNNING):
            assert first_match(TREE, t).becomes is Phase.STOPPING, t


def test_what_may_still_run_is_never_called_off() -> None:
    """Only a tree of which every resource is stopped becomes off, for off is what lets the other node start."""
    for t in every(TreeSituation):
        if t.phase.holds and first_match(TREE, t).becomes in (Phase.OFF, Phase.WANTED):
            assert t.work.value == "nothing", t


def test_a_node_with_no_right_never_stands_active() -> None:
    for n in every(NodeSituation):
        if n.right is Right.LOST or n.leaving:
            assert first_match(STANDING, n).becomes in (Standing.YIELDING, Standing.ISOLATED), n


def test_every_standing_and_every_phase_is_reachable() -> None:
    assert {row.becomes for row in STANDING} == set(Standing)
    assert {row.becomes for row in TREE} == set(Phase)


def mirrored(q: Question, here: Side, there: Side, holder: Holder, pin: Pin) -> Question:
    return Question(
        empty=q.empty, goal=q.goal, pin=pin, holder=holder, here=here, there=there, first=not q.first,
        start_mode=q.start_mode, switch_policy=q.switch_policy, failback=q.failback,
        start_failure=q.start_failure, settled=q.settled,
    )  # fmt: skip


def test_two_nodes_in_contact_never_both_wish_to_run_what_nobody_holds() -> None:
    """The same facts seen from the other side never give the same 'here': consent only settles what is left."""
    other = {Pin.FREE: Pin.FREE, Pin.HERE: Pin.THERE, Pin.THERE: Pin.HERE}
    in_contact = (Side.FIT, Side.UNFIT, Side.PARKED)
    for q in every(Question):
        if q.holder is not Holder.NOBODY or q.here not in in_contact or q.there not in in_contact:
            continue
        ours = first_match(PLACEMENT, q).becomes
        theirs = first_match(PLACEMENT, mirrored(q, q.there, q.here, q.holder, other[q.pin])).becomes
        assert not (ours is Wish.HERE and theirs is Wish.HERE), q


def test_an_order_to_stop_is_stronger_than_everything() -> None:
    for q in every(Question):
        if q.goal is Goal.STOP:
            assert first_match(PLACEMENT, q).becomes is Wish.NOWHERE, q


def test_a_running_tree_is_sent_away_only_to_a_node_that_is_there() -> None:
    for q in every(Question):
        if q.holder is Holder.US and q.here is not Side.NO_HOST and q.there in (Side.GONE, Side.NO_HOST):
            assert first_match(PLACEMENT, q).becomes is not Wish.THERE, q


def test_a_cluster_of_one_node_acts_at_once() -> None:
    for h in every(Hearing):
        if h.peer is PeerHealth.ABSENT:
            assert first_match(RIGHTS, h).becomes is Right.GRANTED, h


def test_what_the_peer_holds_or_announced_first_is_not_even_asked_for() -> None:
    for p in every(Petition):
        if p.right is Right.CONSENT and p.there in (There.HOLDS, There.WANTS_BEFORE_US):
            assert first_match(PERMITS, p).becomes is Permit.NO, p


def test_a_tree_that_a_peer_in_contact_holds_is_left_to_it() -> None:
    for q in every(Question):
        left = q.holder is Holder.PEER and q.there in (
            Side.FIT,
            Side.UNFIT,
            Side.PARKED,
            Side.PARKED_ALONE,
            Side.WORN,
        )
        if left and not q.empty and q.goal is Goal.RUN:
            assert first_match(PLACEMENT, q).becomes is Wish.THERE, q


def test_under_start_failure_stay_nobody_tries_after_a_failure() -> None:
    for q in every(Question):
        failed = Side.PARKED in (q.here, q.there) and not {Side.NO_HOST, Side.GONE} & {q.here, q.there}
        asked = q.start_failure is StartFailure.STAY and q.goal is Goal.RUN and q.pin is Pin.FREE
        if failed and asked and q.holder is Holder.NOBODY:
            assert first_match(PLACEMENT, q).becomes is Wish.NOWHERE, q
