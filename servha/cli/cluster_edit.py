"""`servha cluster edit`: name, arbitration, reference addresses, language and ports of the cluster.

Decides how they are typed; what may stand together is decided in servha/config.
"""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, Any, Final

from servha.cli import exits, states
from servha.cli.grammar import Place
from servha.cli.screen import Screen
from servha.cli.tree_edit import EDIT_CODES
from servha.core.words import Text, say
from servha.language import LANGUAGES
from servha.wire.rpc import Code, Refusal

if TYPE_CHECKING:
    from servha.config.document import Document
    from servha.config.edit import Edited

PORTS: Final[tuple[tuple[str, Text], ...]] = (
    ("heartbeat", say("UDP port of the heartbeats")),
    ("discovery", say("UDP port on which a new node is found")),
    ("peer", say("TCP port between the nodes")),
    ("management", say("TCP port for the command line and the console of another machine")),
    ("console", say("TCP port of the console")),
)
FLAGS: Final = {"name": "name", "policy": "arbitration", "quorum_disk": "quorum-disk", "language": "language"}
"""The option that gives each setting of the cluster a value."""


def add(verbs: Place) -> None:
    """Declare `servha cluster edit`."""
    verb = verbs.verb(
        "edit",
        run,
        say("change name, arbitration, language or ports of the cluster"),
        example=(
            "servha cluster edit --arbitration reference-address --reference 192.0.2.254",
            "servha cluster edit --arbitration quorum-disk --quorum-disk /dev/disk/by-id/wwn-0x60080e50002a3f",
            "servha cluster edit --language en",
        ),
        codes=tuple(code for code in EDIT_CODES if code != exits.EXISTS),
    )
    verb.option("--name", metavar="NAME", text=say("name of the cluster"))
    verb.option(
        "--arbitration",
        choices=tuple(states.POLICY),
        text=say("who breaks the tie when the nodes lose each other; none: nobody takes over by itself then"),
    )
    verb.option(
        "--reference",
        metavar="ADDRESS",
        action="append",
        text=say("address that is always there, such as the gateway; may be given again, or with commas"),
    )
    verb.option(
        "--quorum-disk",
        metavar="DEVICE",
        text=say("disk that both nodes see, best by a name below /dev/disk/by-id; '' for none"),
    )
    verb.option("--language", choices=LANGUAGES, text=say("language of what the cluster itself sends out"))
    for port, text in PORTS:
        verb.option(f"--{port}-port", metavar="PORT", type=int, text=text)
    verb.changes()


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Change what was given."""
    from servha.cli import change  # noqa: PLC0415
    from servha.config import edit as edits  # noqa: PLC0415

    given = {
        "name": args.name,
        "policy": args.arbitration,
        "quorum_disk": args.quorum_disk,
        "language": args.language,
    }
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if args.reference is not None:
        settings["references"] = [a.strip() for word in args.reference for a in word.split(",") if a.strip()]
    ports = {
        name: getattr(args, f"{name}_port") for name, _ in PORTS if getattr(args, f"{name}_port") is not None
    }
    if not settings and not ports:
        raise Refusal(
            Code.USAGE, say("nothing to change was given; `servha cluster edit --help` lists what can be")
        )

    def edited(base: Document) -> Edited:
        changed = edits.edit_cluster(base, **settings)
        return changed if isinstance(changed, list) or not ports else edits.edit_ports(changed, **ports)

    def undo(base: Document) -> str:
        words = [
            f"--{FLAGS[name]} {shlex.quote(getattr(base.cluster, name))}"
            for name in settings
            if name in FLAGS
        ]
        if "references" in settings:
            words.append(f"--reference '{','.join(base.cluster.references)}'")
        words += [f"--{name}-port {getattr(base.ports, name)}" for name in ports]
        return "servha cluster edit " + " ".join(words)

    touches = {"policy", "quorum_disk"} & settings.keys()
    notes = change.arbitration_notes if touches else change.no_notes
    return change.carry_out(args, screen, change.Change(edited, undo, notes))
