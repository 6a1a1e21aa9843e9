"""Directories really moved to a real ext4 on a loop device, stopped at every step, and put back."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from servha.apps import looks, moving
from servha.apps.copying import CannotMove, difference
from servha.apps.moving import Keep, Move, move_of
from servha.core.words import Text, say
from tests.apps.conftest import Disk

pytestmark = pytest.mark.root


def free() -> Text | None:
    return None


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What a database leaves behind: owners, modes, attributes, links, a hole, names that are no text."""
    root = tmp_path / "lib" / "data"
    (root / "base/1").mkdir(parents=True)
    (root / "base/1/2600").write_bytes(os.urandom(300_000))
    (root / "PG_VERSION").write_text("15\n")
    (root / "two words").write_text("x")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff")).write_text("not text")
    (root / "link").symlink_to("base/1/2600")
    os.link(root / "PG_VERSION", root / "again")
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 20)
    os.setxattr(root / "PG_VERSION", "user.note", b"kept")
    for path in (root, *root.rglob("*")):
        os.chown(path, 1234, 2345, follow_symlinks=False)
    root.chmod(0o700)
    (root / "base/1/2600").chmod(0o600)
    os.utime(root, (1_000_000_000, 1_000_000_000))
    return root


@pytest.fixture
def move(data: Path, disk: Disk) -> Move:
    return move_of(str(data), str(disk.where), copies=True)


def snapshot(data: Path, tmp_path: Path) -> Path:
    kept = tmp_path / "snapshot"
    subprocess.run(["cp", "-a", data, kept], check=True)
    return kept


def test_data_are_moved_as_they_are_and_found_at_the_old_place(
    move: Move, data: Path, disk: Disk, tmp_path: Path
) -> None:
    before = snapshot(data, tmp_path)
    assert moving.refusals(move, disk.device) == []
    moving.carry_out(move, still_stopped=free)
    assert data.is_symlink()
    assert data.resolve() == disk.where / "data"
    assert (data.lstat().st_uid, data.lstat().st_gid) == (1234, 2345)
    assert difference(before, disk.where / "data") is None
    assert difference(before, move.original) is None
    moving.carry_out(move, still_stopped=free)  # once more changes nothing
    assert moving.is_done(move)


def test_undo_puts_the_original_back_and_takes_the_copy_away(
    move: Move, data: Path, disk: Disk, tmp_path: Path
) -> None:
    before = snapshot(data, tmp_path)
    inode = data.stat().st_ino
    moving.carry_out(move, still_stopped=free)
    moving.put_back(move, keep=None)
    assert not data.is_symlink()
    assert data.stat().st_ino == inode
    assert difference(before, data) is None
    assert not (disk.where / "data").exists()
    assert not os.path.lexists(move.original)


def test_undo_of_data_that_were_used_asks_which_to_keep(move: Move, data: Path, disk: Disk) -> None:
    moving.carry_out(move, still_stopped=free)
    (disk.where / "data/new").write_text("committed")
    with pytest.raises(CannotMove) as refused:
        moving.put_back(move, keep=None)
    assert "--keep" in str(refused.value.text)
    assert data.is_symlink(), "a refused undo changes nothing"
    moving.put_back(move, keep=Keep.DISK)
    assert not data.is_symlink()
    assert (data / "new").read_text() == "committed"
    assert move.original.is_dir(), "nothing is thrown away"
    assert (disk.where / "data/new").exists()


def test_undo_with_the_original_leaves_the_newer_data_on_the_disk(move: Move, data: Path, disk: Disk) -> None:
    moving.carry_out(move, still_stopped=free)
    (disk.where / "data/new").write_text("committed")
    moving.put_back(move, keep=Keep.ORIGINAL)
    assert not (data / "new").exists()
    assert (disk.where / "data/new").read_text() == "committed"


def test_undo_without_the_disk_does_not_guess(move: Move, data: Path, disk: Disk) -> None:
    moving.carry_out(move, still_stopped=free)
    subprocess.run(["umount", disk.where], check=True)
    with pytest.raises(CannotMove) as refused:
        moving.put_back(move, keep=None)
    assert "mount the shared disk" in str(refused.value.text)
    moving.put_back(move, keep=Keep.ORIGINAL)
    assert not data.is_symlink()


