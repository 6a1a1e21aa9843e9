"""`servha events`: what happened, one line each, newest last; `-f` keeps following. Explains nothing: that is `why`."""

from __future__ import annotations

import argparse

from servha.cli import entry, exits
from servha.cli.grammar import Place
from servha.cli.screen import Screen
from servha.core.words import say
from servha.management import Client


def add(place: Place) -> None:
    """Declare `servha events`."""
    verb = place.verb(
        "events",
        run,
        say("show what happened, newest last"),
        example=("servha events", "servha events -f", "servha events -f -o json"),
        codes=(exits.OK, exits.NOT_RUNNING),
        more=say("With -o json every event is one line of JSON."),
    )
    verb.output()
    verb.option("-f", "--follow", action="store_true", text=say("wait for what comes, until interrupted"))
    verb.option("--last", metavar="N", type=int, default=30, text=say("how many of the past (30)"))
    verb.option("--since", metavar="ID", type=int, text=say("only those after this number"))
    verb.option(
        "--about", metavar="NAME", default="", text=say("only about this tree, resource, link or node")
    )


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Show the past, then, with -f, what comes."""
    asked = {"limit": max(1, args.last), "follow": bool(args.follow)}
    if args.since is not None:
        asked["since"] = args.since
    with Client() as client:
        for result in client.stream(
            "journal", within_s=None if args.follow else client.answer_within_s, **asked
        ):
            _show(result, args, screen)
    return exits.OK


def _show(result: object, args: argparse.Namespace, screen: Screen) -> None:
    found = [
        (raw, seen)
        for raw, seen in zip(entry.raw_entries(result), entry.entries_of(result), strict=True)
        if not args.about or args.about == seen.node or seen.is_about(args.about)
    ]
    if screen.json:
        for raw, _ in found:
            screen.answer_line(raw)
    elif args.follow:
        for _, seen in found:
            print(entry.line(seen, screen), file=screen.out, flush=True)
    else:
        screen.table([entry.row(seen, screen) for _, seen in found], indent=0)
