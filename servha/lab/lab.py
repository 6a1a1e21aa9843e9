"""A whole lab: built, found again by its name, changed, removed.

    with Lab.up("mine") as lab:
        lab.node1.run("ip", "addr")
        lab.node1.poweroff()

Removal asks no record what to remove: whatever carries the lab's name goes. So a lab whose maker died in the
middle goes just as well.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from servha.core.words import say
from servha.lab import cgroup, cuts, disk, machine, namespace, node_disk, switch
from servha.lab.cuts import Cut, Direction
from servha.lab.layout import (
    CLIENT_ADDRESS,
    DISKS,
    LINKS,
    NETNS,
    NODES,
    REFERENCE_ADDRESS,
    RUN,
    VIRTUAL_ADDRESS,
    Layout,
)
from servha.lab.node import Node
from servha.lab.power import GONE_S
from servha.lab.service import Unit
from servha.lab.trouble import Exit, LabError

DEFAULT_NAME = "demo"
RESET = Path("/dev/sysrq-trigger")
"""What resets a node, as the node sees it: a pipe to the process that plays its hardware."""


def daemons() -> list[Unit]:
    """Return the product's own services, from the environment that runs this."""
    guard = [sys.executable, "-m", "servha.lab.guardd", "--reset", str(RESET)]
    return [
        Unit(
            "servha-guardd",
            guard,
            restart_s=0.02,
            stop_signal=signal.SIGINT,
            stopped_after="servhad",
            refuses_stop=True,
            nice=-20,
        ),
        Unit("servhad", [f"{sys.prefix}/bin/servhad"], watchdog_s=2.0, stop_limit_s=1800.0),
        Unit("servwebd", [f"{sys.prefix}/bin/servwebd"], watchdog_s=30.0, restart_s=1.0),
    ]


