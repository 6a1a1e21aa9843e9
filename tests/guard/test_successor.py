"""A guard that goes on from its predecessor: what it must not believe."""

from __future__ import annotations

import json

import pytest

from servha.core.clocks import Stamp
from servha.core.guard import Guard
from servha.core.guard_model import AllStopped, Asking, EmergencyStop, Held, Saved, TreeAsked, Woken
from servha.core.lease import Asked, Lease
from servha.core.register import Entry, Slot, TreeEntry
from servha.core.timing import PROFILES
from servha.wire.guard_talk import AskingMessage, decode

BOOT = "ab" * 16
LIMITS = PROFILES["fast"].limits
NOW = Stamp(1000.0, 1000.0, 1000.0)


def test_what_servhad_saw_of_the_predecessor_does_not_count_as_having_seen_the_end_of_the_lease() -> None:
    """Views are counted anew; else a start that servhad has in hand would come after the tree counts as stopped."""
    asking = Asking((TreeAsked(1, Asked.RUN, 5),), seen=57, peer="node2")
    saved = Saved(
        boot_id=BOOT,
        slot=Slot(0, 1, 8, BOOT, LIMITS, trees=(TreeEntry(1, Entry.HELD, 5),)),
        basis=NOW,
        trees=(Held(1, Entry.HELD, 5, rounds=2),),
        asking=asking,
        watchdog="Software Watchdog",
        watchdog_s=1.0,
    )
    late = NOW.later(LIMITS.keep_s() + 0.01)
    guard = Guard(node=0, boot_id=BOOT, limits=LIMITS, now=late, saved=saved)
    effects = guard.handle(Woken(late))
    (stop,) = [e for e in effects if isinstance(e, EmergencyStop)]
    assert guard.state.lease is Lease.ENDING
    guard.handle(AllStopped(late.later(0.01), stop.sweep))
    assert guard.state.lease is Lease.ENDING, "servhad has not said yet that it starts nothing any more"


@pytest.mark.parametrize(
    "row", [[1, "run", 5, 1], [1, "run", 5, 1, False, "", False, 0, "of a later release", 9]]
)
def test_what_another_release_left_or_says_is_read_as_far_as_it_goes(row: list[object]) -> None:
    """The memory in /run outlives an upgrade; one that could not be read would end in an emergency stop."""
    datagram = {"v": 1, "asking": {"trees": [row], "silent": False, "reference": True, "seen": 3}}
    assert decode(json.dumps(datagram).encode()) == AskingMessage(
        Asking((TreeAsked(1, Asked.RUN, 5, 1),), reference_ok=True, seen=3)
    )
