"""Whether this machine could run what a new configuration asks of it: interfaces that exist, scripts that may be run.

Only what is new or changed is looked at, and only what this node would have to run; the other node answers for
itself when the change is staged there. What a kind cannot say in time is no reason against a change. What is wrong
with a field by itself is for config/ to say.
"""

from __future__ import annotations

import asyncio

from servha.config.document import Document, ResourceSection, TreeSection, kind_on
from servha.config.problem import Problem
from servha.core.words import say
from servha.daemon.hooks import hooks_unfit
from servha.host import Host
from servha.resources.kind import FieldProblem, Place

LOOK_TIMEOUT_S = 5.0
NOT_TOLD = "kind"
"""The field that stands for the whole resource: it could not be found out in time."""


async def machine_problems(now: Document, wanted: Document, *, us: str, host: Host) -> list[Problem]:
    """Return everything that stands against the change on this node, in words."""
    found: list[Problem] = []
    for tree, resource in _fresh(now, wanted, us):
        path = f"trees.{tree.name}.resources.{resource.name}"
        remedy = say("correct it, or make it so on {node} first", node=us)
        found += [
            Problem(
                f"{path}.{_place(resource, us, one.field)}",
                say("on {node}: {reason}", node=us, reason=one.because),
                remedy,
            )
            for one in await unfit_here(tree.name, resource, us=us, host=host)
            if one.field != NOT_TOLD  # not known is not wrong: the standing measurement will tell
        ]
    return found


def _place(resource: ResourceSection, us: str, field: str) -> str:
    """Return where in the resource's section the field stands that this node would use."""
    if field.startswith("hooks."):
        return field
    return f"per_node.{us}.{field}" if field in resource.per_node.get(us, {}) else f"settings.{field}"


def _fresh(now: Document, wanted: Document, us: str) -> list[tuple[TreeSection, ResourceSection]]:
    """Return the resources that this node would have to run and does not have to run yet in this form."""
    return [
        (tree, resource)
        for tree in wanted.trees
        if us in tree.hosts
        for resource in tree.resources
        if not _had(now.tree(tree.name), resource, us)
    ]


def _had(before: TreeSection | None, resource: ResourceSection, us: str) -> bool:
    return before is not None and us in before.hosts and before.resource(resource.name) == resource


async def unfit_here(
    tree: str, resource: ResourceSection, *, us: str, host: Host, held_by_nobody: bool = False
) -> list[FieldProblem]:
    """Return why this node could not run the resource now: its kind's reasons and its hooks'."""
    place = Place(
        tree=tree,
        resource=resource.name,
        host=host,
        node=us,
        start_timeout_s=resource.start_timeout_s,
        stop_timeout_s=resource.stop_timeout_s,
        held_by_nobody=held_by_nobody,
    )
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            reasons: list[FieldProblem] = await kind_on(resource, us).unfit(place)
            return [*reasons, *await hooks_unfit(resource.hooks, place.host)]
    except TimeoutError:
        late = say("it did not say within {seconds} s whether it could run", seconds=round(LOOK_TIMEOUT_S))
        return [FieldProblem(NOT_TOLD, late)]
