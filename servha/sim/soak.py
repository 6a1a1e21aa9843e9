"""Many campaigns of random faults, on every core, with progress: `make soak SEEDS=n`, or `python -m servha.sim.soak n`.

Prints the story of each campaign that broke a promise, and how to play it again. What a campaign is and when it is
good is said in campaign.py.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

from servha.sim.campaign import Outcome, campaign

SHOW_S = 2.0
"""How often progress is shown."""

STORIES_MAX = 5
"""How many broken campaigns are told in full."""


def soak(seeds: range) -> int:
    """Play every seed; return 1 if one of them broke a promise."""
    began_s, shown_s = time.monotonic(), 0.0
    bad: list[Outcome] = []
    moves = resets = excused = 0
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as executor, _cancelling(executor):
        for number, outcome in enumerate(executor.map(campaign, seeds, chunksize=4), 1):
            moves, resets = moves + outcome.moves, resets + outcome.resets
            excused += len(outcome.excused)
            if not outcome.good:
                bad.append(outcome)
                if len(bad) <= STORIES_MAX:
                    sys.stdout.write(outcome.story() + "\n")
            passed_s = time.monotonic() - began_s
            if passed_s - shown_s >= SHOW_S or number == len(seeds):
                shown_s = passed_s
                left_s = passed_s / number * (len(seeds) - number)
                said = f"{number} of {len(seeds)} campaigns, {len(bad)} bad, {left_s:.0f} s left"
                sys.stderr.write(said + ("\r" if sys.stderr.isatty() else "\n"))
    sys.stdout.write(
        f"\n{len(seeds)} campaigns from seed {seeds.start} in {time.monotonic() - began_s:.0f} s:"
        f" {moves} moves, {resets} resets, {excused} trees left to an administrator, {len(bad)} bad:"
        f" {[o.seed for o in bad]}\n"
    )
    return 1 if bad else 0


@contextmanager
def _cancelling(executor: Executor) -> Iterator[None]:
    """Let nothing begin any more once the caller is interrupted."""
    try:
        yield
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def main() -> int:
    """Read how many seeds, and the first."""
    parser = argparse.ArgumentParser(prog="servha.sim.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    # Ended by a signal it still ends its workers: the executor does so on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    return soak(range(args.first, args.first + args.count))


if __name__ == "__main__":
    sys.exit(main())
