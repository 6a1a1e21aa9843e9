"""A shared disk: mounted in one place, by its number; let go of for certain, or the stop says who is in the way."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servha.core.model import ResourceState
from servha.core.words import say
from servha.host import (
    Completed,
    Disk,
    HostError,
    Mount,
    Process,
    ScriptedHost,
    TableEntry,
    mounts,
)
from servha.host.local_disks import LocalDisks
from servha.resources import Place, SharedDisk
from tests.kinds.conftest import until

DEVICE = "/dev/disk/by-id/lun1"
KIND = SharedDisk(device=DEVICE, mount_point="/srv/web")
HERE = Mount(70, "8:16", "/srv/web", "ext4", "/dev/sdb", "8:16")
OTHER = Mount(71, "8:32", "/srv/web", "ext4", "/dev/sdc", "8:32")


def place(host: ScriptedHost) -> Place:
    return Place(
        tree="web", resource="app", host=host, ownership=7, stop_timeout_s=10.0, start_timeout_s=30.0
    )


def mounting(host: ScriptedHost, *mounted: Mount) -> Callable[[], Completed]:
    """A program that leaves this mounted and says that all is well."""

    def program() -> Completed:
        host.disks.mount(*mounted)
        return Completed(0)

    return program


@pytest.fixture
def scripted() -> ScriptedHost:
    host = ScriptedHost(programs={"umount": [Completed(32, "umount: /srv/web: target is busy.\n")]})
    host.disks.here[DEVICE] = Disk("8:16")
    return host


# --- fields -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (SharedDisk(device="sdb", mount_point="/srv/web"), "device"),
        (SharedDisk(device=DEVICE, mount_point="srv"), "mount_point"),
        (SharedDisk(device=DEVICE, mount_point="/srv/../etc"), "mount_point"),
        (SharedDisk(device=DEVICE, mount_point="/srv/web/"), "mount_point"),
        (SharedDisk(device=DEVICE, mount_point="/"), "mount_point"),
        (SharedDisk(device=DEVICE, mount_point="/srv/web", options="ro, noatime"), "options"),
        (SharedDisk(device=DEVICE, mount_point="/srv/web", filesystem="-oloop"), "filesystem"),
        (SharedDisk(device=DEVICE, mount_point="/srv/web", filesystem=""), "filesystem"),
    ],
)
def test_what_cannot_be_mounted_is_refused(kind: SharedDisk, field: str) -> None:
    assert [problem.field for problem in kind.problems()] == [field]


# --- before the start ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "field", "words"),
    [
        (lambda d: d.here.clear(), "device", "there is no device"),
        (lambda d: d.here.update({DEVICE: Disk("8:16", ("dm-0",))}), "device", "dm-0"),
        (
            lambda d: d.mount(Mount(9, "8:16", "/mnt", "ext4", "/dev/sdb", "8:16")),
            "device",
            "mounted on /mnt",
        ),
        (lambda d: d.mount(OTHER), "mount_point", "/dev/sdc"),
        (lambda d: d.mount(HERE, OTHER), "mount_point", "/dev/sdc"),
        (
            lambda d: d.directory_problems.update({"/srv/web": say("no such place")}),
            "mount_point",
            "no such place",
        ),
        (lambda d: setattr(d, "entries", (TableEntry("UUID=1", "/old", "8:16"),)), "device", "UUID=1"),
        (
            lambda d: setattr(d, "entries", (TableEntry("/dev/sdx", "/srv/web", ""),)),
            "mount_point",
            "/dev/sdx",
        ),
        (lambda d: setattr(d, "broken", HostError(say("it hangs"))), "device", "hangs"),
    ],
)
async def test_an_unfit_machine_is_told_why_and_mounts_nothing(
    scripted: ScriptedHost, spoil: Callable[[object], None], field: str, words: str
) -> None:
    assert await KIND.unfit(place(scripted)) == []
    spoil(scripted.disks)
    problems = await KIND.unfit(place(scripted))
    assert (field, True) in [(problem.field, words in str(problem.because)) for problem in problems]
    outcome = await KIND.start(place(scripted))
    assert not outcome.ok
    assert not [call for call in scripted.calls if call[0] == "run"]


async def test_what_is_mounted_as_it_should_be_is_fit(scripted: ScriptedHost) -> None:
    scripted.disks.mount(HERE)
    assert await KIND.unfit(place(scripted)) == []
    assert "already" in str((await KIND.start(place(scripted))).because)


async def test_a_mount_is_believed_only_when_it_is_seen(scripted: ScriptedHost) -> None:
    """mount(8) said yes, but another disk stands there: the number tells, not the name."""
    scripted.programs["mount"] = [mounting(scripted, OTHER)]
    outcome = await KIND.start(place(scripted))
    assert not outcome.ok
    assert "is not on /srv/web" in str(outcome.because)


@pytest.mark.parametrize(
    ("code", "mounted"), [(0, True), (1, True), (2, False), (4, False), (8, False), (-9, False)]
)
async def test_a_file_system_that_could_not_be_repaired_is_not_mounted(
    scripted: ScriptedHost,
    code: int,
    mounted: bool,  # noqa: FBT001
) -> None:
    scripted.programs["fsck"] = [Completed(code, "lun1: UNEXPECTED INCONSISTENCY\n")]
    scripted.programs["mount"] = [mounting(scripted, HERE)]
    kind = SharedDisk(
        device=DEVICE, mount_point="/srv/web", filesystem="ext4", fsck="before-mount", options="noatime"
    )
    outcome = await kind.start(place(scripted))
    assert outcome.ok is mounted
    assert scripted.calls[0] == ("run", "fsck", "-T", "-t", "ext4", DEVICE, "-a")
    wished = ("run", "mount", "-t", "ext4", "-o", "noatime", DEVICE, "/srv/web")
    assert (wished in scripted.calls) is mounted
    assert mounted or "INCONSISTENCY" in str(outcome.because)


# --- stopping -----------------------------------------------------------------------------------------------------


async def test_who_uses_it_is_named_and_only_the_trees_own_are_killed(
    scripted: ScriptedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servha.resources.shared_disk.BUSY_WAIT_S", 0.2)
    scripted.disks.mount(HERE)
    scripted.disks.using = (Process(100, "app", "/app", ()), Process(200, "bash", "/bin/bash", ()))
    scripted.live(scripted.cgroup_of("web", "other"), 100, 101)
    outcome = await KIND.stop(place(scripted))
    assert not outcome.ok
    assert "200 (bash)" in str(outcome.because)
    assert scripted.disks.killed == [100]
    assert not [call for call in scripted.calls if "-l" in call], "a lazy unmount is no stop"


@pytest.mark.parametrize(
    ("mounted", "words"),
    [
        ((HERE,), "NFS exports"),
        ((HERE, Mount(80, "8:48", "/srv/web/sub", "ext4", "/dev/sdd", "8:48")), "/srv/web/sub"),
    ],
)
async def test_a_stop_that_fails_without_a_user_says_where_to_look(
    scripted: ScriptedHost, mounted: tuple[Mount, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servha.resources.shared_disk.BUSY_WAIT_S", 0.1)
    scripted.disks.mount(*mounted)
    outcome = await KIND.stop(place(scripted))
    assert not outcome.ok
    assert words in str(outcome.because)


async def test_a_stop_is_not_over_while_something_holds_the_device(scripted: ScriptedHost) -> None:
    scripted.programs["umount"] = [mounting(scripted)]
    scripted.disks.mount(HERE)
    scripted.disks.held.add("8:16")
    outcome = await KIND.stop(place(scripted))
    assert not outcome.ok
    assert "on top of it" in str(outcome.because)


async def test_another_disk_in_its_place_is_left_alone(scripted: ScriptedHost) -> None:
    scripted.disks.mount(OTHER)
    assert not (await KIND.stop(place(scripted))).ok
    assert not scripted.calls


# --- looking ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "state"),
    [
        (lambda d: None, ResourceState.RUNNING),
        (lambda d: d.mount(), ResourceState.STOPPED),
        (lambda d: d.mount(HERE, OTHER), ResourceState.FAILED),
        (lambda d: d.mount(Mount(9, "8:16", "/mnt", "ext4", "/dev/sdb", "8:16")), ResourceState.FAILED),
        (
            lambda d: d.mount(Mount(9, "8:16", "/srv/web", "ext4", "x", "8:16", read_only=True)),
            ResourceState.FAILED,
        ),
        (lambda d: d.here.clear(), ResourceState.FAILED),
        (lambda d: d.troubles.update({"/srv/web": say("Input/output error")}), ResourceState.FAILED),
        (lambda d: d.troubles.update({"/srv/web": HostError(say("it hangs"))}), ResourceState.UNKNOWN),
        (lambda d: setattr(d, "broken", HostError(say("it hangs"))), ResourceState.UNKNOWN),
    ],
)
async def test_what_a_look_finds(
    scripted: ScriptedHost, spoil: Callable[[object], None], state: ResourceState
) -> None:
    scripted.disks.mount(HERE)
    spoil(scripted.disks)
    found = await KIND.check(place(scripted))
    assert found.state is state
    assert str(found.because)


async def test_a_file_system_that_never_answers_costs_one_thread_and_no_more() -> None:
    disks, never = LocalDisks(), threading.Event()
    before = threading.active_count()
    for _ in range(5):
        with pytest.raises(HostError, match="hangs"):
            await disks._ask("look", never.wait, "/srv/web", 0.01)
    assert threading.active_count() == before + 1
    never.set()
    await until(lambda: threading.active_count() == before)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\n"), min_size=1), st.integers(0, 4095))
def test_mountinfo_is_read_whatever_a_directory_is_called(name: str, minor: int) -> None:
    escaped = "".join(f"\\{ord(c):03o}" if c in " \t\\" else c for c in name)
    line = f"36 35 8:{minor} / /srv/{escaped} rw shared:1 master:2 - ext4 /dev/sdb rw\n"
    if len(line.splitlines()) == 1:
        (found,) = mounts.mounts_in(line)
        assert (found.where, found.disk, found.read_only) == (f"/srv/{name}", f"8:{minor}", False)


def test_fstab_is_read_with_its_comments_and_tags() -> None:
    text = "# a comment\n\n/dev/null /a\\040b ext4 defaults 0 0\nUUID=nothing-here none swap sw 0 0\nlonely\n"
    assert mounts.table_in(text) == (TableEntry("/dev/null", "/a b"), TableEntry("UUID=nothing-here", "none"))
