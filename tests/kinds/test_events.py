"""The system tells of every end, for each kind, long before the poll would: and the poll, which audits, misses none.

Polled every 50 ms and watched at the same time, nothing may be found first by the poll that an event tells of.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from servha.core.model import ResourceState
from servha.daemon.resource_worker import WorkerSettings
from servha.host import Completed, LocalHost, ScriptedHost
from servha.lab import disk as lab_disk
from servha.resources import Custom, Ipv4, SharedDisk
from tests.kinds.conftest import DEADLINE_S, Desk, Wire, until
from tests.kinds.test_real_disk import namespace  # noqa: F401 - a fixture

MakeDesk = Callable[..., Awaitable[Desk]]
Script = Callable[[str, str], str]
RUNNING, STOPPED, FAILED = ResourceState.RUNNING, ResourceState.STOPPED, ResourceState.FAILED
BOTH = WorkerSettings(check_interval_s=0.05)
NEVER = WorkerSettings(check_interval_s=3600.0)
LOOP_CTL_ADD, LOOP_CTL_REMOVE = 0x4C80, 0x4C81  # linux/loop.h
POLLS_S = 0.3
"""Several polls pass in this time, before and after: they must agree with what was told."""


@pytest.mark.root
@pytest.mark.parametrize("settings", [NEVER, BOTH], ids=["events alone", "with the poll"])
async def test_a_removed_address(
    host: LocalHost, wire: Wire, desk: MakeDesk, settings: WorkerSettings
) -> None:
    vip = await desk(host, Ipv4(address="192.0.2.100/24", nic="v0", conflict_wait_ms=0), settings=settings)
    assert (await vip.start()).ok
    for times in (1, 2, 3):
        await wire.later("ip", "addr", "del", "192.0.2.100/24", "dev", "v0")
        await until(lambda times=times: len(vip.reports) == times)  # type: ignore[misc]
    assert vip.states == [RUNNING] * 3
    await wire.later("ip", "addr", "del", "192.0.2.100/24", "dev", "v0")
    await until(lambda: vip.states[-1] is STOPPED)
    await asyncio.sleep(POLLS_S)
    assert vip.worker.events_missed == 0


@pytest.mark.root
async def test_an_interface_that_goes_down_with_the_poll_looking_on(
    host: LocalHost, wire: Wire, desk: MakeDesk
) -> None:
    vip = await desk(host, Ipv4(address="192.0.2.100/24", nic="v0", conflict_wait_ms=0), settings=BOTH)
    assert (await vip.start()).ok
    await wire.later("ip", "link", "set", "v1", "down", there=True)
    await until(lambda: vip.states == [FAILED])
    await asyncio.sleep(POLLS_S)
    assert vip.worker.events_missed == 0


@pytest.mark.root
@pytest.mark.parametrize("settings", [NEVER, BOTH], ids=["events alone", "with the poll"])
async def test_a_killed_application(
    host: LocalHost, script: Script, desk: MakeDesk, settings: WorkerSettings
) -> None:
    app = await desk(host, Custom(start_script=script("start", "sleep 1000 &")), settings=settings)
    group = host.cgroup_of("web", "app")
    for _ in range(3):
        assert (await app.start()).ok
        app.reports.clear()
        os.kill(host.cgroup_pids(group)[0], signal.SIGKILL)
        await until(lambda: app.states == [STOPPED])
    await asyncio.sleep(POLLS_S)
    assert app.worker.events_missed == 0


@pytest.mark.root
async def test_the_end_of_a_part_lets_the_test_script_judge_the_rest(
    host: LocalHost, script: Script, desk: MakeDesk
) -> None:
    group = host.cgroup_of("web", "app")
    kind = Custom(
        start_script=script("start", "sleep 1000 & sleep 1000 &"),
        test_script=script("test", f"[ $(wc -l <{group}/cgroup.procs) = 2 ]"),
    )
    app = await desk(host, kind, settings=NEVER)
    assert (await app.start()).ok
    os.kill(host.cgroup_pids(group)[0], signal.SIGKILL)
    await until(lambda: app.states == [FAILED])
    assert "processes are left: 1" in str(app.reports[0].because)
    assert (await app.stop()).ok


async def test_the_end_of_a_part_that_the_test_script_does_not_mind_is_no_news(desk: MakeDesk) -> None:
    host = ScriptedHost()
    group = host.cgroup_of("web", "app")

    def start() -> Completed:
        host.live(group, 100, 101)
        return Completed(0)

    host.programs = {"/start": [start], "/test": [Completed(0)]}
    app = await desk(host, Custom(start_script="/start", test_script="/test"), settings=NEVER)
    assert (await app.start()).ok
    await asyncio.sleep(0.01)
    tests = host.calls.count(("run", "/test"))
    host.lose(group, 101)
    await until(lambda: host.calls.count(("run", "/test")) == tests + 1)
    assert app.reports == []
    host.die(group)
    host.programs["/test"] = [Completed(1)]
    await until(lambda: app.states == [STOPPED])


async def test_what_only_a_question_can_find_is_no_missed_event(desk: MakeDesk) -> None:
    host = ScriptedHost()
    host.programs["/start"] = [Completed(0)]
    host.programs["/test"] = [Completed(0)]
    host.live(host.cgroup_of("web", "app"), 100)
    app = await desk(host, Custom(start_script="/start", test_script="/test"), settings=BOTH)
    assert (await app.start()).ok
    host.programs["/test"] = [Completed(1)]
    await until(lambda: app.states == [FAILED])
    assert app.worker.events_missed == 0


# --- disks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(namespace: None, tmp_path: Path) -> Iterator[SharedDisk]:  # noqa: F811
    """A file system on a loop device, known by a link as udev would make one."""
    image, where, link = tmp_path / "disk.img", tmp_path / "mounted", tmp_path / "by-id"
    lab_disk.make_file_system(image, 16)
    where.mkdir()
    loop = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
    link.symlink_to(loop.stdout.strip())
    try:
        yield SharedDisk(device=str(link), mount_point=str(where))
    finally:
        subprocess.run(["umount", "--recursive", where], check=False, capture_output=True)
        subprocess.run(["losetup", "--detach", loop.stdout.strip()], check=True)


@pytest.fixture
async def local(base: Path, tmp_path: Path) -> AsyncIterator[LocalHost]:
    async with LocalHost(node="node1", run_dir=tmp_path / "run", base=base) as host:
        yield host


async def unmount(where: str) -> None:
    """It is busy as long as a look at it is under way."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            child = await asyncio.create_subprocess_exec("umount", where)
            if await child.wait() == 0:
                return


