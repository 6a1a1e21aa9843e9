"""A real ext4 on a loop device, in a mount namespace of the test's own: mounted, used by others, let go of."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from servha.core.model import ResourceState
from servha.host import LocalHost
from servha.lab import disk as lab_disk
from servha.lab import kernel
from servha.resources import Place, SharedDisk
from tests.kinds.conftest import DEADLINE_S, Desk, until

CLONE_FS = 0x200
MakeDesk = Callable[..., Awaitable[Desk]]


def place(host: LocalHost) -> Place:
    return Place(
        tree="web", resource="app", host=host, ownership=7, stop_timeout_s=10.0, start_timeout_s=30.0
    )


@pytest.fixture
def namespace() -> Iterator[None]:
    """Mounts made from here on are seen by this process and its children only, and are gone afterwards."""
    before = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    directory = Path.cwd()
    kernel.unshare(kernel.CLONE_NEWNS)
    try:
        kernel.mount("none", Path("/"), flags=kernel.MS_REC | kernel.MS_PRIVATE)
        yield
    finally:
        # Threads that are still there share our place in the file system; from one of our own we can go back.
        kernel.unshare(CLONE_FS)
        kernel.setns(before, kernel.CLONE_NEWNS)
        os.close(before)
        os.chdir(directory)


@pytest.fixture
def device(namespace: None, tmp_path: Path) -> Iterator[str]:
    image = tmp_path / "disk.img"
    lab_disk.make_file_system(image, 16)
    loop = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
    name = loop.stdout.strip()
    try:
        yield name
    finally:
        subprocess.run(["umount", "--all-targets", "--recursive", name], check=False, capture_output=True)
        subprocess.run(["losetup", "--detach", name], check=True)


@pytest.fixture
def kind(device: str, tmp_path: Path) -> SharedDisk:
    where = tmp_path / "with a blank"
    where.mkdir()
    return SharedDisk(device=device, mount_point=str(where), fsck="before-mount", filesystem="ext4")


@pytest.fixture
async def local(base: Path, tmp_path: Path) -> AsyncIterator[LocalHost]:
    async with LocalHost(node="node1", run_dir=tmp_path / "run", base=base) as host:
        yield host


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


def spawn(group: Path, *argv: str) -> subprocess.Popen[bytes]:
    """A process in a group that has written its first byte."""
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True)
    (group / "cgroup.procs").write_text(str(child.pid), encoding="ascii")
    assert child.stdout is not None
    child.stdout.read(1)
    return child


def content(path: Path) -> str:
    return path.read_text(encoding="ascii") if path.exists() else ""


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii")


def namespace_of(pid: int) -> Path:
    return Path(f"/proc/{pid}/ns/mnt").readlink()


@contextlib.contextmanager
def running(*argv: str, cwd: str = "/") -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(argv, cwd=cwd, start_new_session=True) as child:
        try:
            yield child
        finally:
            child.kill()


def state(found: object) -> ResourceState:
    return found.state  # type: ignore[attr-defined, no-any-return]


@pytest.mark.root
async def test_a_real_disk_is_mounted_checked_and_let_go_of(
    local: LocalHost, kind: SharedDisk, desk: MakeDesk
) -> None:
    disk = await desk(local, kind)
    assert await kind.unfit(place(local)) == []
    for left in ("", "written\n"):
        for _ in range(2):
            outcome = await disk.start()
            assert outcome.ok, outcome
        file = Path(kind.mount_point, "file")
        assert content(file) == left
        write(file, "written\n")
        assert not await local.disks.unused(kind.device, timeout_s=0)
        for _ in range(2):
            outcome = await disk.stop()
            assert outcome.ok, outcome
        assert state(await kind.check(place(local))) is ResourceState.STOPPED
        assert content(file) == "", "it is on the disk and not below it"
        os.close(os.open(kind.device, os.O_RDONLY | os.O_EXCL))


@pytest.mark.root
async def test_an_outsider_is_named_and_lives_and_its_end_lets_the_disk_go(
    local: LocalHost, kind: SharedDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servha.resources.shared_disk.BUSY_WAIT_S", 0.3)
    assert (await kind.start(place(local))).ok
    shared = ("unshare", "--mount", "--propagation", "slave", "sleep", "1000")
    with running("sleep", "1000", cwd=kind.mount_point) as outsider, running(*shared) as bystander:
        await until(lambda: namespace_of(bystander.pid) != namespace_of(os.getpid()))
        outcome = await kind.stop(place(local))
        assert not outcome.ok
        assert f" in use by {outsider.pid} (sleep): end" in str(outcome.because)
        assert outsider.poll() is None
        assert state(await kind.check(place(local))) is ResourceState.RUNNING
    assert (await kind.stop(place(local))).ok


@pytest.mark.root
async def test_the_trees_own_processes_are_killed_with_an_open_file_or_a_mapped_one(
    local: LocalHost, kind: SharedDisk
) -> None:
    assert (await kind.start(place(local))).ok
    file = Path(kind.mount_point, "file")
    write(file, "x" * 8192)
    mapping = (
        "import mmap, os, sys, time; f = open(sys.argv[1], 'r+b'); m = mmap.mmap(f.fileno(), 0);"
        " os.closerange(3, 100); print(flush=True); time.sleep(1000)"
    )
    group = local.cgroup_of("web", "other")
    for argv in (("tail", "-f", str(file)), ("python3", "-c", mapping, str(file))):
        child = spawn(group, *argv)
        outcome = await kind.stop(place(local))
        assert outcome.ok, outcome
        with child:
            assert child.wait() == -signal.SIGKILL
        assert (await kind.start(place(local))).ok
    assert (await kind.stop(place(local))).ok


@pytest.mark.root
async def test_a_copy_of_the_mount_in_another_namespace_keeps_the_stop_from_being_over(
    local: LocalHost, kind: SharedDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service with a mount namespace of its own: here nothing is mounted any more, and the disk is still written."""
    monkeypatch.setattr("servha.resources.shared_disk.BUSY_WAIT_S", 0.3)
    assert (await kind.start(place(local))).ok
    with running("unshare", "--mount", "--propagation", "private", "sleep", "1000") as container:
        await until(lambda: namespace_of(container.pid) != namespace_of(os.getpid()))
        outcome = await kind.stop(place(local))
        assert not outcome.ok
        assert f"namespace of {container.pid} (" in str(outcome.because)
    assert (await kind.stop(place(local))).ok


