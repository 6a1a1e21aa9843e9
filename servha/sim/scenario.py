"""A behaviour as a text: prose, commands, a line of dashes, and the answer.

    # Only one of two links breaks. Nothing may move.
    booted node1 node2
    cut private
    run 60s
    ----
    ...

This module reads the commands, runs them in a `World` and writes the answer. What the answer should be is for the
reader of the diff to judge.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from servha.core.model import (
    Cluster,
    Failback,
    Goal,
    JournalEntry,
    Order,
    Policy,
    ResourceSpec,
    ResourceState,
    StartFailure,
    StartMode,
    SwitchPolicy,
    TreeSpec,
)
from servha.core.timing import PROFILES
from servha.language import render
from servha.sim.world import PUBLIC, Behaviour, World

LINKS = ("private", PUBLIC)
NODES = ("node1", "node2")
SETTLE_S = 30.0


class BadScenario(ValueError):
    """A line of a scenario that cannot be understood; the message names it and says what is possible."""


@dataclass
class Scenario:
    """Reads commands one by one; the world is made by the first that needs it."""

    profile: str = "manual"
    policy: Policy = Policy.REFERENCE
    references: tuple[str, ...] = ("192.0.2.254",)
    trees: list[TreeSpec] = field(default_factory=list)
    seed: int = 0
    language: str = "en"
    _world: World | None = None
    _told_from_s: float = 0.0
    _marks: list[tuple[float, str]] = field(default_factory=list)

    @property
    def world(self) -> World:
        """The running world; from here on the configuration is fixed."""
        if self._world is None:
            trees = tuple(self.trees) or (_tree("web", ["vip", "app"], 1),)
            clusters = tuple(
                Cluster(
                    us=us,
                    peer=peer,
                    links=LINKS,
                    timing=PROFILES[self.profile],
                    policy=self.policy,
                    references=self.references,
                    trees=trees,
                    first_node="node1",
                )
                for us, peer in (NODES, NODES[::-1])
            )
            self._world = World((clusters[0], clusters[1]), seed=self.seed)
        return self._world

    def play(self, text: str) -> str:
        """Run every command of `text` up to the dashes; return the answer."""
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() == "----":
                break
            words = shlex.split(line, comments=True)
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
                    f"line {number}: {line.strip()!r} cannot be understood ({problem})"
                ) from problem
        return self.answer()

    def mark(self, line: str) -> None:
        """Put an operator's action into the answer, so that the timeline reads by itself."""
        self._marks.append((self.world.now_s, line))

    def answer(self) -> str:
        """Return the timeline since the last `booted`, then who runs what."""
        world = self.world
        lines: list[tuple[float, int, str]] = [
            (at_s, 0, f"{at_s - self._told_from_s:8.3f}  > {line}") for at_s, line in self._marks
        ]
        for machine in world.machines.values():
            lines += [
                (e.at_s, 1, f"{e.at_s - self._told_from_s:8.3f}  {told(e, self.language)}")
                for e in machine.journal
                if e.at_s >= self._told_from_s
            ]
        out = [line for _, _, line in sorted(lines, key=lambda item: item[:2])]
        for name, history in sorted(world.owners.items()):
            now = sorted(history[-1][1])
            out.append(f"{name}: {' and '.join(now) if now else 'nobody'}")
        out.append(f"dual-active: {'never' if not world.ever_dual else _duals(world, self._told_from_s)}")
        return "\n".join(out) + "\n"


def told(entry: JournalEntry, language: str = "en") -> str:
    """Return one journal line as a scenario shows it: the reason in the reader's language."""
    change = f"{entry.before} -> {entry.after}" if entry.before != entry.after else str(entry.after)
    return f"{entry.node} {entry.subject}: {change}: {render(entry.because, language)}"


def _duals(world: World, from_s: float) -> str:
    return ", ".join(f"{tree} from {at_s - from_s:.3f}" for at_s, tree in world.ever_dual)


def _tree(name: str, resources: list[str], tree_id: int) -> TreeSpec:
    """Return a tree whose resources hang below each other in the order given; "vip" carries an address."""
    specs = tuple(
        ResourceSpec(
            r,
            "ipv4" if r == "vip" else "custom",
            after=(resources[i - 1],) if i else (),
            virtual_address="192.0.2.100" if r == "vip" else "",
        )
        for i, r in enumerate(resources)
    )
    return TreeSpec(name, tree_id, NODES, specs)


