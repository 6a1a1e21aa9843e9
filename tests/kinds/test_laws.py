"""What every kind and every detector owes, whatever it is for. A new one is entered in the tables below."""

from __future__ import annotations

import asyncio
import dataclasses
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest

import servha.detectors
import servha.resources
from servha.core.model import ResourceState
from servha.core.words import say
from servha.detectors import DETECTOR_KINDS, Command, DetectorKind, Port, ProcessRuns, Url, together
from servha.host import Completed, Disk, Finding, HostError, Mount, Outcome, ScriptedHost
from servha.resources import (
    RESOURCE_KINDS,
    Custom,
    Ipv4,
    Ipv6,
    Ocf,
    Place,
    Process,
    ResourceKind,
    Service,
    SharedDisk,
)

RUNNING, STOPPED, FAILED, UNKNOWN = (
    ResourceState.RUNNING,
    ResourceState.STOPPED,
    ResourceState.FAILED,
    ResourceState.UNKNOWN,
)
BROKEN = HostError(say("the machine could not tell"))

CUSTOM = Custom(start_script="/opt/start", stop_script="/opt/stop", test_script="/opt/test")
EXAMPLES: dict[type[ResourceKind], ResourceKind] = {
    Ipv6: Ipv6(address="2001:db8::100/64", nic="eth0"),
    Ipv4: Ipv4(address="192.0.2.100/24", nic="eth0"),
    SharedDisk: SharedDisk(device="/dev/disk/by-id/lun1", mount_point="/srv/web"),
    Service: Service(unit="nginx.service"),
    Process: Process(program="/opt/program", arguments=("--foreground",)),
    Custom: CUSTOM,
    Ocf: Ocf(agent="ocf:heartbeat:Dummy"),
}
DETECTORS: dict[type[DetectorKind], DetectorKind] = {
    Port: Port(port=80),
    Url: Url(url="http://192.0.2.1:80/"),
    ProcessRuns: ProcessRuns(programs=("nginx",)),
    Command: Command(script="/opt/test"),
}
NOT_KINDS = {
    "__init__",
    "kind",
    "group",
    "virtual_address",
    "detector",
    "ocf_answers",
    "ocf_metadata",
}
UNIT_GROUP = "/system.slice/nginx.service"
TESTS = Path(__file__).parent


class Machine(ScriptedHost):
    """A machine on which the scripts really start and stop something."""

    def __init__(self) -> None:
        super().__init__()
        self.with_nic("eth0")
        self.on_nic["eth0"] = ["192.0.2.11/24"]
        self.group = self.cgroup_of("web", "app")
        self.programs = {
            "/opt/start": [partial(self._went, 100)],
            "/opt/stop": [self._went],
            "/opt/test": [lambda: Completed(0 if self.populated(self.group) else 1)],
            Ocf(agent="ocf:heartbeat:Dummy").path: [self._agent],
            "mount": [partial(self._mounted, Mount(70, "8:16", "/srv/web", "ext4", "/dev/sdb", "8:16"))],
            "umount": [self._mounted],
            "/opt/program": [Completed(0)],
            "/bin/sh": [partial(self._went, 200)],
            "systemctl": [self._systemctl],
        }
        self.disks.here["/dev/disk/by-id/lun1"] = Disk("8:16")

    async def vanish(self) -> None:
        """Take away what any of the examples runs, behind its back: kill -9, umount, ip addr del."""
        await self.delete_address("eth0", "192.0.2.100/24")
        await self.delete_address("eth0", "2001:db8::100/64")
        self.disks.mount()
        self.die(self.group)
        self.die(self.group_at(UNIT_GROUP))

    def cgroup_of(self, tree: str, resource: str) -> Path:
        if self.broken is not None:
            raise self.broken
        return super().cgroup_of(tree, resource)

    def _systemctl(self) -> Completed:
        """One unit, whose processes live in a group of systemd's."""
        if self.broken is not None:
            raise self.broken
        group = self.group_at(UNIT_GROUP)
        match self.calls[-1][2]:
            case "start":
                self.live(group, 300)
            case "stop" | "kill":
                self.die(group)
            case _:
                pass
        active = self.populated(group)
        state = "ActiveState=active\nSubState=running" if active else "ActiveState=inactive\nSubState=dead"
        return Completed(
            0, f"LoadState=loaded\n{state}\nMainPID=0\nControlGroup={UNIT_GROUP if active else ''}\n"
        )

    def _mounted(self, *mounts: Mount) -> Completed:
        self.disks.mount(*mounts)
        return Completed(0)

    def _agent(self) -> Completed:
        """An OCF agent that does what the scripts do, and answers with the codes of its own standard."""
        scripts = {"start": "/opt/start", "stop": "/opt/stop", "monitor": "/opt/test"}
        action = self.calls[-1][-1]
        if action not in scripts:
            return Completed(0, '<resource-agent name="Dummy" />')
        answer = self.programs[scripts[action]][0]
        if isinstance(answer, HostError):
            raise answer
        done = answer if isinstance(answer, Completed) else answer()
        return Completed(7) if action == "monitor" and done.code == 1 else done

    def _went(self, *pids: int) -> Completed:
        self.live(self.group, *pids) if pids else self.die(self.group)
        return Completed(0)


