"""`servha support-bundle`: one file for whoever is to find out from afar what happened. Sends nothing anywhere."""

from __future__ import annotations

import argparse
import os
from datetime import datetime
from pathlib import Path

from servha import support
from servha.cli import exits
from servha.cli.grammar import Place
from servha.cli.screen import Screen
from servha.core.words import say
from servha.management import Client, LateAnswer, NotRunning
from servha.wire.rpc import Code, Refusal

WITHIN_S = 10.0


def add(place: Place) -> None:
    """Declare `servha support-bundle`."""
    verb = place.verb(
        "support-bundle",
        run,
        say("collect what is needed to find out what happened, in one file"),
        example=("servha support-bundle", "servha support-bundle /tmp/servha-support.tar.gz"),
        codes=(exits.OK, exits.FAILED, exits.EXISTS),
        more=say(
            "State, journals of both nodes, configuration, figures and versions; no password, token, key or certificate"
            " of the cluster. It is written here and sent nowhere. Look into it before you pass it on: names, addresses"
            " and what was written into arguments of scripts are in it."
        ),
    )
    verb.what(
        "file", say("where to write it; else servha-support-DATE.tar.gz here"), metavar="FILE", nargs="?"
    )
    verb.output()


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Write the bundle; an existing file stays as it is."""
    now = datetime.now().astimezone()
    path = Path(args.file or f"servha-support-{now:%Y%m%d-%H%M%S}.tar.gz")
    with Client(answer_within_s=WITHIN_S) as client:
        packed = support.pack(
            client.call, screen.words, (Refusal, NotRunning, LateAnswer), at_s=now.timestamp()
        )
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(packed)
    except FileExistsError:
        raise Refusal(
            Code.EXISTS, say("{file} is there already: nothing was written", file=str(path))
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise Refusal(
            Code.FAILED, say("{file} cannot be written: {reason}", file=str(path), reason=reason)
        ) from None
    if screen.json:
        screen.answer({"file": str(path), "bytes": len(packed)})
        return exits.OK
    screen.line(say("{file} holds, {bytes} bytes in all:", file=str(path), bytes=len(packed)))
    for name, about in support.contents():
        screen.line(say("{name}: {about}", name=name, about=about), indent=2)
    return exits.OK
