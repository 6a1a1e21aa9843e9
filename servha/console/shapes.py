"""What a value may look like, written once as Python types: what is asked is checked by them, and described by them.

Known are str, int, float, bool, None, `X | None`, Literal, list, dict, Any and dataclasses; a sentence in `Annotated`
says what a field means, `Between` how large a number may be. It decides nothing about the content of a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from servha.core.words import Text, say
from servha.wire.rpc import Code, Problem, Refusal

PLAIN: dict[type, tuple[str, Text]] = {
    str: ("string", say("text")),
    bool: ("boolean", say("true or false")),
    int: ("integer", say("a whole number")),
    float: ("number", say("a number")),
    NoneType: ("null", Text("{null}", (("null", "null"),))),
}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Between:
    """The smallest and the largest number that is taken."""

    least: int
    most: int


def checked(shape: type, value: object) -> Json:
    """Return `value`, an object of this shape. Raises `Refusal` (usage) that names every field that is wrong."""
    found = list(faults(shape, value))
    if found or not isinstance(value, dict):
        text = say("the request is not as it must be: {problem}", problem=_sentence(*found[0]))
        remedy = say("/api shows what each request may carry")
        raise Refusal(Code.USAGE, text, [Problem(path, because, remedy) for path, because in found])
    return value


def _sentence(path: str, because: Text) -> Text:
    return say("{path}: {because}", path=path, because=because) if path else because


def faults(shape: Any, value: object, path: str = "") -> Iterator[tuple[str, Text]]:
    """Yield where `value` is not of this shape, and why."""
    bare, notes = _bare(shape)
    choices = _choices(bare)
    if bare is Any:
        return
    if get_origin(bare) is Literal:
        if value not in get_args(bare):
            yield path, say("must be one of {choices}", choices=", ".join(map(str, get_args(bare))))
    elif choices:
        if all(any(True for _ in faults(one, value, path)) for one in choices):
            yield from faults(choices[0], value, path)
    elif is_dataclass(bare):
        yield from _object(bare, value, path)
    elif get_origin(bare) is list:
        if not isinstance(value, list):
            yield path, say("must be a list")
            return
        for place, one in enumerate(value):
            yield from faults(get_args(bare)[0], one, f"{path}[{place}]")
    elif get_origin(bare) is dict:
        if not isinstance(value, dict):
            yield path, say("must be an object")
            return
        for name, one in value.items():
            yield from faults(get_args(bare)[1], one, f"{path}.{name}" if path else str(name))
    elif not _is(bare, value):
        yield path, say("must be {kind}", kind=PLAIN[bare][1])
    elif isinstance(value, int | float):
        for note in notes:
            if isinstance(note, Between) and not note.least <= value <= note.most:
                yield path, say("must be from {least} to {most}", least=note.least, most=note.most)


def _object(shape: Any, value: object, path: str) -> Iterator[tuple[str, Text]]:
    if not isinstance(value, dict):
        yield path, say("must be an object")
        return
    known = members(shape)
    for name in value:
        if name not in known:
            yield _at(path, str(name)), say("is not known here; known: {known}", known=", ".join(known))
    for name, (hint, needed) in known.items():
        if name in value:
            yield from faults(hint, value[name], _at(path, name))
        elif needed:
            yield _at(path, name), say("is missing")


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _is(kind: Any, value: object) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


@cache
def members(shape: Any) -> dict[str, tuple[Any, bool]]:
    """Return the fields of a dataclass: each with its type, and whether it must be given."""
    hints = get_type_hints(shape, include_extras=True)
    return {
        field.name: (hints[field.name], field.default is MISSING and field.default_factory is MISSING)
        for field in fields(shape)
    }


def _bare(shape: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(shape) is Annotated:
        bare, *notes = get_args(shape)
        return bare, tuple(notes)
    return shape, ()


def _choices(bare: Any) -> tuple[Any, ...]:
    return get_args(bare) if get_origin(bare) in (Union, UnionType) else ()


def described(shape: Any, parts: Json, *, closed: bool = False) -> Json:
    """Return the JSON Schema (2020-12) of a type; each dataclass goes into `parts` under its name.

    `closed`: what is not named is refused; else more may come in a later release.
    """
    bare, notes = _bare(shape)
    about: Json = {}
    for note in notes:
        if isinstance(note, Text):
            about["description"] = note
        elif isinstance(note, Between):
            about |= {"minimum": note.least, "maximum": note.most}
    choices = _choices(bare)
    if bare is Any:
        return about
    if get_origin(bare) is Literal:
        return {"enum": list(get_args(bare)), **about}
    if choices:
        return {"anyOf": [described(one, parts, closed=closed) for one in choices], **about}
    if get_origin(bare) is list:
        return {"type": "array", "items": described(get_args(bare)[0], parts, closed=closed), **about}
    if get_origin(bare) is dict:
        inner = described(get_args(bare)[1], parts, closed=closed)
        return {"type": "object", **({"additionalProperties": inner} if inner else {}), **about}
    if isinstance(bare, type) and is_dataclass(bare):
        _describe(bare, parts, closed=closed)
        return {"$ref": f"#/components/schemas/{bare.__name__}", **about}
    return {"type": PLAIN[bare][0], **about}


def _describe(shape: Any, parts: Json, *, closed: bool) -> None:
    if shape.__name__ in parts:
        return
    made: Json = {"type": "object"}
    parts[shape.__name__] = made
    known = members(shape)
    made["properties"] = {name: described(hint, parts, closed=closed) for name, (hint, _) in known.items()}
    if needed := [name for name, (_, must) in known.items() if must]:
        made["required"] = needed
    if closed:
        made["additionalProperties"] = False
