"""What to start and stop next inside one tree, and when a resource has stopped too often.

Start from the root to the leaves, stop from the leaves to the root, independent branches at the same time
(manual, section on resource trees; reading A41: a resource may hang below several others, so it is a DAG).
Whether the tree is to be up or down is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from servha.core.model import Action, ResourceSpec, Step

Steps = Mapping[str, Step]


class Work(StrEnum):
    """How far the resources of a tree have come on this node."""

    NOTHING = "nothing"  # every resource is off
    GOING = "going"  # something is under way, or still to be done
    ALL = "all"  # every resource is on
    FAILED = "failed"  # one could not be started
    STUCK = "stuck"  # one could not be stopped


@dataclass(frozen=True, slots=True)
class Move:
    """One thing to do now. `clean_up` marks the removal of what a dead resource left behind."""

    resource: str
    action: Action
    clean_up: bool = False


def work(steps: Steps) -> Work:
    """Fold the steps of all resources into one word; the worst speaks first."""
    seen = set(steps.values())
    if Step.STOP_FAILED in seen:
        return Work.STUCK
    if Step.START_FAILED in seen:
        return Work.FAILED
    if seen <= {Step.OFF}:
        return Work.NOTHING
    return Work.ALL if seen <= {Step.ON} else Work.GOING


def below(resources: tuple[ResourceSpec, ...], name: str) -> tuple[str, ...]:
    """Return the resources that need `name` directly."""
    return tuple(r.name for r in resources if name in r.after)


def _needing(resources: tuple[ResourceSpec, ...]) -> dict[str, list[str]]:
    """Return for each resource those that need it directly, as `below` does for one."""
    found: dict[str, list[str]] = {}
    for resource in resources:
        for needed in dict.fromkeys(resource.after):
            found.setdefault(needed, []).append(resource.name)
    return found


def next_up(
    resources: tuple[ResourceSpec, ...], steps: Steps, resting: frozenset[str] = frozenset()
) -> list[Move]:
    """Return what brings the tree nearer to running.

    A broken resource is started again in place, after those that need it were stopped. Those in `resting` stopped
    too often and are left down for now.
    """
    moves: list[Move] = []
    if all(steps[r.name] is Step.ON for r in resources):
        return moves  # nearly always, and asked at every event
    broken = {r.name for r in resources if steps[r.name] is Step.BROKEN}
    waiting_for_broken = _all_below(resources, broken) - broken
    needing = _needing(resources)
    for resource in resources:
        name = resource.name
        step = steps[name]
        needed_by = [steps[b] for b in needing.get(name, ())]
        if name in waiting_for_broken and step is Step.ON and not _busy(needed_by):
            moves.append(Move(name, Action.STOP))
        elif step is Step.BROKEN and not _busy(needed_by):
            moves.append(Move(name, Action.STOP, clean_up=True))
        elif step is Step.OFF and name not in resting | waiting_for_broken and _carried(resource, steps):
            moves.append(Move(name, Action.START))
    return moves


def _carried(resource: ResourceSpec, steps: Steps) -> bool:
    """Return whether everything that the resource needs is on."""
    return all(steps[a] is Step.ON for a in resource.after)


def next_down(resources: tuple[ResourceSpec, ...], steps: Steps) -> list[Move]:
    """Return what brings the tree nearer to being stopped; a start under way is cut short."""
    moves: list[Move] = []
    needing = _needing(resources)
    for resource in resources:
        step = steps[resource.name]
        if _busy(steps[b] for b in needing.get(resource.name, ())):
            continue
        if step in (Step.ON, Step.STARTING):
            moves.append(Move(resource.name, Action.STOP))
        elif step in (Step.BROKEN, Step.START_FAILED):
            moves.append(Move(resource.name, Action.STOP, clean_up=step is Step.BROKEN))
    return moves


def cycle(resources: tuple[ResourceSpec, ...]) -> tuple[str, ...]:
    """Return the names along one dependency cycle, or nothing if there is none."""
    after = {r.name: [a for a in r.after if any(o.name == a for o in resources)] for r in resources}
    done: set[str] = set()
    for start in after:
        path: list[str] = []
        branches = [iter([start])]
        while branches:
            name = next(branches[-1], None)
            if name is None:
                branches.pop()
                if path:
                    done.add(path.pop())
            elif name in path:
                return (*path[path.index(name) :], name)
            elif name not in done:
                path.append(name)
                branches.append(iter(after[name]))
    return ()


def recent(stops_s: tuple[float, ...], now_s: float, window_s: float) -> tuple[float, ...]:
    """Return those abnormal stops that still count at `now_s` (reading A06: a sliding window)."""
    return tuple(s for s in stops_s if now_s - s < window_s)


def _busy(steps: Iterable[Step]) -> bool:
    """Return whether any of these steps keeps the resource they need from being stopped.

    One that could not be stopped does: what it still uses must not be pulled away from under it.
    """
    return any(s is not Step.OFF for s in steps)


def _all_below(resources: tuple[ResourceSpec, ...], names: set[str]) -> set[str]:
    if not names:
        return set()
    found = set(names)
    for _ in resources:
        found |= {b for n in found for b in below(resources, n)}
    return found
