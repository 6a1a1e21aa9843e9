"""`servha resource`: the resources of a tree, their kinds, and what they depend on.

Decides how TREE/RESOURCE and KEY=VALUE are typed. Which settings a kind has, and what is wrong with them, is
decided by the kind.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any, Final

from servha.cli import cluster_file, exits, maintenance, resource_agents, resource_kinds
from servha.cli.grammar import Place, Verb
from servha.cli.screen import Screen
from servha.cli.tree_edit import EDIT_CODES
from servha.core.words import Text, say
from servha.management import Client
from servha.wire.rpc import Code, Refusal

if TYPE_CHECKING:
    from servha.config.document import Document
    from servha.config.edit import Edited

TIMES: Final[tuple[tuple[str, str, type, Text], ...]] = (
    (
        "--start-timeout",
        "start_timeout_s",
        float,
        say("seconds a start may take, until its check says so (120)"),
    ),
    ("--stop-timeout", "stop_timeout_s", float, say("seconds a stop may take (60)")),
    ("--check-interval", "check_interval_s", float, say("seconds between two checks (5)")),
    (
        "--abnormal-stops",
        "abnormal_stop_count_max",
        int,
        say("how often it is restarted before the tree moves (3)"),
    ),
    ("--abnormal-window", "abnormal_stop_window_s", float, say("within how many seconds these count (60)")),
)


def add(place: Place) -> None:
    """Declare the verbs of `servha resource`."""
    verbs = place.noun("resource", say("the resources of a tree"))
    kinds = verbs.verb(
        "kinds",
        resource_kinds.run,
        say("list the kinds of resources and detectors, or the settings of one"),
        example=("servha resource kinds", "servha resource kinds ipv4"),
        codes=(exits.OK, exits.NO_SUCH),
    )
    kinds.what("kind", say("show the settings of this kind"), metavar="KIND", nargs="?")
    kinds.output()
    agents = verbs.verb(
        "agents",
        resource_agents.run,
        say("list the OCF agents of this node, or the parameters of one"),
        example=("servha resource agents", "servha resource agents ocf:heartbeat:Dummy"),
        codes=(exits.OK, exits.FAILED, exits.NO_SUCH),
    )
    agents.what(
        "agent", say("describe this agent; ocf:heartbeat: may be left out"), metavar="AGENT", nargs="?"
    )
    agents.output()
    verb = verbs.verb(
        "create",
        create,
        say("create a resource in a tree"),
        example=(
            "servha resource create web/vip ipv4 address=192.0.2.100/24 nic=eth0 nic@node2=ens3",
            "servha resource create web/app custom start=/opt/app/start stop=/opt/app/stop --after vip \\",
            "    --detector port:port=80 --detector 'url:url=http://127.0.0.1/,text=OK'",
            "servha resource create web/db custom start=/opt/db/start --hook 'before_start=/opt/db/prepare --fast'",
        ),
        codes=EDIT_CODES,
        more=say("KEY@NODE=VALUE sets a value for one node. Lists are split as a shell would: args='-p 80'."),
    )
    _name(verb)
    verb.what("kind", say("one of `servha resource kinds`"), metavar="KIND")
    _settings(verb)
    verb = verbs.verb(
        "edit",
        edit,
        say("change the settings of a resource"),
        example=("servha resource edit web/vip address=192.0.2.101/24", "servha resource edit web/app test="),
        codes=EDIT_CODES,
        more=say("KEY= without a value forgets a setting. --detector replaces all detectors."),
    )
    _name(verb)
    _settings(verb)
    verb.option("--no-detectors", action="store_true", text=say("forget all detectors"))
    verb = verbs.verb(
        "delete",
        delete,
        say("delete a resource of a tree"),
        example="servha resource delete web/app",
        codes=EDIT_CODES,
    )
    _name(verb)
    verb.changes()
    verb = verbs.verb(
        "depend",
        depend,
        say("make a resource start after another one of its tree, and stop before it"),
        example=("servha resource depend web/app vip", "servha resource depend web/app vip --remove"),
        codes=EDIT_CODES,
    )
    _name(verb)
    verb.what("on", say("the resource that starts first"), metavar="OTHER")
    verb.option("--remove", action="store_true", text=say("take the dependency away"))
    verb.changes()
    verb = verbs.verb(
        "show",
        show,
        say("show one resource: its settings and its state"),
        example="servha resource show web/app",
        codes=(exits.OK, exits.NOT_RUNNING, exits.NO_SUCH),
    )
    _name(verb)
    verb.output()
    maintenance.add(verbs, "resource", "web/app")


def _name(verb: Verb) -> None:
    verb.what("resource", say("the tree and the resource, as in web/app"), metavar="TREE/RESOURCE")


def _settings(verb: Verb) -> None:
    verb.what("pairs", say("settings of the kind"), metavar="KEY=VALUE", nargs="*")
    verb.option(
        "--after",
        metavar="NAMES",
        action="append",
        text=say("start after these resources of the tree (comma, or given again)"),
    )
    verb.option(
        "--detector",
        metavar="KIND:KEY=VALUE,...",
        action="append",
        text=say("watch it with this detector; all given ones must agree"),
    )
    verb.option(
        "--hook",
        metavar="WHEN=COMMAND",
        action="append",
        text=say(
            "run this program before_start, after_start, before_stop, after_stop or on_stop_failure; WHEN= runs none"
        ),
    )
    verb.option(
        "--hook-timeout",
        dest="hook_timeout_s",
        metavar="N",
        type=float,
        text=say("seconds a hook may take (30)"),
    )
    for flag, name, kind, text in TIMES:
        verb.option(flag, dest=name, metavar="N", type=kind, text=text)
    verb.changes()


def names_of(word: str) -> tuple[str, str]:
    """Return (tree, resource) of "web/app". Raises `Refusal` for anything else."""
    tree, slash, resource = word.partition("/")
    if not slash or not tree or not resource or "/" in resource:
        raise Refusal(Code.USAGE, say("{word} is not TREE/RESOURCE, as in web/app", word=word))
    return tree, resource


def _common(args: argparse.Namespace) -> dict[str, Any]:
    """What was typed besides the kind's own settings."""
    found: dict[str, Any] = {
        name: getattr(args, name) for _, name, _, _ in TIMES if getattr(args, name) is not None
    }
    if args.after is not None:
        found["after"] = tuple(one.strip() for word in args.after for one in word.split(",") if one.strip())
    if args.detector is not None:
        from servha.cli import pairs  # noqa: PLC0415
        from servha.config.kinds import DETECTORS  # noqa: PLC0415

        found["detectors"] = tuple(pairs.detector_of(word, DETECTORS) for word in args.detector)
    elif getattr(args, "no_detectors", False):
        found["detectors"] = ()
    return found


