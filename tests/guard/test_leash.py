"""The guard's leash: a watchdog that was let go a moment ago can be armed again, one that is not there is said."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from servha.guard import systemd
from servha.guard.leash import LET_GO_WITHIN_S, Leash
from servha.lab import watchdog as lab
from tests.live.wait import eventually


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """The lab's watchdog, served."""
    path, ended = tmp_path / "watchdog", threading.Event()

    def serve() -> None:
        with lab.Watchdog(path) as device:
            while not ended.is_set():
                select.select(device.descriptors(), [], [], 0.02)
                device.serve()

    thread = threading.Thread(target=serve)
    thread.start()
    assert eventually(path.exists)
    yield path
    ended.set()
    thread.join()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The service manager's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(tmp_path / "notify"))
        door.settimeout(2)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield door


def kept_by(manager: socket.socket) -> socket.socket:
    """Take what the guard gives to be kept."""
    words, descriptors, _, _ = socket.recv_fds(manager, 4096, 4)
    assert b"FDSTORE=1" in words
    assert b"FDNAME=watchdog" in words
    (descriptor,) = descriptors
    return socket.socket(fileno=descriptor)


def test_it_is_kept_by_the_service_manager_before_it_is_fed(place: Path, manager: socket.socket) -> None:
    leash = Leash()
    assert leash.arm(str(place), 1.0) == (lab.IDENTITY, 1.0)
    with kept_by(manager):
        leash.let_go()
    assert not leash.held
    assert b"FDSTOREREMOVE=1" in manager.recv(4096)


def test_it_is_armed_again_once_the_service_manager_has_closed_what_it_kept(
    place: Path, manager: socket.socket
) -> None:
    """The kernel lets nobody open a watchdog that somebody still has open, be it stopped or not."""
    leash = Leash()
    leash.arm(str(place), 1.0)
    kept = kept_by(manager)
    leash.let_go()
    threading.Timer(LET_GO_WITHIN_S / 3, kept.close).start()
    began_s = time.monotonic()
    assert leash.arm(str(place), 1.0) == (lab.IDENTITY, 1.0)
    assert time.monotonic() - began_s < LET_GO_WITHIN_S
    manager.recv(4096)
    with kept_by(manager):
        leash.let_go()


def test_one_that_somebody_else_has_is_said_and_not_waited_for_without_end(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = lab_user(place)
    leash, began_s = Leash(), time.monotonic()
    assert leash.arm(str(place), 1.0) == ("", 0.0)
    assert time.monotonic() - began_s < LET_GO_WITHIN_S + 0.5
    assert not leash.held
    assert "there is no usable watchdog" in capfd.readouterr().err
    other.close()


def lab_user(place: Path) -> socket.socket:
    user = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    user.connect(str(place))
    user.send(b"identity")
    user.recv(256)
    return user


def test_where_there_is_none_it_is_said_at_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    leash, began_s = Leash(), time.monotonic()
    assert leash.arm(str(tmp_path / "none"), 1.0) == ("", 0.0)
    assert time.monotonic() - began_s < 0.2
    assert "there is no usable watchdog" in capfd.readouterr().err
    leash.feed()
    leash.let_go()


def test_without_a_path_none_is_looked_for(capfd: pytest.CaptureFixture[str]) -> None:
    assert Leash().arm("", 1.0) == ("", 0.0)
    assert not capfd.readouterr().err


def hang_up(door: socket.socket) -> None:
    door.accept()[0].close()


def test_a_watchdog_that_hangs_up_is_said_and_is_no_accident(
    place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(str(tmp_path / "rude"))
        door.listen()
        heard = threading.Thread(target=hang_up, args=(door,))
        heard.start()
        leash = Leash()
        threading.Timer(0.05, door.close).start()
        assert leash.arm(str(tmp_path / "rude"), 1.0) == ("", 0.0)
        heard.join()
    assert "there is no usable watchdog" in capfd.readouterr().err


def test_without_a_service_manager_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("LISTEN_PID", raising=False)
    systemd.keep(0)
    systemd.forget()
    assert systemd.kept() is None
