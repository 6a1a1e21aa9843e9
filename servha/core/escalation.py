"""What is tried when a resource cannot be stopped, one step after the other, and what stands at the end of the ladder.

Stop again, kill its control group, free its file system of whoever uses it, and at last let the guard reset the node,
so that the peer takes over once the lease is over (reading A25). It never concludes that something is stopped: that
is seen, or the node is gone. Whether the ladder is climbed at all is a row of rules.py.
"""

from __future__ import annotations

from enum import StrEnum

from servha.core.arbitration import Guarded
from servha.core.guarded import guarded
from servha.core.model import Force, Goal, Phase, ResourceSpec, Step, StopFailure, TreeSpec
from servha.core.placement import Side
from servha.core.situations import side_there
from servha.core.state import State, TreeState
from servha.core.words import NOTHING_SAID, Text, say

WORDS = {
    Force.AGAIN: say("it is stopped once more"),
    Force.KILL: say("everything in its control group is killed"),
    Force.FREE: say("whoever uses its file system is killed, and it is unmounted"),
}


class Ladder(StrEnum):
    """How far the ladder was climbed."""

    WAIT = "wait"  # it is not: the policy leaves it to the administrator
    CLIMB = "climb"  # there is something left to try
    FENCE = "fence"  # everything was tried, and the guard can reset this node
    END = "end"  # everything was tried, and this node is not reset: the administrator is waited for


def rungs(resource: ResourceSpec) -> tuple[Force, ...]:
    """Return what is tried on this resource, in order.

    >>> [str(force) for force in rungs(ResourceSpec("data", "shared_disk", mount_point="/data"))]
    ['again', 'kill', 'free']
    """
    return (Force.AGAIN, Force.KILL, *([Force.FREE] if resource.mount_point else []))


def force_for(spec: TreeSpec, tree: TreeState, name: str) -> Force | None:
    """Return how the resource is to be stopped now; None for the ordinary way, and where nothing is left to try."""
    failures = dict(tree.stop_failures).get(name, 0)
    if not failures or spec.stop_failure is StopFailure.WAIT:
        return None
    resource = next(r for r in spec.resources if r.name == name)
    return dict(enumerate(rungs(resource), 1)).get(failures)


def ladder(state: State, spec: TreeSpec, tree: TreeState) -> Ladder:
    """Return where the tree stands on its ladder."""
    if spec.stop_failure is StopFailure.WAIT or tree.phase is not Phase.STOP_FAILED:
        return Ladder.WAIT
    stuck = [r.name for r in spec.resources if tree.step(r.name) is Step.STOP_FAILED]
    if not stuck:
        return Ladder.WAIT
    if all(force_for(spec, tree, name) is not None for name in stuck):
        return Ladder.CLIMB
    return Ladder.END if fence_trouble(state, spec, tree).template else Ladder.FENCE


def next_step(spec: TreeSpec, tree: TreeState) -> Text:
    """Return in words what is tried next on the first resource that could not be stopped."""
    forces = (force_for(spec, tree, r.name) for r in spec.resources if tree.step(r.name) is Step.STOP_FAILED)
    return next((WORDS[force] for force in forces if force is not None), NOTHING_SAID)


def fence_trouble(state: State, spec: TreeSpec, tree: TreeState) -> Text:
    """Return why this node is not reset to end what cannot be stopped; nothing when it may be."""
    if not state.cluster.policy.leased:
        return say(
            "without a quorum disk nobody could tell when {peer} may take over", peer=state.cluster.peer
        )
    if guarded(state) is not Guarded.LIVES or state.view is None:
        return say("servha-guardd does not answer")
    if not state.view.watchdog:
        return say("there is no watchdog to make sure of it")
    if state.leaving or tree.order.goal is Goal.STOP:
        return say("nobody is to run it now")
    if side_there(state, spec) is not Side.FIT:
        return say("{peer} could not take it over", peer=state.cluster.peer)
    return NOTHING_SAID


def fencing(state: State) -> str:
    """Return the tree for whose sake the guard is to reset this node; empty for none."""
    for spec in state.cluster.trees:
        tree = state.tree(spec.name)
        if tree is not None and ladder(state, spec, tree) is Ladder.FENCE:
            return spec.name
    return ""
