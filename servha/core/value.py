"""`replace` for the frozen, slotted values of the core: what `dataclasses.replace` does, at a fraction of its cost.

The core replaces its whole state several times for every beat, so this is where a daemon's processor time went. The
fields are read in one call and written past `__init__`, which a value that already is one need not run again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import replace as replace  # noqa: PLC0414  the type checker knows its rules
else:
    Setter = Callable[[Any, Any], None]
    _LAYOUTS: dict[type, tuple[Callable[[Any], tuple[Any, ...]], tuple[Setter, ...], dict[str, Setter]]] = {}

    def replace(value: Any, /, **changes: Any) -> Any:
        """Return `value` with some fields changed. Raises KeyError for a field that it does not have."""
        kind = value.__class__
        layout = _LAYOUTS.get(kind) or _layout(kind)
        read, setters, by_name = layout
        new = object.__new__(kind)
        for write, field in zip(setters, read(value)):  # noqa: B905  both come from the same fields
            write(new, field)
        for name, field in changes.items():
            by_name[name](new, field)
        return new

    def _layout(kind: type) -> tuple[Callable[[Any], tuple[Any, ...]], tuple[Setter, ...], dict[str, Setter]]:
        names = [f.name for f in fields(kind)]
        by_name = {name: getattr(kind, name).__set__ for name in names}
        read = attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)
        _LAYOUTS[kind] = (read, tuple(by_name.values()), by_name)
        return _LAYOUTS[kind]
