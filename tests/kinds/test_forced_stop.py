"""A stop that failed before: each step does what it says, and only what is seen stopped counts."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from servha.core.model import Force, ResourceState
from servha.core.words import say
from servha.daemon import forced_stop
from servha.daemon.forced_stop import stop_by_force
from servha.host import Completed, Disk, Finding, Mount, Process, ScriptedHost
from servha.resources import Custom, Place, SharedDisk

DEVICE = "/dev/disk/by-id/lun1"
DISK = SharedDisk(device=DEVICE, mount_point="/srv/web")
HERE = Mount(70, "8:16", "/srv/web", "ext4", "/dev/sdb", "8:16")
APP = Custom(start_script="/start", stop_script="/stop")
RUNNING, STOPPED, UNKNOWN = ResourceState.RUNNING, ResourceState.STOPPED, ResourceState.UNKNOWN


def place(host: ScriptedHost) -> Place:
    return Place(tree="web", resource="app", host=host, ownership=7, stop_timeout_s=0.2)


async def seen(state: ResourceState) -> Finding:
    return Finding(state, say("looked"), "test")


async def test_a_killed_group_counts_only_when_it_is_seen_stopped() -> None:
    host = ScriptedHost()
    group = host.cgroup_of("web", "app")
    for state, ok in ((STOPPED, True), (RUNNING, False), (UNKNOWN, False)):
        host.live(group, 100)
        outcome = await stop_by_force(APP, place(host), Force.KILL, lambda s=state: seen(s))  # type: ignore[misc]
        assert outcome.ok is ok, state
        assert not host.populated(group)
    assert not [call for call in host.calls if call[0] == "run"], "no stop script runs"


async def test_what_survives_being_killed_is_not_stopped() -> None:
    host = ScriptedHost()
    group = host.cgroup_of("web", "app")
    host.live(group, 100)
    host.unkillable.add(group)
    outcome = await stop_by_force(APP, place(host), Force.KILL, lambda: seen(RUNNING))
    assert not outcome.ok
    assert "hang in the kernel" in str(outcome.because)


async def test_once_more_is_the_ordinary_stop() -> None:
    host = ScriptedHost(programs={"/stop": [Completed(0)]})
    host.live(host.cgroup_of("web", "app"), 100)
    assert (await stop_by_force(APP, place(host), Force.AGAIN, lambda: seen(STOPPED))).ok
    assert [call[1] for call in host.calls if call[0] == "run"] == ["/stop"]


async def test_a_step_that_hangs_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forced_stop, "REST_S", 0.0)

    async def never() -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    host = ScriptedHost()
    outcome = await stop_by_force(APP, replace(place(host), stop_timeout_s=0.05), Force.KILL, never)
    assert not outcome.ok
    assert "had not ended within" in str(outcome.because)


# --- strangers on a file system -----------------------------------------------------------------------------------


@pytest.fixture
def busy() -> ScriptedHost:
    """A stranger stands in the file system; umount works once nobody uses it."""
    host = ScriptedHost()
    host.disks.here[DEVICE] = Disk("8:16")
    host.disks.mount(HERE)
    host.disks.using = (Process(4711, "backup", "", ()),)

    def umount() -> Completed:
        if 4711 not in host.disks.killed:
            return Completed(32, "umount: /srv/web: target is busy.\n")
        host.disks.mount()
        return Completed(0)

    host.programs["umount"] = [umount]
    return host


async def test_strangers_are_killed_only_in_the_step_that_says_so(
    busy: ScriptedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servha.resources.shared_disk.BUSY_WAIT_S", 0.0)

    async def look() -> Finding:
        return await DISK.check(place(busy))

    for force in (Force.AGAIN, Force.KILL):
        outcome = await stop_by_force(DISK, place(busy), force, look)
        assert (outcome.ok, busy.disks.killed) == (False, [])
        assert "4711 (backup)" in str(outcome.because)
    outcome = await stop_by_force(DISK, place(busy), Force.FREE, look)
    assert (outcome.ok, busy.disks.killed) == (True, [4711])


async def test_nobody_is_killed_for_another_disk_in_its_place(busy: ScriptedHost) -> None:
    busy.disks.mount(replace(HERE, disk="8:32", files="8:32"))
    outcome = await stop_by_force(DISK, place(busy), Force.FREE, lambda: seen(RUNNING))
    assert (outcome.ok, busy.disks.killed) == (False, [])
