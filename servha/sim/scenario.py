"""A behaviour as a text: prose, commands, a line of dashes, and the answer.

    # Only one of two links breaks. Nothing may move.
    booted node1 node2
    cut private
    run 60s
    ----
    ...

This module reads the text, keeps the `World` that the commands (commands.py) act on, and writes the answer. What the
answer should be is for the reader of the diff to judge.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from servha.core.model import Cluster, JournalEntry, Policy, ResourceSpec, TreeSpec
from servha.core.timing import PROFILES, Timing
from servha.core.words import as_dict
from servha.language import render
from servha.sim.world import World

LINKS = ("private", "public")
NODES = ("node1", "node2")
SETTLE_S = 30.0


class BadScenario(ValueError):
    """A line of a scenario that cannot be understood; the message names it and says what is possible."""


@dataclass
class Scenario:
    """Reads commands one by one; the world is made by the first that needs it.

    `given` is the configuration of a real cluster, each node's view of it; without it one is made up from `profile`,
    `policy`, `references` and `trees`.
    """

    profile: str = "manual"
    timing: Timing | None = None
    """Figures that no profile has."""
    policy: Policy = Policy.REFERENCE
    references: tuple[str, ...] = ("192.0.2.254",)
    trees: list[TreeSpec] = field(default_factory=list)
    seed: int = 0
    language: str = "en"
    given: tuple[Cluster, Cluster] | None = None
    public: str = "public"
    """The link over whose network the virtual addresses are reached."""
    told_from_s: float = 0.0
    _world: World | None = None
    _marks: list[tuple[float, str]] = field(default_factory=list)

    @property
    def world(self) -> World:
        """The running world; from here on the configuration is fixed."""
        if self._world is None:
            self._world = World(self.given or self._made_up(), seed=self.seed)
            self._world.network.public = self.public
        return self._world

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes."""
        return tuple(c.us for c in self.given) if self.given else NODES

    @property
    def links(self) -> tuple[str, ...]:
        """The names of the links."""
        return self.given[0].links if self.given else LINKS

    def _made_up(self) -> tuple[Cluster, Cluster]:
        trees = tuple(self.trees) or (tree_of("web", ["vip", "app"], 1),)
        one, other = (
            Cluster(
                us=us,
                peer=peer,
                links=LINKS,
                timing=self.timing or PROFILES[self.profile],
                policy=self.policy,
                references=self.references,
                trees=trees,
                first_node=NODES[0],
            )
            for us, peer in (NODES, NODES[::-1])
        )
        return one, other

    def play(self, text: str) -> str:
        """Run every command of `text` up to the dashes; return the answer."""
        self.run(text)
        return self.answer()

    def run(self, text: str) -> None:
        """Run every command of `text` up to the dashes. Raises BadScenario."""
        from servha.sim.commands import COMMANDS  # noqa: PLC0415 - the commands act on what is defined here

        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() == "----":
                break
            for part in _parts(line, number):
                words = shlex.split(part, comments=True)
                if not words:
                    continue
                command = COMMANDS.get(words[0])
                if command is None:
                    known = ", ".join(sorted(COMMANDS))
                    raise BadScenario(f"line {number}: unknown command {words[0]!r}; known are {known}")
                try:
                    command(self, words[1:])
                except (IndexError, KeyError, ValueError) as problem:
                    raise BadScenario(
                        f"line {number}: {part.strip()!r} cannot be understood ({problem})"
                    ) from problem

    def begin(self) -> None:
        """Tell only what comes from now on."""
        self.told_from_s = self.world.now_s
        self._marks.clear()

    def mark(self, line: str) -> None:
        """Put an operator's action into the answer, so that the timeline reads by itself."""
        self._marks.append((self.world.now_s, line))

    def answer(self) -> str:
        """Return the timeline since the last `booted`, then who runs what."""
        world, from_s = self.world, self.told_from_s
        lines = [(at_s, 0, f"> {line}") for at_s, line in self._marks]
        lines += [(at_s, 1, f"* {line}") for at_s, line in world.told if at_s >= from_s]
        for machine in world.machines.values():
            lines += [(e.at_s, 2, told(e, self.language)) for e in machine.journal if e.at_s >= from_s]
        out = [f"{at_s - from_s:8.3f}  {line}" for at_s, _, line in sorted(lines, key=lambda item: item[:2])]
        for name, history in sorted(world.witness.owners.items()):
            now = sorted(history[-1][1])
            out.append(f"{name}: {' and '.join(now) if now else 'nobody'}")
        duals = [f"{tree} from {at_s - from_s:.3f}" for at_s, tree in world.witness.ever_dual]
        out.append(f"dual-active: {', '.join(duals) or 'never'}")
        out += [f"broken at {at_s - from_s:.3f}: {what}" for at_s, what in world.witness.broken]
        return "\n".join(out) + "\n"

    def data(self) -> dict[str, Any]:
        """Return the same as plain data: what was done, decided and held, in seconds since the last `booted`."""
        world, from_s = self.world, self.told_from_s
        entries = [e for machine in world.machines.values() for e in machine.journal if e.at_s >= from_s]
        return {
            "until_s": round(world.now_s - from_s, 3),
            "done": [{"at_s": round(at_s - from_s, 3), "what": what} for at_s, what in self._marks],
            "entries": [
                {
                    "at_s": round(e.at_s - from_s, 3),
                    "node": e.node,
                    "subject": e.subject,
                    "before": str(e.before),
                    "after": str(e.after),
                    "because": as_dict(e.because),
                    "severity": str(e.severity),
                }
                for e in sorted(entries, key=lambda e: e.at_s)
            ],
            "held": {
                tree: [
                    {"from_s": round(max(0.0, at_s - from_s), 3), "nodes": sorted(nodes)}
                    for at_s, nodes in _since(history, from_s)
                ]
                for tree, history in sorted(world.witness.owners.items())
            },
            "dual_active": [
                {"tree": tree, "at_s": round(at_s - from_s, 3)} for at_s, tree in world.witness.ever_dual
            ],
            "broken": [
                {"what": what, "at_s": round(at_s - from_s, 3)} for at_s, what in world.witness.broken
            ],
        }