@pytest.mark.root
@pytest.mark.parametrize("settings", [NEVER, BOTH], ids=["events alone", "with the poll"])
async def test_an_unmount_by_somebody_else(
    local: LocalHost, disk: SharedDisk, desk: MakeDesk, settings: WorkerSettings
) -> None:
    mounted = await desk(local, disk, settings=settings)
    assert (await mounted.start()).ok
    await unmount(disk.mount_point)
    await until(lambda: mounted.states == [STOPPED])
    await asyncio.sleep(POLLS_S)
    assert mounted.worker.events_missed == 0


def go_away(name: Path) -> None:
    """The name goes, as udev removes it, and the kernel tells that a disk has gone: another one, of our own."""
    name.rename(f"{name}-gone")
    number = 5000 + os.getpid() % 1000
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(control, LOOP_CTL_ADD, number)
        fcntl.ioctl(control, LOOP_CTL_REMOVE, number)
    finally:
        os.close(control)


def come_back(name: Path) -> None:
    Path(f"{name}-gone").rename(name)


@pytest.mark.root
async def test_a_disk_that_goes_away_while_it_is_mounted(
    local: LocalHost, disk: SharedDisk, desk: MakeDesk
) -> None:
    """The kernel lets no mounted loop device go, so what is seen here is the telling and the missing name."""
    mounted = await desk(local, disk, settings=NEVER)
    assert (await mounted.start()).ok
    await asyncio.sleep(0.05)
    go_away(Path(disk.device))
    await until(lambda: mounted.states == [FAILED])
    assert "no device" in str(mounted.reports[0].because)
    come_back(Path(disk.device))
    assert (await mounted.stop()).ok


@pytest.mark.root
async def test_a_name_that_outlived_its_disk_is_no_disk(local: LocalHost, tmp_path: Path) -> None:
    node = tmp_path / "sdz"
    os.mknod(node, 0o600 | 0o060000, os.makedev(7, 4999))
    assert await local.disks.disk(str(node)) is None
