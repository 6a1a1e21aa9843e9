"""Reads what came in with a call, so that a wrong or missing argument is named instead of believed."""

from __future__ import annotations

from collections.abc import Mapping

from servha.core.words import say
from servha.wire.rpc import Args, Code, Json, Refusal


def word(args: Args, name: str) -> str:
    """Return the text called `name`; empty when it is missing or something else."""
    value = args.get(name)
    return value if isinstance(value, str) else ""


def needed_word(args: Args, name: str) -> str:
    """Return the text called `name`. Raises `Refusal` (usage) when it is missing."""
    value = word(args, name)
    if not value:
        raise Refusal(Code.USAGE, say("the call needs {name}", name=name))
    return value


def part(args: Args, name: str) -> Mapping[str, Json]:
    """Return the object called `name`; empty when it is missing or something else."""
    value = args.get(name)
    return value if isinstance(value, Mapping) else {}


def words(args: Args, name: str) -> list[str]:
    """Return the texts in the list called `name`; empty when there is none."""
    value = args.get(name)
    return [v for v in value if isinstance(v, str)] if isinstance(value, list | tuple) else []


def number(args: Args, name: str) -> int:
    """Return the whole number called `name`. Raises `Refusal` (usage) when it is missing."""
    value = args.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refusal(Code.USAGE, say("the call needs {name}, a whole number", name=name))
    return value


def yes(args: Args, name: str) -> bool:
    """Whether `name` was given as true."""
    return args.get(name) is True
