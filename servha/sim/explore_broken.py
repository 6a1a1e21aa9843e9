"""Deliberate faults: one safeguard of the arbitration taken away, so that the exploration can show that it looks.

Each is a patch of the real core, or of the world around it, in force only inside its `with`. Nothing of it is ever in
force in the product.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from servha.core import guard, guard_memory, guard_words
from servha.core import guard_model as gm
from servha.core.lease import Age
from servha.core.timing import MARGIN_S, Limits

Patch = tuple[Any, str, Any]


@dataclass(frozen=True)
class Fault:
    """One deliberate fault. `world` names it to the rules of the world where it is not a patch of the core."""

    name: str
    story: str
    patches: tuple[Patch, ...] = ()
    world: str = ""


def _always_fresh(state: gm.GuardState) -> Age:
    del state
    return Age.FRESH


_round = guard_memory._round  # noqa: SLF001
_promise = guard.Guard._promise  # noqa: SLF001
_take_s: Any = Limits.take_s


def _counted_from_completion(state: gm.GuardState, event: gm.RoundEnded) -> gm.GuardState:
    return _round(replace(state, issued=event.now if state.issued else None), event)


def _one_period(self: Limits, watchdog_s: float = 0.0) -> float:
    return self.lease_s - max(self.watchdog_s, watchdog_s) - MARGIN_S


def _promise_forgotten(self: guard.Guard, event: gm.PingHeard, out: list[gm.GuardEffect]) -> None:
    before = self.state.last_promise
    _promise(self, event, out)
    self.state = replace(self.state, last_promise=before)


def _one_tick_short(self: Limits) -> float:
    return float(_take_s.fget(self)) - 1.0


FAULTS = (
    Fault(
        "no self-fence",
        "the lease never ends, so nothing stops and the watchdog is always fed",
        ((guard_words, "age_word", _always_fresh), (guard, "age_word", _always_fresh)),
    ),
    Fault(
        "lease counted from completion",
        "a round renews from the moment of its answer instead of the moment it was issued",
        ((guard_memory, "_round", _counted_from_completion),),
    ),
    Fault(
        "takeover without claim",
        "silence for the whole wait is enough",
        ((guard_words, "CLAIM_ROUNDS", 0),),
    ),
    Fault(
        "one watchdog period instead of two",
        "the watchdog is fed up to one period before the lease ends",
        ((Limits, "keep_s", _one_period),),
    ),
    Fault(
        "promise ignored",
        "the standby promises and does not wait for its own promise to run out",
        ((guard.Guard, "_promise", _promise_forgotten),),
    ),
    Fault(
        "read before write",
        "a round reads the peer's slot before it writes its own",
        world="read-before-write",
    ),
    Fault(
        "wait one tick short",
        "the standby waits one tick less than the lease needs",
        ((Limits, "take_s", property(_one_tick_short)),),
    ),
    Fault(
        "frozen machine without reservations",
        "a virtual machine is paused, its clocks and its watchdog with it, and goes on later",
        world="frozen",
    ),
)


@contextmanager
def in_force(fault: Fault) -> Iterator[None]:
    """Have `fault` in force within the `with`."""
    with ExitStack() as stack:
        for owner, name, value in fault.patches:
            before = owner.__dict__[name]
            stack.callback(setattr, owner, name, before)
            setattr(owner, name, value)
        yield
