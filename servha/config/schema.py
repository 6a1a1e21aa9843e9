"""What settings a kind has, told to forms, reference pages and other programs.

Read off the kind's own fields: nothing is written down twice, so nothing can disagree. Descriptions are
English templates, as everywhere; whoever shows them renders them in the reader's language.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from servha.config.kinds import DETECTORS, RESOURCES
from servha.config.reading import fields_of, is_required
from servha.config.shape import Document


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One setting of a kind, as a form needs it. Bounds and default are None where there is none."""

    name: str
    type: str
    """text, number, whole-number, yes-no, choice, list or mapping."""
    required: bool
    default: Any = None
    description: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""


def form(kind: type[Any]) -> list[FormField]:
    """Return the settings of a kind, in the order in which they are to be asked for."""
    hints, fields = fields_of(kind)
    return [_form_field(field, hints[field.name]) for field in fields]


def kind_schemas() -> dict[str, dict[str, Any]]:
    """Return a JSON Schema for the settings of each resource kind and each detector kind."""
    return {
        **{f"resource/{name}": schema_of(kind) for name, kind in RESOURCES.items()},
        **{f"detector/{name}": schema_of(kind) for name, kind in DETECTORS.items()},
    }


def document_schema() -> dict[str, Any]:
    """Return a JSON Schema for the replicated document; the settings of kinds are any object there."""
    return schema_of(Document)


def schema_of(shape: type[Any]) -> dict[str, Any]:
    """Return a JSON Schema for one kind's settings."""
    made: dict[str, Any] = _refusing_unknown(msgspec.json.schema(shape, schema_hook=_anything))
    return made


def _refusing_unknown(node: Any) -> Any:
    """Say in the schema what the reading does: an unknown setting is a problem."""
    if isinstance(node, dict):
        told = {key: _refusing_unknown(value) for key, value in node.items()}
        return {**told, "additionalProperties": False} if "properties" in told else told
    if isinstance(node, list):
        return [_refusing_unknown(item) for item in node]
    return node


def _anything(wanted: type[Any]) -> dict[str, Any]:
    """A kind's settings are looked at by the kind; the document's schema lets any value pass."""
    if wanted is not object:
        raise NotImplementedError
    return {"description": "any value"}


def _form_field(field: dataclasses.Field[Any], hint: Any) -> FormField:
    schema = msgspec.json.schema(hint)
    if "$ref" in schema:
        schema = {**schema["$defs"][schema["$ref"].rpartition("/")[2]], **schema}
    required = is_required(field)
    default = None
    if not required:
        made = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        default = msgspec.json.decode(msgspec.json.encode(made))
    return FormField(
        name=field.name,
        type=_type_word(schema),
        required=required,
        default=default,
        description=schema.get("description", ""),
        minimum=schema.get("minimum", schema.get("exclusiveMinimum", schema.get("minLength"))),
        maximum=schema.get("maximum", schema.get("exclusiveMaximum", schema.get("maxLength"))),
        choices=tuple(str(choice) for choice in schema.get("enum", ())),
        pattern=schema.get("pattern", ""),
    )


def _type_word(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "choice"
    types = [schema.get("type")] if "type" in schema else [one.get("type") for one in schema.get("anyOf", ())]
    for word, ours in (
        ("array", "list"),
        ("object", "mapping"),
        ("boolean", "yes-no"),
        ("integer", "whole-number"),
        ("number", "number"),
    ):
        if word in types:
            return ours
    return "text"
