"""What a daemon costs while nothing happens: memory, and processor time. Read from the kernel, not from the daemon.

Processor time is that of the service's whole control group: scripts that a daemon runs to look at an application are
counted with it, and told apart. PSS shares the pages that several processes map; two nodes on one machine share what
two machines could not, so RSS, which shares nothing, is given beside it.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from bench.client import asking
from bench.contestants import Contestant, Keepalived, ServHA
from bench.session import ANSWER_S, restart
from bench.spread import Book
from servha.lab.lab import Lab
from servha.lab.node import Node

WINDOW_S = 6.0
REST_S = 6.0
"""After the start, until nothing of it goes on."""


class Cost(NamedTuple):
    """The daemon's own processes, and with them what it ran: seconds since it was started."""

    own_s: float
    all_s: float


def rollup(text: str) -> dict[str, int]:
    """Read /proc/PID/smaps_rollup: names to bytes.

    >>> rollup("00400000-7fff rollup\\nRss:  1024 kB\\nPss:  2 kB\\n")
    {'Rss': 1048576, 'Pss': 2048}
    """
    words = [line.split() for line in text.splitlines() if line.endswith(" kB")]
    return {name.rstrip(":"): int(size) * 1024 for name, size, _ in words}


def _groups(node: Node, units: tuple[str, ...]) -> list[Path]:
    return [node.layout.cgroup / "system.slice" / f"{unit}.service" for unit in units]


def pids_of(node: Node, units: tuple[str, ...]) -> list[str]:
    """The daemons' own processes; what they keep running for somebody is in groups below."""
    texts = [(group / "cgroup.procs").read_text(encoding="ascii") for group in _groups(node, units)]
    return " ".join(texts).split()


def memory(node: Node, units: tuple[str, ...]) -> tuple[int, int]:
    """Return PSS and RSS of all processes of the daemons, in bytes."""
    sums = {"Pss": 0, "Rss": 0}
    for pid in pids_of(node, units):
        with suppress(OSError):  # a script that has just ended
            found = rollup(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"))
            for name in sums:
                sums[name] += found.get(name, 0)
    return sums["Pss"], sums["Rss"]


def processor_s(node: Node, units: tuple[str, ...], pids: list[str]) -> Cost:
    """Return the processor time of `pids` with all their threads, and of the whole control groups."""
    own_ns = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with suppress(OSError):
                own_ns += int(thread.read_text(encoding="ascii").split()[0])
    all_us = 0
    for group in _groups(node, units):
        stat = (group / "cpu.stat").read_text(encoding="ascii").split()
        all_us += int(stat[stat.index("usage_usec") + 1])
    return Cost(own_ns / 1e9, all_us / 1e6)


def measure(book: Book, *, windows: int) -> None:
    """Let every contestant idle in a lab of its own, all at the same time, and look at each."""
    contestants: tuple[Contestant, ...] = (
        ServHA("fast"), ServHA("manual"), ServHA("fast", quorum=True),
        Keepalived(0.1, looks=False), Keepalived(1.0, looks=False),
    )  # fmt: skip
    with ExitStack() as stack:
        idle: list[tuple[Contestant, Lab]] = []
        for number, one in enumerate(contestants):
            profile = one.profile if isinstance(one, ServHA) else "fast"
            lab = stack.enter_context(Lab.up(f"bench-idle{number}", services=[], profile=profile))
            one.prepare(lab)
            restart(lab)
            began = one.start(lab)
            with asking(lab) as client:
                answer = client.http.wait_answer(after_s=began.asked_s, within_s=ANSWER_S)
            one.await_standby(lab, lab.node(answer.who))
            idle.append((one, lab))
        time.sleep(REST_S)
        places = [(one, node, pids_of(node, one.unit_names)) for one, lab in idle for node in lab.nodes]
        for _ in range(windows):
            before = [
                (time.monotonic(), processor_s(node, one.unit_names, pids)) for one, node, pids in places
            ]
            time.sleep(WINDOW_S)
            for (one, node, pids), (since_s, then) in zip(places, before, strict=True):
                now, per_minute = processor_s(node, one.unit_names, pids), 60 / (time.monotonic() - since_s)
                book.add(one.name, "idle.cpu", (now.own_s - then.own_s) * per_minute)
                book.add(
                    one.name,
                    "idle.scripts",
                    max(0.0, (now.all_s - then.all_s) - (now.own_s - then.own_s)) * per_minute,
                )
                pss, rss = memory(node, one.unit_names)
                book.add(one.name, "idle.pss", float(pss))
                book.add(one.name, "idle.rss", float(rss))
