"""What an OCF resource agent says about itself: the XML of its action meta-data, read into values.

Decides which part of it counts here: parameters with type, default and whether they are required, and the time
that the agent advises for each action. Refuses to run agents, and to believe more than it can read: anything
that is no meta-data is a `ValueError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from xml.etree import ElementTree as ET

from servha.core.words import Text, say

ROOT = "/usr/lib/ocf"
"""OCF_ROOT of every distribution that ships agents."""
AGENT_NAME = re.compile(r"(?:ocf:)?([A-Za-z0-9_][A-Za-z0-9_.+-]*):([A-Za-z0-9_][A-Za-z0-9_.+-]*)")
_UNIT_S = {"": 1.0, "s": 1.0, "sec": 1.0, "ms": 0.001, "msec": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter; `default` is what the agent says, and may be a description rather than a value."""

    name: str
    type: str = "string"
    required: bool = False
    default: str = ""
    short: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What one agent knows and advises."""

    short: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    actions: Mapping[str, float] = field(default_factory=dict)
    """Action -> the seconds it should be given at least; 0 where the agent does not say. Of several monitors
    the longest counts."""

    def problems(self, agent: str, given: Mapping[str, str]) -> Iterable[Text]:
        """What is wrong with these parameters as far as the meta-data tells.

        A "boolean" may be anything: that of Filesystem's force_unmount is "safe" as well.
        """
        known = ", ".join(sorted(self.parameters)) or "-"
        for name in given:
            if name not in self.parameters:
                yield say(
                    "{agent} has no parameter {name}; it knows {known}", agent=agent, name=name, known=known
                )
        for one in self.parameters.values():
            value = given.get(one.name)
            if value is None:
                if one.required:
                    yield say(
                        "parameter {name} of {agent} is missing ({short}): give it as {name}=VALUE",
                        name=one.name,
                        agent=agent,
                        short=one.short or one.type,
                    )
            elif one.type == "integer" and not re.fullmatch(r"[+-]?\d+", value):
                yield say(
                    "parameter {name} of {agent} is {value}, it has to be a whole number",
                    name=one.name,
                    agent=agent,
                    value=value,
                )


def split(agent: str) -> tuple[str, str] | None:
    """Return (provider, type) of "ocf:heartbeat:Dummy"; the "ocf:" may be left out. None for anything else."""
    found = AGENT_NAME.fullmatch(agent)
    return (found[1], found[2]) if found else None


def path_of(provider: str, kind: str, root: str = ROOT) -> PurePosixPath:
    """Where the agent lies."""
    return PurePosixPath(root) / "resource.d" / provider / kind


def metadata_of(text: str) -> Metadata:
    """Read what action meta-data printed. Raises ValueError with the reason."""
    begin = min((at for at in (text.find("<?xml"), text.find("<resource-agent")) if at >= 0), default=-1)
    if begin < 0:
        raise ValueError("no resource-agent element")
    if "<!ENTITY" in text:
        raise ValueError("it declares XML entities")
    try:
        top = ET.fromstring(text[begin:].strip())  # noqa: S314 - an agent runs as root; entities were refused
    except ET.ParseError as error:
        raise ValueError(str(error)) from error
    if top.tag != "resource-agent":
        raise ValueError(f"it begins with {top.tag}, not with resource-agent")
    parameters = {}
    for one in top.iterfind("parameters/parameter"):
        name = one.get("name", "")
        content = one.find("content")
        attributes = content.attrib if content is not None else {}
        if name:
            parameters[name] = Parameter(
                name=name,
                type=attributes.get("type", "string"),
                required=one.get("required", "0") in {"1", "true", "yes"},
                default=attributes.get("default", ""),
                short=_short(one),
            )
    actions: dict[str, float] = {}
    for action in top.iterfind("actions/action"):
        name = action.get("name", "")
        actions[name] = max(actions.get(name, 0.0), seconds_of(action.get("timeout", "")))
    return Metadata(short=_short(top), parameters=parameters, actions=actions)


def seconds_of(text: str) -> float:
    """Return a time of the meta-data in seconds; 0 for what cannot be read.

    >>> seconds_of("20s"), seconds_of("2min"), seconds_of("20"), seconds_of("500ms"), seconds_of("")
    (20.0, 120.0, 20.0, 0.5, 0.0)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text)
    return float(found[1]) * _UNIT_S.get(found[2], 0.0) if found else 0.0


def _short(element: ET.Element) -> str:
    found = element.find("shortdesc")
    return " ".join((found.text or "").split()) if found is not None else ""
