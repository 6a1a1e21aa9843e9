"""`servha daemon detach`: ends servhad on this node and leaves what it runs running (reading A17)."""

from __future__ import annotations

import argparse

from servha.cli import exits
from servha.cli.grammar import Place
from servha.cli.screen import Screen
from servha.core.words import say
from servha.management import Client


def add(place: Place) -> None:
    """Declare the verbs of `servha daemon`."""
    verbs = place.noun("daemon", say("servhad on this node"))
    verbs.verb(
        "detach",
        detach,
        say("end servhad here and leave its resource trees running"),
        example="servha daemon detach",
        codes=(exits.OK, exits.NOT_RUNNING, exits.REFUSED),
        more=say(
            "The peer is told, and takes nothing over as long as this node is known to live. For an upgrade:"
            " detach, install, `systemctl start servhad`; what runs is adopted."
        ),
    )


def detach(args: argparse.Namespace, screen: Screen) -> int:
    """Ask servhad to go away without stopping anything."""
    del args
    with Client() as client:
        result = client.call("daemon.detach")
    if screen.json:
        screen.answer(result)
    screen.line(say("servhad leaves; its resource trees keep running."))
    screen.line(say("To undo: {command}", command="systemctl start servhad"))
    return exits.OK
