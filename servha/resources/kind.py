"""What a kind of resource is: fields that are its configuration, and how to start, stop and look at it.

A kind carries out and reports. Whether and where something is to run it does not decide; nor does it wait for
its neighbours, that is the core's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from servha.core.words import NOTHING_SAID, Text
from servha.host import FieldProblem, Finding, Host, Outcome

__all__ = ["FieldProblem", "Finding", "FreesHolders", "Outcome", "Place", "ResourceKind", "environment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which resource, on which node, by what right; handed to every method of a kind."""

    tree: str
    resource: str
    host: Host
    node: str = ""
    ownership: int = 0
    """The tree's ownership number; every program we run is told it."""
    reason: Text = NOTHING_SAID
    start_timeout_s: float = 120.0
    stop_timeout_s: float = 60.0
    address_known_free: bool = False
    """True right after a conflict probe: another one would only cost time."""
    held_by_nobody: bool = False
    """Whether it is certain that no node runs the tree: whoever has its address then is a stranger."""
    detected: bool = False
    """Whether detectors watch the resource as well."""


class ResourceKind(Protocol):
    """One kind. Start and stop may be called twice; `check` never says STOPPED when it could not tell."""

    name: ClassVar[str]

    def problems(self) -> list[FieldProblem]:
        """Every reason why these fields may not be saved, in words; looks at nothing but the fields."""
        ...

    async def unfit(self, place: Place) -> list[FieldProblem]:
        """Why this node could not run it now (the manual's precondition check, badge A); empty when it could."""
        ...

    async def start(self, place: Place) -> Outcome:
        """Start it; ok means "the start went through", whether it runs is for `check` and detectors to say."""
        ...

    async def stop(self, place: Place) -> Outcome:
        """Stop it and make sure; ok means that nothing of it is left as far as the kind can see."""
        ...

    async def clean_up(self, place: Place) -> Outcome:
        """Remove what is left of a dead one; no stop script runs."""
        ...

    async def check(self, place: Place) -> Finding | None:
        """Look once. None: this kind has no means of its own here and leaves it to the detectors."""
        ...

    def watch(self, place: Place) -> AsyncGenerator[Finding, None]:
        """What the operating system tells while it runs; ends when there is nothing (more) to be told."""
        ...

    async def heal(self, place: Place) -> Outcome | None:
        """Put back what somebody took away, without a restart; None when this kind has no such thing."""
        ...


@runtime_checkable
class FreesHolders(Protocol):
    """A kind whose stop may be held up by strangers: processes that are no part of the resource."""

    async def free(self, place: Place) -> Outcome:
        """End whoever is in the way, known for certain, then stop it. Asked for only after a stop has failed."""
        ...


def environment(place: Place) -> dict[str, str]:
    """What every program of a resource finds in its environment."""
    return {
        "SERVHA_TREE": place.tree,
        "SERVHA_RESOURCE": place.resource,
        "SERVHA_NODE": place.node or place.host.node,
        "SERVHA_OWNERSHIP": str(place.ownership),
        "SERVHA_REASON": str(place.reason).replace("\0", ""),
    }
