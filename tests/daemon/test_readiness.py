"""The measuring of preconditions by itself: ports, room, what is left over, and the minutes after a boot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from servha.config.document import ClusterSection, Document, NodeSection, ResourceSection, TreeSection
from servha.core.engine import Engine
from servha.core.events import Event, ReadinessTold, Remembered, TreeMemory
from servha.core.model import Goal, Order, Phase, Ready
from servha.daemon import preconditions, readiness
from servha.daemon.preconditions import no_room
from servha.daemon.readiness import Readiness
from servha.host import Listener, Process, ScriptedHost
from servha.wire.rpc import Args, Json
from tests.kinds.conftest import until

PORT = 8080
LONG_AFTER_BOOT_S = 3600.0
EVERYWHERE = "0.0.0.0"  # noqa: S104 - listened to by nobody


def document() -> Document:
    app = ResourceSection(
        name="app",
        kind="custom",
        settings={"start_script": "/opt/web/start"},
        detectors=({"kind": "port", "port": PORT, "program": "webd"},),
    )
    vip = ResourceSection(name="vip", kind="ipv4", settings={"address": "192.0.2.50/24", "nic": "eth0"})
    tree = TreeSection(name="web", id=1, hosts=("node1",), resources=(vip, app))
    return Document(
        cluster=ClusterSection(name="c", id="0" * 32), nodes=(NodeSection(name="node1", id=0),), trees=(tree,)
    )


class Node:
    """One node with a tree that is off; what is told about `app` is kept, newest last."""

    def __init__(self, directory: Path) -> None:
        self.host = ScriptedHost().with_nic("eth0")
        self.host.on_nic["eth0"] = ["192.0.2.1/24"]
        self.host.now_s = LONG_AFTER_BOOT_S
        self.engine = Engine(document().cluster_for("node1"), incarnation="one", now_s=0.0)
        self.engine.handle(Remembered(0.1, (TreeMemory("web", Phase.OFF, 1, Order(1, Goal.STOP), ()),)))
        self.told: dict[str, list[Ready]] = {"": [], "vip": [], "app": []}
        self.readiness = Readiness(
            us="node1",
            host=self.host,
            state_directory=directory,
            state=lambda: self.engine.state,
            happen=self._happen,
            ask_peer=self._nobody,
        )

    def _happen(self, event: Event) -> None:
        assert isinstance(event, ReadinessTold)
        self.told[event.resource].append(event.ready)
        self.engine.handle(event)

    async def _nobody(self, _verb: str, _args: Args) -> Json:
        raise AssertionError("there is no peer to ask")

    def problems(self, resource: str = "app") -> list[str]:
        """What stands against the resource now; fails when it was not looked at yet."""
        return [str(text) for text in self.told[resource][-1].problems]

    def listens(self, address: str, name: str, pid: int) -> None:
        self.host.listening = (Listener("tcp", address, PORT, 77),)
        self.host.owned = {77: Process(pid, name, f"/usr/sbin/{name}", (name,))}


Made = Callable[[], Node]


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(readiness, "BOOT_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(readiness, "SPREAD_S", 0.0)


@asynccontextmanager
async def measured(directory: Path, prepare: Callable[[Node], None] = lambda _: None) -> AsyncIterator[Node]:
    node = Node(directory)
    prepare(node)
    node.readiness.adapt(document())
    try:
        await until(lambda: bool(node.told["app"]), "the application was looked at")
        yield node
    finally:
        await node.readiness.close()


async def test_a_node_that_has_everything_is_ready(tmp_path: Path) -> None:
    async with measured(tmp_path) as node:
        assert node.problems() == node.problems("vip") == node.problems("") == []


@pytest.mark.parametrize("address", [EVERYWHERE, "::", "192.0.2.50"])
async def test_a_stranger_on_the_applications_port_is_named(tmp_path: Path, address: str) -> None:
    async with measured(tmp_path, lambda node: node.listens(address, "other", 4711)) as node:
        [problem] = node.problems()
        assert "port tcp/8080 is taken by other (process 4711)" in problem
        node.host.listening = ()
        await until(lambda: node.problems() == [], "the port is free again")


async def test_the_application_that_runs_where_it_must_not_is_named(tmp_path: Path) -> None:
    async with measured(tmp_path, lambda node: node.listens(EVERYWHERE, "webd", 815)) as node:
        [problem] = node.problems()
        assert "webd runs here as process 815" in problem
        assert "although the tree is off" in problem


async def test_somebody_on_another_address_leaves_the_application_room(tmp_path: Path) -> None:
    async with measured(tmp_path, lambda node: node.listens("192.0.2.1", "other", 4711)) as node:
        assert node.problems() == []


async def test_processes_of_the_resource_itself_are_named_once(tmp_path: Path) -> None:
    def left_over(node: Node) -> None:
        node.listens(EVERYWHERE, "webd", 815)
        node.host.running = (Process(815, "webd", "/usr/sbin/webd", ("webd",)),)
        node.host.living[node.host.cgroup_of("web", "app")] = (815,)

    async with measured(tmp_path, left_over) as node:
        assert node.problems() == ["it must be off here, but 815 (webd) of it run: end them"]


async def test_after_a_boot_what_is_missing_is_waited_for_first(tmp_path: Path) -> None:
    def booting(node: Node) -> None:
        node.host.now_s = 5.0
        node.host.links.clear()

    async with measured(tmp_path, booting) as node:
        [problem] = node.problems("vip")
        assert problem.startswith("waited for until 120 s after the boot: ")
        node.host.with_nic("eth0")
        await until(lambda: node.problems("vip") == [], "the interface is there")
        node.host.links.clear()
        node.host.now_s = 121.0
        await until(lambda: node.problems("vip") != [], "the interface is gone")
        assert "waited for" not in node.problems("vip")[0]


async def test_right_after_a_boot_red_checks_are_looked_at_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were it not so, a disk that comes 20 s after the boot would be seen only at the next slow round."""
    monkeypatch.setattr(readiness, "LOOK_EVERY_S", 3600.0)

    def booting(node: Node) -> None:
        node.host.now_s = 5.0
        node.host.links.clear()

    async with measured(tmp_path, booting) as node:
        node.host.with_nic("eth0")
        await until(lambda: node.problems("vip") == [], "it was looked at again")
        node.host.links.clear()
        await asyncio.sleep(0.1)
        assert node.problems("vip") == [], "once green, the slow round is enough"


def test_a_full_file_system_is_named_with_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert no_room(tmp_path, [f"{tmp_path}/data"]) == []
    monkeypatch.setattr(preconditions, "ROOM_LEAST_BYTES", 2**60)
    [first, *_] = [str(text) for text in no_room(tmp_path, [])]
    assert first.startswith(f"{tmp_path} has ")
    assert "1099511627776 are needed" in first


def test_a_directory_that_is_not_there_is_another_checks_business(tmp_path: Path) -> None:
    assert no_room(tmp_path / "no", [f"{tmp_path}/neither/data"]) == []
