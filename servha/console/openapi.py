"""The description of the interface as an OpenAPI 3.1 document, made of the table in contract.py and of nothing else."""

from __future__ import annotations

from typing import Any, Final

import servha
from servha.console.contract import OPERATIONS, PATH_PARTS, REFUSALS, Operation, Who
from servha.console.gate import COOKIE, CSRF_HEADER
from servha.console.shapes import described, members
from servha.console.shown import Refused
from servha.core.words import Text, say
from servha.language import LANGUAGES, render

Json = dict[str, Any]
VERSION: Final = "3.1.0"


def document(language: str) -> Json:
    """Return the document with its sentences in `language`."""
    made: Json = _worded(_document(), language)
    return made


def _worded(value: Any, language: str) -> Any:
    if isinstance(value, Text):
        return render(value, language)
    if isinstance(value, dict):
        return {name: _worded(inner, language) for name, inner in value.items()}
    return [_worded(inner, language) for inner in value] if isinstance(value, list) else value


def _document() -> Json:
    parts: Json = {}
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, parts)
    refused = described(Refused, parts)
    return {
        "openapi": VERSION,
        "info": {
            "title": "ServHA",
            "version": servha.__version__,
            "summary": say("What the console of a node can be asked, and what it answers"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": parts,
            "responses": {
                str(status): {
                    "description": words,
                    "content": {"application/json": {"schema": refused}},
                }
                for status, words in REFUSALS.items()
            },
            "securitySchemes": {
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": say(
                        "set by a login; every change also carries {header}", header=CSRF_HEADER
                    ),
                },
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": say("made by `servha token create`, with a scope"),
                },
            },
        },
    }


def _described(operation: Operation, parts: Json) -> Json:
    answered = described(operation.answered, parts)
    made: Json = {
        "operationId": operation.name,
        "summary": operation.about,
        "parameters": [_language(), *_path_parts(operation), *_query(operation, parts)],
        "responses": {
            "200": {
                "description": say("done, or what was asked for"),
                "content": {operation.media.partition(";")[0]: {"schema": answered}},
            },
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in operation.statuses},
        },
        "security": _security(operation),
    }
    if operation.scope:
        made["x-servha-scope"] = operation.scope
    if operation.asked is not None:
        schema = described(operation.asked, parts, closed=True)
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return made


def _security(operation: Operation) -> list[Json]:
    if operation.who is Who.ANYBODY:
        return []
    return [{"session": []}, *([{"token": []}] if operation.who is Who.KNOWN else [])]


def _language() -> Json:
    return {
        "name": "lang",
        "in": "query",
        "description": say("language of the sentences; else that of Accept-Language"),
        "schema": {"enum": list(LANGUAGES)},
    }


def _path_parts(operation: Operation) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "description": words, "schema": {"type": "string"}}
        for name, words in PATH_PARTS.items()
        if f"{{{name}}}" in operation.path
    ]


def _query(operation: Operation, parts: Json) -> list[Json]:
    if operation.query is None:
        return []
    found = []
    for name, (hint, needed) in members(operation.query).items():
        schema = described(hint, parts)
        words = schema.pop("description", "")
        found.append(
            {"name": name, "in": "query", "required": needed, "description": words, "schema": schema}
        )
    return found
