"""`servha cluster wipe`: take this node out of every cluster by removing its files; the manual's rm_clearup (A35).

Refuses while servhad runs, because it would write them again, and while a tree may be running here. The node's
name must be typed. The other node is not told: there, `servha node remove-offline` follows.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from servha.cli import exits
from servha.cli.grammar import Place
from servha.cli.order import HOLDS
from servha.cli.picture import picture_of
from servha.cli.screen import Screen
from servha.core.words import say
from servha.management import Client, NotRunning
from servha.wire.rpc import Code, Refusal

SECRET_NAMES = ("cluster.key", "node.key", "node.crt")


@dataclass(frozen=True, slots=True)
class Places:
    """Where servhad keeps its files on this machine."""

    etc: Path = Path("/etc/servha")
    state: Path = Path("/var/lib/servha")
    run: Path = Path("/run/servha")


def places() -> Places:
    """Return the directories named in servha.toml, the usual ones where it names none."""
    from servha.config.node_file import load  # noqa: PLC0415 - only wipe reads it

    own, _ = load()
    if own is None:
        return Places()
    return Places(Path(own.directories.etc), Path(own.directories.state), Path(own.directories.run))


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
    """Remove the files, after making sure that nothing runs and that this is the node that was meant."""
    where = places()
    _make_sure(args.node, where)
    removed = []
    for path in doomed(where):
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


def doomed(where: Places) -> list[Path]:
    """Return the files that make this node a member of a cluster."""
    found = sorted(where.state.glob("cluster.json*")) + sorted(where.state.glob("ownership.json*"))
    found += sorted(where.state.glob("founding.json*"))
    return [p for p in [*found, *(where.etc / name for name in SECRET_NAMES)] if p.is_file()]


def name_here(where: Places) -> str:
    """Return this node's name: that of the node whose certificate lies here; empty when it cannot be told."""
    try:
        kept = json.loads((where.state / "cluster.json").read_text(encoding="utf-8"))
        ours = (where.etc / "node.crt").read_text(encoding="ascii").strip()
        nodes = kept["document"]["nodes"]
        return next((str(n["name"]) for n in nodes if str(n.get("certificate", "")).strip() == ours), "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""


def _make_sure(node: str, where: Places) -> None:
    held: list[str] = []
    try:
        with Client() as client:
            picture = picture_of(client.call("status"))
        us, runs = picture.node, True
        held = [t.name for t in picture.trees if us in t.on and t.on[us].phase in HOLDS]
    except NotRunning:
        us, runs = name_here(where), False
    except Refusal:
        us, runs = name_here(where), True  # it runs, and is in no cluster
    if us and us != node:
        raise Refusal(Code.USAGE, say("this node is {us}, not {node}; nothing was removed", us=us, node=node))
    if held:
        raise Refusal(
            Code.REFUSED,
            say(
                "{trees} may be running here: `servha tree stop` or `servha tree move` first, then stop servhad",
                trees=", ".join(held),
            ),
        )
    if runs:
        raise Refusal(
            Code.REFUSED, say("servhad is running and would write it anew: `systemctl stop servhad` first")
        )
    if left_running(where.run / "phases.json"):
        raise Refusal(
            Code.REFUSED,
            say(
                "resource trees were left running here by `servha daemon detach`: start servhad, stop them with"
                " `servha tree stop TREE`, then stop servhad and wipe"
            ),
        )


def left_running(phases: Path) -> bool:
    """Whether what servhad noted last says that a tree may be running; a note that cannot be read says so too."""
    try:
        noted = json.dumps(json.loads(phases.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return False  # gone with a reboot, as what ran then
    except (OSError, ValueError):
        return True
    return any(f'"{phase}"' in noted for phase in HOLDS)
