"""The precondition checks of a tree, node by node: what is ready, what is not, why, and what to do about it.

Draws from a `Picture`; on a node that runs the tree nothing is measured, and nothing is shown.
"""

from __future__ import annotations

from servha.cli import states
from servha.cli.picture import TreeSeen
from servha.cli.screen import Cell, Screen
from servha.core.words import say


def draw(tree: TreeSeen, screen: Screen) -> None:
    """Write one line for every check, and one more for every further reason."""
    rows: list[list[Cell | str]] = []
    for host in tree.hosts:
        for check in sorted(tree.on[host].checks if host in tree.on else (), key=lambda c: c.resource):
            word = "unready" if check.problems else "remark" if check.remarks else "ready"
            what = check.resource or screen.words(say("(the node)"))
            reasons = [screen.words(text) for text in (*check.problems, *check.remarks)] or [""]
            rows.append([f"{host}: {what}", states.cell(screen, states.READY, word), reasons[0]])
            rows += [["", "", reason] for reason in reasons[1:]]
    if rows:
        screen.line()
        screen.line(say("Preconditions where it is off"), mood="strong")
        screen.table(rows)
