"""`servha node`: the two nodes as the cluster sees them, and the removal of one that is gone for good."""

from __future__ import annotations

import argparse
from typing import Any

from servha.cli import cluster_file, exits, maintenance, states
from servha.cli.grammar import Place
from servha.cli.picture import NodeSeen, Picture, picture_of
from servha.cli.screen import Cell, Screen
from servha.cli.tree_edit import EDIT_CODES
from servha.core.words import say
from servha.management import Client
from servha.wire.rpc import Code, Refusal


def add(place: Place) -> None:
    """Declare the verbs of `servha node`."""
    verbs = place.noun("node", say("the two nodes"))
    verb = verbs.verb(
        "list",
        list_nodes,
        say("list the nodes and how each is"),
        example="servha node list",
        codes=(exits.OK, exits.NOT_RUNNING),
    )
    verb.output()
    verb = verbs.verb(
        "show",
        show,
        say("show one node: its heartbeats, its trees"),
        example="servha node show node2",
        codes=(exits.OK, exits.NOT_RUNNING, exits.NO_SUCH),
    )
    verb.what("node", say("name of the node"), metavar="NODE")
    verb.output()
    verb = verbs.verb(
        "remove-offline",
        remove_offline,
        say("remove the other node, which is off, from the cluster"),
        example="servha node remove-offline node2",
        codes=EDIT_CODES,
        more=say("For a node that will not come back, or that was wiped. A node that is alive is refused."),
    )
    verb.what("node", say("name of the node"), metavar="NODE")
    verb.changes()
    maintenance.add(verbs, "node", "node1")


def list_nodes(args: argparse.Namespace, screen: Screen) -> int:
    """Show each node on one line."""
    del args
    with Client() as client:
        answer = client.call("status")
    if screen.json:
        screen.answer({"nodes": answer.get("nodes", []) if isinstance(answer, dict) else []})
        return exits.OK
    picture = picture_of(answer)
    screen.table([_row(node, picture, screen) for node in picture.nodes], indent=0)
    return exits.OK


def _row(node: NodeSeen, picture: Picture, screen: Screen) -> list[Cell | str]:
    name = screen.words(say("{node} (this node)", node=node.name)) if node.us else node.name
    holds = [tree.name for tree in picture.trees if tree.running_on == node.name]
    return [
        name,
        states.cell(screen, states.HEALTH, "alive" if node.us else node.health),
        states.cell(screen, states.STANDING, node.standing),
        ", ".join(holds),
        "" if node.us else screen.words(node.health_because),
    ]


def show(args: argparse.Namespace, screen: Screen) -> int:
    """Show one node."""
    with Client() as client:
        answer = client.call("status")
    picture = picture_of(answer)
    node = _node(picture, args.node)
    if screen.json:
        raw: Any = next((n for n in answer["nodes"] if n.get("name") == args.node), {})
        screen.answer({"node": raw})
        return exits.OK
    screen.table([_row(node, picture, screen)], indent=0)
    screen.table(
        [
            [
                screen.words(say("heartbeat {link}", link=link.name)),
                f"{link.nic} {link.address}",
                states.cell(screen, states.LINK, link.state),
            ]
            for link in node.links
        ]
    )
    rows: list[list[Cell | str]] = []
    for tree in picture.trees:
        seen = tree.on.get(node.name)
        if seen is not None:
            rows.append(
                [
                    screen.words(say("tree {tree}", tree=tree.name)),
                    states.cell(screen, states.PHASE, seen.phase),
                    states.cell(screen, states.FITNESS, seen.fitness),
                    screen.words(seen.because),
                ]
            )
    screen.table(rows)
    return exits.OK


def remove_offline(args: argparse.Namespace, screen: Screen) -> int:
    """Remove the peer from the configuration; only when it cannot be heard."""
    from servha.cli import change  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415

    with Client() as client:
        node = _node(picture_of(client.call("status")), args.node)
    if node.us:
        raise Refusal(
            Code.REFUSED,
            say(
                "{node} is this node: run it on the other one, or `servha cluster wipe` here", node=args.node
            ),
        )
    if node.health in ("alive", "suspect"):
        raise Refusal(
            Code.REFUSED,
            say("{node} is alive: stop servhad there first (`systemctl stop servhad`)", node=args.node),
        )
    args.alone = True  # the other node is the one that goes
    return change.carry_out(
        args,
        screen,
        change.Change(
            lambda base: edits.remove_node(base, args.node), lambda base: cluster_file.undo(base.generation)
        ),
    )


def _node(picture: Picture, name: str) -> NodeSeen:
    node = next((n for n in picture.nodes if n.name == name), None)
    if node is None:
        raise Refusal(
            Code.NO_SUCH,
            say(
                "there is no node {node}; there are: {nodes}",
                node=name,
                nodes=", ".join(sorted(n.name for n in picture.nodes)) or "-",
            ),
        )
    return node
