"""`servha simulate FILE`: what would happen if ..., by the daemon's own core in virtual time.

Nothing of this machine is asked or touched; the cluster exists in memory only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from servha.cli import exits
from servha.cli.grammar import Place
from servha.cli.screen import Screen
from servha.core.words import say
from servha.wire.rpc import Code, Refusal


def add(place: Place) -> None:
    """Declare `servha simulate`."""
    verb = place.verb(
        "simulate",
        run,
        say("play a scenario in virtual time with the daemon's own decisions"),
        example=("servha simulate tests/scenarios/crash-owner.txt",),
        codes=(exits.OK, exits.USAGE, exits.NO_SUCH),
        more=say(
            "A scenario is a text: commands such as `booted node1 node2`, `poweroff node1`, `run 20s`, each on a line"
            " of its own. What follows a line of dashes is not read. Every decision is shown with its reason."
        ),
    )
    verb.what("file", say("the scenario"), metavar="FILE")


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Play the scenario and show the timeline."""
    from servha.sim.scenario import BadScenario, play  # noqa: PLC0415

    try:
        text = Path(args.file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise Refusal(
            Code.NO_SUCH, say("{file} cannot be read: {reason}", file=args.file, reason=reason)
        ) from None
    try:
        answer = play(text, screen.language)
    except BadScenario as problem:
        said = say("{file}: {reason}", file=args.file, reason=str(problem))
        raise Refusal(Code.USAGE, said) from None
    screen.out.write(answer)
    return exits.OK
