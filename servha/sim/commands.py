"""The commands of a scenario: each does one thing to the simulated world, an operator's deed or an accident.

A command is a function of the scenario and its words; KeyError, IndexError and ValueError mean that the words cannot
be understood. What the nodes make of it is decided in core.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from servha.core.events import ReadinessTold, WindowsTold
from servha.core.model import (
    Failback,
    Goal,
    Maintenance,
    Order,
    Policy,
    Ready,
    ResourceSpec,
    ResourceState,
    StartFailure,
    StartMode,
    StopFailure,
    SwitchPolicy,
)
from servha.core.timing import PROFILES
from servha.core.words import Text
from servha.sim.disk import Condition
from servha.sim.machine import Behaviour
from servha.sim.scenario import SETTLE_S, Scenario, tree_of

Command = Callable[[Scenario, list[str]], object]

POLICIES = {"disk": Policy.DISK, "both": Policy.BOTH, "reference": Policy.REFERENCE}
"""Short names beside the policies' own."""


def seconds(word: str) -> float:
    """Read 500ms, 30s or 10m."""
    found = re.fullmatch(r"([0-9.]+)(ms|s|m)", word)
    if found is None:
        raise ValueError(f"{word!r} is not a time such as 500ms, 30s or 10m")
    return float(found[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0}[found[2]]


def _pair(word: str) -> tuple[str, str]:
    """Read web/app."""
    tree, resource = word.split("/")
    return tree, resource


def _node(s: Scenario, word: str) -> str:
    if word not in s.world.machines:
        raise ValueError(f"nodes are {', '.join(s.nodes)}")
    return word


# --- before the world is made ----------------------------------------------------------------------------------


def _profile(s: Scenario, words: list[str]) -> None:
    if words[0] not in PROFILES:
        raise ValueError(f"profiles are {', '.join(PROFILES)}")
    s.profile = words[0]


def _policy(s: Scenario, words: list[str]) -> None:
    s.policy = POLICIES.get(words[0]) or Policy(words[0])


def _configure(s: Scenario, words: list[str]) -> None:
    """Take `set web failback stay`."""
    name, key, value = words
    kinds: dict[str, Callable[[str], object]] = {
        "failback": Failback,
        "start_mode": StartMode,
        "switch_policy": SwitchPolicy,
        "start_failure": StartFailure,
        "hold_down_s": float,
        "failback_window": str,
        "stop_failure": StopFailure,
        "hosts": lambda v: tuple(v.split(",")),
    }
    s.trees = s.trees or [tree_of("web", ["vip", "app"], 1)]
    s.trees = [replace(t, **{key: kinds[key](value)}) if t.name == name else t for t in s.trees]  # type: ignore[arg-type]


def _booted(s: Scenario, words: list[str]) -> None:
    for node in words:
        s.world.boot(_node(s, node))
    s.world.run(SETTLE_S)
    s.told_from_s = s.world.now_s


# --- links and what answers on them ----------------------------------------------------------------------------


def _sides(s: Scenario, words: list[str]) -> set[tuple[str, str]]:
    """Read `private` (both directions), `private from node1`, or `all` for every link."""
    links = s.links if words[0] == "all" else (words[0],)
    if any(link not in s.links for link in links):
        raise ValueError(f"links are {', '.join(s.links)} and all")
    senders = (_node(s, words[2]),) if words[1:2] == ["from"] else s.nodes
    return {(link, sender) for link in links for sender in senders}


def _unplug(s: Scenario, words: list[str]) -> None:
    s.world.network.public_cut.add(_node(s, words[0]))
    s.world.network.cut |= {(s.public, n) for n in s.nodes}


def _storm(s: Scenario, words: list[str]) -> None:
    """Take everything but its power from a node: every link, the reference addresses, the disk."""
    node = _node(s, words[0])
    _unplug(s, words)
    s.world.network.cut |= {(link, n) for link in s.links for n in s.nodes}
    s.world.disk.set(s.world.machines[node].number, Condition.ERROR)


def _heal(s: Scenario, _: list[str]) -> None:
    s.world.network.heal()
    for number in (0, 1):
        s.world.disk.set(number, Condition.OK)


# --- the quorum disk, clocks, power ------------------------------------------------------------------------------


def _disk(s: Scenario, words: list[str]) -> None:
    """Take `disk node1 error`, ok, hang, stale, torn, foreign, blank, `slow 500ms` and `late 2s`; `all` for both."""
    kinds = (*Condition, "torn", "foreign", "blank", "slow", "late")
    if words[1] not in kinds:
        raise ValueError(f"a disk is {', '.join(kinds)}")
    nodes = s.nodes if words[0] == "all" else (_node(s, words[0]),)
    for number in (s.world.machines[n].number for n in nodes):
        access = s.world.disk.access[number]
        match words[1]:
            case "torn":
                access.torn_next = True
            case "foreign" | "blank":
                s.world.disk.spoil(number, blank=words[1] == "blank")
            case "slow":
                access.most_s = seconds(words[2])
                access.least_s = access.most_s / 2
            case "late":
                access.late_s = seconds(words[2])
            case word:
                s.world.disk.set(number, Condition(word))


def _clock(s: Scenario, words: list[str]) -> None:
    """Take `clock node1 rate 1.08` (slewed), `drift 0.997` (its oscillator) and `jump 60s` (BOOTTIME alone)."""
    clocks = s.world.machines[words[0]].clocks
    match words[1]:
        case "rate":
            clocks.slew(s.world.now_s, float(words[2]))
        case "drift":
            clocks.drift(s.world.now_s, float(words[2]))
        case "jump":
            clocks.jump(seconds(words[2]))
        case _:
            raise ValueError("a clock has a rate, drifts or jumps")


def _watchdog(s: Scenario, words: list[str]) -> None:
    """Take `watchdog node1 off`, and `watchdog node1 2s` for a driver that cannot do less."""
    dog = s.world.machines[words[0]].watchdog
    if words[1] == "off":
        dog.present = False
        s.world.witness.exclusive = False
    else:
        dog.least_s = seconds(words[1])


def _power_off(s: Scenario, words: list[str]) -> None:
    for node in words:
        s.world.power_off(_node(s, node))


def _processes(s: Scenario, words: list[str]) -> tuple[str, list[str]]:
    """Read `node1` (servhad), `guard node1` and `both node1`."""
    which = {"guard": ["guard"], "both": ["guard", "daemon"]}.get(words[0], ["daemon"])
    node = _node(s, words[-1])
    if "guard" in which and node not in s.world.guards:
        raise ValueError("there is a guard only under a policy with a quorum disk")
    return node, which


def _kill(s: Scenario, words: list[str]) -> None:
    node, which = _processes(s, words)
    if "guard" in which:
        s.world.guards[node].kill()
    if "daemon" in which:
        s.world.daemons[node].end()


def _pause(s: Scenario, words: list[str]) -> None:
    node, which = _processes(s, words)
    s.world.pause(node, *which)


def _resume(s: Scenario, words: list[str]) -> None:
    node, which = _processes(s, words)
    s.world.resume(node, *which)


# --- orders and resources ----------------------------------------------------------------------------------------


def _order(s: Scenario, words: list[str]) -> None:
    """Take `order start web on node2 at node1`; stop, move, release likewise; `force`: the peer was said to be off."""
    verb, tree = words[0], words[1]
    rest = dict(zip(words[2::2], words[3::2], strict=True))
    at = rest.get("at") or next(n for n in s.nodes if s.world.daemons[n].alive)
    engine = s.world.engine(at)
    known = engine.state.tree(tree) if engine is not None else None
    if known is None:
        raise ValueError(f"nobody on {at} knows {tree}")
    goal = Goal.STOP if verb == "stop" else Goal.RUN
    pin, forced = rest.get("on", ""), verb == "force"
    s.world.order(at, tree, Order(known.order.number + 1, goal, pin, forced=forced))


def _fails(s: Scenario, words: list[str]) -> None:
    """Take `fails node1 web/app start`."""
    known = s.world.behaviour_of(words[0], *_pair(words[1]))
    if words[2] == "start":
        known.start_ok = False
    elif words[2] == "stop":
        known.stop_ok = False
    else:
        raise ValueError("what fails is start or stop")


def _hangs(s: Scenario, words: list[str]) -> None:
    """Take `hangs node1 web/app stop`: it never ends; `kill`: nor is it killed; `free`: a stranger holds it."""
    known = s.world.behaviour_of(words[0], *_pair(words[1]))
    if words[2] not in ("stop", "kill", "free"):
        raise ValueError("what hangs is stop, kill or free")
    known.stop_s = float("inf")
    known.killable, known.held = words[2] != "kill", words[2] == "free"


def _window(s: Scenario, words: list[str]) -> None:
    """Take `window web open` and `window closed`: the time of day, which both nodes tell their cores."""
    names = frozenset(words[:-1])
    if words[-1] not in ("open", "closed") or (words[-1] == "closed") is bool(names):
        raise ValueError("a window is closed, or those of some trees are open")
    for daemon in s.world.daemons.values():
        daemon.tell(lambda now_s: WindowsTold(now_s, names))


def _readiness(s: Scenario, words: list[str]) -> None:
    """Take `unready node2 web/app "no such script"` and `ready node2 web/app`: what the node's checks find."""
    tree, resource = _pair(words[1])
    node, ready = _node(s, words[0]), Ready(tuple(Text(reason) for reason in words[2:]))
    for daemon in s.world.daemons.values():
        daemon.tell(lambda now_s: ReadinessTold(now_s, node, tree, resource, ready))


def _add(s: Scenario, words: list[str]) -> None:
    """Take `add web/more`: the tree gets one more resource, which needs no other."""
    tree, resource = _pair(words[0])
    trees = s.world.machines[s.nodes[0]].cluster.trees
    more = ResourceSpec(resource, "custom")
    s.world.reconfigure(
        tuple(replace(t, resources=(*t.resources, more)) if t.name == tree else t for t in trees)
    )


def _maintenance(s: Scenario, words: list[str]) -> None:
    """Take `maintenance web on new disk`, `web/app`, `node1`; `off` ends it, `web forgotten 8` reminds of it."""
    what, verb = words[0], words[1]
    cluster = s.world.machines[s.nodes[0]].cluster
    known = [m for m in cluster.maintenance if m.what != what]
    if verb != "off":
        engines = [e for n in s.nodes if (e := s.world.engine(n)) is not None]
        held = s.world.engine(what).state.holds if what in s.nodes and s.world.engine(what) else (what,)  # type: ignore[union-attr]
        numbers = {t.name: t.order.number for e in engines for t in e.state.trees}
        tree, _, resource = ("", "", "") if what in s.nodes else what.partition("/")
        known.append(
            Maintenance(
                " ".join(words[2:]) if verb == "on" else "forgotten",
                "root",
                tree=tree,
                resource=resource,
                node=what if what in s.nodes else "",
                orders=() if resource else tuple((t, numbers[t]) for t in held),
                forgotten_h=int(words[2]) if verb == "forgotten" else 0,
            )
        )
    s.world.reconfigure(cluster.trees, tuple(known))


def _marked(act: Command, name: str) -> Command:
    def acted(s: Scenario, words: list[str]) -> None:
        s.mark(" ".join([name, *words]))
        act(s, words)

    return acted


_QUIET: dict[str, Command] = {
    "profile": _profile,
    "policy": _policy,
    "references": lambda s, w: setattr(s, "references", tuple(w)),
    "seed": lambda s, w: setattr(s, "seed", int(w[0])),
    "tree": lambda s, w: s.trees.append(tree_of(w[0], w[1:], len(s.trees) + 1)),
    "set": _configure,
    "reboot-takes": lambda s, w: setattr(s.world, "reboot_s", seconds(w[0])),
    "watchdog": _watchdog,
    "booted": _booted,
    "begin": lambda s, _: s.begin(),
    "run": lambda s, w: s.world.run(seconds(w[0])),
}

_TOLD: dict[str, Command] = {
    "boot": lambda s, w: s.world.boot(_node(s, w[0])),
    "poweroff": _power_off,
    "kill": _kill,
    "daemon": lambda s, w: s.world.daemons[w[0]].start(),
    "pause": _pause,
    "resume": _resume,
    "freeze": lambda s, w: s.world.freeze(_node(s, w[0])),
    "suspend": lambda s, w: s.world.freeze(_node(s, w[0]), suspend=True),
    "thaw": lambda s, w: s.world.thaw(_node(s, w[0])),
    "clock": _clock,
    "disk": _disk,
    "cut": lambda s, w: s.world.network.cut.update(_sides(s, w)),
    "mute": lambda s, w: s.world.network.muted.update(_sides(s, w)),
    "unplug": _unplug,
    "storm": _storm,
    "no-reference": lambda s, w: s.world.network.reference_cut.update(w),
    "heal": _heal,
    "loss": lambda s, w: setattr(s.world.network, "loss", float(w[0].rstrip("%")) / 100),
    "delay": lambda s, w: setattr(s.world.network, "delay_s", seconds(w[0])),
    "jitter": lambda s, w: setattr(s.world.network, "jitter_s", seconds(w[0])),
    "order": _order,
    "break": lambda s, w: s.world.break_resource(w[0], *_pair(w[1])),
    "fails": _fails,
    "hangs": _hangs,
    "works": lambda s, w: s.world.behaviour.update({(w[0], *_pair(w[1])): Behaviour()}),
    "found": lambda s, w: s.world.find(w[0], *_pair(w[1]), ResourceState(w[2])),
    "add": _add,
    "window": _window,
    "maintenance": _maintenance,
    "unready": _readiness,
    "ready": _readiness,
    "foreign": lambda s, w: s.world.network.foreign.update({w[0]: " ".join(w[1:])}),
    "detach": lambda s, w: s.world.leave(w[0], stop_trees=False),
    "shutdown": lambda s, w: s.world.leave(w[0], stop_trees=True),
}

COMMANDS = _QUIET | {name: _marked(act, name) for name, act in _TOLD.items()}
