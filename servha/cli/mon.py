"""`servha mon`: the same screen as `servha status`, live. With rich where it is installed, else redrawn plainly.

Decides only how often it looks. Ends with Ctrl-C or q of the shell's job control; changes nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import time

from servha.cli import exits, status
from servha.cli.grammar import Place
from servha.cli.picture import picture_of
from servha.cli.screen import Screen
from servha.core.words import say
from servha.management import Client, NotRunning

AGAIN_S = 0.5


def add(place: Place) -> None:
    """Declare `servha mon`."""
    verb = place.verb(
        "mon",
        run,
        say("show the cluster live"),
        example=("servha mon", "servha mon --every 0.2"),
        codes=(exits.OK, exits.NOT_RUNNING),
        more=say("Ctrl-C ends it. It keeps looking while servhad restarts."),
    )
    verb.option(
        "--every", metavar="SECONDS", type=float, default=AGAIN_S, text=say("seconds between two looks (0.5)")
    )
    verb.option("--plain", action="store_true", text=say("redraw plainly, also where rich is installed"))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Look again and again until interrupted."""
    every_s = max(0.1, args.every)
    with Client() as client:
        client.call("status")  # nobody there at all: say so and end, rather than show an empty screen
        if args.plain or not screen.out.isatty() or importlib.util.find_spec("rich") is None:
            return _plain(client, screen, every_s)
        return _rich(client, screen, every_s)


def _rich(client: Client, screen: Screen, every_s: float) -> int:
    from rich.live import Live  # noqa: PLC0415 - 30 ms that only this command pays
    from rich.text import Text as RichText  # noqa: PLC0415

    with Live(screen=True, auto_refresh=False) as live:
        while True:
            live.update(RichText.from_ansi(frame(client, screen)), refresh=True)
            time.sleep(every_s)


def _plain(client: Client, screen: Screen, every_s: float) -> int:
    while True:
        # Home first, then clear what is left below: no flicker.
        print("\x1b[H" + frame(client, screen).replace("\n", "\x1b[K\n") + "\x1b[J", end="", file=screen.out)
        screen.out.flush()
        time.sleep(every_s)


def frame(client: Client, screen: Screen) -> str:
    """Return one picture of the cluster, or of nobody being there."""
    page = io.StringIO()
    inner = Screen(
        language=screen.language, out=page, err=page, colour=screen.colour, places=screen.places, json=False
    )
    try:
        picture = picture_of(client.call("status", within_s=2.0))
        status.draw(picture, inner)
    except NotRunning as absent:
        inner.line(absent.text, mood="bad")
    return page.getvalue()
