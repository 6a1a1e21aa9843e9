"""How a table of rules is read: from the top, the first row whose every condition holds.

A row says which words it needs to see, what follows, and why, in the words an operator is shown. This module
knows nothing of nodes or trees. Properties of each table (nothing unmatched, no row that can never fire) are
tests that walk every combination of words.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from servha.core.words import Text, Value

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Row(Generic[Outcome]):
    """`when` maps a field of the situation to the value, or the set of values, that this row asks for."""

    id: str
    when: Mapping[str, Any]
    becomes: Outcome
    because: str
    otherwise: str = ""

    def matches(self, situation: object) -> bool:
        """Return whether every condition holds in `situation`."""
        for name, wanted in self.when.items():
            seen = getattr(situation, name)
            if isinstance(wanted, (set, frozenset)):
                if seen not in wanted:
                    return False
            elif seen != wanted:
                return False
        return True

    def why(self, **params: Value) -> Text:
        """Return the reason with those of `params` that its sentence uses."""
        return fill(self.because, params)


def fill(template: str, params: Mapping[str, Value]) -> Text:
    """Return `template` as a Text with just the values it mentions, so that equal reasons compare equal."""
    return Text(template, tuple((k, v) for k, v in params.items() if "{" + k in template))


REMEMBERED_MAX = 8192
_remembered: dict[int, tuple[object, dict[object, Any]]] = {}


def first_match(rows: tuple[Row[Outcome], ...], situation: Hashable) -> Row[Outcome]:
    """Return the first row that matches; raise LookupError if the table has a hole (a test proves it has none).

    A situation is a few words, so the same ones come again and again: what a table said to one is remembered.
    """
    table, known = _remembered.get(id(rows), (None, {}))
    if table is not rows:
        known = {}
        _remembered[id(rows)] = (rows, known)
    found: Row[Outcome] | None = known.get(situation)
    if found is None:
        found = next((row for row in rows if row.matches(situation)), None)
        if found is None:
            raise LookupError(f"no rule for {situation}")
        if len(known) >= REMEMBERED_MAX:
            known.clear()
        known[situation] = found
    return found
