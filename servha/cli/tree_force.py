"""`servha tree start TREE --force`: a start on the word of somebody who has seen that the other node is off.

Decides what that person is told and has to type. Whether the other node is really silent is decided again by
servhad, and what follows from the order by the core.
"""

from __future__ import annotations

import argparse
import sys

from servha.cli import order
from servha.cli.grammar import Verb
from servha.cli.picture import NodeSeen, Picture, TreeSeen
from servha.cli.screen import Screen
from servha.core.words import Text, say
from servha.wire.rpc import Code, Refusal

SILENT = ("lost", "unheard")


def add(verb: Verb) -> None:
    """Declare the options of a forced start."""
    verb.option(
        "--force",
        action="store_true",
        text=say("start it here although nobody can tell whether the silent other node is off; dangerous"),
    )
    verb.option(
        "--peer-is-off",
        metavar="NODE",
        default="",
        text=say("with --force: name of the other node, instead of typing it, to say that it is off"),
    )


def wanted(args: argparse.Namespace, screen: Screen, picture: Picture, tree: TreeSeen) -> order.Wanted:
    """Return the forced order, once the danger was told and the other node's name was given.

    Raises `Refusal` where there is nothing to force, and where the name is not that of the other node.
    """
    peer = _silent_peer(picture)
    if args.on not in ("", picture.node):
        raise Refusal(
            Code.REFUSED,
            say(
                "a forced start happens on the node where it is ordered, {us}, not on {node}",
                us=picture.node,
                node=args.on,
            ),
        )
    if not screen.json:
        for text in dangers(picture, peer, tree):
            screen.line(text, mood="warn")
    name = args.peer_is_off or _typed(screen, peer)
    if name != peer.name:
        raise Refusal(
            Code.REFUSED,
            say(
                "the other node is {peer}, not {name}: nothing was started", peer=peer.name, name=name or "-"
            ),
        )
    return order.Wanted("start", args.tree, picture.node, peer_is_off=name)


def dangers(picture: Picture, peer: NodeSeen, tree: TreeSeen) -> list[Text]:
    """Return what is told before the name is asked for."""
    found = [
        say("{peer} is silent: {because}.", peer=peer.name, because=peer.health_because),
        say(
            "Nobody but you can tell now whether {peer} is off. If it still runs {tree}, both nodes will run it, and"
            " what they write on shared disks destroys each other.",
            peer=peer.name,
            tree=tree.name,
        ),
        say(
            "Go and look: {peer} has to be without power, and has to stay so until its links and its disks work"
            " again.",
            peer=peer.name,
        ),
    ]
    entry = picture.lease.entry(tree.name) if picture.lease is not None else None
    if entry is not None and entry.peer_holds:
        text = say("By the quorum disk, as last read, {peer} holds {tree}.", peer=peer.name, tree=tree.name)
        found.insert(1, text)
    return found


def _silent_peer(picture: Picture) -> NodeSeen:
    peer = next((node for node in picture.nodes if not node.us), None)
    if peer is None:
        raise Refusal(Code.REFUSED, say("there is nothing to force: this cluster has only one node"))
    if peer.health == "left":
        raise Refusal(
            Code.REFUSED,
            say(
                "{peer} said goodbye, having stopped everything: an ordinary start is enough", peer=peer.name
            ),
        )
    if peer.health not in SILENT:
        raise Refusal(
            Code.REFUSED,
            say(
                "{peer} is heard, so it is not off: nothing is forced against a node that is there",
                peer=peer.name,
            ),
        )
    return peer


def _typed(screen: Screen, peer: NodeSeen) -> str:
    """Return the name that a person types; refuse where nobody is there to type."""
    if screen.json or not screen.interactive:
        raise Refusal(
            Code.USAGE,
            say(
                "--force needs a person who types the name of the other node, or --peer-is-off {peer}",
                peer=peer.name,
            ),
        )
    print(screen.words(say("Type the name of the node that is off:")), end=" ", file=screen.out, flush=True)
    return sys.stdin.readline().strip()
