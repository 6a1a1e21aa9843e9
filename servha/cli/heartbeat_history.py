"""`servha heartbeat history`: how links and quorum disk were in the last hour, a sign a minute.

Decides only the signs.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, Final

from servha.cli import exits
from servha.cli.grammar import Place
from servha.cli.screen import Cell, Screen
from servha.core.words import say
from servha.management import Client

BARS: Final = "▁▂▃▄▅▆▇█"
LOST: Final = "x"
NOTHING: Final = "·"
TOGETHER: Final = 2
"""Minutes that share one sign: an hour fits on a narrow screen."""
LEAST_SCALE_MS: Final = 1.0
"""Below this nobody needs to see a difference."""
UNKNOWN: Final = "-"

Minutes = Sequence[Mapping[str, Any]]


def add(verbs: Place) -> None:
    """Declare the verb."""
    verb = verbs.verb(
        "history",
        run,
        say("show round trip and loss of every link, and the rounds on the quorum disk, of the last hour"),
        example="servha heartbeat history",
        codes=(exits.OK, exits.NOT_RUNNING),
        more=say(
            "One sign for two minutes, now at the right: a bar for the slowest among them, x where something was"
            " lost, a dot where nothing is known. Counted since the daemon was started."
        ),
    )
    verb.output()


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Show what both nodes saw."""
    del args
    with Client() as client:
        told: Any = client.call("quality")
    if screen.json:
        screen.answer(told)
        return exits.OK
    titles = (say("node"), say("way"), say("the last hour"), say("mean"), say("slowest"), say("loss"))
    rows: list[list[Cell | str]] = [[Cell(screen.words(title), "strong") for title in titles]]
    for node, seen in sorted(told["nodes"].items()):
        ways = [(say("heartbeat {link}", link=link), minutes) for link, minutes in seen["links"].items()]
        if seen["disk"] is not None:
            ways.append((say("quorum disk"), seen["disk"]))
        rows += [
            [node, screen.words(name), line(minutes, told["minutes"]), *figures(minutes, screen)]
            for name, minutes in ways
        ]
    screen.table(rows, indent=0)
    return exits.OK


def line(minutes: Minutes, of: int) -> str:
    """Return the signs for `of` minutes, the oldest first.

    >>> line([{"ago_min": 7, "lost": 1, "most_ms": 9}, {"ago_min": 3, "lost": 0, "most_ms": 5.0}], 8)
    'x·▅·'
    """
    signs = [NOTHING] * (of // TOGETHER)
    slowest_ms = [0.0] * len(signs)
    most_ms = max([LEAST_SCALE_MS, *(m["most_ms"] for m in minutes if m["most_ms"] is not None)])
    for minute in minutes:
        place = len(signs) - 1 - minute["ago_min"] // TOGETHER
        slowest_ms[place] = max(slowest_ms[place], minute["most_ms"] or 0.0)
        if minute["lost"] or signs[place] == LOST:
            signs[place] = LOST
        elif slowest_ms[place]:
            signs[place] = BARS[min(len(BARS) - 1, int(len(BARS) * slowest_ms[place] / most_ms))]
    return "".join(signs)


def figures(minutes: Minutes, screen: Screen) -> list[Cell | str]:
    """Return the whole time's mean, slowest and loss; a dash for what is not known."""
    good, lost = (sum(minute[key] for minute in minutes) for key in ("good", "lost"))
    timed = [minute for minute in minutes if minute["mean_ms"] is not None]
    mean_ms = sum(minute["mean_ms"] for minute in timed) / len(timed) if timed else None
    most_ms = max(minute["most_ms"] for minute in timed) if timed else None
    times = (UNKNOWN if ms is None else screen.words(say("{ms:.2f} ms", ms=ms)) for ms in (mean_ms, most_ms))
    part = f"{100 * lost / (good + lost):.2g} %" if good + lost else UNKNOWN
    return [*times, Cell(part, "warn" if lost else "")]
