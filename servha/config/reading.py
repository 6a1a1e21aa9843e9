"""Untyped data -> the values of shape.py, with every field that is wrong named in words.

A library stops at the first error; an administrator wants all of them. So each field is converted by
itself, and a bad one falls back to its default (or the whole object is left out) so that the rest can still
be looked at. No Document comes out of that: a single problem is enough to refuse. How fields must agree is
in checks.py.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from servha.config.problem import Problem, suggestion
from servha.config.shape import (
    ClusterSection,
    Document,
    Hooks,
    LinkEnd,
    MaintenanceSection,
    NodeSection,
    Password,
    Ports,
    ResourceSection,
    TokenSection,
    TreeSection,
)
from servha.core.timing import Timing
from servha.core.words import NOTHING_SAID, Text, say

T = TypeVar("T")
Nested = Mapping[str, Callable[[object, str], object]]
_ABSENT = object()


class Reading:
    """One pass over one file: builds values, and collects what is wrong on the way."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.broken: set[str] = set()
        """Names and paths of what was left out because it is wrong itself: no second complaint about it."""

    def complain(self, path: str, because: Text, remedy: Text = NOTHING_SAID) -> None:
        """Add one problem."""
        self.problems.append(Problem(path, because, remedy))

    def build(self, shape: type[T], data: object, path: str, nested: Nested | None = None) -> T | None:
        """Return `data` as a `shape`, or None when a field without a default is missing or wrong."""
        table = self.table(data, path)
        if table is None:
            return None
        hints, fields = fields_of(shape)
        self.unknown(table, hints, path)
        values: dict[str, Any] = {}
        complete = True
        for field in fields:
            at = join(path, field.name)
            required = is_required(field)
            if field.name not in table:
                if required:
                    self.complain(at, say("is missing"), say("give it a value"))
                    complete = False
                continue
            read = (nested or {}).get(field.name)
            raw = table[field.name]
            value = read(raw, at) if read else self.value(raw, hints[field.name], at)
            if value is not _ABSENT:
                values[field.name] = value
            else:
                self.broken.add(at)
                complete = complete and not required
        if not complete:
            name = table.get("name")
            self.broken.update({name} if isinstance(name, str) else ())
            return None
        return shape(**values)

    def table(self, data: object, path: str) -> Mapping[str, object] | None:
        """Return `data` if it is an object with text keys."""
        if isinstance(data, dict) and all(isinstance(key, str) for key in data):
            return data
        self.complain(
            path or "document",
            say("must be {wanted}, not {found}", wanted=_WORDS["object"], found=type_word(data)),
        )
        return None

    def unknown(self, table: Mapping[str, object], known: Mapping[str, object], path: str) -> None:
        """Complain of every key that nothing reads: it would silently not do what its writer hopes."""
        for key in table:
            if key not in known:
                self.complain(join(path, key), say("is not a known setting"), suggestion(key, known))

    def value(self, raw: object, wanted: Any, path: str) -> Any:
        """Return `raw` converted to the type `wanted`, or _ABSENT after saying what is wrong."""
        try:
            return msgspec.convert(raw, wanted)
        except msgspec.ValidationError as error:
            because, remedy, inner = explain(str(error), raw, wanted)
            self.complain(path + inner, because, remedy)
            return _ABSENT

    def many(self, data: object, path: str, one: Callable[[object, str], T | None]) -> tuple[T, ...]:
        """Return every item of a list that could be read; it is addressed by its name if it has one."""
        if not isinstance(data, list | tuple):
            self.complain(
                path, say("must be {wanted}, not {found}", wanted=_WORDS["array"], found=type_word(data))
            )
            return ()
        read = (one(item, item_path(path, item, place)) for place, item in enumerate(data))
        return tuple(item for item in read if item is not None)

    def document(self, data: object) -> Document | None:
        """Read the whole replicated configuration."""
        return self.build(
            Document,
            data,
            "",
            {
                "cluster": lambda raw, at: self.some(self.build(ClusterSection, raw, at)),
                "timing": lambda raw, at: self.some(self.build(Timing, raw, at)),
                "ports": lambda raw, at: self.some(self.build(Ports, raw, at)),
                "nodes": lambda raw, at: self.many(raw, at, self.node),
                "trees": lambda raw, at: self.many(raw, at, self.tree),
                "maintenance": lambda raw, at: self.many(
                    raw, at, lambda one, path: self.build(MaintenanceSection, one, path)
                ),
                "tokens": lambda raw, at: self.many(
                    raw, at, lambda one, path: self.build(TokenSection, one, path)
                ),
                "password": lambda raw, at: None if raw is None else self.some(self.build(Password, raw, at)),
            },
        )

    def node(self, data: object, path: str) -> NodeSection | None:
        """Read one node."""
        return self.build(NodeSection, data, path, {"links": self.link_ends})

    def link_ends(self, data: object, path: str) -> dict[str, LinkEnd]:
        """Read the ends of one node's links."""
        table = self.table(data, path) or {}
        ends = {name: self.build(LinkEnd, raw, join(path, name)) for name, raw in table.items()}
        self.broken.update(name for name, end in ends.items() if end is None)
        return {name: end for name, end in ends.items() if end is not None}

    def tree(self, data: object, path: str) -> TreeSection | None:
        """Read one tree."""
        return self.build(
            TreeSection, data, path, {"resources": lambda raw, at: self.many(raw, at, self.resource)}
        )

    def resource(self, data: object, path: str) -> ResourceSection | None:
        """Read one resource; its settings are looked at by kinds.py, which knows the kinds."""
        hooks: Nested = {"hooks": lambda raw, at: self.some(self.build(Hooks, raw, at))}
        return self.build(ResourceSection, data, path, hooks)

    @staticmethod
    def some(value: object) -> object:
        """Return `value`, or _ABSENT for None."""
        return _ABSENT if value is None else value


