"""A pair of machines with shared disks for a program that plays playbooks, as Molecule does.

    python -m tests.machines.pair molecule test -s default

runs the program where the administrator's computer is: in the network of the rack, which sees the two machines and
nothing else. The program is told by SERVHA_PAIR where the inventory lies, and it moves switches and cables with

    python -m tests.machines.pair ask power-on|power-cut MACHINE...
    python -m tests.machines.pair ask pull|plug MACHINE:LINK...
    python -m tests.machines.pair ask restore MACHINE...            every cable in, and power on
    python -m tests.machines.pair ask renew MACHINE...              a new one in its place, with its addresses
    python -m tests.machines.pair ask mounted PATH MACHINE...       whether these machines have it, and no other

Everything is gone when the program ends.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.machines import network
from tests.machines.bundles import NEXT, installer
from tests.machines.controller import PROGRAMS, Controller
from tests.machines.guarded import OuterWatchdog
from tests.machines.rack import Rack
from tests.machines.shared_disks import shared_disks
from tests.machines.site import furnish, inventory, with_disks
from tests.machines.wait import wait_for

PLACE = "SERVHA_PAIR"
DONE = "done"
LINKS = ("private", "public")


class Pair:
    """Two machines, and what may be done to them from outside."""

    def __init__(self, rack: Rack, folder: Path) -> None:
        self.rack = rack
        self.controller = Controller(rack, folder, link="public")
        self.machines = [rack.add("node1"), rack.add("node2")]
        self.watchdogs: dict[str, OuterWatchdog] = {}
        for machine in self.machines:
            furnish(self.controller, machine)

    def carry_out(self, verb: str, words: Sequence[str]) -> None:
        """Do what was asked; raises when it fails."""
        if verb == "mounted":
            wait_for(lambda: self.holders(words[0]) == set(words[1:]), within_s=60, what=f"{words[0]} there")
            return
        for word in words:
            name, _, link = word.partition(":")
            machine = self.rack.machines[name]
            match verb:
                case "power-on":
                    machine.power_on()
                case "power-cut":
                    self.watchdogs[name].cut()
                case "pull" | "plug":
                    state = "down" if verb == "pull" else "up"
                    network.ip("-n", self.rack.name, "link", "set", network.port(name, link), state)
                case "renew":
                    self.watchdogs[name].cut()
                    machine.wipe()
                    furnish(self.controller, machine)
                    machine.power_on()
                case "restore":
                    if not machine.is_on:
                        self.watchdogs[name].cut()
                        machine.power_on()
                    for link in LINKS:
                        self.carry_out("plug", [f"{name}:{link}"])
                case _:
                    raise ValueError(
                        f"{verb} is none of power-on, power-cut, pull, plug, renew, restore, mounted"
                    )

    def holders(self, path: str) -> set[str]:
        """The machines that have something mounted there; one that is off has not."""
        return {
            machine.name
            for machine in self.machines
            if machine.is_on and f" {path} " in machine.read("/proc/self/mounts")
        }

    @contextmanager
    def answering(self, place: Path) -> Iterator[None]:
        """Answer at a socket, one question after the other."""
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(place))
            door.listen()
            thread = threading.Thread(target=self._answer, args=(door,))
            thread.start()
            try:
                yield
            finally:
                door.shutdown(socket.SHUT_RDWR)
                thread.join()

    def _answer(self, door: socket.socket) -> None:
        while True:
            try:
                line, _ = door.accept()
            except OSError:
                return
            with line:
                verb, *words = line.recv(4096).decode().split()
                try:
                    self.carry_out(verb, words)
                except Exception as error:  # noqa: BLE001  whoever asked has to be told
                    line.sendall(f"{type(error).__name__}: {error}".encode())
                else:
                    line.sendall(DONE.encode())


def ask(words: Sequence[str]) -> int:
    """Ask the pair whose place the environment tells."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(f"{os.environ[PLACE]}/door")
        line.sendall(" ".join(words).encode())
        answer = line.recv(65536).decode()
    print(answer)
    return 0 if answer == DONE else 1


def play(program: Sequence[str]) -> int:
    """Make the pair, run the program beside it, and return how that ended."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="servha-pair-")))
        rack = stack.enter_context(Rack(links=LINKS))
        pair = Pair(rack, folder)
        pair.watchdogs = stack.enter_context(shared_disks(pair.machines, folder)).watchdogs
        whole = with_disks(inventory(pair.controller, pair.machines))
        whole["servha"]["vars"]["bundle_of_the_next_version"] = str(installer(NEXT))
        whole["servha"]["vars"]["rack"] = rack.name
        file = pair.controller.write(whole)
        file.rename(folder / "inventory.json")
        stack.enter_context(pair.answering(folder / "door"))
        return subprocess.run(
            ["nsenter", f"--net=/run/netns/{rack.name}", "--", *program],
            env={**os.environ, PLACE: str(folder), "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
                 "ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1",
                 "MOLECULE_EPHEMERAL_DIRECTORY": str(folder / "molecule")},
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode  # fmt: skip


if __name__ == "__main__":
    asked = sys.argv[1:]
    sys.exit(ask(asked[1:]) if asked[0] == "ask" else play(asked))
