"""`servha tree`: what moves together. Edits of a tree, and the four orders: start, stop, move, release.

Decides what an order's plan and its way back are called. Waiting for an order is in order.py.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from servha.cli import (
    arbitration,
    exits,
    maintenance,
    order,
    order_plan,
    readiness,
    states,
    tree_edit,
    tree_force,
)
from servha.cli.grammar import Place, Verb
from servha.cli.picture import Picture, TreeSeen, picture_of
from servha.cli.screen import Cell, Screen
from servha.cli.status import tree_rows, tree_state
from servha.core.words import Text, say
from servha.management import Client
from servha.wire.rpc import Code, Refusal

ORDER_CODES: Final = (
    exits.OK,
    exits.FAILED,
    exits.USAGE,
    exits.NOT_RUNNING,
    exits.REFUSED,
    exits.NO_SUCH,
    exits.TRY_AGAIN,
    exits.TIMED_OUT,
)


def add(place: Place) -> None:
    """Declare the verbs of `servha tree`."""
    verbs = place.noun("tree", say("resource trees: what moves together"))
    verb = verbs.verb(
        "list",
        list_trees,
        say("list the resource trees and where they run"),
        example="servha tree list",
        codes=(exits.OK, exits.NOT_RUNNING),
    )
    verb.output()
    verb = verbs.verb(
        "show",
        show,
        say("show one tree: settings, state on each node, resources"),
        example="servha tree show web",
        codes=(exits.OK, exits.NOT_RUNNING, exits.NO_SUCH),
    )
    _tree(verb)
    verb.output()
    _add_edits(verbs)
    _add_orders(verbs)
    maintenance.add(verbs, "tree", "web")


def _add_edits(verbs: Place) -> None:
    tree_edit.add(verbs)


def _add_orders(verbs: Place) -> None:
    start = verbs.verb(
        "start",
        start_tree,
        say("start a tree, and wait until it runs"),
        example=(
            "servha tree start web",
            "servha tree start web --on node2",
            "servha tree start web --force --peer-is-off node2",
        ),
        codes=ORDER_CODES,
        more=say("Naming a node pins the tree there until `servha tree release`."),
    )
    _tree(start)
    start.option("--on", metavar="NODE", default="", text=say("on this node, and nowhere else"))
    tree_force.add(start)
    stop = verbs.verb(
        "stop",
        stop_tree,
        say("stop a tree on every node, and keep it stopped"),
        example="servha tree stop web",
        codes=ORDER_CODES,
    )
    _tree(stop)
    move = verbs.verb(
        "move",
        move_tree,
        say("move a running tree to the other node"),
        example="servha tree move web node2",
        codes=ORDER_CODES,
        more=say(
            "It is stopped where it runs, then started there. It stays there until `servha tree release`."
        ),
    )
    _tree(move)
    move.what("node", say("the node it shall run on"), metavar="NODE")
    release = verbs.verb(
        "release",
        release_tree,
        say("let a tree placed by hand follow its failback policy again"),
        example="servha tree release web",
        codes=ORDER_CODES,
    )
    _tree(release)
    for verb in (start, stop, move, release):
        verb.output()
        verb.option(
            "-y", "--yes", action="store_true", text=say("do not ask, also where something running stops")
        )
        verb.option("--plan", action="store_true", text=say("only show what would be done, in which order"))
        verb.option(
            "--no-wait", action="store_true", text=say("give the order and do not wait for its outcome")
        )
        verb.option(
            "--timeout",
            metavar="SECONDS",
            type=float,
            default=order.TIMEOUT_S,
            text=say("how long to wait; the order goes on all the same (300)"),
        )


def _tree(verb: Verb) -> None:
    verb.what("tree", say("name of the resource tree"), metavar="TREE")


def list_trees(args: argparse.Namespace, screen: Screen) -> int:
    """Show every tree on one line."""
    del args
    with Client() as client:
        answer = client.call("status")
    if screen.json:
        screen.answer({"trees": answer.get("trees", []) if isinstance(answer, dict) else []})
        return exits.OK
    picture = picture_of(answer)
    if not picture.trees:
        screen.line(say("No resource tree yet. Next: `servha tree create --help`."))
    screen.table([_one_line(tree, screen) for tree in picture.trees], indent=0)
    return exits.OK


def _one_line(tree: TreeSeen, screen: Screen) -> list[Cell | str]:
    where = tree.running_on or screen.words(say("nowhere"))
    return [
        Cell(f"{tree.name} [{where}]", "good" if tree.running_on else "warn"),
        tree_state(tree, screen),
        screen.words(states.for_how_long(tree.since_s)),
        screen.words(say("prefers {hosts}", hosts=" > ".join(tree.hosts))),
    ]


def show(args: argparse.Namespace, screen: Screen) -> int:
    """Show one tree."""
    with Client() as client:
        answer = client.call("status")
        configured = client.call("config.get")
    picture = picture_of(answer)
    tree = _seen(picture, args.tree)
    document: Any = configured.get("document", configured) if isinstance(configured, dict) else {}
    settings: dict[str, Any] = next(
        (t for t in (document or {}).get("trees", ()) if t.get("name") == args.tree), {}
    )
    if screen.json:
        raw: dict[str, Any] = next((t for t in answer["trees"] if t.get("name") == args.tree), {})
        screen.answer({"tree": raw, "settings": settings})
        return exits.OK
    maintained = [m.what for m in picture.maintenance]
    screen.table(list(tree_rows(tree, screen, maintained=maintained)), indent=0)
    readiness.draw(tree, screen)
    entry = picture.lease.entry(tree.name) if picture.lease is not None else None
    if entry is not None:
        told = arbitration.entry_words(entry, screen)
        on_disk: list[Cell | str] = [screen.words(say("on the quorum disk"))]
        screen.line()
        screen.table([[*on_disk, states.cell(screen, states.ENTRY, entry.entry), told]], indent=0)
    rows: list[list[Cell | str]] = [
        [screen.words(text), str(settings[name])] for name, _, text in tree_edit.CHOICES if name in settings
    ]
    if rows:
        screen.line()
        screen.table(rows, indent=0)
    return exits.OK


def start_tree(args: argparse.Namespace, screen: Screen) -> int:
    """Order a start; with --force, one that nobody but the administrator answers for."""
    if args.force:
        with Client() as client:
            picture = picture_of(client.call("status"))
        return _ordered(args, screen, tree_force.wanted(args, screen, picture, _seen(picture, args.tree)))
    if args.peer_is_off:
        raise Refusal(Code.USAGE, say("--peer-is-off belongs to --force"))
    return _ordered(args, screen, order.Wanted("start", args.tree, args.on or _place_of_manual(args.tree)))


def _place_of_manual(name: str) -> str:
    """Return where a tree with start mode manual starts when nobody says; empty where the rules place it.

    A manual tree starts only where an order places it (F110: the administrator picks the node): the most
    preferred host that is able to run it.
    """
    with Client() as client:
        tree = picture_of(client.call("status")).tree(name)
        configured = client.call("config.get")
    document = configured.get("document") if isinstance(configured, dict) else None
    section: dict[str, Any] = next(
        (t for t in (document or {}).get("trees", ()) if t.get("name") == name), {}
    )
    if tree is None or tree.running_on or section.get("start_mode") != "manual":
        return ""
    able = [host for host in tree.hosts if host in tree.on and tree.on[host].fitness == "fit"]
    return next(iter(able or tree.hosts), "")


def stop_tree(args: argparse.Namespace, screen: Screen) -> int:
    """Order a stop."""
    return _ordered(args, screen, order.Wanted("stop", args.tree))


def move_tree(args: argparse.Namespace, screen: Screen) -> int:
    """Order a move."""
    return _ordered(args, screen, order.Wanted("move", args.tree, args.node))


def release_tree(args: argparse.Namespace, screen: Screen) -> int:
    """Take the pin away."""
    return _ordered(args, screen, order.Wanted("release", args.tree))


def _ordered(args: argparse.Namespace, screen: Screen, wanted: order.Wanted) -> int:
    """Show the plan, ask where something running stops, give the order, tell what became of it."""
    with Client() as client:
        picture = picture_of(client.call("status"))
        tree = _seen(picture, wanted.tree)
        if wanted.node and wanted.node not in {node.name for node in picture.nodes}:
            raise Refusal(
                Code.NO_SUCH,
                say(
                    "there is no node {node}; there are: {nodes}",
                    node=wanted.node,
                    nodes=", ".join(sorted(node.name for node in picture.nodes)),
                ),
            )
        nothing = _already(wanted, tree)
        if nothing is not None and not screen.json:
            screen.line(nothing)
        elif not screen.json:
            screen.line(_plan(wanted, tree))
        if not screen.json and not args.plan:
            for remark in order_plan.maintained(tree, picture.maintenance):
                screen.line(remark, mood="warn")
        if args.plan:
            return _planned(wanted, tree, picture, screen)
        if not _agreed(args, screen, wanted, tree):
            screen.line(say("Nothing was changed."))
            return exits.FAILED
        outcome = order.carry_out(client, screen, wanted, wait=not args.no_wait, timeout_s=args.timeout)
    _tell(screen, wanted, tree, outcome)
    return outcome.status


def _planned(wanted: order.Wanted, tree: TreeSeen, picture: Picture, screen: Screen) -> int:
    if screen.json:
        found = order_plan.parts(wanted, tree)
        screen.answer({"plan": [{"node": p.node, "action": p.action, "rounds": p.rounds} for p in found]})
    else:
        order_plan.draw(wanted, tree, picture, screen)
    return exits.OK


def _tell(screen: Screen, wanted: order.Wanted, before: TreeSeen, outcome: order.Outcome) -> None:
    if screen.json:
        screen.answer(
            {
                "done": outcome.status == exits.OK,
                "outcome": screen.words(outcome.text),
                "because": screen.words(outcome.because),
                "otherwise": screen.words(outcome.otherwise),
            }
        )
        return
    if outcome.status == exits.OK:
        screen.line(outcome.text, mood="good")
        undo = _undo(wanted, before)
        if undo:
            screen.line(say("To undo: {command}", command=undo))
        return
    screen.complain(outcome.text)
    if outcome.because.template:
        screen.complain(say("because: {because}", because=outcome.because), indent=2)
    if outcome.otherwise.template:
        screen.complain(say("otherwise: {otherwise}", otherwise=outcome.otherwise), indent=2)


def _plan(wanted: order.Wanted, tree: TreeSeen) -> Text:
    """What the order will do, in words."""
    match wanted.verb:
        case "start" if wanted.peer_is_off:
            return say(
                "Plan: start {tree} on {node} as if {peer} were off, and keep it there",
                tree=tree.name,
                node=wanted.node,
                peer=wanted.peer_is_off,
            )
        case "start" if wanted.node:
            return say("Plan: start {tree} on {node} and keep it there", tree=tree.name, node=wanted.node)
        case "start":
            return say(
                "Plan: start {tree} on the most preferred able node of {hosts}",
                tree=tree.name,
                hosts=" > ".join(tree.hosts),
            )
        case "stop":
            return say("Plan: stop {tree} everywhere and keep it stopped", tree=tree.name)
        case "move" if tree.running_on:
            return say(
                "Plan: stop {tree} on {old}, start it on {node}",
                tree=tree.name,
                old=tree.running_on,
                node=wanted.node,
            )
        case "move":
            return say("Plan: start {tree} on {node} and keep it there", tree=tree.name, node=wanted.node)
        case _:
            return say("Plan: let {tree} go where its failback policy wants it", tree=tree.name)


def _already(wanted: order.Wanted, tree: TreeSeen) -> Text | None:
    """A sentence when the tree is already as wanted; the order is given all the same."""
    if wanted.verb in ("start", "move") and tree.running_on and wanted.node in ("", tree.running_on):
        return say(
            "{tree} runs on {node} already; the order only confirms that",
            tree=tree.name,
            node=tree.running_on,
        )
    if wanted.verb == "stop" and not tree.running_on and tree.goal == "stop":
        return say("{tree} is stopped already; the order only confirms that", tree=tree.name)
    return None


def _agreed(args: argparse.Namespace, screen: Screen, wanted: order.Wanted, tree: TreeSeen) -> bool:
    interrupts = bool(tree.running_on) and (
        wanted.verb == "stop" or (bool(wanted.node) and wanted.node != tree.running_on)
    )
    if not interrupts or args.yes or screen.json or not screen.interactive:
        return True
    return screen.agreed(
        say("{tree} runs on {node} and will be interrupted. Go on?", tree=tree.name, node=tree.running_on)
    )


def _undo(wanted: order.Wanted, before: TreeSeen) -> str:
    """Return the command that leads back, empty where there is nothing to lead back to."""
    if wanted.verb == "start" and not before.running_on:
        return f"servha tree stop {wanted.tree}"
    if wanted.verb == "stop" and before.running_on:
        pinned = f" --on {before.pin}" if before.pin else ""
        return f"servha tree start {wanted.tree}{pinned}"
    if wanted.node and before.running_on not in ("", wanted.node):
        return f"servha tree move {wanted.tree} {before.running_on}"
    if wanted.verb == "release" and before.pin:
        return f"servha tree move {wanted.tree} {before.pin}"
    return ""


def _seen(picture: Picture, name: str) -> TreeSeen:
    tree = picture.tree(name)
    if tree is None:
        known = ", ".join(t.name for t in picture.trees)
        raise Refusal(
            Code.NO_SUCH,
            say("there is no resource tree {tree}; there are: {known}", tree=name, known=known or "-"),
        )
    return tree
