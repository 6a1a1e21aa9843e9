"""`servha cluster wipe`: take this node out of every cluster by removing its files; the manual's rm_clearup (A35).

Refuses while servhad runs, because it would write them again, and while a tree may be running here. The node's
name must be typed. The other node is not told: there, `servha node remove-offline` follows.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from servha.cli import exits
from servha.cli.client import Client, NotRunning
from servha.cli.grammar import Place
from servha.cli.order import HOLDS
from servha.cli.picture import picture_of
from servha.cli.screen import Screen
from servha.core.words import say
from servha.wire.rpc import Code, Refusal

STATE = Path("/var/lib/servha")
SECRETS = Path("/etc/servha")
SECRET_NAMES = ("cluster.key", "node.key", "node.crt")
RUNNING = Path("/run/servha/phases.json")


def add(verbs: Place) -> None:
    """Declare `servha cluster wipe`."""
    verb = verbs.verb(
        "wipe",
        run,
        say("remove the cluster's configuration and keys from this node"),
        example=("systemctl stop servhad && servha cluster wipe --node node2",),
        codes=(exits.OK, exits.USAGE, exits.REFUSED, exits.NOT_PERMITTED),
        more=say(
            "Events and logs stay. The other node keeps its configuration: `servha node remove-offline NODE` there"
            " removes this node from it."
        ),
    )
    verb.option("--node", metavar="NODE", required=True, text=say("the name of this node, typed out"))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Remove the files, after making sure that nothing runs."""
    _make_sure(args.node)
    removed = []
    for path in doomed():
        try:
            path.unlink()
        except PermissionError as error:
            raise Refusal(
                Code.NOT_PERMITTED, say("{path} may only be removed by root", path=str(path))
            ) from error
        removed.append(path)
        screen.line(say("removed {path}", path=str(path)), indent=2)
    if not removed:
        screen.line(say("There was nothing to remove: this node is in no cluster."))
        return exits.OK
    screen.line(say("This node is in no cluster any more."), mood="good")
    screen.line(say("Next: `servha node remove-offline {node}` on the other node.", node=args.node))
    screen.line(say("There is no way back but `servha cluster init` or `servha cluster join`."))
    return exits.OK


def doomed() -> list[Path]:
    """Return the files that make this node a member of a cluster."""
    found = sorted(STATE.glob("cluster.json*")) + sorted(STATE.glob("ownership.json*"))
    return [p for p in [*found, *(SECRETS / name for name in SECRET_NAMES)] if p.is_file()]


def _make_sure(node: str) -> None:
    try:
        with Client() as client:
            picture = picture_of(client.call("status"))
    except NotRunning:
        if RUNNING.is_file() and _left_running():
            raise Refusal(
                Code.REFUSED,
                say(
                    "resource trees were left running here by `servha daemon detach`: start servhad, stop them with"
                    " `servha tree stop TREE`, then stop servhad and wipe"
                ),
            ) from None
        return
    held = [t.name for t in picture.trees if picture.node in t.on and t.on[picture.node].phase in HOLDS]
    if picture.node and picture.node != node:
        raise Refusal(
            Code.USAGE, say("this node is {us}, not {node}; nothing was removed", us=picture.node, node=node)
        )
    if held:
        raise Refusal(
            Code.REFUSED,
            say(
                "{trees} may be running here: `servha tree stop` or `servha tree move` first, then stop servhad",
                trees=", ".join(held),
            ),
        )
    raise Refusal(
        Code.REFUSED, say("servhad is running and would write it anew: `systemctl stop servhad` first")
    )


def _left_running() -> bool:
    try:
        phases = json.loads(RUNNING.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True  # cannot tell: then no
    return any(
        word in json.dumps(phases) for word in ('"running"', '"starting"', '"stopping"', '"stop-failed"')
    )