def _since(
    history: Sequence[tuple[float, frozenset[str]]], from_s: float
) -> list[tuple[float, frozenset[str]]]:
    """Return what was true at a moment, and everything after it."""
    before = [one for one in history if one[0] <= from_s][-1:]
    return [*before, *(one for one in history if one[0] > from_s)]


def _parts(line: str, number: int) -> list[str]:
    """Split `cut all; run 60s` into its commands; a comment may hold semicolons."""
    try:
        shlex.split(line, comments=True)
    except ValueError as problem:
        raise BadScenario(f"line {number}: {line.strip()!r} cannot be understood ({problem})") from problem
    return [line] if "#" in line else re.split(r";", line)


def told(entry: JournalEntry, language: str = "en") -> str:
    """Return one journal line as a scenario shows it: the reason in the reader's language."""
    change = f"{entry.before} -> {entry.after}" if entry.before != entry.after else str(entry.after)
    return f"{entry.node} {entry.subject}: {change}: {render(entry.because, language)}"


KIND = {"vip": "ipv4", "disk": "shared_disk"}


def tree_of(name: str, resources: list[str], tree_id: int) -> TreeSpec:
    """Return a tree whose resources hang below each other in the order given.

    "vip" carries an address, "disk" a file system.
    """
    specs = tuple(
        ResourceSpec(
            r,
            KIND.get(r, "custom"),
            after=(resources[i - 1],) if i else (),
            virtual_address="192.0.2.100" if r == "vip" else "",
            mount_point="/srv/web" if r == "disk" else "",
        )
        for i, r in enumerate(resources)
    )
    return TreeSpec(name, tree_id, NODES, specs)


def play(text: str, language: str = "en") -> str:
    """Run a scenario and return its answer. Raises BadScenario where a line cannot be understood."""
    return Scenario(language=language).play(text)