class Lab:
    """One lab. `Lab.up` builds one, `Lab.find` takes one that is there."""

    def __init__(self, name: str = DEFAULT_NAME) -> None:
        self.layout = Layout(name)
        self.name = name
        self.node1, self.node2 = (Node(node) for node in self.layout.nodes)
        self.nodes = (self.node1, self.node2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    @classmethod
    def up(
        cls, name: str = DEFAULT_NAME, *, services: Sequence[Unit] | None = None, profile: str = "fast"
    ) -> Lab:
        """Build a lab and switch both nodes on; `services` in place of the product's, none for bare nodes.

        Raises:
            LabError: there is one of that name, or something did not work; then nothing is left of it.
        """
        lab = cls(name)
        _need_root()
        units = daemons() if services is None else services
        with lab._locked():
            if lab.exists():
                problem = say(
                    'there is a lab called "{name}"; servha lab down --name {name} removes it', name=name
                )
                raise LabError(problem, Exit.EXISTS)
            try:
                lab._build(units, profile)
            except BaseException:
                lab._remove()
                raise
        return lab

    @classmethod
    def find(cls, name: str = DEFAULT_NAME) -> Lab:
        """Return the lab called `name`.

        Raises:
            LabError: there is none.
        """
        lab = cls(name)
        _need_root()
        if not lab.exists():
            others = ", ".join(names()) or "-"
            problem = say(
                'no lab is called "{name}" (there are: {others}); servha lab up --name {name} makes it',
                name=name,
                others=others,
            )
            raise LabError(problem, Exit.NO_SUCH)
        return lab

    def down(self) -> None:
        """Remove the lab with everything in it; fine if there is none."""
        with self._locked():
            self._remove()

    def exists(self) -> bool:
        """Whether anything of it is on this machine."""
        lab = self.layout
        return any(
            place.exists() for place in (lab.run, lab.disks, lab.cgroup, *(NETNS / n for n in lab.namespaces))
        )

    def node(self, name: str) -> Node:
        """The node called `name`.

        Raises:
            LabError: no node is called so.
        """
        return self.nodes[self.layout.node(name).number - 1]

    @property
    def profile(self) -> str:
        """The timing profile that `up` was asked for."""
        return str(json.loads(self.layout.record.read_text(encoding="utf-8"))["profile"])

    def cut(
        self, link: str, node: str | None = None, *, direction: str = "both", loss_percent: int = 100
    ) -> None:
        """Cut a link at one node's end, or at both; see `Direction` and `Cut`."""
        if link not in LINKS:
            raise LabError(say('no link is called "{link}": public or private', link=link), Exit.NO_SUCH)
        ends = [self.layout.node(node).name] if node else list(NODES)
        with self._locked():
            kept = tuple(cut for cut in cuts.read(self.layout) if cut.link != link or cut.node not in ends)
            new = tuple(Cut(link, end, Direction(direction), loss_percent) for end in ends)
            cuts.write(self.layout, kept + new)
            switch.settle(self.layout)

    def heal(self) -> None:
        """Mend every link."""
        with self._locked():
            cuts.write(self.layout, ())
            switch.settle(self.layout)
            switch.await_links(self.layout)

    def client_command(self, *argv: str) -> list[str]:
        """Return the argument list that runs `argv` at the client."""
        group = self.layout.cgroup / "client"
        group.mkdir(exist_ok=True)
        enter = ["nsenter", f"--net={NETNS / self.layout.namespace('client')}"]
        return ["sh", "-c", 'echo 0 > "$0" && exec "$@"', str(group / "cgroup.procs"), *enter, *argv]

    def client(self, *argv: str, within_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a program at the client and return what it said, whatever its exit status."""
        return subprocess.run(
            self.client_command(*argv), capture_output=True, text=True, check=False, timeout=within_s
        )

    def status(self) -> dict[str, Any]:
        """Everything about the lab, as `servha lab status -o json` prints it."""
        lab = self.layout
        return {
            "schema_version": 1,
            "name": self.name,
            "profile": self.profile if lab.record.exists() else None,
            "state_directory": str(lab.run),
            "disk_directory": str(lab.disks),
            "nodes": {node.name: node.status() for node in self.nodes},
            "client": {"namespace": lab.namespace("client"), "address": CLIENT_ADDRESS},
            "switch": {"namespace": lab.namespace("switch"), "reference_address": REFERENCE_ADDRESS},
            "virtual_address": VIRTUAL_ADDRESS,
            "cuts": [asdict(cut) for cut in cuts.read(lab)],
        }

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One command at a time changes a lab."""
        RUN.mkdir(mode=0o700, exist_ok=True)
        with self.layout.lock.open("w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            finally:
                if not self.exists():
                    self.layout.lock.unlink(missing_ok=True)
                    with suppress(OSError):
                        RUN.rmdir()

    def _build(self, units: Sequence[Unit], profile: str) -> None:
        lab = self.layout
        for place in (lab.run, lab.disks):
            place.mkdir(parents=True, mode=0o700)
        DISKS.chmod(0o700)
        lab.record.write_text(
            json.dumps(
                {"schema_version": 1, "profile": profile, "services": [asdict(unit) for unit in units]}
            ),
            encoding="utf-8",
        )
        lab.cgroup.mkdir()
        with ThreadPoolExecutor(4) as pool:
            network = pool.submit(switch.build, lab)
            own = [pool.submit(node_disk.make, node) for node in lab.nodes]
            data = pool.submit(disk.make_file_system, lab.lun("data"), disk.SIZE_MIB["data"])
            disk.make_image(lab.lun("quorum"), disk.SIZE_MIB["quorum"])
            for work in (network, data, *own):
                work.result()
        for name in disk.SIZE_MIB:
            for _ in lab.nodes:
                disk.attach(lab.lun(name))
        for node in lab.nodes:
            disk.attach(node.image)
        for each in self.nodes:
            each.begin_boot()
        for each in self.nodes:
            each.await_boot()
        lab.complete.touch()

    def _await_builders_programs(self) -> None:
        """Wait for what a builder that died has left running: `ip`, `mkfs`, `losetup`, all of them quick.

        A machine that was on its way into its control group ends as well: the group is gone by now.
        """
        marks = (
            f"{self.layout.disks}/".encode(),
            f"servha-{self.name}-".encode(),
            f"{machine.__name__}\0{self.name}\0".encode(),
        )
        deadline = time.monotonic() + 2.0
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                while (
                    process.name != str(os.getpid())
                    and any(mark in (process / "cmdline").read_bytes() for mark in marks)
                    and time.monotonic() < deadline
                ):
                    time.sleep(0.002)

    def _remove(self) -> None:
        lab = self.layout
        if not cgroup.remove(lab.cgroup, within_s=GONE_S):
            problem = say(
                "lab {name}: some processes did not die in {limit_s} s", name=self.name, limit_s=GONE_S
            )
            raise LabError(problem)
        if lab.run.exists() and not lab.complete.exists():
            self._await_builders_programs()
        disk.unmount_below(lab.run)
        for device in disk.devices_of(lab):
            disk.wait_unused(device, within_s=GONE_S)
        disk.detach_all(lab)
        for name in lab.namespaces:
            namespace.remove(name)
        for place in (lab.run, lab.disks):
            shutil.rmtree(place, ignore_errors=True)
        for shared in (DISKS, NETNS):
            with suppress(OSError):
                shared.rmdir()


def names() -> list[str]:
    """Return the names of all labs of which anything is left on this machine."""
    found = {place.name for top in (RUN, DISKS) if top.is_dir() for place in top.iterdir() if place.is_dir()}
    if NETNS.is_dir():
        spaces = (place.name for place in NETNS.iterdir())
        found |= {
            name.removeprefix("servha-").removesuffix("-switch")
            for name in spaces
            if name.endswith("-switch")
        }
    return sorted(found)


def _need_root() -> None:
    if os.geteuid() != 0:
        problem = say("a lab needs root: it makes network namespaces and mounts disks; run it with sudo")
        raise LabError(problem, Exit.NOT_PERMITTED)
