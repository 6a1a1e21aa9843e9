"""`servha metrics`: the daemon's figures in the text form Prometheus reads. Computes nothing."""

from __future__ import annotations

import argparse

from servha.cli import exits
from servha.cli.grammar import Place
from servha.cli.screen import Screen
from servha.core.words import say
from servha.management import Client


def add(place: Place) -> None:
    """Declare `servha metrics`."""
    verb = place.verb(
        "metrics",
        run,
        say("print figures for Prometheus"),
        example="servha metrics > /var/lib/node_exporter/servha.prom",
        codes=(exits.OK, exits.NOT_RUNNING),
    )
    verb.output()


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Print what the daemon counts."""
    del args
    with Client() as client:
        result = client.call("metrics")
    text = result.get("text") if isinstance(result, dict) else result
    if screen.json:
        screen.answer(result if isinstance(result, dict) else {"text": result})
    else:
        print(str(text or "").rstrip("\n"), file=screen.out)
    return exits.OK