def _seconds(word: str) -> float:
    found = re.fullmatch(r"([0-9.]+)(ms|s|m)", word)
    if found is None:
        raise ValueError(f"{word!r} is not a time such as 500ms, 30s or 10m")
    return float(found[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0}[found[2]]


def _configure(s: Scenario, words: list[str]) -> None:
    """Take `set web failback stay`."""
    name, key, value = words
    kinds: dict[str, Callable[[str], object]] = {
        "failback": Failback,
        "start_mode": StartMode,
        "switch_policy": SwitchPolicy,
        "start_failure": StartFailure,
        "hold_down_s": float,
        "hosts": lambda v: tuple(v.split(",")),
    }
    s.trees = s.trees or [_tree("web", ["vip", "app"], 1)]
    s.trees = [replace(t, **{key: kinds[key](value)}) if t.name == name else t for t in s.trees]  # type: ignore[arg-type]


def _booted(s: Scenario, words: list[str]) -> None:
    for node in words:
        s.world.boot(node)
    s.world.run(SETTLE_S)
    s._told_from_s = s.world.now_s  # noqa: SLF001


def _sides(words: list[str]) -> set[tuple[str, str]]:
    """Read `private` (both directions), `private from node1`, or `all` for every link."""
    links = LINKS if words[0] == "all" else (words[0],)
    if any(link not in LINKS for link in links):
        raise ValueError(f"links are {', '.join(LINKS)} and all")
    senders = (words[2],) if words[1:2] == ["from"] else NODES
    return {(link, sender) for link in links for sender in senders}


def _unplug(s: Scenario, words: list[str]) -> None:
    s.world.public_cut.add(words[0])
    s.world.cut |= {(PUBLIC, n) for n in NODES}


def _heal(s: Scenario, _: list[str]) -> None:
    for cuts in (s.world.cut, s.world.muted, s.world.reference_cut, s.world.public_cut):
        cuts.clear()
    s.world.foreign.clear()
    s.world.loss = 0.0


def _order(s: Scenario, words: list[str]) -> None:
    """Take `order start web on node2 at node1`, and stop, move, release likewise."""
    verb, tree = words[0], words[1]
    rest = dict(zip(words[2::2], words[3::2], strict=True))
    at = rest.get("at") or next(n for n in NODES if s.world.machines[n].daemon_up)
    engine = s.world.machines[at].engine
    assert engine is not None
    known = engine.state.tree(tree)
    assert known is not None
    goal = Goal.STOP if verb == "stop" else Goal.RUN
    s.world.order(at, tree, Order(known.order.number + 1, goal, rest.get("on", "")))


def _fails(s: Scenario, words: list[str]) -> None:
    """Take `fails node1 web/app start`."""
    node, (tree, resource) = words[0], words[1].split("/")
    known = s.world.behaviour.setdefault((node, tree, resource), Behaviour())
    if words[2] == "start":
        known.start_ok = False
    elif words[2] == "stop":
        known.stop_ok = False
    else:
        raise ValueError("what fails is start or stop")


def _works(s: Scenario, words: list[str]) -> None:
    tree, resource = words[1].split("/")
    s.world.behaviour[words[0], tree, resource] = Behaviour()


def _profile(s: Scenario, words: list[str]) -> None:
    if words[0] not in PROFILES:
        raise ValueError(f"profiles are {', '.join(PROFILES)}")
    s.profile = words[0]


def _power_off(s: Scenario, words: list[str]) -> None:
    for node in words:
        s.world.power_off(node)


def _break(s: Scenario, words: list[str]) -> None:
    tree, resource = words[1].split("/")
    s.world.break_resource(words[0], tree, resource)


def _found(s: Scenario, words: list[str]) -> None:
    """Take `found node2 web/app running`."""
    tree, resource = words[1].split("/")
    s.world.find(words[0], tree, resource, ResourceState(words[2]))


def _add(s: Scenario, words: list[str]) -> None:
    """Take `add web/more`: the tree gets one more resource, which needs no other."""
    tree, resource = words[0].split("/")
    trees = s.world.machines[NODES[0]].cluster.trees
    more = ResourceSpec(resource, "custom")
    s.world.reconfigure(
        tuple(replace(t, resources=(*t.resources, more)) if t.name == tree else t for t in trees)
    )


def _marked(act: Callable[[Scenario, list[str]], None], name: str) -> Callable[[Scenario, list[str]], None]:
    def acted(s: Scenario, words: list[str]) -> None:
        s.mark(" ".join([name, *words]))
        act(s, words)

    return acted


_QUIET: dict[str, Callable[[Scenario, list[str]], None]] = {
    "profile": _profile,
    "policy": lambda s, w: setattr(s, "policy", Policy(w[0])),
    "references": lambda s, w: setattr(s, "references", tuple(w)),
    "seed": lambda s, w: setattr(s, "seed", int(w[0])),
    "tree": lambda s, w: s.trees.append(_tree(w[0], w[1:], len(s.trees) + 1)),
    "set": _configure,
    "booted": _booted,
    "run": lambda s, w: s.world.run(_seconds(w[0])),
}

_TOLD: dict[str, Callable[[Scenario, list[str]], None]] = {
    "boot": lambda s, w: s.world.boot(w[0]),
    "poweroff": _power_off,
    "kill": lambda s, w: s.world.kill_daemon(w[0]),
    "daemon": lambda s, w: s.world.start_daemon(w[0]),
    "pause": lambda s, w: s.world.pause(w[0]),
    "resume": lambda s, w: s.world.resume(w[0]),
    "cut": lambda s, w: s.world.cut.update(_sides(w)),
    "mute": lambda s, w: s.world.muted.update(_sides(w)),
    "unplug": _unplug,
    "no-reference": lambda s, w: s.world.reference_cut.update(w),
    "heal": _heal,
    "loss": lambda s, w: setattr(s.world, "loss", float(w[0].rstrip("%")) / 100),
    "delay": lambda s, w: setattr(s.world, "delay_s", _seconds(w[0])),
    "order": _order,
    "break": _break,
    "fails": _fails,
    "works": _works,
    "found": _found,
    "add": _add,
    "foreign": lambda s, w: s.world.foreign.update({w[0]: " ".join(w[1:])}),
    "detach": lambda s, w: s.world.leave(w[0], stop_trees=False),
    "shutdown": lambda s, w: s.world.leave(w[0], stop_trees=True),
}

COMMANDS = _QUIET | {name: _marked(act, name) for name, act in _TOLD.items()}


def play(text: str, language: str = "en") -> str:
    """Run a scenario and return its answer. Raises BadScenario where a line cannot be understood."""
    return Scenario(language=language).play(text)
