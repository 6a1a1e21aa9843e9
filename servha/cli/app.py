"""`servha app`: a well-known application joins the cluster: its tree proposed, its data moved to the shared disk.

Decides what is asked, in which order things are done, and that nothing is done before the plan was shown and agreed
to. What an application needs is decided in servha/apps; what is done on each node and put back, in app_local.py.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from servha.cli import exits
from servha.cli.grammar import Place, Verb
from servha.cli.screen import Cell, Screen
from servha.core.words import say
from servha.wire.rpc import Code, Refusal

if TYPE_CHECKING:
    from servha.apps import Application

CODES: Final = (
    exits.OK,
    exits.USAGE,
    exits.NOT_RUNNING,
    exits.REFUSED,
    exits.NO_SUCH,
    exits.EXISTS,
    exits.BAD_CONFIGURATION,
)
EXAMPLE: Final = (
    "postgresql --set address=192.0.2.100/24 nic=eth0 nic@node2=ens3 \\\n"
    "      device=/dev/disk/by-id/wwn-0x60080e50002a3f mount_point=/srv/pg"
)


def add(place: Place) -> None:
    """Declare the verbs of `servha app`."""
    verbs = place.noun("app", say("applications with a ready-made tree: data moved, scripts shipped"))
    verb = verbs.verb(
        "list",
        show,
        say("list the applications, or the values that one asks for"),
        example=("servha app list", "servha app list oracle"),
        codes=(exits.OK, exits.NO_SUCH),
    )
    verb.what("application", say("show the values of this application"), metavar="APPLICATION", nargs="?")
    verb.output()
    verb = verbs.verb(
        "plan",
        plan,
        say("show the tree, what is checked and what would be moved; change nothing"),
        example=(f"servha app plan {EXAMPLE}",),
        codes=CODES,
        more=say(
            "`plan ... -o json` on one node, given to the other with --other, compares the users' numbers."
        ),
    )
    _values(verb)
    verb.output()
    verb = verbs.verb(
        "add",
        join,
        say("create the tree and move the data; on the other node afterwards: make the links there"),
        example=(f"servha app add {EXAMPLE} --yes",),
        codes=(*CODES, exits.FAILED, exits.TRY_AGAIN),
        more=say(
            "The application has to be stopped and the disk mounted on this node. The tree is not started."
        ),
    )
    _values(verb)
    verb.changes()
    verb = verbs.verb(
        "undo",
        undo,
        say("put back on this node what `servha app add` did, and delete the tree"),
        example=("servha app undo postgresql --yes", "servha app undo postgresql --keep disk --yes"),
        codes=(*CODES, exits.FAILED),
    )
    verb.what("tree", say("name of the resource tree"), metavar="TREE")
    verb.option(
        "--keep",
        choices=("disk", "original"),
        text=say(
            "which data to keep when they have changed: those of the disk, or those from before the move"
        ),
    )
    verb.changes()


def _values(verb: Verb) -> None:
    verb.what("application", say("one of `servha app list`"), metavar="APPLICATION")
    verb.option(
        "--set",
        metavar="KEY=VALUE",
        dest="pairs",
        nargs="+",
        action="extend",
        default=[],
        text=say("values of the application; KEY@NODE=VALUE for nic and device of one node"),
    )
    verb.option("--hosts", metavar="NODE,NODE", text=say("the nodes it may run on, the most preferred first"))
    verb.option(
        "--other",
        metavar="FILE",
        text=say("what `servha app plan ... -o json` said on the other node; - reads it"),
    )


def application_of(name: str) -> type[Application]:
    """Return the application called `name`. Raises `Refusal` (no such) that lists those there are."""
    from servha.apps import APPLICATIONS  # noqa: PLC0415

    for application in APPLICATIONS:
        if application.name == name:
            return application
    raise Refusal(
        Code.NO_SUCH,
        say(
            "there is no application {name} in the kit; there are: {known}",
            name=name,
            known=", ".join(application.name for application in APPLICATIONS),
        ),
    )


def show(args: argparse.Namespace, screen: Screen) -> int:
    """List the applications, or one's values."""
    import dataclasses  # noqa: PLC0415

    from servha.apps import APPLICATIONS  # noqa: PLC0415
    from servha.cli.resource_kinds import sentence_of, settings_rows  # noqa: PLC0415
    from servha.config.schema import form  # noqa: PLC0415

    wanted = [application_of(args.application)] if args.application else list(APPLICATIONS)
    if screen.json:
        screen.answer(
            {"applications": {one.name: [dataclasses.asdict(f) for f in form(one)] for one in wanted}}
        )
    elif args.application:
        screen.line(f"{args.application}: {sentence_of(wanted[0], screen)}", mood="strong")
        # Those that have to be given stand first.
        rows = settings_rows(wanted[0], screen)
        required = {field.name for field in form(wanted[0]) if field.required}
        screen.table(sorted(rows, key=lambda row: _text(row[0]) not in required))
    else:
        screen.table([[Cell(one.name, "strong"), sentence_of(one, screen)] for one in wanted])
    return exits.OK


