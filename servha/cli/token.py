"""`servha token`: words that programs show in place of the password, each for one scope and, if wished, for a while."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import Any

from servha.cli import exits
from servha.cli.grammar import Place
from servha.cli.maintenance import seconds
from servha.cli.screen import Screen
from servha.core.words import say
from servha.management import Client

SCOPES = ("read", "operate", "configure")
CODES = (exits.OK, exits.USAGE, exits.NOT_RUNNING, exits.TRY_AGAIN)


def add(place: Place) -> None:
    """Declare the verbs of `servha token`."""
    verbs = place.noun("token", say("tokens with which programs use the console's interface"))
    verb = verbs.verb(
        "create",
        create,
        say("make a token; it is shown this once and kept nowhere"),
        example=(
            "servha token create prometheus --scope read --for 90d",
            "servha token create deployment --scope operate",
        ),
        codes=(*CODES, exits.EXISTS, exits.REFUSED),
        more=say(
            "A program sends it to port 7700 of either node as `Authorization: Bearer TOKEN`. read: see everything but"
            " secrets; operate: also orders and maintenance; configure: also the configuration, which means whatever"
            " runs as root there."
        ),
    )
    verb.what("name", say("its name, for the list and the journal"), metavar="NAME")
    verb.option("--scope", required=True, choices=SCOPES, text=say("what it is good for"))
    verb.option(
        "--for", dest="lasts", metavar="TIME", default="", text=say("over by itself after 30m, 2h or 90d")
    )
    verb.output()
    verbs.verb(
        "list",
        listed,
        say("show every token, never the words themselves"),
        example="servha token list",
        codes=CODES,
    ).output()
    verb = verbs.verb(
        "remove",
        remove,
        say("make a token worthless at once, on both nodes"),
        example="servha token remove prometheus",
        codes=(*CODES, exits.NO_SUCH),
    )
    verb.what("name", say("its name"), metavar="NAME")
    verb.output()


def create(args: argparse.Namespace, screen: Screen) -> int:
    """Make a token and show it."""
    lasts_s = seconds(args.lasts) if args.lasts else 0
    with Client() as client:
        made: Any = client.call("token.create", name=args.name, scope=args.scope, for_s=lasts_s)
    if screen.json:
        screen.answer(made)
        return exits.OK
    screen.line(
        say("token {name} ({scope}): {token}", name=made["name"], scope=made["scope"], token=made["token"])
    )
    screen.line(say("It is not shown again. Whoever has it needs no password: keep it as one."))
    if not made["on_both"]:
        screen.line(say("The other node knows it as soon as it is reached."), mood="warn")
    return exits.OK


def listed(args: argparse.Namespace, screen: Screen) -> int:
    """Show every token."""
    del args
    with Client() as client:
        told: Any = client.call("token.list")
    if screen.json:
        screen.answer(told)
        return exits.OK
    if not told["tokens"]:
        screen.line(say("There is no token."))
    for one in told["tokens"]:
        shown = {
            "name": one["name"],
            "scope": one["scope"],
            "by": one["by"],
            "since": _day(one["since_unix_s"]),
        }
        if one["until_unix_s"]:
            over = _day(one["until_unix_s"])
            screen.line(say("{name}: {scope}, made by {by} on {since}, until {over}", **shown, over=over))
        else:
            screen.line(say("{name}: {scope}, made by {by} on {since}, until it is removed", **shown))
    return exits.OK


def remove(args: argparse.Namespace, screen: Screen) -> int:
    """Make a token worthless."""
    with Client() as client:
        told: Any = client.call("token.remove", name=args.name)
    if screen.json:
        screen.answer(told)
        return exits.OK
    screen.line(say("token {name} is worthless now", name=args.name))
    if not told["on_both"]:
        screen.line(say("The other node still takes it until it is reached."), mood="warn")
    return exits.OK


def _day(unix_s: int) -> str:
    return dt.datetime.fromtimestamp(unix_s).astimezone().strftime("%Y-%m-%d %H:%M")
