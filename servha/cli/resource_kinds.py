"""`servha resource kinds` and `show`: which settings a kind has, and what one resource has set and is doing.

Everything about a kind comes from its own fields; nothing is described here a second time.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from servha.cli import exits, states
from servha.cli.picture import picture_of
from servha.cli.screen import Cell, Screen
from servha.core.words import Text, say
from servha.wire.rpc import Code, Refusal

TYPES: Final[Mapping[str, Text]] = {
    "text": say("text"),
    "number": say("number"),
    "whole-number": say("whole number"),
    "yes-no": say("true or false"),
    "choice": say("one of several"),
    "list": say("list"),
    "mapping": say("names and values"),
}


def run(args: argparse.Namespace, screen: Screen) -> int:
    """List the kinds, or show one."""
    from servha.config import schema  # noqa: PLC0415 - reads every kind
    from servha.config.kinds import DETECTORS, RESOURCES  # noqa: PLC0415

    known: dict[str, type[Any]] = {**RESOURCES, **DETECTORS}
    if args.kind is not None and args.kind not in known:
        raise Refusal(
            Code.NO_SUCH,
            say("there is no kind {kind}; there are: {known}", kind=args.kind, known=", ".join(known)),
        )
    if screen.json:
        wanted = [args.kind] if args.kind else list(known)
        screen.answer(
            {"kinds": {name: [dataclasses.asdict(f) for f in schema.form(known[name])] for name in wanted}}
        )
        return exits.OK
    if args.kind is None:
        for title, kinds in ((say("Resources"), RESOURCES), (say("Detectors"), DETECTORS)):
            screen.line(title, mood="strong")
            screen.table([[name, sentence_of(kind, screen)] for name, kind in kinds.items()])
        screen.line(say("`servha resource agents` lists the agents of kind ocf."))
        return exits.OK
    screen.line(f"{args.kind}: {sentence_of(known[args.kind], screen)}", mood="strong")
    screen.table(settings_rows(known[args.kind], screen))
    if args.kind == "ocf":
        screen.line(say("`servha resource agents` lists the agents of kind ocf."))
    return exits.OK


def sentence_of(kind: type[Any], screen: Screen) -> str:
    """Return what a kind is, in one sentence: the first of its docstring."""
    first = (kind.__doc__ or "").strip().split("\n\n", 1)[0]
    return screen.words(Text(" ".join(first.split())))


def settings_rows(kind: type[Any], screen: Screen) -> list[list[Cell | str]]:
    """Return a row for each setting: its name, its type, its default or that it is required, what it means."""
    from servha.config import schema  # noqa: PLC0415

    rows: list[list[Cell | str]] = []
    for field in schema.form(kind):
        default = screen.words(say("required")) if field.required else shown(field.default) or "-"
        described = screen.words(Text(field.description)) if field.description else ""
        if field.choices:
            described += " (" + ", ".join(field.choices) + ")"
        elif field.minimum is not None and field.maximum is not None and field.type.endswith("number"):
            described += f" ({field.minimum:g}..{field.maximum:g})"
        rows.append([Cell(field.name, "strong"), screen.words(TYPES[field.type]), default, described])
    return rows


def show_resource(screen: Screen, document: Mapping[str, Any], status: Any, tree: str, name: str) -> None:
    """Write one resource: its state here, its settings. Raises `Refusal` when there is none."""
    trees = {t.get("name"): t for t in document.get("trees", ())}
    found = next((r for r in trees.get(tree, {}).get("resources", ()) if r.get("name") == name), None)
    if found is None:
        known = ", ".join(
            f"{t}/{r.get('name')}" for t, own in trees.items() for r in own.get("resources", ())
        )
        raise Refusal(
            Code.NO_SUCH,
            say(
                "there is no resource {resource}; there are: {known}",
                resource=f"{tree}/{name}",
                known=known or "-",
            ),
        )
    seen_tree = picture_of(status).tree(tree)
    seen = next((r for r in seen_tree.resources if r.name == name), None) if seen_tree is not None else None
    if screen.json:
        raw_tree: dict[str, Any] = next((t for t in status.get("trees", ()) if t.get("name") == tree), {})
        raw: dict[str, Any] = next((r for r in raw_tree.get("resources", ()) if r.get("name") == name), {})
        screen.answer({"settings": found, "state": raw})
        return
    screen.line(f"{tree}/{name}", mood="strong")
    rows: list[list[Cell | str]] = [[screen.words(say("kind")), str(found.get("kind", ""))]]
    if seen is not None:
        state = states.cell(screen, states.RESOURCE, seen.state)
        rows += [
            [screen.words(say("state")), state],
            [screen.words(say("since")), screen.words(states.for_how_long(seen.since_s))],
            [screen.words(say("because")), screen.words(seen.because)],
        ]
    if found.get("after"):
        rows.append([screen.words(say("starts after")), ", ".join(found["after"])])
    rows += [[key, shown(value)] for key, value in found.get("settings", {}).items()]
    for node, own in found.get("per_node", {}).items():
        rows += [[f"{key}@{node}", shown(value)] for key, value in own.items()]
    for detector in found.get("detectors", ()):
        rest = ", ".join(f"{key}={shown(value)}" for key, value in detector.items() if key != "kind")
        rows.append([screen.words(say("detector {kind}", kind=str(detector.get("kind", "")))), rest])
    hooks: Mapping[str, Any] = found.get("hooks", {})
    for hook, command in hooks.items():
        if command and hook != "timeout_s":
            rows.append([screen.words(say("hook {hook}", hook=hook)), shown(command)])
    screen.table(rows)


def shown(value: object) -> str:
    """Return a value as one would type it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return " ".join(f"{key}={inner}" for key, inner in value.items())
    if value is None:
        return ""
    return " ".join(str(v) for v in value) if isinstance(value, list | tuple) else str(value)
