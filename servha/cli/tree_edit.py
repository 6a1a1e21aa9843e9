"""`servha tree create, edit, delete`: the settings of a resource tree.

Reads servha/config only when a verb runs, so that orders stay quick. What may be set is decided there.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from servha.cli import cluster_file, exits
from servha.cli.grammar import Place, Verb
from servha.cli.screen import Screen
from servha.core.model import Failback, StartFailure, StartMode, StopFailure, SwitchPolicy
from servha.core.words import Text, say

if TYPE_CHECKING:
    from servha.config.document import Document
    from servha.config.edit import Edited

EDIT_CODES: Final = (
    exits.OK,
    exits.USAGE,
    exits.NOT_RUNNING,
    exits.REFUSED,
    exits.NO_SUCH,
    exits.EXISTS,
    exits.TRY_AGAIN,
    exits.BAD_CONFIGURATION,
)
CHOICES: Final[tuple[tuple[str, tuple[str, ...], Text], ...]] = (
    ("start_mode", tuple(StartMode), say("start mode: by itself, or by hand only")),
    (
        "switch_policy",
        tuple(SwitchPolicy),
        say("who may take over: every host by priority, or the highest only"),
    ),
    (
        "failback",
        tuple(Failback),
        say("when a preferred host is back: move there, stay, or move within a window"),
    ),
    ("start_failure", tuple(StartFailure), say("when it cannot be started: try the next host, or stay")),
    (
        "stop_failure",
        tuple(StopFailure),
        say("when it cannot be stopped: wait for an administrator, or escalate up to a reset of the node"),
    ),
)


def add(verbs: Place) -> None:
    """Declare create, edit and delete."""
    verb = verbs.verb(
        "create",
        create,
        say("create a resource tree"),
        example=(
            "servha tree create web --hosts node1,node2",
            "servha tree create db --hosts node2,node1 --failback stay",
        ),
        codes=EDIT_CODES,
    )
    _name(verb)
    _settings(verb, hosts_required=True)
    verb = verbs.verb(
        "edit",
        edit,
        say("change the settings of a tree"),
        example=("servha tree edit web --failback stay", "servha tree edit web --hosts node2,node1"),
        codes=EDIT_CODES,
    )
    _name(verb)
    _settings(verb, hosts_required=False)
    verb = verbs.verb(
        "delete",
        delete,
        say("delete a stopped tree with all its resources"),
        example="servha tree delete web",
        codes=EDIT_CODES,
    )
    _name(verb)
    verb.changes()


def _name(verb: Verb) -> None:
    verb.what("tree", say("name of the resource tree"), metavar="TREE")


def _settings(verb: Verb, *, hosts_required: bool) -> None:
    verb.option(
        "--hosts",
        metavar="NODE,NODE",
        required=hosts_required,
        text=say("the nodes it may run on, the most preferred first"),
    )
    for name, choices, text in CHOICES:
        verb.option("--" + name.replace("_", "-"), choices=choices, text=text)
    verb.option(
        "--hold-down",
        metavar="SECONDS",
        dest="hold_down_s",
        type=float,
        text=say("how long a preferred host must be healthy before the tree moves back to it (60)"),
    )
    verb.option(
        "--failback-window",
        metavar="HH:MM-HH:MM",
        text=say("the part of the day, by local time, in which failback window moves it back"),
    )
    verb.changes()


def given(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were typed, by the names they have in the configuration."""
    names = ("hosts", *(name for name, _, _ in CHOICES), "hold_down_s", "failback_window")
    found = {name: getattr(args, name) for name in names if getattr(args, name, None) is not None}
    if "hosts" in found:
        found["hosts"] = tuple(h.strip() for h in found["hosts"].split(",") if h.strip())
    return found


def create(args: argparse.Namespace, screen: Screen) -> int:
    """Create a tree."""
    from servha.cli import change  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415

    def edited(base: Document) -> Edited:
        change.is_new(args.tree, [tree.name for tree in base.trees])
        return edits.create_tree(base, args.tree, **given(args))

    return change.carry_out(
        args, screen, change.Change(edited, lambda _base: f"servha tree delete {args.tree}")
    )


def edit(args: argparse.Namespace, screen: Screen) -> int:
    """Change settings of a tree."""
    from servha.cli import change  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415

    settings = given(args)

    def edited(base: Document) -> Edited:
        change.known_tree(base, args.tree)
        return edits.edit_tree(base, args.tree, **settings)

    def undo(base: Document) -> str:
        tree = base.tree(args.tree)
        words = []
        for name in settings:
            before = getattr(tree, name)
            value = (
                ",".join(before)
                if name == "hosts"
                else f"{before:g}"
                if name == "hold_down_s"
                else str(before) or "''"
            )
            words.append(f"--{name.removesuffix('_s').replace('_', '-')} {value}")
        return f"servha tree edit {args.tree} {' '.join(words)}"

    return change.carry_out(args, screen, change.Change(edited, undo))


def delete(args: argparse.Namespace, screen: Screen) -> int:
    """Delete a tree that runs nowhere."""
    from servha.cli import change  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415

    def edited(base: Document) -> Edited:
        change.known_tree(base, args.tree)
        return edits.delete_tree(base, args.tree)

    change.refuse_if_held(args.tree)
    return change.carry_out(
        args,
        screen,
        change.Change(edited, lambda base: cluster_file.undo(base.generation)),
    )
