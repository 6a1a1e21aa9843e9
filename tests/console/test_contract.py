"""The table of operations, the routes, the document and servhad's own table of rights say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import servha
from servha.console.asked import Change, Maintain, Page
from servha.console.contract import OPERATIONS, Who
from servha.console.openapi import document
from servha.console.routes import Console
from servha.console.sessions import Place
from servha.console.shapes import checked, faults
from servha.wire.rpc import Refusal


def test_what_is_served_is_what_is_described() -> None:
    application: Any = Console(home=Place(socket="/nowhere"), web=Path("/nowhere")).application
    served = {
        (route.method, route.rule.replace("<name:path>", "{name}").replace("<", "{").replace(">", "}"))
        for route in application.routes
    }
    pages = {("GET", "/"), ("GET", "/api"), ("GET", "/static/{path:path}")}
    told = {(method.upper(), path) for path, methods in document("en")["paths"].items() for method in methods}
    assert served - pages == told
    assert len(told) == len(OPERATIONS)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_document_is_valid(language: str) -> None:
    made = document(language)
    OpenAPIV31SpecValidator(made).validate()
    assert all(one["summary"] for methods in made["paths"].values() for one in methods.values())


def test_the_document_speaks_both_languages() -> None:
    english, chinese = (
        document(language)["paths"]["/api/v1/status"]["get"]["summary"] for language in ("en", "zh-CN")
    )
    assert (english, chinese) == (
        "everything about the cluster as this node sees it",
        "本节点看到的集群全部状态",
    )


def test_every_operation_that_knows_its_caller_says_which_scope_a_token_needs() -> None:
    for operation in OPERATIONS:
        assert bool(operation.scope) == (operation.who is Who.KNOWN), operation.name


def test_the_scopes_are_those_that_servhad_asks_for() -> None:
    files = (Path(servha.__file__).parent / "daemon").glob("*.py")
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    rows = dict(re.findall(r'"([a-z.]+)": (for_[a-z]+)\(', text))
    asked = {"read": "for_readers", "operate": "for_operators", "configure": "for_configurers"}
    for operation in OPERATIONS:
        if operation.scope:
            assert rows[operation.verb] == asked[operation.scope], operation.name
        elif operation.who is Who.BROWSER and operation.verb and operation.name not in ("stream", "ticket"):
            assert rows[operation.verb] in ("for_administrators", "for_choosers"), operation.name


@pytest.mark.parametrize(
    ("shape", "value", "wrong"),
    [
        (Change, [], {""}),
        (Change, {"document": {}, "base_generation": -1, "dry": True}, {"base_generation", "dry"}),
        (Change, {"base_generation": True}, {"document", "base_generation"}),
        (Maintain, {"scope": "cluster", "name": 1, "reason": None}, {"scope", "name", "reason"}),
        (Maintain, {"scope": "tree", "name": "web", "reason": "x", "for_s": 366 * 86400 + 1}, {"for_s"}),
        (Page, {"since": "x", "limit": 0}, {"since", "limit"}),
        (Page, {}, set()),
    ],
)
def test_each_field_that_is_wrong_is_named(shape: type, value: Any, wrong: set[str]) -> None:
    assert {path for path, _ in faults(shape, value)} == wrong
    if wrong:
        with pytest.raises(Refusal) as refused:
            checked(shape, value)
        assert {problem.path for problem in refused.value.problems} == wrong
    else:
        assert checked(shape, value) == value
