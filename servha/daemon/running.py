"""Whether a new configuration would pull something away from under a tree that runs.

Settings of a resource cannot change while its tree is held anywhere: the stop that ends the old one must be made
with the settings it was started with.
"""

from __future__ import annotations

from servha.config.document import Document, TreeSection
from servha.core.model import Phase
from servha.core.state import State
from servha.core.words import Text, say


def touched(state: State, now: Document, wanted: Document) -> Text | None:
    """Return what stands against the change, or None."""
    for tree in now.trees:
        after = wanted.tree(tree.name)
        where = _held_on(state, tree)
        if not where:
            continue
        if after is None or after.id != tree.id:
            return say("{tree} is held on {node}: stop it before it is deleted", tree=tree.name, node=where)
        if where not in after.hosts:
            return say(
                "{tree} is held on {node}: move it away before that host is removed",
                tree=tree.name,
                node=where,
            )
        for resource in tree.resources:
            fresh = after.resource(resource.name)
            same = fresh is not None and (fresh.kind, fresh.settings, fresh.per_node) == (
                resource.kind,
                resource.settings,
                resource.per_node,
            )
            if not same and not _never_ran(state, tree, resource.name):
                return say(
                    "{tree}/{resource} is part of a tree that is held on {node}: stop the tree first"
                    " (`servha tree stop {tree}`), then change it",
                    tree=tree.name,
                    resource=resource.name,
                    node=where,
                )
    return None


def _never_ran(state: State, tree: TreeSection, resource: str) -> bool:
    """Return whether the resource, part of a tree held here, has not been started with its present settings."""
    ours = state.tree(tree.name)
    return ours is not None and ours.phase is Phase.RUNNING and resource not in ours.proven


def _held_on(state: State, tree: TreeSection) -> str:
    ours = state.tree(tree.name)
    if ours is not None and ours.phase.holds:
        return state.cluster.us
    report = state.membership.report
    if report is not None and report.tree(tree.id).phase not in (Phase.OFF, Phase.WANTED):
        return state.cluster.peer
    return ""
