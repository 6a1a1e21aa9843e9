"""What would happen if ...: the running configuration, played in virtual time with the daemon's own decisions.

`servha simulate` does it, in a process of its own and with bounds on what is played; nothing on the cluster moves. Here
only the wish is written down in its words. Refuses to judge what would be good.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, Final

from servha.console.answers import language
from servha.console.asking import ask
from servha.console.sessions import Session
from servha.core.words import say
from servha.wire.rpc import Code, Refusal

AT_ONCE: Final = 2
WITHIN_S: Final = 30.0
WHOLE_S: Final = 1200
"""The longest time that is played."""
SAID_MAX: Final = 300
SETTLE_S: Final = 30
Given = dict[str, Any]

_places = threading.BoundedSemaphore(AT_ONCE)


def simulate(session: Session, given: Given) -> Any:
    """POST /simulation {steps}: play them on the configuration in force, both nodes up."""
    config = ask(session, "config.get")["document"]
    steps = list(_commands(config, given["steps"]))
    commands = "; ".join([*_as_it_is(ask(session, "status")["trees"]), "begin", *steps])
    if not _places.acquire(blocking=False):
        raise Refusal(Code.TRY_AGAIN, say("other simulations are under way: try again in a moment"))
    try:
        return _played(config, commands)
    finally:
        _places.release()


def _played(config: Given, commands: str) -> Any:
    program = [sys.executable, "-m", "servha.cli.main", "simulate", commands, "--config", "-"]
    try:
        ran = subprocess.run(
            [*program, "-o", "json", "--lang", language()],
            input=json.dumps(config).encode(),
            capture_output=True,
            check=False,
            timeout=WITHIN_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refusal(
            Code.FAILED, say("the simulation did not end: {reason}", reason=str(error)[:SAID_MAX])
        ) from None
    try:
        told = json.loads(ran.stdout)
    except ValueError:
        told = {}
    if ran.returncode != 0 or "held" not in told:
        reason = told.get("error", {}).get("text") or ran.stderr.decode(errors="replace").strip()
        raise Refusal(Code.REFUSED, say("this cannot be simulated: {reason}", reason=reason[:SAID_MAX]))
    return told


def _as_it_is(trees: list[Given]) -> Iterator[str]:
    """Yield what brings every tree to where it is now."""
    for tree in trees:
        name, where = shlex.quote(tree["name"]), tree["running_on"]
        if tree["order"]["goal"] == "stop":
            yield f"order stop {name}"
        elif where and (where != tree["hosts"][0] or tree["order"]["pin"]):
            yield f"order move {name} on {shlex.quote(where)}"
    yield f"run {SETTLE_S}s"
    for tree in trees:
        if tree["order"]["goal"] != "stop" and not tree["order"]["pin"]:
            yield f"order release {shlex.quote(tree['name'])}"


def _commands(config: Given, steps: list[Given]) -> Iterator[str]:
    """Yield the words of `servha simulate`. Raises `Refusal` where a step names what is not there."""
    nodes = [node["name"] for node in config["nodes"]]
    trees = {tree["name"]: [one["name"] for one in tree["resources"]] for tree in config["trees"]}
    if sum(step["wait_s"] for step in steps) > WHOLE_S:
        raise Refusal(Code.USAGE, say("more than {most} s are not played", most=WHOLE_S))
    for step in steps:
        do, node, tree = step["do"], step.get("node", ""), step.get("tree", "")
        resource = step.get("resource", "")
        if do in ABOUT_A_NODE and node not in nodes:
            raise Refusal(Code.NO_SUCH, say("there is no node {node}", node=node or "-"))
        if do in ABOUT_A_TREE and tree not in trees:
            raise Refusal(Code.NO_SUCH, say("there is no tree {tree}", tree=tree or "-"))
        if do == "break" and resource not in trees[tree]:
            raise Refusal(
                Code.NO_SUCH, say("there is no resource {tree}/{name}", tree=tree, name=resource or "-")
            )
        yield from _words(do, shlex.quote(node), shlex.quote(tree), shlex.quote(f"{tree}/{resource}"))
        yield f"run {step['wait_s']}s"


ABOUT_A_NODE: Final = ("poweroff", "boot", "cable", "disk", "daemon", "move", "break")
ABOUT_A_TREE: Final = ("move", "break")


def _words(do: str, node: str, tree: str, resource: str) -> list[str]:
    return {
        "wait": [],
        "poweroff": [f"poweroff {node}"],
        "boot": [f"boot {node}"],
        "cable": [f"unplug {node}"],
        "links": ["cut all"],
        "disk": [f"disk {node} error"],
        "disks": ["disk all error"],
        "daemon": [f"kill {node}"],
        "break": [f"break {node} {resource}"],
        "move": [f"order move {tree} on {node}"],
        "heal": ["heal"],
    }[do]
