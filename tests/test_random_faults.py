"""Random faults against the real core in virtual time. `make soak SEEDS=n` runs more of the same."""

from __future__ import annotations

import os

import pytest

from servha.sim.campaign import campaign

SEED_COUNT = int(os.environ.get("SEEDS", "40"))
CHUNK = 10


@pytest.mark.parametrize("first", range(0, SEED_COUNT, CHUNK))
def test_no_campaign_of_covered_faults_ends_with_two_owners_or_none(first: int) -> None:
    for seed in range(first, min(first + CHUNK, SEED_COUNT)):
        outcome = campaign(seed)
        assert outcome.good, "\n".join(
            [f"seed {seed}: dual-active {outcome.dual}, not running {outcome.stuck}", *outcome.faults]
        )


def test_campaigns_do_move_trees() -> None:
    """A campaign in which nothing happens proves nothing."""
    assert sum(campaign(seed).moves for seed in range(10)) > 40