def _hooks(args: argparse.Namespace) -> dict[str, object]:
    """What was typed of hooks; empty when nothing was."""
    from servha.cli import pairs  # noqa: PLC0415

    found: dict[str, object] = dict(pairs.hooks_of(args.hook or ()))
    if args.hook_timeout_s is not None:
        found["timeout_s"] = args.hook_timeout_s
    return found


def create(args: argparse.Namespace, screen: Screen) -> int:
    """Create a resource."""
    from servha.cli import change, pairs  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415
    from servha.config.kinds import RESOURCES  # noqa: PLC0415

    tree, name = names_of(args.resource)
    typed = pairs.pairs_of(args.pairs, RESOURCES.get(args.kind))
    common = _common(args)
    if hooks := _hooks(args):
        common["hooks"] = hooks

    def edited(base: Document) -> Edited:
        change.is_new(args.resource, [f"{tree}/{r.name}" for r in change.known_tree(base, tree).resources])
        return edits.create_resource(
            base, tree, name, args.kind, settings=typed.settings, per_node=typed.per_node, **common
        )

    return change.carry_out(
        args, screen, change.Change(edited, lambda _base: f"servha resource delete {args.resource}")
    )


def edit(args: argparse.Namespace, screen: Screen) -> int:
    """Change settings of a resource."""
    from servha.cli import change, pairs  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415
    from servha.config.kinds import RESOURCES  # noqa: PLC0415

    tree, name = names_of(args.resource)
    common, hooks = _common(args), _hooks(args)

    def edited(base: Document) -> Edited:
        resource = change.known_resource(base, tree, name)
        if hooks:
            common["hooks"] = {**dataclasses.asdict(resource.hooks), **hooks}
        typed = pairs.pairs_of(args.pairs, RESOURCES.get(resource.kind))
        settings = {**resource.settings, **typed.settings}
        per_node = {
            node: {**resource.per_node.get(node, {}), **typed.per_node.get(node, {})}
            for node in {**resource.per_node, **typed.per_node}
        }
        for node, key in typed.forgotten:
            (per_node.get(node, {}) if node else settings).pop(key, None)
        return edits.edit_resource(
            base,
            tree,
            name,
            settings=settings,
            per_node={node: own for node, own in per_node.items() if own},
            **common,
        )

    return change.carry_out(
        args, screen, change.Change(edited, lambda base: cluster_file.undo(base.generation))
    )


def delete(args: argparse.Namespace, screen: Screen) -> int:
    """Delete a resource."""
    from servha.cli import change  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415

    tree, name = names_of(args.resource)

    def edited(base: Document) -> Edited:
        change.known_resource(base, tree, name)
        return edits.delete_resource(base, tree, name)

    return change.carry_out(
        args, screen, change.Change(edited, lambda base: cluster_file.undo(base.generation))
    )


def depend(args: argparse.Namespace, screen: Screen) -> int:
    """Add a dependency, or take it away."""
    from servha.cli import change  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415

    tree, name = names_of(args.resource)
    alter = edits.undepend if args.remove else edits.depend
    other_way = "" if args.remove else " --remove"

    def edited(base: Document) -> Edited:
        change.known_resource(base, tree, name)
        return alter(base, tree, name, args.on)

    undo = f"servha resource depend {args.resource} {args.on}{other_way}"
    return change.carry_out(args, screen, change.Change(edited, lambda _base: undo))


def show(args: argparse.Namespace, screen: Screen) -> int:
    """Show one resource as it is configured and as it is."""
    tree, name = names_of(args.resource)
    with Client() as client:
        configured, status = client.call("config.get"), client.call("status")
    document = configured.get("document", configured) if isinstance(configured, dict) else {}
    resource_kinds.show_resource(screen, document or {}, status, tree, name)
    return exits.OK