@pytest.mark.parametrize(
    ("where", "call", "done_before"),
    [
        (moving, "copy", 0),
        (moving, "difference", 0),
        (Path, "rename", 0),
        (Path, "rename", 1),
        (Path, "symlink_to", 0),
        (os, "lchown", 0),
    ],
)
def test_stopped_at_any_step_it_can_be_put_back(
    move: Move,
    data: Path,
    disk: Disk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: object,
    call: str,
    done_before: int,
) -> None:
    before = snapshot(data, tmp_path)
    real = getattr(where, call)
    calls: list[object] = []

    def power_off(*args: object, **named: object) -> object:
        calls.append(args)
        if len(calls) > done_before:
            raise OSError(5, "power off", str(data))
        return real(*args, **named)

    with monkeypatch.context() as patched:
        patched.setattr(where, call, power_off)
        with pytest.raises(CannotMove):
            moving.carry_out(move, still_stopped=free)
    moving.put_back(move, keep=None)
    assert difference(before, data) is None
    assert not data.is_symlink()
    assert list(disk.where.glob("data*")) == []
    assert not os.path.lexists(move.original)


def test_an_application_started_meanwhile_stops_the_move(move: Move, data: Path) -> None:
    with pytest.raises(CannotMove):
        moving.carry_out(move, still_stopped=lambda: say("{users} use the data", users="7 (postgres)"))
    assert not data.is_symlink()
    moving.put_back(move, keep=None)


def test_a_copy_that_came_out_wrong_is_not_used(
    move: Move, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(source: Path, fresh: Path) -> None:
        subprocess.run(["cp", "-a", source, fresh], check=True)
        os.removexattr(fresh / "PG_VERSION", "user.note")

    monkeypatch.setattr(moving, "copy", careless)
    with pytest.raises(CannotMove) as refused:
        moving.carry_out(move, still_stopped=free)
    assert "extended attribute" in str(refused.value.text)
    assert not data.is_symlink()


def reasons(move: Move, disk: Disk) -> str:
    return " ".join(str(text) for text in moving.refusals(move, disk.device))


def test_what_stands_against_a_move_is_named(move: Move, data: Path, disk: Disk, tmp_path: Path) -> None:
    assert "there is no device" in " ".join(map(str, moving.refusals(move, "/dev/nowhere")))
    (disk.where / "data").mkdir()
    assert "in the way" in reasons(move, disk)
    (disk.where / "data").rmdir()
    move.original.mkdir()
    assert "in the way" in reasons(move, disk)
    move.original.rmdir()
    other = data / "mounted"
    other.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", other], check=True)
    assert "another file system" in reasons(move, disk)
    subprocess.run(["umount", other], check=True)
    assert "MiB free" not in reasons(move, disk)
    with (data / "large").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 40 << 20)
    assert "MiB free" in reasons(move, disk)
    (data / "large").unlink()
    subprocess.run(["mount", "-o", "remount,ro", disk.where], check=True)
    assert "read-only" in reasons(move, disk)
    subprocess.run(["umount", disk.where], check=True)
    assert "is not mounted on" in reasons(move, disk)
    subprocess.run(["mount", "-t", "tmpfs", "none", disk.where], check=True)
    assert "is not mounted on" in reasons(move, disk), "another file system there is not the shared disk"
    subprocess.run(["umount", disk.where], check=True)
    assert "is not a directory" in reasons(
        move_of(str(tmp_path / "absent"), str(disk.where), copies=True), disk
    )


def test_the_second_node_only_gets_the_link(data: Path, disk: Disk, tmp_path: Path) -> None:
    subprocess.run(["umount", disk.where], check=True)
    move = move_of(str(data), str(disk.where), copies=False)
    assert moving.refusals(move, disk.device) == []
    moving.carry_out(move, still_stopped=free)
    assert str(data.readlink()) == move.target
    assert not (disk.where / "data").exists()
    moving.put_back(move, keep=None)
    assert (data / "PG_VERSION").read_text() == "15\n"
    nothing = move_of(str(tmp_path / "lib/none"), str(disk.where), copies=False)
    moving.carry_out(nothing, still_stopped=free)
    assert Path(nothing.source).is_symlink()
    moving.put_back(nothing, keep=None)
    assert not os.path.lexists(nothing.source)


def test_who_uses_the_data_is_seen(data: Path) -> None:
    assert looks.in_use([str(data)]).verdict is looks.Verdict.FINE
    with subprocess.Popen(["sleep", "60"], cwd=data / "base") as sleeper:
        seen = looks.in_use([str(data)])
        assert seen.verdict is looks.Verdict.WRONG
        assert f"{sleeper.pid} (sleep)" in str(seen.text)
        sleeper.kill()
    with subprocess.Popen(["tail", "-f", data / "PG_VERSION"], stdout=subprocess.DEVNULL) as reader:
        assert looks.in_use([str(data)]).verdict is looks.Verdict.WRONG
        assert looks.in_use([str(data) + "base"]).verdict is looks.Verdict.FINE
        reader.kill()
