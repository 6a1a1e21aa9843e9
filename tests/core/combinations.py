"""Every combination of words a situation can hold: the tables' properties are checked over all of them."""

from __future__ import annotations

import itertools
import typing
from collections.abc import Iterator
from enum import Enum
from typing import TypeVar

Situation = TypeVar("Situation")


def every(kind: type[Situation]) -> Iterator[Situation]:
    """Yield every value that the dataclass `kind` can take; its fields are enumerations and booleans."""
    hints = typing.get_type_hints(kind)
    choices = [tuple(hint) if issubclass(hint, Enum) else (False, True) for hint in hints.values()]
    for values in itertools.product(*choices):
        yield kind(**dict(zip(hints, values, strict=True)))
