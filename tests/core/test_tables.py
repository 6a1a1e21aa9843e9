"""The promises of the tables, over every combination of words."""

from __future__ import annotations

import string
from collections import Counter
from typing import Any

import pytest

from servha.core.arbitration import (
    PERMITS,
    RIGHTS,
    Answer,
    Granted,
    Guarded,
    Hearing,
    Permit,
    Petition,
    Right,
    There,
)
from servha.core.lease import ENTRY, LEASE, EntrySituation, LeaseSituation
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
    ("LEASE", LEASE, LeaseSituation),
    ("ENTRY", ENTRY, EntrySituation),
]
SILENCE = (PeerHealth.LOST, PeerHealth.UNHEARD)
CONTACT = (PeerHealth.ALIVE, PeerHealth.SUSPECT)


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
        "lease_because", "lease_otherwise", "guard_grace_s", "entry_because", "entry_otherwise", "entry_ownership",
        "keep_s", "take_s", "claim_s", "grace_s", "disk_trouble", "window", "next_step", "fence_trouble", "fence",
            "maintenance",
    }  # fmt: skip
    for row in rows:
        for template in (row.because, row.otherwise):
            used = {field for _, field, _, _ in string.Formatter().parse(template) if field}
            assert used <= known, f"{name}/{row.id} uses {used - known}"
        assert row.because, f"{name}/{row.id} gives no reason"


def test_beats_alone_never_move_anything() -> None:
    """Silence by itself never grants the right: somebody else has to have been asked, on the wire or the disk."""
    for h in every(Hearing):
        if h.peer in SILENCE and h.guard is not Guarded.LIVES and h.peer_host is not Answer.SILENT:
            assert first_match(RIGHTS, h).becomes is not Right.GRANTED, h


def test_a_peer_in_contact_is_never_overruled() -> None:
    for h in every(Hearing):
        if h.peer in CONTACT:
            becomes = first_match(RIGHTS, h).becomes
            assert becomes is not Right.GRANTED, h
            assert becomes is Right.CONSENT or h.guard not in (Guarded.NOT_NEEDED, Guarded.LIVES), h


def test_under_a_reference_policy_nobody_acts_alone_without_its_answer() -> None:
    for h in every(Hearing):
        if h.policy is Policy.REFERENCE and h.peer in SILENCE and h.reference is not Answer.ANSWERS:
            assert first_match(RIGHTS, h).becomes is not Right.GRANTED, h


def test_under_both_a_node_that_reaches_no_reference_takes_nothing_and_keeps_what_it_has() -> None:
    for h in every(Hearing):
        if h.policy is Policy.BOTH and h.peer in SILENCE and h.guard is Guarded.LIVES:
            becomes = first_match(RIGHTS, h).becomes
            if h.reference in (Answer.SILENT, Answer.UNKNOWN):
                assert becomes in (Right.REFUSED, Right.PENDING), h
            if h.reference is Answer.SILENT and (h.boot_wait_over or h.peer is PeerHealth.LOST):
                assert becomes is Right.REFUSED, h


def test_a_booting_node_waits_before_it_acts_alone() -> None:
    for h in every(Hearing):
        if h.peer is PeerHealth.UNHEARD and not h.boot_wait_over:
            becomes = first_match(RIGHTS, h).becomes
            assert becomes is not Right.GRANTED, h
            assert becomes is Right.PENDING or h.guard in (Guarded.ENDED, Guarded.ABSENT), h


def test_an_owner_that_is_cut_off_loses_the_right() -> None:
    for h in every(Hearing):
        cut_off = h.peer is PeerHealth.LOST and h.reference is Answer.SILENT and h.holds
        if h.policy is Policy.REFERENCE and cut_off:
            assert first_match(RIGHTS, h).becomes is Right.LOST, h


