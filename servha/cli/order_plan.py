"""Shows what an order about a tree would do, in which order of resources, and what stands in its way.

It reads the last status only. Whether the order may be carried out the daemon decides when it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from servha.cli.order import Wanted
from servha.cli.picture import MaintenanceSeen, Picture, ResourceSeen, TreeSeen
from servha.cli.screen import Screen
from servha.core.words import Text, say


@dataclass(frozen=True, slots=True)
class Part:
    """One half of an order: the node (empty where the rules choose it) and what follows what there.

    Everything in one of `rounds` goes on at the same time.
    """

    node: str
    action: str
    rounds: tuple[tuple[str, ...], ...]


def rounds_up(resources: Sequence[ResourceSeen]) -> tuple[tuple[str, ...], ...]:
    """Return the resources from the root to the leaves, each in the first round in which all it needs is there."""
    found: list[tuple[str, ...]] = []
    done: set[str] = set()
    names = {r.name for r in resources}
    while len(done) < len(names):
        ready = tuple(r.name for r in resources if r.name not in done and set(r.after) & names <= done)
        if not ready:
            break  # a cycle, which the configuration refuses
        found.append(ready)
        done |= set(ready)
    return tuple(found)


def parts(wanted: Wanted, tree: TreeSeen) -> list[Part]:
    """Return what the order would do, first things first."""
    up = rounds_up(tree.resources)
    found = []
    target = wanted.node if wanted.verb != "stop" else ""
    holds = tree.running_on
    if holds and (wanted.verb == "stop" or (target and target != holds)):
        found.append(Part(holds, "stop", tuple(reversed(up))))
    if wanted.verb != "stop" and (not holds or (target and target != holds)):
        found.append(Part(target, "start", up))
    return found


def draw(wanted: Wanted, tree: TreeSeen, picture: Picture, screen: Screen) -> None:
    """Write the parts, and below them what is to be known before."""
    table = []
    for number, part in enumerate(parts(wanted, tree), 1):
        then = screen.words(say(" then "))
        what = (
            say("stop {what}", what=_row(part, then))
            if part.action == "stop"
            else say("start {what}", what=_row(part, then))
        )
        table.append(
            [str(number), part.node or screen.words(say("the preferred able node")), screen.words(what)]
        )
    if table:
        screen.table(table)
    for remark in _remarks(wanted, tree, picture.maintenance):
        screen.line(remark)
    screen.line(say("Nothing was done: without --plan it would be."))


def _row(part: Part, then: str) -> str:
    return then.join(" + ".join(names) for names in part.rounds)


def _remarks(wanted: Wanted, tree: TreeSeen, maintenance: Sequence[MaintenanceSeen]) -> Iterator[Text]:
    yield from maintained(tree, maintenance)
    for node in [wanted.node] if wanted.node else tree.hosts if wanted.verb != "stop" else ():
        seen = tree.on.get(node)
        for check in seen.checks if seen is not None else ():
            for problem in check.problems:
                yield say(
                    "In the way on {node}: {resource}: {reason}",
                    node=node,
                    resource=check.resource or tree.name,
                    reason=problem,
                )


def maintained(tree: TreeSeen, maintenance: Sequence[MaintenanceSeen]) -> Iterator[Text]:
    """Yield that somebody works on the tree or on the node that runs it, for whoever gives an order all the same."""
    for m in maintenance:
        if m.what in (tree.name, tree.running_on):
            yield say(
                "{what} is in maintenance ({reason}, {by}): the order is obeyed all the same",
                what=m.what,
                reason=m.reason,
                by=m.by,
            )
