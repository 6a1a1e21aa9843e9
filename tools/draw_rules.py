"""Writes docs/reference/rules.md: every table of the core and the diagram of what a tree can become.

    tools/draw_rules.py FILE

The tables are the source; a test compares the file with them.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from servha.core.arbitration import PERMITS, RIGHTS
from servha.core.lease import ENTRY, LEASE
from servha.core.model import Phase
from servha.core.placement import PLACEMENT
from servha.core.rules import STANDING, TREE
from servha.core.table import Row

TABLES: tuple[tuple[str, str, tuple[Row[Any], ...]], ...] = (
    ("The node's right", "May this node act without its peer? (`core/arbitration.py`)", RIGHTS),
    ("The node's lease", "What may the whole node do? Walked by servha-guardd. (`core/lease.py`)", LEASE),
    (
        "One tree on the quorum disk",
        "What does the node declare there? Walked by servha-guardd. (`core/lease.py`)",
        ENTRY,
    ),
    ("The permit of one tree", "May this tree be started here now? (`core/arbitration.py`)", PERMITS),
    ("Placement", "Where should this tree run? (`core/placement.py`)", PLACEMENT),
    ("The node's standing", "What is this node entitled to? (`core/rules.py`)", STANDING),
    ("What a tree becomes", "The phase of one tree on one node. (`core/rules.py`)", TREE),
)


def page() -> str:
    """Return the whole page."""
    parts = [
        "# Who may run what: the tables",
        (
            "Generated from the code by `make rewrite`. Each table is read from the top; the first row whose every"
            " condition holds decides, and its reason is what `servha why` shows."
        ),
        "## The phases of a tree on one node",
        diagram(),
    ]
    for title, question, rows in TABLES:
        parts += [f"## {title}", question, table(rows)]
    return "\n\n".join(parts) + "\n"


def table(rows: Sequence[Row[Any]]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| rule | when | becomes | because |", "| --- | --- | --- | --- |"]
    for row in rows:
        when = ", ".join(f"{name} = {_words(wanted)}" for name, wanted in row.when.items()) or "otherwise"
        lines.append(f"| {row.id} | {when} | **{row.becomes}** | {row.because} |")
    return "\n".join(lines)


def _words(wanted: object) -> str:
    if isinstance(wanted, (set, frozenset)):
        return " / ".join(sorted(str(w) for w in wanted))
    return str(wanted).lower() if isinstance(wanted, bool) else str(wanted)


def diagram() -> str:
    """Return the changes of phase as a Mermaid state diagram, each labelled with the rules that cause it."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for row, before in itertools.product(TREE, Phase):
        asked = row.when.get("phase")
        below = asked is None and before not in (
            Phase.OFF,
            Phase.WANTED,
        )  # rows without a phase come after all others
        if below or (asked is not None and not _includes(asked, before)) or row.becomes is before:
            continue
        arrows.setdefault((str(before), str(row.becomes)), []).append(row.id)
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> off"]
    lines += [f"    {_id(a)} --> {_id(b)}: {', '.join(rules)}" for (a, b), rules in arrows.items()]
    return "\n".join([*lines, "```"])


def _includes(asked: object, phase: StrEnum) -> bool:
    return phase in asked if isinstance(asked, (set, frozenset)) else asked is phase


def _id(phase: str) -> str:
    return phase.replace("-", "_")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