def test_with_a_quorum_disk_the_right_is_lost_exactly_when_the_lease_is() -> None:
    """No silence, no missing reference address stops an owner whose lease lives; nothing saves one whose has ended."""
    for h in every(Hearing):
        if h.policy.leased:
            without = h.guard in (Guarded.ENDED, Guarded.ABSENT)
            becomes = first_match(RIGHTS, h).becomes
            assert (becomes is Right.LOST) is (without and h.holds), h
            if without and not h.holds:
                assert becomes is Right.REFUSED, h


def test_nobody_acts_before_the_guard_was_heard() -> None:
    for h in every(Hearing):
        if h.guard is Guarded.UNKNOWN:
            assert first_match(RIGHTS, h).becomes is Right.PENDING, h


def test_a_silent_peer_whose_lease_can_be_waited_for_needs_no_answer_of_its_host() -> None:
    """With a living lease the quorum disk decides, be the peer's host reachable or not: it may be cut off there."""
    for h in every(Hearing):
        asked = h.policy is Policy.DISK or h.reference in (Answer.ANSWERS, Answer.NOBODY_TO_ASK)
        if h.guard is Guarded.LIVES and h.peer is PeerHealth.LOST and asked:
            assert first_match(RIGHTS, h).becomes is Right.GRANTED, h


def test_a_tree_that_the_peer_holds_is_never_started_beside_it() -> None:
    for p in every(Petition):
        off = p.there in (There.CONSENTS, There.RESIGNED)
        if p.right is Right.CONSENT and p.granted is Granted.NOT_NEEDED and not off:
            assert first_match(PERMITS, p).becomes is not Permit.YES, p


def test_with_a_quorum_disk_nothing_starts_that_is_not_held_there() -> None:
    for p in every(Petition):
        if p.granted is Granted.NO:
            assert first_match(PERMITS, p).becomes is not Permit.YES, p


def test_what_is_held_on_the_quorum_disk_may_start_unless_the_right_is_missing() -> None:
    for p in every(Petition):
        if p.granted is Granted.YES and (p.forced or p.right in (Right.CONSENT, Right.GRANTED)):
            assert first_match(PERMITS, p).becomes is Permit.YES, p


def test_whoever_may_act_alone_asks_the_quorum_disk() -> None:
    for p in every(Petition):
        if p.granted is Granted.NO and p.right is Right.GRANTED:
            assert first_match(PERMITS, p).becomes is Permit.ASK, p


def test_an_administrators_word_is_stronger_than_a_missing_right_but_not_than_a_lost_one() -> None:
    word = {Granted.NOT_NEEDED: Permit.YES, Granted.NO: Permit.ASK, Granted.YES: Permit.YES}
    for p in every(Petition):
        if p.forced:
            lost = p.right is Right.LOST
            assert first_match(PERMITS, p).becomes is (Permit.MUST_STOP if lost else word[p.granted]), p


def test_an_answering_address_blocks_every_start_alone() -> None:
    """Unless the lease of whoever answers is known to have ended, or an administrator knows better."""
    for p in every(Petition):
        alone = p.right is not Right.CONSENT and p.granted is Granted.NOT_NEEDED and not p.forced
        if alone and p.addresses in (Answer.ANSWERS, Answer.UNKNOWN):
            assert first_match(PERMITS, p).becomes is not Permit.YES, p


def test_only_consent_or_a_grant_permits_a_start() -> None:
    for p in every(Petition):
        if first_match(PERMITS, p).becomes is Permit.YES:
            consent = p.there in (There.CONSENTS, There.RESIGNED)
            assert p.right is Right.GRANTED or consent or p.granted is Granted.YES or p.forced, p


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
        start_failure=q.start_failure, settled=q.settled, hands_off=q.hands_off,
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
        if h.peer is PeerHealth.ABSENT and h.guard in (Guarded.NOT_NEEDED, Guarded.LIVES):
            assert first_match(RIGHTS, h).becomes is Right.GRANTED, h


def test_what_the_peer_holds_or_announced_first_is_not_even_asked_for() -> None:
    for p in every(Petition):
        if p.granted is Granted.YES:
            continue  # it is ours on the disk, whatever an older beat says
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
