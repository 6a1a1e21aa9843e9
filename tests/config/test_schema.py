"""What forms and reference pages are told is what the check enforces."""

from __future__ import annotations

import pytest

from servha.config import schema
from servha.config.kinds import DETECTORS, RESOURCES, required_fields

KINDS = {**RESOURCES, **DETECTORS}


@pytest.mark.parametrize("name", KINDS)
def test_every_setting_of_every_kind_is_described(name: str) -> None:
    for field in schema.form(KINDS[name]):
        assert field.description, f"{name}.{field.name}: a form could not say what it is"
        assert field.required == (field.name in required_fields(KINDS[name]))


def test_a_form_has_type_default_bounds_and_choices() -> None:
    port, protocol, _ = schema.form(DETECTORS["port"])
    assert (port.type, port.required, port.minimum, port.maximum) == ("whole-number", True, 1, 65535)
    assert (protocol.type, protocol.default, protocol.choices) == ("choice", "tcp", ("tcp", "udp"))


def test_the_schemas_refuse_unknown_settings_as_the_check_does() -> None:
    for name, found in schema.kind_schemas().items():
        (definition,) = found["$defs"].values()
        assert definition["additionalProperties"] is False, name


def test_the_document_has_a_schema() -> None:
    found = schema.document_schema()
    assert set(found["$defs"]) >= {"Document", "TreeSection", "ResourceSection", "NodeSection", "Timing"}