def fields_of(shape: type) -> tuple[dict[str, Any], tuple[dataclasses.Field[Any], ...]]:
    """Return the types and the fields of a dataclass that are given when it is made; read once for each shape."""
    known = _FIELDS.get(shape)
    if known is None:
        fields = tuple(field for field in dataclasses.fields(shape) if field.init)
        hints = get_type_hints(shape, include_extras=True)
        known = _FIELDS[shape] = {field.name: hints[field.name] for field in fields}, fields
    return known


_FIELDS: dict[type, tuple[dict[str, Any], tuple[dataclasses.Field[Any], ...]]] = {}


def is_required(field: dataclasses.Field[Any]) -> bool:
    """Return whether a field has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def join(path: str, name: str) -> str:
    """Return the path of `name` inside `path`."""
    return f"{path}.{name}" if path else name


def item_path(path: str, item: object, place: int) -> str:
    """Return the path of a list's item: by its name, else by its place."""
    name = item.get("name") if isinstance(item, dict) else None
    return join(path, name) if isinstance(name, str) and name else f"{path}[{place}]"


_WORDS = {
    "str": say("text"),
    "int": say("a whole number"),
    "float": say("a number"),
    "bool": say("true or false"),
    "object": say("an object"),
    "array": say("a list"),
    "null": say("nothing"),
}


def type_word(data: object) -> Text:
    """Return what an administrator would call the type of `data`."""
    match data:
        case None:
            return _WORDS["null"]
        case dict():
            return _WORDS["object"]
        case list() | tuple():
            return _WORDS["array"]
        case _:
            name = type(data).__name__
            return _WORDS.get(name, Text(name))


def explain(message: str, raw: object, wanted: Any) -> tuple[Text, Text, str]:
    """Put the library's message into our words: because, remedy, and where inside the value it is."""
    plain, _, place = message.partition(" - at `")
    inner = re.sub(r"[`$]", "", place).replace("[...]", "")
    if match := re.fullmatch(r"Expected `([^`]+)`, got `([^`]+)`", plain):
        # Of "x or nothing" only x is worth saying.
        word = match[1].split(" | ")[0]
        names = _WORDS.get(word, Text(word))
        found = _WORDS.get(match[2], Text(match[2]))
        return say("must be {wanted}, not {found}", wanted=names, found=found), NOTHING_SAID, inner
    if plain.startswith("Invalid enum value"):
        because = say("{value} is not one of the possible values", value=str(raw))
        return because, suggestion(str(raw), _words_of(wanted)), inner
    if match := re.fullmatch(r"Expected `\w+` (>=|<=|>|<) (\S+)", plain):
        return _bound(match[1], str(raw), match[2]), NOTHING_SAID, inner
    if match := re.fullmatch(r"Expected `\w+` of length (>=|<=) (\d+)", plain):
        bound = int(match[2])
        if match[1] == ">=":
            return say("is too short: at least {bound}", bound=bound), NOTHING_SAID, inner
        return say("is too long: at most {bound}", bound=bound), NOTHING_SAID, inner
    if match := re.fullmatch(r"Expected `str` matching regex '(.*)'", plain):
        return (
            say("{value} has a form that is not allowed here", value=repr(raw)),
            _form(match[1]),
            inner,
        )
    return say("is not acceptable: {reason}", reason=plain), NOTHING_SAID, inner


def _words_of(wanted: Any) -> list[str]:
    """Every word that an enumeration, or a field that allows some literal words, takes."""
    if get_origin(wanted) is Annotated:
        wanted = get_args(wanted)[0]
    if get_origin(wanted) is Literal:
        return [str(word) for word in get_args(wanted)]
    return [str(word.value) for word in wanted]


def _bound(sign: str, value: str, bound: str) -> Text:
    match sign:
        case ">=":
            return say("{value} is too small: at least {bound}", value=value, bound=bound)
        case "<=":
            return say("{value} is too large: at most {bound}", value=value, bound=bound)
        case ">":
            return say("{value} is too small: more than {bound}", value=value, bound=bound)
        case _:
            return say("{value} is too large: less than {bound}", value=value, bound=bound)


def _form(pattern: str) -> Text:
    if pattern.startswith("^[A-Za-z0-9_][A-Za-z0-9_.-]"):
        return say("use 1 to 64 letters, digits, _ . and -, beginning with a letter, a digit or _")
    if pattern.startswith("^/"):
        return say("write an absolute path")
    if pattern.startswith("^[^/"):
        return say("write the name of a network interface, such as eth0")
    if "[0-5][0-9]" in pattern:
        return say("write a part of the day such as 01:00-05:00; 23:00-02:00 goes over midnight")
    if "0-9a-f" in pattern:
        return say("write it in hexadecimal digits: {pattern}", pattern=pattern)
    return say("it must match {pattern}", pattern=pattern)
