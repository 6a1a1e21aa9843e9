"""app_link: a folder moved to the shared disk, linked on the other server, moved back, and finished when cut off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ansible.modules import run_module

pytestmark = pytest.mark.root


class Server:
    """A folder of an application and a place for the shared disk, on this machine's disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "var/lib/app"
        self.mount = folder / "data"
        self.disk = folder / "disk"
        for place in (self.path, self.mount, self.disk):
            place.mkdir(parents=True)
        (self.path / "table").write_text("rows", encoding="utf-8")
        (self.path / "table").chmod(0o640)
        os.chown(self.path / "table", 1234, 2345)

    def link(self, *options: str, mounted: bool = True, **arguments: Any) -> dict[str, Any]:
        return run_module(
            self.folder,
            "app_link",
            *options,
            mounts=[f"mount --bind {self.disk} {self.mount}"] if mounted else [],
            path=str(self.path),
            target=f"{self.mount}/app",
            mount_point=str(self.mount),
            **arguments,
        )


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_moved_once_kept_and_moved_back(server: Server) -> None:
    answer = server.link("--check")
    assert (answer["changed"], answer["copied"]) == (True, True)
    assert not server.path.is_symlink()
    answer = server.link()
    assert (answer["changed"], answer["copied"]) == (True, True)
    copied = server.disk / "app/table"
    assert (copied.stat().st_uid, copied.stat().st_gid, copied.stat().st_mode & 0o777) == (1234, 2345, 0o640)
    assert server.path.readlink() == server.mount / "app"
    assert (server.folder / "var/lib/app_old/table").read_text(encoding="utf-8") == "rows"
    assert not server.link()["changed"]
    answer = server.link(state="absent")
    assert answer["changed"]
    assert (server.path / "table").read_text(encoding="utf-8") == "rows"
    assert copied.exists(), "what is on the disk stays"
    assert not server.link(state="absent")["changed"]


def test_on_the_other_server_only_the_link_is_made(server: Server) -> None:
    answer = server.link(mounted=False)
    assert (answer["changed"], answer["copied"]) == (True, False)
    assert server.path.is_symlink()
    assert not any(server.mount.iterdir())
    assert (server.folder / "var/lib/app_old/table").exists()


def test_data_on_the_disk_are_never_written_over(server: Server) -> None:
    (server.disk / "app").mkdir()
    (server.disk / "app/table").write_text("newer rows", encoding="utf-8")
    answer = server.link()
    assert (answer["changed"], answer["copied"]) == (True, False)
    assert (server.disk / "app/table").read_text(encoding="utf-8") == "newer rows"


def test_an_attempt_that_was_cut_off_is_finished(server: Server) -> None:
    (server.disk / "app.servha-partial").mkdir()
    (server.disk / "app.servha-partial/half").touch()
    assert server.link()["copied"]
    assert sorted(file.name for file in server.disk.iterdir()) == ["app"]
    assert not (server.disk / "app/half").exists()
    server.path.unlink()  # copied and renamed, and then the power failed
    answer = server.link()
    assert (answer["changed"], answer["copied"]) == (True, False)
    assert server.path.readlink() == server.mount / "app"


def test_a_folder_in_use_is_left_alone(server: Server) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], cwd=server.path, stdin=subprocess.PIPE) as user:
        answer = server.link()
        user.communicate(b"\n")
    assert f"pid {user.pid}" in answer["msg"]
    assert "stop the application first" in answer["msg"]
    assert not server.path.is_symlink()


def test_what_cannot_be_is_told(server: Server) -> None:
    answer = run_module(
        server.folder,
        "app_link",
        path=str(server.path),
        target="/elsewhere/app",
        mount_point=str(server.mount),
    )
    assert "/elsewhere/app is not below" in answer["msg"]
    (server.folder / "var/lib/app_old").mkdir()
    assert "is there already, of an earlier move" in server.link()["msg"]
    (server.folder / "var/lib/app_old").rmdir()
    (server.path / "table").unlink()
    server.path.rmdir()
    assert "is the application installed?" in server.link()["msg"]
