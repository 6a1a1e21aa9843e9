"""A rack: machines and the wires between them, all of it inside namespaces of its own.

    with Rack(links=("private",)) as rack:
        one, two = rack.add("one"), rack.add("two")
        one.power_on()
        rack.run(["curl", "http://10.77.0.1/"])      # as a client on the same wire

Each link is a bridge in the rack's own network namespace; nothing ever has an address or a port in the namespace
of this computer. Leaving the block removes everything. If the process dies first, the machines die with it, and
the next rack, or `python -m tests.machines.sweep`, removes what is left on disk and in /run/netns.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

from tests.machines import cgroups, network
from tests.machines.base import base
from tests.machines.machine import Machine

STATE = Path("/var/tmp/servha-machines")
PREFIX = "servha-rack-"
_numbers = itertools.count(1)


def life_of(pid: str) -> str:
    """A pid and when its process began: unlike the pid alone it is never used twice. "gone" if it is."""
    with suppress(OSError):
        began = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
        return f"{pid}-{began}"
    return "gone"


class Rack:
    open: ClassVar[list[Rack]] = []

    def __init__(self, *, links: Sequence[str] = ("private",)) -> None:
        if os.geteuid() != 0:
            raise PermissionError("machines need root")
        sweep()
        # The owner's life is in the name, so that whoever comes later can tell an orphan.
        self.name = f"{PREFIX}{life_of(str(os.getpid()))}-{next(_numbers)}"
        self.folder = STATE / self.name
        self.links = tuple(links)
        self.machines: dict[str, Machine] = {}
        self._base = base()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        Rack.open.append(self)
        network.make_switch(self.name, self.links)
        return self

    def __exit__(self, *_: object) -> None:
        Rack.open.remove(self)
        for machine in self.machines.values():
            machine.power_cut()
        remove(self.name)

    def add(self, name: str) -> Machine:
        """A new machine, still off. Its address on link i is 10.77.i.N for the N-th machine."""
        number = len(self.machines) + 1
        machine = Machine(
            name=name,
            folder=self.folder / name,
            base=self._base,
            group=f"{self.name}/{name}",
            switch=self.name,
            addresses={link: network.address_on(at, number) for at, link in enumerate(self.links)},
        )
        self.machines[name] = machine
        return machine

    def run(self, argv: Sequence[str], *, timeout_s: float = 30) -> str:
        """Run a program as a client on the wires; it sees the rack's network and nothing else."""
        return subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.name}", "--", *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=timeout_s,
        ).stdout


def remove(name: str) -> None:
    """Remove what a rack leaves once its machines are off; works on half a rack too."""
    network.remove_all(name)
    cgroups.remove(name)
    shutil.rmtree(STATE / name, ignore_errors=True)


def sweep() -> list[str]:
    """Remove the racks whose owner is gone; return their names."""
    swept = []
    STATE.mkdir(exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for folder in STATE.glob(f"{PREFIX}*"):
            life = folder.name.removeprefix(PREFIX).rpartition("-")[0]
            if life != life_of(life.partition("-")[0]):
                cgroups.kill(folder.name)
                remove(folder.name)
                swept.append(folder.name)
    return swept