def place(host: ScriptedHost) -> Place:
    return Place(tree="web", resource="app", node="node1", host=host, ownership=3, reason=say("a test"))


# --- the lists are complete ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "listed"),
    [(servha.resources, RESOURCE_KINDS), (servha.detectors, DETECTOR_KINDS)],
    ids=["resources", "detectors"],
)
def test_every_file_is_a_listed_kind_with_tests_of_its_own(package: Any, listed: tuple[type, ...]) -> None:
    files = {path.stem for path in Path(package.__file__).parent.glob("*.py")} - NOT_KINDS
    assert files == {kind.__module__.rpartition(".")[2] for kind in listed}
    assert not [name for name in files if not (TESTS / f"test_{name}.py").exists()]


def test_every_kind_has_an_example_here() -> None:
    assert set(EXAMPLES) == set(RESOURCE_KINDS)
    assert set(DETECTORS) == set(DETECTOR_KINDS)


@pytest.mark.parametrize("kind", [*RESOURCE_KINDS, *DETECTOR_KINDS])
def test_a_kind_is_a_frozen_dataclass_whose_fields_say_what_they_are_for(kind: Any) -> None:
    assert kind.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(kind))
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        metas = [m for m in getattr(hints[field.name], "__metadata__", ()) if isinstance(m, msgspec.Meta)]
        assert metas, field.name
        assert metas[0].description, field.name


def test_names_are_unique() -> None:
    for kinds in (RESOURCE_KINDS, DETECTOR_KINDS):
        names = [kind.name for kind in kinds]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("example", [*EXAMPLES.values(), *DETECTORS.values()], ids=lambda e: e.name)
def test_an_example_has_no_problems_and_survives_being_saved(example: Any) -> None:
    assert example.problems() == []
    assert msgspec.json.decode(msgspec.json.encode(example), type=type(example)) == example


# --- starting, stopping, looking -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EXAMPLES.values(), ids=lambda k: k.name)
async def test_starting_twice_and_stopping_twice_is_fine(kind: ResourceKind) -> None:
    machine = Machine()
    for action, state in (
        (kind.start, RUNNING),
        (kind.stop, STOPPED),
        (kind.start, RUNNING),
        (kind.stop, STOPPED),
    ):
        for _ in range(2):
            outcome = await action(place(machine))
            assert outcome.ok, outcome
            found = await kind.check(place(machine))
            assert found is not None
            assert found.state is state


@pytest.mark.parametrize("kind", EXAMPLES.values(), ids=lambda k: k.name)
async def test_cleaning_up_leaves_nothing_and_twice_is_fine(kind: ResourceKind) -> None:
    machine = Machine()
    await kind.start(place(machine))
    for _ in range(2):
        assert (await kind.clean_up(place(machine))).ok
        found = await kind.check(place(machine))
        assert found is not None
        assert found.state is STOPPED
    assert ("run", "/opt/stop") not in machine.calls


