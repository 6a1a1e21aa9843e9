"""Every combination of words a situation can hold: the tables' properties are checked over all of them.

Combinations that cannot happen are left out here, and nowhere else.
"""

from __future__ import annotations

import itertools
import typing
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from servha.core.arbitration import Granted, Guarded, Hearing, Petition, Right
from servha.core.lease import DOWN, HOLDING, EntrySituation, Lease, LeaseSituation, There, Wait
from servha.core.register import Entry

Situation = TypeVar("Situation")


def every(kind: type[Situation]) -> Iterator[Situation]:
    """Yield every value that the dataclass `kind` can take; its fields are enumerations and booleans."""
    whole: Any = kind
    yield from made(whole)


@cache
def made(kind: Any) -> tuple[Any, ...]:
    """Return the same, made once."""
    hints = typing.get_type_hints(kind)
    choices = [tuple(hint) if issubclass(hint, Enum) else (False, True) for hint in hints.values()]
    all_of_them = (kind(**dict(zip(hints, values, strict=True))) for values in itertools.product(*choices))
    return tuple(situation for situation in all_of_them if possible(situation))


def possible(situation: object) -> bool:
    """Return whether the words of `situation` can be true together."""
    match situation:
        case Hearing(policy=policy, guard=guard):
            return policy.leased is (guard is not Guarded.NOT_NEEDED)
        case Petition(right=right, forced=forced, granted=granted):
            if forced and right is Right.CONSENT:
                return False  # force is taken only against a silent peer
            return not (
                right is Right.LOST and granted is Granted.YES
            )  # nothing is granted on an ended lease
        case LeaseSituation(lease=lease, holds=holds, rewritten=rewritten):
            # Whoever takes over what a predecessor held does not boot; what only boots holds nothing.
            return not (lease is Lease.BOOTING and holds) and not (
                lease is Lease.FREE and holds and not rewritten
            )
        case EntrySituation():
            return _entry_possible(situation)
    return True


def _entry_possible(e: EntrySituation) -> bool:
    if e.lease is Lease.BOOTING and e.entry not in DOWN:
        return False
    if e.lease in (Lease.LEASED, Lease.DEGRADED) and e.there is There.UNREAD and e.wait is Wait.OVER:
        return False  # a claim needs a slot that was read
    if e.settled and e.entry is Entry.NONE:
        return False  # rounds are counted for what is declared
    return not (e.paused and e.entry in HOLDING)
