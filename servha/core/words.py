"""A sentence for people, kept apart from the values in it.

The core says why in English templates; whoever shows it (command line, console, alarm) renders it in the
reader's language. A value may be a sentence itself. This module refuses to render: it knows no language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union

Value = Union[str, int, float, "Text"]


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence: an English template, which is also its key in every catalogue, and its values."""

    template: str
    params: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        return self.template.format(**dict(self.params))


def say(template: str, /, **params: Value) -> Text:
    """Build a `Text`; every literal template given here must stand in the catalogues (a test looks)."""
    return Text(template, tuple(params.items()))


def as_dict(text: Text) -> dict[str, Any]:
    """Return the form in which a sentence travels: template and params, nested sentences likewise."""
    return {
        "template": text.template,
        "params": {name: as_dict(v) if isinstance(v, Text) else v for name, v in text.params},
    }


def from_dict(data: Mapping[str, Any]) -> Text:
    """Return the sentence that `as_dict` wrote. Raises KeyError where a part is missing."""
    params = data.get("params", {})
    return Text(
        str(data["template"]),
        tuple((name, from_dict(v) if isinstance(v, Mapping) else v) for name, v in params.items()),
    )


NOTHING_SAID = Text("")
