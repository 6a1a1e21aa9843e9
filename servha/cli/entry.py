"""A journal entry as it comes from the daemon, and the one line it makes.

Decides nothing; what is missing in an entry from a newer or older node is simply not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from servha.cli import states
from servha.cli.screen import Cell, Screen
from servha.core.words import Text, say
from servha.language import sentence


@dataclass(frozen=True, slots=True)
class FactSeen:
    """One thing a decision rested on."""

    what: Text
    source: str
    age_s: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision or outcome. `at` is the wall clock of its node, `at_s` its CLOCK_BOOTTIME."""

    id: int
    at: str
    at_s: float
    node: str
    subject: str
    before: str
    after: str
    rule: str
    because: Text
    facts: tuple[FactSeen, ...]
    otherwise: Text
    ownership: int
    took_s: float
    severity: str

    def is_about(self, tree: str) -> bool:
        """Whether it concerns the tree or one of its resources."""
        return self.subject == tree or self.subject.startswith(f"{tree}/")

    @property
    def when(self) -> str:
        """Date and time with milliseconds in the reader's time zone, by the clock of the entry's node."""
        try:
            return datetime.fromisoformat(self.at).astimezone().isoformat(" ", "milliseconds")[:23]
        except ValueError:
            return self.at

    @property
    def clock(self) -> str:
        """The same without the date."""
        return self.when.partition(" ")[2] or self.when


def entries_of(result: Any) -> list[Entry]:
    """Read the entries in an answer: a list, an object with `entries`, or one entry."""
    if isinstance(result, Mapping) and isinstance(result.get("entries"), list):
        found: Iterable[Any] = result["entries"]
    elif isinstance(result, Mapping) and "subject" in result:
        found = [result]
    else:
        found = result if isinstance(result, list) else []
    return [_entry(item) for item in found if isinstance(item, Mapping)]


def raw_entries(result: Any) -> list[Mapping[str, Any]]:
    """Return the entries of an answer as they came, for JSON lines."""
    if isinstance(result, Mapping):
        inner = result.get("entries")
        return list(inner) if isinstance(inner, list) else [result] if "subject" in result else []
    return [item for item in result if isinstance(item, Mapping)] if isinstance(result, list) else []


def _entry(item: Mapping[str, Any]) -> Entry:
    return Entry(
        id=int(item.get("id") or 0),
        at=str(item.get("at") or ""),
        at_s=float(item.get("at_s") or 0.0),
        node=str(item.get("node") or ""),
        subject=str(item.get("subject") or ""),
        before=str(item.get("before") or ""),
        after=str(item.get("after") or ""),
        rule=str(item.get("rule") or ""),
        because=sentence(item.get("because")),
        facts=tuple(
            FactSeen(sentence(f.get("what")), str(f.get("source") or ""), float(f.get("age_s") or 0.0))
            for f in item.get("facts") or ()
            if isinstance(f, Mapping)
        ),
        otherwise=sentence(item.get("otherwise")),
        ownership=int(item.get("ownership") or 0),
        took_s=float(item.get("took_s") or 0.0),
        severity=str(item.get("severity") or "info"),
    )


def state_word(screen: Screen, state: str) -> str:
    """Return the word for any state a journal entry may name."""
    for table in (
        states.PHASE,
        states.STEP,
        states.STANDING,
        states.HEALTH,
        states.LINK,
        states.RESOURCE,
        states.LEASE,
        states.DISK,
        states.FITNESS,
    ):
        if state in table:
            return screen.words(table[state][0])
    return state


def change_words(entry: Entry, screen: Screen) -> str:
    """Return "before -> after" in the reader's language."""
    before, after = state_word(screen, entry.before), state_word(screen, entry.after)
    if entry.before == entry.after or not entry.before:
        return after
    return f"{before} -> {after}" if entry.after else before


def row(entry: Entry, screen: Screen) -> list[Cell | str]:
    """Return the cells of one line: when, who, how grave, about what, what changed, why."""
    because = screen.words(entry.because)
    if entry.took_s > 0:
        took = screen.words(say("took {time}", time=states.for_how_long(entry.took_s)))
        because = f"{because} ({took})" if because else took
    severity = states.cell(screen, states.SEVERITY, entry.severity)
    return [
        Cell(entry.clock, "quiet"),
        entry.node,
        severity,
        Cell(entry.subject, "strong"),
        change_words(entry, screen),
        because,
    ]


def line(entry: Entry, screen: Screen) -> str:
    """Return one entry as one line of text, for following."""
    cells = [cell if isinstance(cell, Cell) else Cell(cell) for cell in row(entry, screen)]
    return "  ".join(screen.paint(cell.text, cell.mood) for cell in cells if cell.text)
