"""One session of one contestant: both nodes are booted, and each case is done once. Says nothing about the figures."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench import own_time
from bench.address_watch import AddressWatch, watching
from bench.client import Client, asking
from bench.contestants import APPLICATION_ALONE, Contestant
from bench.spread import Book
from servha.lab.lab import Lab
from servha.lab.layout import PREFIX, VIRTUAL_ADDRESS
from servha.lab.node import Node
from servha.lab.node_disk import APPLICATION

ANSWER_S = 40.0
REST_S = 0.3
"""Before each case: what the case before has set going comes to an end."""


@dataclass(frozen=True)
class Scene:
    """Everything a case needs."""

    lab: Lab
    contestant: Contestant
    client: Client
    addresses: AddressWatch
    book: Book

    def note(self, measure: str, seconds: float) -> None:
        """Put one figure into the book."""
        self.book.add(self.contestant.name, measure, seconds)

    def node(self, name: str) -> Node:
        """The node of that name."""
        return self.lab.node(name)


def play(lab: Lab, contestant: Contestant, cases: tuple[str, ...], book: Book, chance: random.Random) -> None:
    """Boot both nodes and do each case that is wanted and that the contestant can do."""
    restart(lab)
    _own_times(lab, book)
    with watching(lab) as addresses, asking(lab) as client:
        scene = Scene(lab, contestant, client, addresses, book)
        began = contestant.start(lab)
        answer = client.http.wait_answer(after_s=began.asked_s, within_s=ANSWER_S)
        if "cold" in cases:
            scene.note("cold.http", answer.end_s - began.asked_s)
            scene.note("cold.up", max(0.0, answer.end_s - began.up_s))
        for case in contestant.cases:
            if case == "cold" or case not in cases:
                continue
            client.await_calm(since_s=began.asked_s, within_s=ANSWER_S)
            owner = scene.node(client.owner())
            contestant.await_standby(lab, owner)
            time.sleep(REST_S + chance.uniform(0, contestant.beat_s))
            since_s = CASES[case](scene, owner)
            client.await_calm(since_s=since_s, within_s=ANSWER_S)
            for kind, length_s in client.silences_s(since_s).items():
                if f"{case}.{kind}" not in {"kill.icmp", "vip.http"}:
                    scene.note(f"{case}.{kind}", length_s)
            _note_after(scene, case, since_s)
            for measure, length_s in contestant.explain(case, since_s, lab).items():
                scene.note(measure, length_s)
            contestant.mend(lab, case, owner, scene.node(client.owner()))


def _note_after(scene: Scene, case: str, since_s: float) -> None:
    """Note what passed between the address being on the other node and the application answering there."""
    came = scene.addresses.first(VIRTUAL_ADDRESS, came=True, after_s=since_s)
    answered_s = scene.client.answered_s(since_s)
    if case in {"power", "move"} and came is not None and answered_s is not None:
        scene.note(f"{case}.after", max(0.0, answered_s - came.at_s))


def restart(lab: Lab) -> None:
    """Take power from both nodes and give it back."""
    for node in lab.nodes:
        if node.power != "off":
            node.poweroff()
    for node in lab.nodes:
        node.begin_boot()
    for node in lab.nodes:
        node.await_boot()


def _own_times(lab: Lab, book: Book) -> None:
    """Measure the application alone, at this moment of this machine, on each node; what it reads is in memory then."""
    program = [
        sys.executable,
        str(Path(own_time.__file__)),
        *(str(APPLICATION / order) for order in ("start", "stop")),
    ]
    for node in lab.nodes:
        start_s, stop_s = node.run(*program).stdout.split()
        book.add(APPLICATION_ALONE, "app.start", float(start_s))
        book.add(APPLICATION_ALONE, "app.stop", float(stop_s))


def _power(scene: Scene, owner: Node) -> float:
    dark_at_s = owner.poweroff().dark_at_s
    came = scene.addresses.first(VIRTUAL_ADDRESS, came=True, after_s=dark_at_s, within_s=ANSWER_S)
    if came is not None:
        scene.note("power.address", came.at_s - dark_at_s)
    return dark_at_s


def _move(scene: Scene, owner: Node) -> float:
    since_s = time.monotonic()
    scene.contestant.move(scene.lab, owner)
    other = next(node for node in scene.lab.nodes if node is not owner)
    scene.client.http.wait_answer(who=other.name, after_s=since_s, within_s=ANSWER_S)
    return since_s


def _kill(scene: Scene, owner: Node) -> float:
    pid = application_pid(owner)
    since_s = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    return since_s


def _vip(scene: Scene, owner: Node) -> float:
    since_s = time.monotonic()
    remove = ["ip", "-n", owner.namespace, "addr", "del", f"{VIRTUAL_ADDRESS}/{PREFIX}", "dev", "pub0"]
    subprocess.run(remove, check=True, timeout=10)
    went = scene.addresses.first(VIRTUAL_ADDRESS, came=False, after_s=since_s, within_s=1.0)
    if went is not None:
        came = scene.addresses.first(VIRTUAL_ADDRESS, came=True, after_s=went.at_s, within_s=ANSWER_S)
        if came is not None:
            scene.note("vip.restored", came.at_s - went.at_s)
    return since_s


def application_pid(node: Node) -> int:
    """Return the application's process as this machine counts.

    Raises:
        LookupError: it does not run.
    """
    for listing in node.layout.cgroup.rglob("cgroup.procs"):
        for pid in listing.read_text(encoding="ascii").split():
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if f"{APPLICATION}/server.py".encode() in words and b"start" in words:
                    return int(pid)
    raise LookupError(f"the application does not run on {node.name}")


CASES: dict[str, Callable[[Scene, Node], float]] = {
    "kill": _kill,
    "vip": _vip,
    "move": _move,
    "power": _power,
}
