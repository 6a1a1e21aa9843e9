"""`servha prove`: every sequence of a few faults against a configuration, and what would make the bad ones end well.

Everything is simulated with the daemons' own decisions (sim/prove.py); nothing of this machine is asked or touched.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from servha.cli import exits
from servha.cli.grammar import Place
from servha.cli.screen import Screen
from servha.cli.simulate import given_of
from servha.core.words import say
from servha.wire.rpc import text_as_json

if TYPE_CHECKING:
    from servha.sim.prove import Found

FAULTS_MAX = 3


def add(place: Place) -> None:
    """Declare `servha prove`."""
    verb = place.verb(
        "prove",
        run,
        say("play every sequence of a few faults against a configuration; list those that end badly"),
        example=(
            "servha prove --config cluster.json",
            "servha prove --config cluster.json --faults 1 -o json",
        ),
        codes=(exits.OK, exits.FAILED, exits.USAGE, exits.NO_SUCH, exits.BAD_CONFIGURATION),
        more=say(
            "Each kind of fault (power, cables, interfaces, a hung daemon, the reference address, the quorum disk, a"
            " start that fails) strikes each node, in every order and at a few moments; nothing is mended. A sequence"
            " ends badly when two nodes ran a tree at once, or nobody runs it although a node is left. For each the"
            " smallest change of the configuration is named with which the very same sequence ended well when it was"
            " played again. Paste a sequence into `servha simulate --config FILE '...; run 60s'` to see every"
            " decision. What is not played is not proven: one moment more or a fault more may still end badly."
        ),
    )
    verb.option("--config", required=True, text=say("the configuration: an export, or a kept generation"))
    verb.option(
        "--faults",
        type=int,
        choices=range(1, FAULTS_MAX + 1),
        default=2,
        text=say("how many faults a sequence has at most; 3 takes long"),
    )
    verb.output()


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Play everything, with progress on standard error."""
    from servha.sim.prove import prove  # noqa: PLC0415

    given = given_of(args.config)
    played = total = 0
    found: list[Found] = []
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as executor:
        for progress in prove(given, args.faults, executor):
            played, total, found = progress
            if screen.err.isatty() or played == total:
                end = "\n" if played == total else "\r"
                said = say("{played} of {total} sequences played", played=played, total=total)
                print(screen.words(said), end=end, file=screen.err, flush=True)
    if screen.json:
        screen.answer(
            {
                "played": played,
                "found": [
                    {
                        "faults": one.commands,
                        "tree": one.tree,
                        "end": one.end,
                        "change": text_as_json(one.remedy) if one.remedy.template else None,
                    }
                    for one in found
                ],
            }
        )
        return exits.FAILED if found else exits.OK
    for one in (f for f in found if f.remedy.template):
        _show(one, screen)
        screen.line(say("it ends well with {change}", change=one.remedy), indent=4)
    helpless = [f for f in found if not f.remedy.template]
    if helpless:
        screen.line(
            say("Sequences that end the same with every change that was tried: {count}", count=len(helpless))
        )
    for one in helpless:
        _show(one, screen, indent=2)
    if not found:
        screen.line(
            say("None of {total} sequences ends with two nodes running a tree, or none.", total=total),
            mood="good",
        )
    return exits.FAILED if found else exits.OK


def _show(one: Found, screen: Screen, *, indent: int = 0) -> None:
    from servha.sim.prove import End  # noqa: PLC0415

    if one.end is End.TWO:
        said, mood = say("{faults}: two nodes run {tree}", faults=one.commands, tree=one.tree), "bad"
    else:
        said, mood = say("{faults}: nobody runs {tree}", faults=one.commands, tree=one.tree), "warn"
    screen.line(said, mood=mood, indent=indent)
