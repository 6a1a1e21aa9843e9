"""What stands against a change on this machine is named by the path of the field that is wrong."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from servha.config.document import ClusterSection, Document, Hooks, NodeSection, ResourceSection, TreeSection
from servha.core.words import say
from servha.daemon import machine_check
from servha.daemon.machine_check import machine_problems
from servha.host import ScriptedHost
from servha.resources.ipv4 import Ipv4
from servha.resources.kind import FieldProblem, Place

VIP = ResourceSection(name="vip", kind="ipv4", settings={"address": "192.0.2.50/24", "nic": "eth7"})


def document(*resources: ResourceSection) -> Document:
    tree = TreeSection(name="web", id=1, hosts=("node1",), resources=resources)
    return Document(
        cluster=ClusterSection(name="c", id="0" * 32), nodes=(NodeSection(name="node1", id=0),), trees=(tree,)
    )


async def paths(*resources: ResourceSection, host: ScriptedHost | None = None) -> list[str]:
    found = await machine_problems(document(), document(*resources), us="node1", host=host or ScriptedHost())
    return [problem.path for problem in found]


async def test_a_setting_is_named_where_it_stands() -> None:
    assert await paths(VIP) == ["trees.web.resources.vip.settings.nic"]
    own = dataclasses.replace(VIP, per_node={"node1": {"nic": "eth8"}})
    assert await paths(own) == ["trees.web.resources.vip.per_node.node1.nic"]


async def test_a_hook_is_named_where_it_stands() -> None:
    host = ScriptedHost().with_nic("eth7")
    host.on_nic["eth7"] = ["192.0.2.1/24"]
    host.script_problems["/opt/hook"] = say("not there")
    hooked = dataclasses.replace(VIP, hooks=Hooks(before_start=("/opt/hook",)))
    assert await paths(hooked, host=host) == ["trees.web.resources.vip.hooks.before_start"]


async def test_what_cannot_be_said_in_time_refuses_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(_kind: Ipv4, _place: Place) -> list[FieldProblem]:
        await asyncio.sleep(60.0)
        return []

    monkeypatch.setattr(Ipv4, "unfit", slow)
    monkeypatch.setattr(machine_check, "LOOK_TIMEOUT_S", 0.01)
    assert await paths(VIP) == []
