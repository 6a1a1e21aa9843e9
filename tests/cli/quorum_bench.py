"""One disk on two loop devices, and the command `servha quorum` as it runs on either node. No servhad."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from servha.arbiters.quorum_disk import QuorumDisk
from servha.cli import cluster_wipe
from servha.config.document import parse
from servha.core.register import Claim, Entry, Flags, Slot, TreeEntry
from servha.core.timing import PROFILES
from servha.daemon.identity import Identity
from servha.daemon.shelf import Shelf, Version
from servha.lab import disk as lab_disk
from servha.wire.keys import disk_key
from tests.cli.documents import document

if TYPE_CHECKING:
    from tests.cli.conftest import Ran, Run

SECRET = bytes(range(32))
KEY = disk_key(SECRET)
CLUSTER = "0123456789abcdef" * 2
OTHER_CLUSTER = "ab" * 16


@dataclass
class Bench:
    """A disk, and the command as it runs on either node."""

    image: Path
    devices: list[str]
    run: Run
    be: Callable[[str], None]

    def on(self, node: str, *words: str) -> Ran:
        self.be(node)
        return self.run("quorum", *words)

    def put(self, at: int, block: bytes) -> None:
        with self.image.open("r+b") as file:
            file.seek(at)
            file.write(block)
            os.fsync(file.fileno())

    def content(self) -> bytes:
        return self.image.read_bytes()

    def labelled(self) -> None:
        ran = self.on("node1", "label", self.devices[0], "--yes")
        assert ran.status == 0, ran.err

    @contextmanager
    def guard(self, node: int) -> Iterator[None]:
        """Something that writes the slot of a node as its guard does, until the end of the block."""
        ended, wrote = threading.Event(), threading.Event()
        disk = QuorumDisk(self.devices[node], CLUSTER, node, KEY)

        def rounds() -> None:
            number = 0
            while not ended.wait(0.05):
                number += 1
                assert disk.round(a_slot(node, number)).read
                wrote.set()

        thread = threading.Thread(target=rounds)
        thread.start()
        try:
            assert wrote.wait(10)
            yield
        finally:
            ended.set()
            thread.join()
            disk.close()


def a_slot(node: int, number: int) -> Slot:
    return Slot(
        node=node,
        generation=3,
        number=number,
        boot_id=f"{node + 1:032x}",
        limits=PROFILES["manual"].limits,
        claim=Claim(3, 5, 7) if node else Claim(),
        flags=Flags(watchdog_armed=True),
        trees=(TreeEntry(1, Entry.WANT if node else Entry.HELD, 7), TreeEntry(9, Entry.STOP_FAILED, 2)),
        host=f"host{node + 1}",
        version="0.1.0",
        written_at=1_780_000_000_000_000_000,
    )


def make_node(files: Path, name: str, quorum_disk: str = "") -> None:
    data = document()
    data["cluster"]["quorum_disk"] = quorum_disk
    for node in data["nodes"]:
        node["certificate"] = f"certificate of {node['name']}"
    made, problems = parse(data)
    assert made, problems
    (files / "state").mkdir(parents=True)
    Identity(files / "etc").write_cluster_key(SECRET)
    (files / "etc/node.crt").write_text(f"certificate of {name}\n")
    shelf = Shelf(files / "state")
    shelf.stage(Version.of(made))
    shelf.commit(Version.of(made))


@pytest.fixture
def be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make this process that node's, as far as files go."""
    monkeypatch.setenv("SERVHA_SOCKET", str(tmp_path / "nobody.sock"))

    def be_node(name: str) -> None:
        files = tmp_path / name
        here = cluster_wipe.Places(files / "etc", files / "state", files / "run")
        monkeypatch.setattr("servha.cli.quorum_reading.places", lambda: here)

    return be_node


@pytest.fixture
def bench(tmp_path: Path, run: Run, be: Callable[[str], None]) -> Iterator[Bench]:
    if os.getuid() != 0:
        pytest.skip("needs loop devices: run as root")
    image = Path(f"/var/tmp/servha-quorum-cli-{os.getpid()}.img")
    lab_disk.make_image(image, 16)
    devices: list[str] = []
    try:
        devices += [str(lab_disk.attach(image)) for _ in range(2)]
        for place, name in enumerate(("node1", "node2")):
            make_node(tmp_path / name, name, devices[place])
        yield Bench(image, devices, run, be)
    finally:
        subprocess.run(["losetup", "--detach", *devices], check=True)
        image.unlink()