def _text(cell: Cell | str) -> str:
    return cell.text if isinstance(cell, Cell) else cell


def plan(args: argparse.Namespace, screen: Screen) -> int:
    """Show what `add` would do."""
    from servha.cli import app_plan  # noqa: PLC0415
    from servha.management import Client  # noqa: PLC0415

    with Client() as client:
        made = app_plan.make(client, application_of(args.application), args)
    app_plan.tell(made, screen)
    return exits.REFUSED if made.against else exits.OK


def join(args: argparse.Namespace, screen: Screen) -> int:
    """Do it: move the data, write the variables, create the tree; everything back when one of these fails."""
    from servha.cli import app_local, app_plan  # noqa: PLC0415
    from servha.management import Client  # noqa: PLC0415

    with Client() as client:
        made = app_plan.make(client, application_of(args.application), args)
        if args.dry_run or (made.against and not screen.json):
            app_plan.tell(made, screen)
        if made.against:
            raise Refusal(
                Code.REFUSED,
                say("nothing was changed: {count} of the checks stand against it", count=len(made.against)),
            )
        if args.dry_run:
            return exits.OK
        if not screen.json:
            app_plan.tell(made, screen)
        if not _agreed(args, screen):
            return exits.FAILED
        generation = app_local.carry_out(client, made, alone=bool(args.alone))
    undo_command = f"servha app undo {made.application.tree_name}"
    if screen.json:
        screen.answer({"changed": True, "generation": generation, "undo": undo_command})
        return exits.OK
    if made.makes_tree:
        screen.line(say("Done: configuration {generation}.", generation=generation), mood="good")
    else:
        screen.line(say("Done on this node."), mood="good")
    screen.line(say("To undo: {command}", command=undo_command))
    return exits.OK


def undo(args: argparse.Namespace, screen: Screen) -> int:
    """Put everything back on this node."""
    from servha.cli import app_local  # noqa: PLC0415
    from servha.management import Client  # noqa: PLC0415

    kept = app_local.record_of(args.tree)
    with Client() as client:
        app_local.refuse_undo(client, kept)
        lines: list[Any] = [say("tree {tree} is deleted", tree=kept.tree)] if kept.made_tree else []
        lines += [
            say("{path} is put back; the shared disk was at {target}", path=move.source, target=move.target)
            for move in kept.moves
        ]
        lines += [say("{file} is removed", file=kept.file)] if kept.file else []
        if not screen.json:
            screen.line(say("Plan for this node:"), mood="strong")
            for line in lines:
                screen.line(line, indent=2)
        if args.dry_run:
            if screen.json:
                screen.answer({"changed": False, "plan": [screen.words(line) for line in lines]})
            return exits.OK
        if not _agreed(args, screen):
            return exits.FAILED
        said = app_local.put_back(client, kept, keep=args.keep, alone=bool(args.alone))
    if screen.json:
        screen.answer({"changed": True, "done": [screen.words(line) for line in said]})
        return exits.OK
    for line in said:
        screen.line(line)
    screen.line(say("Everything is back on this node."), mood="good")
    return exits.OK


def _agreed(args: argparse.Namespace, screen: Screen) -> bool:
    """Data are moved: without --yes a person has to say so. Raises `Refusal` where nobody is there to ask."""
    if args.yes:
        return True
    if screen.json or not screen.interactive:
        raise Refusal(Code.REFUSED, say("nothing was changed: this moves data, say --yes"))
    if screen.agreed(say("Go on?")):
        return True
    screen.line(say("Nothing was changed."))
    return False