@pytest.mark.parametrize("kind", EXAMPLES.values(), ids=lambda k: k.name)
@pytest.mark.parametrize("trouble", [BROKEN, Completed(None, timed_out=True), Completed(127), Completed(-9)])
async def test_a_check_never_says_stopped_when_it_could_not_tell(
    kind: ResourceKind, trouble: HostError | Completed
) -> None:
    machine = Machine()
    machine.broken = machine.disks.broken = BROKEN
    machine.programs["/opt/test"] = [trouble]
    found = await kind.check(place(machine))
    assert found is not None
    assert found.state is UNKNOWN
    assert str(found.because)


@pytest.mark.parametrize("detector", DETECTORS.values(), ids=lambda d: d.name)
@pytest.mark.parametrize("trouble", [BROKEN, Completed(None, timed_out=True), Completed(126), Completed(-9)])
async def test_a_detector_never_says_stopped_when_it_could_not_tell(
    detector: DetectorKind, trouble: HostError | Completed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_network(*_: object, **__: object) -> None:
        await asyncio.sleep(0)
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(asyncio, "open_connection", no_network)
    machine = Machine()
    machine.broken = machine.disks.broken = BROKEN
    machine.programs["/opt/test"] = [trouble]
    assert (await detector.detect(machine)).state is UNKNOWN


@pytest.mark.parametrize("kind", EXAMPLES.values(), ids=lambda k: k.name)
async def test_a_machine_that_refuses_makes_a_start_fail_in_words(kind: ResourceKind) -> None:
    machine = Machine()
    machine.broken = machine.disks.broken = BROKEN
    machine.programs["/opt/start"] = [BROKEN]
    outcome = await kind.start(place(machine))
    assert not outcome.ok
    assert str(outcome.because)


@pytest.mark.parametrize("kind", EXAMPLES.values(), ids=lambda k: k.name)
async def test_watching_tells_of_the_end(kind: ResourceKind) -> None:
    machine = Machine()
    await kind.start(place(machine))
    seen: list[Finding] = []

    async def look() -> None:
        async for finding in kind.watch(place(machine)):
            seen.append(finding)
            return

    looking = asyncio.create_task(look())
    for _ in range(20):
        await asyncio.sleep(0)
    await machine.vanish()
    async with asyncio.timeout(5):
        await looking
    assert [finding.state for finding in seen] == [STOPPED]


# --- several detectors (reading A09) -------------------------------------------------------------------------


def says(*states: ResourceState) -> list[Finding]:
    return [
        Finding(state, say("{who} looked", who=f"detector {at}"), f"d{at}") for at, state in enumerate(states)
    ]


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ((), UNKNOWN),
        ((RUNNING,), RUNNING),
        ((RUNNING, RUNNING), RUNNING),
        ((STOPPED, STOPPED), STOPPED),
        ((RUNNING, STOPPED), FAILED),
        ((STOPPED, FAILED), FAILED),
        ((RUNNING, UNKNOWN), UNKNOWN),
        ((STOPPED, UNKNOWN), UNKNOWN),
        ((RUNNING, STOPPED, UNKNOWN), FAILED),
        ((UNKNOWN, FAILED), FAILED),
    ],
)
def test_detectors_together(states: tuple[ResourceState, ...], whole: ResourceState) -> None:
    assert together(says(*states)).state is whole


def test_a_mixed_answer_names_who_says_what() -> None:
    text = str(together(says(RUNNING, STOPPED)).because)
    assert "detector 0" in text
    assert "detector 1" in text


def test_nothing_healed_by_a_kind_that_cannot() -> None:
    assert asyncio.run(CUSTOM.heal(place(Machine()))) is None
    assert asyncio.run(EXAMPLES[Ipv4].heal(place(Machine()))) == Outcome(ok=True)
