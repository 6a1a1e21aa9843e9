"""Writes what was measured: tables for the screen and for RESULTS.md. Names no machine and no place on it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.contestants import Contestant
from bench.measures import MEASURES, Measure
from bench.spread import Book, ratio
from bench.targets import Verdict, verdicts

STEP = "step."

ABOUT = (
    "Every figure is least / middle / most. All contestants ran by turns in one lab (two nodes in network"
    " namespaces, a switch, a client that asks every 10 ms by HTTP and every 5 ms by ICMP), so that all of"
    " them met the same load; the middle of ours over the middle of theirs is the ratio, below 1 is quicker."
    " A blackout runs from the last good answer to the first good one, as the client sees it. Compare"
    " ratios, not milliseconds, with another run."
)
ABOUT_THE_PEER = (
    "keepalived is Debian's. As it is used: the application runs on both nodes, only the address moves, and at"
    " 0.1 s a script looks at the application every second, the shortest it can (not while it idles). With"
    " notify scripts: they start and stop the application, as ServHA does; then nothing looks at it."
)


def results(
    book: Book,
    contestants: Sequence[Contestant],
    *,
    core: Sequence[str] = (),
    console: Sequence[str] = (),
    whole: bool = True,
) -> str:
    """Return RESULTS.md; `whole`: a target without figures is told as such."""
    lines = ["# What was measured", ""]
    lines += [
        f"{datetime.now(UTC):%Y-%m-%d}, by `make bench`. {machine()}",
        "",
        ABOUT,
        "",
        ABOUT_THE_PEER,
        "",
        "## Targets",
        "",
        *target_table([one for one in verdicts(book) if one.met is not None or whole]),
        "",
        "## Figures",
        "",
        *case_tables(book, contestants),
        *step_table(book),
    ]
    if console:
        lines += ["", "## The console", "", *console]
    if core:
        lines += ["", "## The core alone", "", *core]
    if book.failures:
        lines += ["", "## What failed", "", *(f"* {failure}" for failure in book.failures)]
    return "\n".join(lines) + "\n"


def target_table(found: Sequence[Verdict]) -> list[str]:
    """One line a target."""
    words = {True: "yes", False: "**no**", None: "?"}
    return [
        "| target (judged by the middle) | measured | met |",
        "|---|---|---|",
        *(f"| {one.words} | {one.measured} | {words[one.met]} |" for one in found),
    ]


def case_tables(book: Book, contestants: Sequence[Contestant]) -> list[str]:
    """One line for each contestant and measure; ratios against whoever has our beat."""
    lines = [
        "| case | measure | contestant | least / middle / most | n | ours : theirs |",
        "|---|---|---|---|---|---|",
    ]
    beats = {one.name: (one.beat_s, one.name.startswith("ServHA")) for one in contestants}
    for how in MEASURES:
        for name in book.has(how.key):
            spread = book.spread(name, how.key)
            if spread is not None:
                lines.append(
                    f"| {how.case} | {how.words} | {name} |"
                    f" {spread.text(factor=how.factor, places=how.places)} {how.unit} | {spread.count} |"
                    f" {_against(book, how, name, beats)} |"
                )
    return lines


def _against(book: Book, how: Measure, name: str, beats: dict[str, tuple[float, bool]]) -> str:
    """Return our ratio on a peer's line: fast beats against fast ones, slow against slow."""
    beat_s, ours = beats.get(name, (0.0, True))
    if ours or not how.compared:
        return ""
    rival = next((n for n, (b, is_ours) in beats.items() if is_ours and (b < 0.5) == (beat_s < 0.5)), "")
    found = ratio(book.spread(rival, how.key), book.spread(name, how.key))
    return "" if found is None else f"{found:.2f}"


def step_table(book: Book) -> list[str]:
    """Return where the time of our own cases goes, by the nodes' journals."""
    rows = []
    for name in book.contestants():
        for key in book.keys_of(name):
            spread = book.spread(name, key)
            if key.startswith(STEP) and spread is not None:
                case, step = key.removeprefix(STEP).split(".", 1)
                rows.append(f"| {name} | {case} | {step} | {spread.text(places=1)} ms | {spread.count} |")
    if not rows:
        return []
    head = [
        "",
        "## Where our time goes, by the journals",
        "",
        "| contestant | case | step | took | n |",
        "|---|---|---|---|---|",
    ]
    return head + sorted(rows)


def _peer() -> str:
    if shutil.which("keepalived") is None:
        return "no keepalived"
    asked = subprocess.run(
        ["keepalived", "--version"], capture_output=True, text=True, check=False, timeout=5
    )
    return (asked.stderr or asked.stdout).split("(")[0].strip()


def machine() -> str:
    """Describe this machine, without saying which it is."""
    models = {
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    }
    memory_kb = int(Path("/proc/meminfo").read_text(encoding="ascii").split()[1])
    kernel = ".".join(platform.release().split(".")[:2])
    return (
        f"{os.cpu_count()} processors ({', '.join(sorted(models)) or platform.machine()}),"
        f" {memory_kb / 1024 / 1024:.0f} GiB, Linux {kernel}, Python {platform.python_version()}, {_peer()}."
        f" Load at the end: {os.getloadavg()[2]:.1f} (15 minutes)."
    )
