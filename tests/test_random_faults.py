"""Random faults against the real core in virtual time. `make soak SEEDS=n` runs more of the same."""

from __future__ import annotations

import os

import pytest

from servha.core.model import Policy
from servha.sim.campaign import Aim, campaign, unleased

SEED_COUNT = int(os.environ.get("SEEDS", "80"))
CHUNK = 10


@pytest.mark.parametrize("first", range(0, SEED_COUNT, CHUNK))
def test_no_campaign_under_a_lease_breaks_a_promise(first: int) -> None:
    for seed in range(first, min(first + CHUNK, SEED_COUNT)):
        outcome = campaign(seed)
        assert outcome.good, outcome.story()


@pytest.mark.parametrize("first", range(0, SEED_COUNT // 4, CHUNK))
def test_no_campaign_of_faults_that_a_reference_covers_ends_with_two_owners_or_none(first: int) -> None:
    for seed in range(first, min(first + CHUNK, SEED_COUNT // 4)):
        outcome = unleased(seed)
        assert outcome.good, outcome.story()


def test_campaigns_do_move_trees_and_reset_nodes() -> None:
    """A campaign in which nothing happens proves nothing."""
    outcomes = [campaign(seed) for seed in range(1000, 1012)]
    assert {o.policy for o in outcomes} == {Policy.DISK, Policy.BOTH}
    assert {o.aim for o in outcomes} == {Aim.SAFETY, Aim.LIVENESS}
    assert sum(o.moves for o in outcomes) > 100
    assert sum(o.resets for o in outcomes) > 5


def test_a_seed_makes_the_same_campaign_every_time() -> None:
    assert campaign(7) == campaign(7)
