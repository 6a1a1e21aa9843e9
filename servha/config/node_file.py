"""/etc/servha/servha.toml: what is this node's own business, written by hand or by Ansible.

What both nodes must agree on stands in the replicated document and cannot be set here; a setting from there
gets that answer. A missing file is fine: every setting has a default.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from servha.config.problem import Problem
from servha.config.reading import Reading, fields_of
from servha.config.shape import Document, Name, Port, Ports
from servha.core.words import say

PATH = Path("/etc/servha/servha.toml")
_SIZE_MAX = 256 * 1024

Directory = Annotated[str, Meta(pattern=r"^/[^\x00\n]*$", max_length=1024)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Directories:
    """Where this node keeps its files."""

    etc: Directory = "/etc/servha"
    state: Directory = "/var/lib/servha"
    run: Directory = "/run/servha"
    log: Directory = "/var/log/servha"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPorts:
    """Ports on which only this node listens for people; None: as the cluster has it."""

    discovery: Port | None = None
    management: Port | None = None
    console: Port | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFile:
    """This node's own settings."""

    name: Name | None = None
    """What this node calls itself when it makes or joins a cluster; None: the host name."""
    directories: Directories = field(default_factory=Directories)
    ports: OwnPorts = field(default_factory=OwnPorts)
    debug: bool = False

    def ports_of(self, cluster: Ports) -> Ports:
        """Return the ports this node uses in a cluster that has `cluster`."""
        own = {name: getattr(self.ports, name) for name in ("discovery", "management", "console")}
        return replace(cluster, **{name: number for name, number in own.items() if number is not None})


def load(path: Path = PATH) -> tuple[NodeFile | None, list[Problem]]:
    """Return the settings in the file, the defaults if there is none, or None and every problem."""
    try:
        with path.open("rb") as file:
            content = file.read(_SIZE_MAX + 1)
    except FileNotFoundError:
        return NodeFile(), []
    except OSError as error:
        because = say("cannot be read: {reason}", reason=error.strerror or str(error))
        return None, [Problem(str(path), because, say("it must be a file that root may read"))]
    return parse(content, str(path))


def parse(content: bytes, name: str = str(PATH)) -> tuple[NodeFile | None, list[Problem]]:
    """Like `load`, for the bytes of a file called `name`."""
    if len(content) > _SIZE_MAX:
        because = say("{size} bytes are more than {most}", size=len(content), most=_SIZE_MAX)
        return None, [Problem(name, because, say("is this the right file?"))]
    try:
        data = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        because = say("is not TOML: {reason}", reason=str(error))
        return None, [Problem(name, because, say("correct that line"))]
    reading = Reading()
    found = reading.build(
        NodeFile,
        data,
        "",
        {
            "directories": lambda raw, at: reading.some(reading.build(Directories, raw, at)),
            "ports": lambda raw, at: reading.some(reading.build(OwnPorts, raw, at)),
        },
    )
    problems = [_shared(problem) for problem in reading.problems]
    return (None, problems) if problems else (found, [])


_SHARED = {*fields_of(Document)[0], *(f"ports.{name}" for name in fields_of(Ports)[0])}


def _shared(problem: Problem) -> Problem:
    """Tell where a setting belongs that this file cannot hold because both nodes must agree on it."""
    if problem.because.template != "is not a known setting" or problem.path not in _SHARED:
        return problem
    return replace(problem, remedy=say("both nodes share this setting: change it with the command servha"))
