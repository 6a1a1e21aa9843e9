"""KEY=VALUE, KEY@NODE=VALUE and KIND:KEY=VALUE,... as typed on a command line -> settings of a kind.

Decides how a typed text becomes a number, a yes or no, a list (split as a shell would) or a mapping (such a list of
NAME=VALUE). Whether the value is right is decided in servha/config: what does not fit its field is passed on as text,
and refused there in words.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec

from servha.config.reading import fields_of
from servha.config.shape import HOOK_NAMES
from servha.core.words import say
from servha.wire.rpc import Code, Refusal

SHORT: Final[Mapping[str, str]] = {
    "start": "start_script",
    "stop": "stop_script",
    "test": "test_script",
    "args": "start_arguments",
    "start_args": "start_arguments",
    "stop_args": "stop_arguments",
    "test_args": "test_arguments",
}
"""What may be typed for a longer name, where the kind has that and not the short one."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Settings for all nodes, those for one node alone, and the keys that were given empty: to be forgotten."""

    settings: dict[str, object] = field(default_factory=dict)
    per_node: dict[str, dict[str, object]] = field(default_factory=dict)
    forgotten: tuple[tuple[str, str], ...] = ()
    """(node or "", key)"""


def pairs_of(words: Sequence[str], kind: type[Any] | None) -> Pairs:
    """Read KEY=VALUE and KEY@NODE=VALUE; `kind` None leaves every value as text."""
    hints = fields_of(kind)[0] if kind is not None else {}
    settings: dict[str, object] = {}
    per_node: dict[str, dict[str, object]] = {}
    forgotten: list[tuple[str, str]] = []
    for word in words:
        left, equals, raw = word.partition("=")
        key, at, node = left.partition("@")
        if not equals or not key or (at and not node):
            raise Refusal(
                Code.USAGE,
                say(
                    "{word} is not KEY=VALUE or KEY@NODE=VALUE; `servha resource kinds` lists the keys",
                    word=word,
                ),
            )
        if key not in hints and SHORT.get(key) in hints:
            key = SHORT[key]
        if not raw:
            forgotten.append((node, key))
        elif node:
            per_node.setdefault(node, {})[key] = value_of(raw, hints.get(key))
        else:
            settings[key] = value_of(raw, hints.get(key))
    return Pairs(settings, per_node, tuple(forgotten))


def detector_of(word: str, kinds: Mapping[str, type[Any]]) -> dict[str, object]:
    """Read KIND:KEY=VALUE,KEY=VALUE; quotes keep a comma inside a value."""
    name, _, rest = word.partition(":")
    try:
        lexer = shlex.shlex(rest, posix=True, punctuation_chars=False)
        lexer.whitespace, lexer.whitespace_split, lexer.commenters = ",", True, ""
        parts = list(lexer)
    except ValueError:
        raise Refusal(Code.USAGE, say("a quote is not closed in {word}", word=word)) from None
    if not name or any("=" not in part for part in parts):
        raise Refusal(
            Code.USAGE,
            say("{word} is not KIND:KEY=VALUE,KEY=VALUE; for example --detector port:port=80", word=word),
        )
    kind = kinds.get(name)
    hints = fields_of(kind)[0] if kind is not None else {}
    typed = (part.partition("=") for part in parts)
    return {"kind": name, **{key: value_of(raw, hints.get(key)) for key, _, raw in typed}}


def hooks_of(words: Sequence[str]) -> dict[str, list[str]]:
    """Read WHEN=COMMAND, the command split as a shell would; an empty one is to be forgotten."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, raw = word.partition("=")
        if not equals or name not in HOOK_NAMES:
            raise Refusal(
                Code.USAGE,
                say(
                    "{word} is not WHEN=COMMAND with WHEN one of {names}",
                    word=word,
                    names=", ".join(HOOK_NAMES),
                ),
            )
        try:
            found[name] = shlex.split(raw)
        except ValueError:
            raise Refusal(Code.USAGE, say("a quote is not closed in {word}", word=word)) from None
    return found


def value_of(raw: str, hint: Any) -> object:
    """Return the typed value of a text for a field of type `hint`, or the text itself where it does not fit.

    >>> value_of("80", int), value_of("--port 80 'a b'", tuple[str, ...]), value_of("x", int)
    (80, ['--port', '80', 'a b'], 'x')
    >>> value_of("state=/run/x 'fake=a b'", dict[str, str])
    {'state': '/run/x', 'fake': 'a b'}
    """
    if hint is None:
        return raw
    try:
        return msgspec.to_builtins(msgspec.convert(raw, hint, strict=False))
    except (msgspec.ValidationError, TypeError):
        pass
    try:
        words = shlex.split(raw)
        if _is_mapping(hint):
            return dict(_pair(word) for word in words)
        return list(msgspec.to_builtins(msgspec.convert(words, hint, strict=False)))
    except (msgspec.ValidationError, TypeError, ValueError):
        return raw


def _is_mapping(hint: Any) -> bool:
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return get_origin(plain) is dict


def _pair(word: str) -> tuple[str, str]:
    """Split NAME=VALUE; a ValueError says that it is not one."""
    name, equals, value = word.partition("=")
    if not equals:
        raise ValueError(word)
    return name, value
