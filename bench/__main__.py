"""`python -m bench [CASE ...]`: measures, shows how far it is, and writes RESULTS.md when everything was measured.

Cases: failover, move, crash, vip, cold (each with `--profile`), footprint, scale, console, handle; all unless named.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from bench import console, footprint, handle, report, scale
from bench.contestants import Contestant, Keepalived, ServHA
from bench.session import play
from bench.spread import Book
from servha.lab import lab as labs
from servha.lab.lab import Lab

NAME = "bench"
RUNS = 10
"""So many sessions are worth a RESULTS.md."""
RESULTS = Path(__file__).parent / "RESULTS.md"
ALONE = ("footprint", "scale", "console", "handle")
CASES = {"failover": "power", "move": "move", "crash": "kill", "vip": "vip", "cold": "cold"}

# Slow beats tell nothing new about what goes by events, and each session of theirs takes half a minute.
FIELDS: dict[str, tuple[Contestant, ...]] = {
    "fast": (ServHA("fast"), Keepalived(0.1), Keepalived(0.1, starts_application=True)),
    "fast-quorum": (ServHA("fast", cases=("cold", "move", "power"), quorum=True),),
    "manual": (ServHA("manual", cases=("cold", "move", "power")), Keepalived(1.0, looks=False)),
    "manual-quorum": (ServHA("manual", cases=("move", "power"), quorum=True),),
}


class Progress:
    """One line for each session, with the time since the beginning."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()

    def say(self, what: str) -> None:
        """Print one line."""
        print(f"{time.monotonic() - self._began_s:6.1f} s  {what}", flush=True)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    reader = argparse.ArgumentParser(prog="python -m bench", description="Measure ServHA against keepalived.")
    reader.add_argument("case", nargs="*", choices=[*CASES, *ALONE, []], metavar="CASE",
                        help=f"{', '.join((*CASES, *ALONE))}; all of them unless given")  # fmt: skip
    reader.add_argument("--runs", type=int, default=RUNS, help=f"sessions of each contestant ({RUNS})")
    reader.add_argument("--profile", choices=FIELDS, help="only this timing, with a quorum disk or without")
    reader.add_argument("--seed", type=int, default=1, help="of the moments at which the cases begin (1)")
    return reader.parse_args()


def measure_field(
    profile: str, cases: tuple[str, ...], *, runs: int, seed: int, book: Book, progress: Progress
) -> None:
    """Let the contestants of one profile play by turns in one lab."""
    chance = random.Random(seed)  # noqa: S311  moments, not secrets
    contestants = FIELDS[profile]
    with Lab.up(f"{NAME}-{profile}", services=[], profile=profile.partition("-")[0]) as lab:
        for one in contestants:
            one.prepare(lab)
        for number in range(1, runs + 1):
            for one in contestants:
                began_s = time.monotonic()
                try:
                    play(lab, one, cases, book, chance)
                except Exception as error:  # noqa: BLE001  one session lost is told and does not lose the others
                    book.failures.append(f"{one.name}, session {number}: {type(error).__name__}: {error}")
                    progress.say(f"failed: {book.failures[-1]}")
                took_s = time.monotonic() - began_s
                progress.say(
                    f"{profile} {number}/{runs}: {one.name} ({took_s:.1f} s){_newest(book, one, cases)}"
                )


def _newest(book: Book, one: Contestant, cases: tuple[str, ...]) -> str:
    spreads = ((case, book.spread(one.name, f"{case}.http")) for case in cases)
    return "".join(f"; {case} {spread.middle * 1000:.0f}" for case, spread in spreads if spread)


def _sweep() -> None:
    """Remove what an earlier run that was killed has left."""
    for name in labs.names():
        if name == NAME or name.startswith(f"{NAME}-"):
            Lab(name).down()


def main() -> int:
    """Measure what is asked for."""
    args = arguments()
    asked = args.case or [*CASES, *ALONE]
    if asked != ["handle"]:
        if os.geteuid() != 0:
            print("bench: needs root, as every lab does; or `python -m bench handle`", file=sys.stderr)
            return 77
        if shutil.which("keepalived") is None:
            print("bench: keepalived is not installed: apt-get install keepalived", file=sys.stderr)
            return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    book, progress, core, pages = Book(), Progress(), [], []
    try:
        _sweep()
        cases = tuple(CASES[case] for case in asked if case in CASES)
        profiles = [args.profile] if args.profile else list(FIELDS)
        for profile in profiles if cases else ():
            measure_field(profile, cases, runs=args.runs, seed=args.seed, book=book, progress=progress)
        if "footprint" in asked:
            progress.say("footprint: all contestants idle at the same time")
            footprint.measure(book, windows=args.runs)
        if "scale" in asked:
            progress.say("scale: many resources, nothing happening")
            scale.measure(
                book,
                windows=max(1, args.runs // 5),
                profile=(args.profile or scale.PROFILE).partition("-")[0],
                progress=progress.say,
            )
        if "console" in asked:
            progress.say("console: nobody, one page, many pages")
            pages = console.tables()
        if "handle" in asked:
            progress.say("the core alone")
            core = handle.tables()
    except KeyboardInterrupt:
        print("bench: interrupted; the labs are removed", file=sys.stderr)
        return 130
    finally:
        if os.geteuid() == 0:
            _sweep()
    everybody = [one for profile in FIELDS.values() for one in profile]
    text = report.results(
        book,
        [*everybody, Keepalived(0.1, looks=False)],
        core=core,
        console=pages,
        whole=not args.case and not args.profile,
    )
    print(text)
    if not args.case and not args.profile and args.runs >= RUNS:
        RESULTS.write_text(text, encoding="utf-8")
        progress.say(f"written to bench/{RESULTS.name}")
    return 1 if book.failures else 0


if __name__ == "__main__":
    sys.exit(main())
