"""How long the core takes, in microseconds: a beat from the datagram to the engine's answer, a tick, with n trees.

Two engines talk to each other in virtual time through real datagrams; nothing else is real. What is printed is
the processor time of one process on this machine: a number to compare with yesterday's, not a promise.

`python -m bench handle`
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict

from bench.spread import Spread
from servha.core.effects import (
    Effect,
    ProbePeer,
    ProbeReferences,
    ProbeTreeAddresses,
    SendBeat,
    StartResource,
    StopResource,
)
from servha.core.engine import Engine
from servha.core.events import (
    ActionFinished,
    BeatReceived,
    Event,
    PeerProbed,
    ReferenceProbed,
    Remembered,
    Tick,
    TreeAddressesProbed,
)
from servha.core.model import Action, Cluster, Policy, ResourceSpec, TreeSpec
from servha.core.timing import PROFILES
from servha.core.words import NOTHING_SAID
from servha.wire.beat import TREES_MAX, Roster, cluster_number, incarnation
from servha.wire.conversation import Accepted, Answer, Conversation

LINKS = ("private", "public")
NAMES = ("node1", "node2")
REFERENCE = "192.0.2.254"
BOOT = "00000000-0000-4000-8000-000000000001"
WARM_S, RUN_S = 10.0, 30.0
"""Virtual seconds: until every tree runs, and those that are measured."""

Timings = dict[str, list[float]]


class Side:
    """One node: an engine, a conversation, and a world in which everything works at once."""

    def __init__(
        self, us: str, peer: str, roster: Roster, trees: tuple[TreeSpec, ...], timings: Timings
    ) -> None:
        session = hashlib.sha256(us.encode()).digest()[:16]
        cluster = Cluster(
            us, peer, LINKS, PROFILES["fast"], Policy.REFERENCE, (REFERENCE,), trees, first_node=NAMES[0]
        )
        self.engine = Engine(cluster, incarnation=incarnation(BOOT, session), now_s=0.0)
        self.talk = Conversation(roster, us, session)
        self.other: Side | None = None
        self._timings = timings
        self._waiting: list[Event] = []
        self.handle("remembered", Remembered(0.0))

    def handle(self, what: str, event: Event, spent_s: float = 0.0) -> None:
        """Let the engine handle an event, note how long it took, and do what it asks."""
        began_s = time.perf_counter()
        effects = self.engine.handle(event)
        self._timings[what].append(spent_s + time.perf_counter() - began_s)
        for effect in effects:
            self._carry_out(effect, event.now_s)
        while self._waiting:
            self.handle("answers", self._waiting.pop(0))

    def hear(self, datagram: bytes, link: str, now_s: float) -> None:
        """Take a datagram as the daemon does."""
        began_s = time.perf_counter()
        heard = self.talk.receive(datagram, link, now_s)
        spent_s = time.perf_counter() - began_s
        match heard:
            case Accepted(report=report, answer=answer):
                if answer:
                    self._answer(link, now_s)
                self.handle("beat", BeatReceived(now_s, link, report), spent_s)
            case Answer():
                self._answer(link, now_s)

    def _answer(self, link: str, now_s: float) -> None:
        if self.other is not None and self.engine.state.sent is not None:
            self.other.hear(self.talk.answer(self.engine.state.sent, link, now_s), link, now_s)

    def _carry_out(self, effect: Effect, now_s: float) -> None:
        match effect:
            case SendBeat(report=report) if self.other is not None:
                began_s = time.perf_counter()
                datagrams = [(link, self.talk.compose(report, link, now_s)) for link in LINKS]
                self._timings["compose"].append(time.perf_counter() - began_s)
                for link, datagram in datagrams:
                    self.other.hear(datagram, link, now_s)
            case StartResource(tree=tree, resource=resource):
                self._waiting.append(ActionFinished(now_s, tree, resource, Action.START, True, NOTHING_SAID))  # noqa: FBT003
            case StopResource(tree=tree, resource=resource):
                self._waiting.append(ActionFinished(now_s, tree, resource, Action.STOP, True, NOTHING_SAID))  # noqa: FBT003
            case ProbeReferences():
                self._waiting.append(ReferenceProbed(now_s, REFERENCE, answered=True, asked_s=now_s))
            case ProbePeer():
                self._waiting.append(PeerProbed(now_s, "", now_s))
            case ProbeTreeAddresses(tree=tree):
                self._waiting.append(TreeAddressesProbed(now_s, tree, "", now_s))
            case _:
                pass


def run(trees: int) -> dict[str, Spread]:
    """Let two nodes with so many trees beat at each other; return seconds by what was done."""
    specs = tuple(
        TreeSpec(f"tree{number}", number, NAMES, (ResourceSpec("app", "custom"),))
        for number in range(1, trees + 1)
    )
    roster = Roster(cluster_number("ab" * 16), dict(enumerate(NAMES)), LINKS, {0: b"k" * 32})
    timings: Timings = defaultdict(list)
    one, two = (Side(us, peer, roster, specs, timings) for us, peer in (NAMES, NAMES[::-1]))
    one.other, two.other = two, one
    now_s = 0.0
    while now_s < WARM_S + RUN_S:
        due = min((one, two), key=lambda side: side.engine.wake_at_s)
        now_s = max(now_s + 1e-4, due.engine.wake_at_s)
        if now_s >= WARM_S and "warm" not in timings:
            timings.clear()
            timings["warm"].append(0.0)
        due.handle("tick", Tick(now_s))
    running = sum(tree.phase.holds for side in (one, two) for tree in side.engine.state.trees)
    if running != trees:
        raise RuntimeError(f"{running} of {trees} trees run: what was measured is not the usual state")
    found = {what: Spread.of(series) for what, series in timings.items() if what != "warm"}
    return {what: spread for what, spread in found.items() if spread is not None}


def tables(counts: tuple[int, ...] = (1, 10, TREES_MAX)) -> list[str]:
    """Measure, and return the lines of a table."""
    lines = ["| trees | what | µs: least / middle / most | n |", "|---|---|---|---|"]
    words = {
        "beat": "a beat, from the datagram to the engine's answer",
        "compose": "composing a beat for two links",
        "tick": "a tick of the engine",
        "answers": "an answer of the world (probe, action)",
    }
    for count in counts:
        found = run(count)
        for what, spread in found.items():
            if what in words:
                lines.append(f"| {count} | {words[what]} | {spread.text(factor=1e6)} | {spread.count} |")
    return lines


def main() -> int:
    """Print the table."""
    print("\n".join(tables()))
    return 0
