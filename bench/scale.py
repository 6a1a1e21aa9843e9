"""What it costs to look at many resources: 100 and 500 of them, each checked every 10 s, nothing happening.

All run on one node, which is the dearest way; the other one looks at the same number to see that they do not run
there. Each tree has a virtual address and programs that only sleep, started by a script and watched by control group:
no test scripts, whose cost would be theirs. A quorum disk decides, so that the guard is counted with the daemon; the
timing is the manual's, as Pacemaker's was its own default, and `--profile fast` shows what quick beats add. Then half
of the trees are moved.

`python -m bench scale [--profile fast | manual]`
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from bench import footprint
from bench.contestants import ServHA
from bench.spread import Book
from servha.lab import demo
from servha.lab.lab import Lab
from servha.lab.layout import INTERFACE, NODES, PREFIX
from servha.lab.node import Node

SIZES = ((10, 10), (20, 25))
"""Trees, and resources in each: the address first."""
PROFILE = "manual"
WINDOW_S = 60.0
CHECK_INTERVAL_S = 10.0
REST_S = 15.0
"""After the start, until every resource was looked at once."""
RUNS_S = 300.0
MOVED_S = 200.0
SCRIPT = "/opt/scale/start"
NETWORK = "192.0.2"
FIRST_ADDRESS = 101
PACEMAKER = {100: 3.5, 500: 15.5}
"""CPU seconds per minute of corosync and pacemaker on a machine like this one (design/06-peers.md): not a ratio."""


def contestant_name(resources: int, profile: str = PROFILE) -> str:
    """Return how the figures of so many resources are called."""
    return f"ServHA, {resources} resources, quorum disk, profile {profile}"


def trees(count: int, size: int) -> list[dict[str, Any]]:
    """Return the section of the configuration: `count` trees of `size` resources, all to run on the first node."""
    program = {"kind": "custom", "settings": {"start_script": SCRIPT}, "after": ["r0"]}
    return [
        {
            "name": f"tree{tree}",
            "id": tree + 1,
            "hosts": list(NODES),
            "failback": "stay",
            "resources": [
                {
                    "name": "r0",
                    "kind": "ipv4",
                    "settings": {
                        "address": f"{NETWORK}.{FIRST_ADDRESS + tree}/{PREFIX}",
                        "nic": INTERFACE["public"],
                    },
                    "check_interval_s": CHECK_INTERVAL_S,
                },
                *(
                    {"name": f"r{number}", "check_interval_s": CHECK_INTERVAL_S, **program}
                    for number in range(1, size)
                ),
            ],
        }
        for tree in range(count)
    ]


def measure(book: Book, *, windows: int, profile: str, progress: Callable[[str], None]) -> None:
    """Measure every size in a lab of its own."""
    for count, size in SIZES:
        name = contestant_name(count * size, profile)
        try:
            with Lab.up(f"bench-scale{count * size}", services=[], profile=profile) as lab:
                _measure_one(lab, book, name, count, size, windows=windows, progress=progress)
        except Exception as error:  # noqa: BLE001  one size lost is told and does not lose the other
            book.failures.append(f"{name}: {type(error).__name__}: {error}")
            progress(f"failed: {book.failures[-1]}")


def _measure_one(
    lab: Lab, book: Book, name: str, count: int, size: int, *, windows: int, progress: Callable[[str], None]
) -> None:
    units = ServHA(lab.profile, quorum=True)
    units.start(lab)
    demo.form_cluster(lab)
    demo.share_quorum_disk(lab)
    for node in lab.nodes:
        text = "#!/bin/sh\\nsleep 1000000 &\\n"
        node.run("sh", "-c", f"mkdir -p /opt/scale && printf '{text}' >{SCRIPT} && chmod 755 {SCRIPT}")
    began_s = time.monotonic()
    _apply(lab.node1, trees(count, size))
    names = [f"tree{number}" for number in range(count)]
    _await_running(lab.node1, dict.fromkeys(names, lab.node1.name), within_s=RUNS_S)
    book.add(name, "scale.start", time.monotonic() - began_s)
    progress(f"{name}: all run")
    time.sleep(REST_S)
    for _ in range(windows):
        pids = [footprint.pids_of(node, units.unit_names) for node in lab.nodes]
        before = [
            footprint.processor_s(node, units.unit_names, own)
            for node, own in zip(lab.nodes, pids, strict=True)
        ]
        since_s = time.monotonic()
        time.sleep(WINDOW_S)
        for place, node, own, then in zip(("run", "standby"), lab.nodes, pids, before, strict=True):
            now, per_minute = (
                footprint.processor_s(node, units.unit_names, own),
                60 / (time.monotonic() - since_s),
            )
            book.add(name, f"scale.{place}", (now.own_s - then.own_s) * per_minute)
            book.add(name, f"scale.{place}.rss", float(footprint.memory(node, units.unit_names)[1]))
    missed = json.loads(lab.node1.run("servha", "status", "-o", "json").stdout)["daemon"]["events_missed"]
    if missed:
        book.failures.append(f"{name}: {missed} events were missed")
    moved = names[: count // 2]
    began_s = time.monotonic()
    for tree in moved:
        lab.node1.run("servha", "tree", "move", tree, lab.node2.name, "--no-wait", "--yes")
    _await_running(lab.node2, dict.fromkeys(moved, lab.node2.name), within_s=MOVED_S)
    book.add(name, "scale.move", time.monotonic() - began_s)


def _apply(node: Node, sections: list[dict[str, Any]]) -> None:
    document = json.loads(node.run("servha", "cluster", "export").stdout)
    document["trees"] = sections
    node.run("sh", "-c", "umask 077 && cat >/run/scale.json", feed=json.dumps(document))
    node.run("servha", "cluster", "apply", "/run/scale.json", "--yes", within_s=120.0)


def _await_running(node: Node, wanted: dict[str, str], *, within_s: float) -> None:
    """Wait until the trees run where they should, with every resource in them.

    Raises:
        TimeoutError: they do not; some that lack are named.
    """
    deadline_s = time.monotonic() + within_s
    while True:
        answer = node.run("servha", "status", "-o", "json", check=False).stdout
        found = json.loads(answer or "{}").get("trees", ())
        up = {
            tree["name"]: tree["running_on"]
            for tree in found
            if all(one["step"] == "on" for one in tree["resources"])
        }
        lacking = [tree for tree, where in wanted.items() if up.get(tree) != where]
        if not lacking:
            return
        if time.monotonic() > deadline_s:
            raise TimeoutError(
                f"not running after {within_s:.0f} s: {len(lacking)} trees, such as {lacking[:3]}"
            )
        time.sleep(0.5)
