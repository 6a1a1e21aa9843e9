"""The replicated configuration: data in, `Document` out, or every reason why not.

This is the one door: nothing in the daemons uses a document that has not come through `parse`. The values
are in shape.py, one file for each part of the judgement: reading.py (each field), checks.py (all together),
kinds.py.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import msgspec

from servha.config.checks import check
from servha.config.kinds import detectors_on, kind_on
from servha.config.problem import Problem
from servha.config.reading import Reading
from servha.config.shape import (
    ClusterSection,
    Document,
    Hooks,
    Language,
    LinkEnd,
    MaintenanceSection,
    NodeSection,
    Password,
    Ports,
    ResourceSection,
    TokenSection,
    TreeSection,
    settings_on,
)
from servha.core.model import StopFailure
from servha.core.words import say

__all__ = [
    "ClusterSection",
    "Document",
    "Hooks",
    "Language",
    "LinkEnd",
    "MaintenanceSection",
    "NodeSection",
    "Password",
    "Ports",
    "ResourceSection",
    "StopFailure",
    "TokenSection",
    "TreeSection",
    "detectors_on",
    "digest",
    "kind_on",
    "parse",
    "parse_json",
    "settings_on",
    "short_digest",
    "successor",
    "to_data",
    "to_json",
]

SIZE_MAX = 4 * 1024 * 1024


def parse(data: object) -> tuple[Document | None, list[Problem]]:
    """Return the document, or None and everything that is wrong with `data`."""
    reading = Reading()
    document = reading.document(data)
    problems = reading.problems
    if document is not None:
        problems = [*problems, *check(document, frozenset(reading.broken))]
    return (None, problems) if problems or document is None else (document, [])


def parse_json(content: bytes) -> tuple[Document | None, list[Problem]]:
    """Like `parse`, for the bytes of a file."""
    if len(content) > SIZE_MAX:
        because = say("{size} bytes are more than {most}", size=len(content), most=SIZE_MAX)
        return None, [Problem("document", because, say("is this the right file?"))]
    try:
        data = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        because = say("is not JSON: {reason}", reason=str(error))
        return None, [Problem("document", because, say("is this the right file?"))]
    return parse(data)


def to_data(document: Document) -> dict[str, Any]:
    """Return the document as plain lists and objects, as they stand in the file."""
    return dict(msgspec.json.decode(msgspec.json.encode(document)))


def to_json(document: Document) -> bytes:
    """Return the file's bytes, laid out for people."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def digest(document: Document) -> str:
    """Return 64 hexadecimal digits that are the same exactly for documents that mean the same.

    What stands at its default is left out, so that a release with one more setting gives an old document
    the digest that the older release on the other node gives it.
    """
    canonical = msgspec.json.encode(_told(document), order="sorted")
    return hashlib.sha256(canonical).hexdigest()


def short_digest(document: Document) -> str:
    """Return the first 16 digits of the digest, as beats carry them."""
    return digest(document)[:16]


def successor(base: Document, changed: Document) -> Document:
    """Return `changed` as the generation that follows `base`."""
    return dataclasses.replace(changed, generation=base.generation + 1, parent_digest=digest(base))


def _told(value: object) -> object:
    """Return plain data without what a reader would assume anyway."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _told(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if getattr(value, field.name) != _default(field)
        }
    if isinstance(value, dict):
        return {key: _told(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_told(item) for item in value]
    return value


def _default(field: dataclasses.Field[Any]) -> object:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
