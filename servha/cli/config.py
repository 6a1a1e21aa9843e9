"""`servha config check FILE`: everything that is wrong with a configuration file, without a running daemon."""

from __future__ import annotations

import argparse
from pathlib import Path

from servha.cli import cluster_file, exits
from servha.cli.grammar import Place
from servha.cli.screen import Screen
from servha.core.words import Text, say
from servha.wire.rpc import text_as_json


def add(place: Place) -> None:
    """Declare the verbs of `servha config`."""
    verbs = place.noun("config", say("check a configuration file"))
    verb = verbs.verb(
        "check",
        check,
        say("list everything that is wrong with a configuration file"),
        example=("servha config check cluster.json", "servha config check /etc/servha/servha.toml"),
        codes=(exits.OK, exits.NO_SUCH, exits.BAD_CONFIGURATION),
        more=say(
            "A file named *.toml is this node's own (servha.toml), any other the cluster's. Nothing is changed."
        ),
    )
    verb.what("file", say("the file"), metavar="FILE")
    verb.output()


def check(args: argparse.Namespace, screen: Screen) -> int:
    """Check one file."""
    from servha.config.document import parse  # noqa: PLC0415
    from servha.config.notes import disk_notes  # noqa: PLC0415

    if args.file.endswith(".toml"):
        from servha.config.node_file import load  # noqa: PLC0415

        cluster_file.read(args.file)
        _, problems = load(Path(args.file))
        told: list[Text] = []
    else:
        document, problems = parse(cluster_file.read(args.file))
        cluster = document.cluster if document is not None else None
        told = disk_notes(cluster.policy, cluster.quorum_disk) if cluster is not None else []
    if screen.json:
        screen.answer(
            {
                "ok": not problems,
                "problems": [
                    {"path": p.path, "because": text_as_json(p.because), "remedy": text_as_json(p.remedy)}
                    for p in problems
                ],
                "notes": [text_as_json(text) for text in told],
            }
        )
    elif not problems:
        screen.line(say("{file} is fine.", file=args.file), mood="good")
        for text in told:
            screen.line(say("Note: {note}", note=text))
    for problem in () if screen.json else problems:
        line = say("{path}: {because}", path=problem.path, because=problem.because)
        if problem.remedy.template:
            line = say(
                "{path}: {because}; {remedy}",
                path=problem.path,
                because=problem.because,
                remedy=problem.remedy,
            )
        screen.line(line)
    return exits.BAD_CONFIGURATION if problems else exits.OK
