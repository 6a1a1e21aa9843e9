"""`servha tree|resource|node maintenance`: hands off a tree, a resource or a node, for a reason and for a while.

It is a change of the configuration, so that both nodes know it and a reboot does not end it. What maintenance means
is decided in servha/core.
"""

from __future__ import annotations

import argparse
import datetime as dt
import getpass
import os
import re
from typing import TYPE_CHECKING, Any

from servha.cli import exits, states
from servha.cli.grammar import Place
from servha.cli.picture import picture_of
from servha.cli.screen import Screen
from servha.cli.tree_edit import EDIT_CODES
from servha.core.words import say
from servha.management import Client
from servha.wire.rpc import Code, Refusal

if TYPE_CHECKING:
    from servha.config.document import Document
    from servha.config.edit import Edited

UNITS_S = {"m": 60, "h": 3600, "d": 86400}


def add(verbs: Place, kind: str, what: str) -> None:
    """Declare `maintenance` of the noun `kind` (tree, resource or node), shown with the example `what`."""
    verb = verbs.verb(
        "maintenance",
        run,
        say("keep hands off while somebody works on it: nothing is started again or moved, all is watched"),
        example=(
            f'servha {kind} maintenance {what} on --reason "new disk" --for 30m',
            f'servha {kind} maintenance {what} on --reason "new release" --allow stopped',
            f"servha {kind} maintenance {what} off",
            f"servha {kind} maintenance {what} show",
        ),
        codes=(*EDIT_CODES, exits.FAILED),
        more=say("Orders are obeyed all the same, and a node that loses the right to a tree still stops it."),
    )
    verb.what("what", say("the tree, TREE/RESOURCE, or the node"), metavar="WHAT")
    verb.what("word", say("begin, end or show it"), choices=("on", "off", "show"))
    verb.option("--reason", default="", text=say("why, for everybody who looks at it"))
    verb.option(
        "--for", dest="lasts", metavar="TIME", default="", text=say("end by itself after 30m, 2h or 1d")
    )
    verb.option(
        "--allow",
        action="append",
        default=[],
        choices=("stopped", "unready", "silent"),
        metavar="WHAT",
        text=say(
            "sound no alarm for this meanwhile: stopped (a part of it is down), unready (a node could not take it),"
            " silent (of a node: it and its links are not heard); may be repeated"
        ),
    )
    verb.changes()


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Begin, end or show the maintenance of one thing."""
    return show(args, screen) if args.word == "show" else _set(args, screen)


def show(args: argparse.Namespace, screen: Screen) -> int:
    """Show reason, who, since when and for how long."""
    with Client() as client:
        answer: Any = client.call("status")
    found = next((m for m in answer.get("maintenance", ()) if m["what"] == args.what), None)
    if screen.json:
        screen.answer({"maintenance": found})
    elif found is None:
        screen.line(say("{what} is not in maintenance.", what=args.what))
    else:
        text = say(
            "{what} is in maintenance: {reason} ({by})", **{k: found[k] for k in ("what", "reason", "by")}
        )
        screen.line(text, mood="warn")
        screen.line(say("since {time}", time=states.for_how_long(found["since_s"])), indent=2)
        if found["left_s"] is not None:
            screen.line(say("ends by itself in {time}", time=states.for_how_long(found["left_s"])), indent=2)
        if found.get("allowed"):
            screen.line(say("no alarm for: {allowed}", allowed=", ".join(found["allowed"])), indent=2)
    return exits.OK


def seconds(word: str) -> int:
    """Read 30m, 2h or 1d. Raises `Refusal` (usage) with what would be right."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", word)
    if found is None:
        raise Refusal(Code.USAGE, say("{value} is not a time such as 30m, 2h or 1d", value=repr(word)))
    return int(found[1]) * UNITS_S[found[2]]


def _set(args: argparse.Namespace, screen: Screen) -> int:
    from servha.cli import change  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415
    from servha.config.document import MaintenanceSection  # noqa: PLC0415

    if "silent" in args.allow and args.noun != "node":
        raise Refusal(Code.USAGE, say("--allow silent is for the maintenance of a node"))
    if args.word == "on" and not args.reason:
        raise Refusal(Code.USAGE, say('a reason is needed: --reason "new disk"'))
    now = int(dt.datetime.now(dt.UTC).timestamp())
    lasts_s = seconds(args.lasts) if args.lasts else 0
    by = os.environ.get("SUDO_USER") or getpass.getuser()
    orders = _orders(args) if args.word == "on" else {}

    def edited(base: Document) -> Edited:
        tree, _, resource = ("", "", "") if args.noun == "node" else args.what.partition("/")
        if args.noun == "resource":
            change.known_resource(base, tree, resource)
        elif args.noun == "tree":
            change.known_tree(base, args.what)
        elif base.node(args.what) is None:
            raise Refusal(Code.NO_SUCH, say("there is no node {node}", node=args.what))
        if args.word == "off":
            return edits.end_maintenance(base, args.what)
        section = MaintenanceSection(
            reason=args.reason,
            by=by,
            since_unix_s=now,
            until_unix_s=now + lasts_s if lasts_s else 0,
            tree=tree,
            resource=resource,
            node=args.what if args.noun == "node" else "",
            orders=orders,
            allowed=tuple(dict.fromkeys(args.allow)),
        )
        return edits.set_maintenance(base, section)

    back = "off" if args.word == "on" else 'on --reason "..."'
    undo = f"servha {args.noun} maintenance {args.what} {back}"
    return change.carry_out(args, screen, change.Change(edited, lambda _base: undo))


def _orders(args: argparse.Namespace) -> dict[str, int]:
    """Return the trees that are left as they are, with the order in force: this one, or those on the node."""
    if args.noun == "resource":
        return {}
    with Client() as client:
        picture = picture_of(client.call("status"))
    return {
        t.name: t.order
        for t in picture.trees
        if (t.name if args.noun == "tree" else t.running_on) == args.what
    }