@pytest.mark.root
async def test_an_unmount_by_hand_is_noticed_at_once_and_a_mount_on_top_too(
    local: LocalHost, kind: SharedDisk, desk: MakeDesk
) -> None:
    disk = await desk(local, kind)
    assert (await disk.start()).ok
    began = asyncio.get_running_loop().time()
    run("mount", "-t", "tmpfs", "none", kind.mount_point)
    await until(lambda: ResourceState.FAILED in disk.states)
    print(f"\na mount on top was reported after {(disk.reported_at[0] - began) * 1000:.1f} ms")
    run("umount", kind.mount_point)
    await until(lambda: disk.states[-1] is ResourceState.RUNNING)
    began = asyncio.get_running_loop().time()
    run("umount", kind.mount_point)
    await until(lambda: disk.states[-1] is ResourceState.STOPPED)
    print(f"an unmount was reported after {(disk.reported_at[-1] - began) * 1000:.1f} ms")
    assert disk.worker.events_missed == 0


@pytest.mark.root
async def test_a_hundred_changes_are_all_noticed(local: LocalHost, tmp_path: Path, namespace: None) -> None:
    with local.disks.mount_changes() as changes:
        for word in ["mount -t tmpfs none", "umount"] * 50:
            await asyncio.to_thread(subprocess.run, [*word.split(), str(tmp_path)], check=True)
            async with asyncio.timeout(DEADLINE_S):
                await changes.next()


@pytest.mark.root
async def test_a_disk_of_this_machines_own_table_or_mounted_elsewhere_is_refused(
    local: LocalHost, kind: SharedDisk, tmp_path: Path
) -> None:
    table = tmp_path / "fstab"
    write(table, f"# own\n{kind.device} /mnt ext4 noauto 0 0\n")
    kernel.bind(table, Path("/etc/fstab"))
    assert "take the line out" in str((await kind.start(place(local))).because)
    run("umount", "/etc/fstab")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run("mount", kind.device, str(elsewhere))
    assert str(elsewhere) in str((await kind.start(place(local))).because)
    assert state(await kind.check(place(local))) is ResourceState.FAILED
    run("umount", str(elsewhere))


@pytest.mark.root
async def test_a_read_only_turn_is_failed_and_a_wrecked_file_system_is_refused(
    local: LocalHost, kind: SharedDisk
) -> None:
    assert (await kind.start(place(local))).ok
    run("mount", "-o", "remount,ro", kind.mount_point)
    assert state(await kind.check(place(local))) is ResourceState.FAILED
    assert (await kind.stop(place(local))).ok
    run("dd", "if=/dev/zero", f"of={kind.device}", "bs=1M", "count=16", "conv=fsync")
    for wrecked in (kind, SharedDisk(device=kind.device, mount_point=kind.mount_point)):
        outcome = await wrecked.start(place(local))
        assert not outcome.ok
        assert "ended with code" in str(outcome.because)
        assert state(await wrecked.check(place(local))) is ResourceState.STOPPED


@pytest.mark.root
async def test_a_file_system_cut_off_from_its_disk_is_failed_and_can_be_stopped(
    local: LocalHost, kind: SharedDisk
) -> None:
    assert (await kind.start(place(local))).ok
    lab_disk.shut_down(Path(kind.mount_point))
    found = await kind.check(place(local))
    assert found.state is ResourceState.FAILED, found
    assert (await kind.stop(place(local))).ok


@pytest.mark.root
async def test_names_that_are_no_disk_or_no_directory_are_told_apart(
    local: LocalHost, kind: SharedDisk, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(kind.mount_point)
    (tmp_path / "file").touch()
    for changed, words in (
        ({"device": "/dev/nothing-here"}, "there is no device"),
        ({"device": "/dev/null"}, "is not a block device"),
        ({"mount_point": str(tmp_path / "nothing")}, "mkdir"),
        ({"mount_point": str(tmp_path / "file")}, "is not a directory"),
        ({"mount_point": str(link)}, "leads to"),
    ):
        problems = await dataclasses.replace(kind, **changed).unfit(place(local))  # type: ignore[arg-type]
        assert [(problem.field, words in str(problem.because)) for problem in problems] == [
            (next(iter(changed)), True)
        ]
