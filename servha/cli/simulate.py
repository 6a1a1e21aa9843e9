"""`servha simulate`: what would happen if ..., by the daemons' own decisions in virtual time.

Nothing of this machine is asked or touched; the cluster exists in memory only. It may be made up by the scenario, or
be a configuration of yours.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from servha.cli import cluster_file, exits
from servha.cli.grammar import Place
from servha.cli.screen import Screen
from servha.core.words import say
from servha.wire.rpc import Code, Refusal

if TYPE_CHECKING:
    from servha.sim.configured import Given


def add(place: Place) -> None:
    """Declare `servha simulate`."""
    verb = place.verb(
        "simulate",
        run,
        say("play a scenario in virtual time with the daemon's own decisions"),
        example=(
            "servha simulate tests/scenarios/crash-owner.txt",
            "servha simulate --config cluster.json 'cut all; run 60s'",
            "servha simulate --seed 42",
        ),
        codes=(exits.OK, exits.FAILED, exits.USAGE, exits.NO_SUCH, exits.BAD_CONFIGURATION),
        more=say(
            "A scenario is a text: commands such as `booted node1 node2`, `poweroff node1`, `run 20s`, each on a line"
            " of its own. What follows a line of dashes is not read. Every decision is shown with its reason."
            " With --config the cluster is yours, both nodes are up, and the commands may stand on the command line,"
            " separated by semicolons. With --seed a campaign of random faults is played as `make soak` plays it."
        ),
    )
    verb.what(
        "scenario",
        say("the file of the scenario; with --config also the commands themselves"),
        metavar="SCENARIO",
        nargs="?",
    )
    verb.option("--config", text=say("the configuration to simulate: an export, or a kept generation"))
    verb.output()
    verb.option("--seed", type=int, text=say("play the campaign of random faults with this number"))


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Play the scenario and show the timeline."""
    from servha.sim.scenario import BadScenario, Scenario  # noqa: PLC0415

    if args.seed is not None:
        return _campaign(args.seed, screen)
    if args.scenario is None:
        raise Refusal(Code.USAGE, say("{a} is missing", a="SCENARIO"))
    scenario = Scenario(language=screen.language)
    text, name = "", args.scenario
    if args.config is not None:
        scenario = given_of(args.config).scenario(language=screen.language)
        text = f"booted {' '.join(scenario.nodes)}\n"
    if args.config is None or Path(args.scenario).is_file():
        text += _read(args.scenario)
    else:
        text, name = text + args.scenario, args.config
    try:
        scenario.run(text)
    except BadScenario as problem:
        said = say("{file}: {reason}", file=name, reason=str(problem))
        raise Refusal(Code.USAGE, said) from None
    if screen.json:
        screen.answer(scenario.data())
    else:
        screen.out.write(scenario.answer())
    return exits.OK


def given_of(file: str) -> Given:
    """Return the simulated form of the configuration in `file`. Raises Refusal where there is none."""
    from servha.cli import change  # noqa: PLC0415
    from servha.config.document import parse  # noqa: PLC0415
    from servha.sim.configured import given  # noqa: PLC0415

    document, problems = parse(cluster_file.read(file))
    if document is None:
        raise change.bad(
            problems, say("{file} cannot be used; problems: {count}", file=file, count=len(problems))
        )
    found = given(document)
    if found is None:
        raise Refusal(Code.BAD_CONFIGURATION, say("{file} has one node: nothing can move", file=file))
    return found


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise Refusal(
            Code.NO_SUCH, say("{file} cannot be read: {reason}", file=file, reason=reason)
        ) from None


def _campaign(seed: int, screen: Screen) -> int:
    from servha.sim.campaign import campaign, of_seed  # noqa: PLC0415

    scenario = of_seed(seed)
    scenario.language = screen.language
    outcome = campaign(seed, scenario)
    screen.out.write(scenario.answer())
    screen.out.write(outcome.story() + "\n")
    return exits.OK if outcome.good else exits.FAILED
