"""`servha resource agents`: which OCF agents this machine has, and what one of them wants to be told.

An agent tells it itself (action meta-data); nothing is kept, and nothing is said of agents that are not installed
here. Whether values are right is decided by kind `ocf`.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
from pathlib import Path
from typing import Final

from servha.cli import exits
from servha.cli.screen import Cell, Screen
from servha.core.words import say
from servha.resources import ocf_metadata
from servha.resources.ocf_metadata import Metadata
from servha.wire.rpc import Code, Refusal

ASK_S: Final = 10.0
ACTIONS: Final = ("start", "stop", "monitor", "validate-all")
"""Those that kind `ocf` runs."""


def run(args: argparse.Namespace, screen: Screen) -> int:
    """List the agents, or describe one."""
    root = os.environ.get("OCF_ROOT", ocf_metadata.ROOT)
    agents = installed(Path(root))
    if args.agent is None:
        return _list(agents, screen)
    name = _one_of(agents, args.agent)
    knows = _ask(name, root)
    if screen.json:
        screen.answer({"agents": {name: dataclasses.asdict(knows)}})
        return exits.OK
    screen.line(f"{name}: {knows.short or '-'}", mood="strong")
    rows: list[list[Cell | str]] = []
    for one in knows.parameters.values():
        default = screen.words(say("required")) if one.required else one.default or "-"
        rows.append([Cell(one.name, "strong"), one.type, default, one.short])
    screen.table(rows)
    advised = ", ".join(f"{a} {knows.actions[a]:g} s" for a in ACTIONS if knows.actions.get(a))
    if advised:
        screen.line(say("The agent advises at least: {times}", times=advised))
    example = " ".join(f"{p.name}=VALUE" for p in knows.parameters.values() if p.required)
    screen.line(
        say(
            "To use it: {command}",
            command=f"servha resource create TREE/RESOURCE ocf agent={name}"
            + (f" parameters='{example}'" if example else ""),
        )
    )
    return exits.OK


def installed(root: Path) -> list[str]:
    """Return the names of all agents below `root`, as in ocf:heartbeat:Dummy; sorted."""
    return sorted(
        f"ocf:{path.parent.name}:{path.name}"
        for path in (root / "resource.d").glob("*/*")
        if path.is_file() and os.access(path, os.X_OK) and not path.name.startswith(".")
    )


def _list(agents: list[str], screen: Screen) -> int:
    if screen.json:
        screen.answer({"agents": dict.fromkeys(agents)})
        return exits.OK
    for name in agents:
        screen.line(name)
    if not agents:
        screen.line(say("No OCF agent is installed here: the package resource-agents brings them"))
    return exits.OK


def _one_of(agents: list[str], word: str) -> str:
    """Find "Dummy", "heartbeat:Dummy" or the full name. Raises `Refusal` where there is none, or several."""
    found = [name for name in agents if name == word or name.endswith(f":{word}")]
    if len(found) == 1:
        return found[0]
    near = found or [name for name in agents if word.rpartition(":")[2].lower() in name.lower()]
    raise Refusal(
        Code.NO_SUCH,
        say(
            "there is no single agent {agent} on this node; there are: {known}",
            agent=word,
            known=", ".join(near or agents) or "-",
        ),
    )


def _ask(name: str, root: str) -> Metadata:
    """Let the agent describe itself. Raises `Refusal` when it does not."""
    provider, kind = ocf_metadata.split(name) or ("", name)
    path = str(ocf_metadata.path_of(provider, kind, root))
    try:
        told = subprocess.run(
            [path, "meta-data"],
            env={**os.environ, "OCF_ROOT": root, "OCF_RESOURCE_INSTANCE": "RESOURCE"},
            capture_output=True,
            check=True,
            timeout=ASK_S,
        )
        return ocf_metadata.metadata_of(told.stdout.decode("utf-8", "replace"))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise Refusal(
            Code.FAILED,
            say("{agent} tells nothing usable of itself: {reason}", agent=name, reason=str(error)),
        ) from error
