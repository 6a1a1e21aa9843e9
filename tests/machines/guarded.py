"""A machine that has what the guard needs: a quorum disk, a disk for data, and a watchdog that can end it.

The disks are loop devices that are bound into the machine and go with it. The watchdog is the lab's, played from
outside on a socket at the machine's /dev/watchdog: when it fires, the machine has lost its power.
"""

from __future__ import annotations

import json
import re
import select
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from servha.core.register import Slot
from servha.lab.watchdog import Watchdog
from servha.wire import sector
from servha.wire.keys import disk_key
from tests.machines.machine import Machine
from tests.machines.wait import wait_for

GUARDD, SERVHAD = "servha-guardd.service", "servhad.service"
QUORUM, DATA, MOUNT = "/dev/quorum-disk", "/dev/data-disk", "/srv/data"
VIP = "10.77.0.100"
WITHIN_S = 30.0
CONFIGURATION = "/var/lib/servha/cluster.json"

# Every start leaves a line on the machine's disk, so an application that was started twice cannot look untouched.
APPLICATION = {
    "start": "#!/bin/sh\ndate +%s.%N >>/var/application.starts\ncd /srv/data\n"
    "setsid sleep 100000 </dev/null >/dev/null 2>&1 &\necho $! >/run/application.pid\n",
    "stop": '#!/bin/sh\ndate >>/var/application.stops; sync\nkill "$(cat /run/application.pid)"\n',
    "test": '#!/bin/sh\nkill -0 "$(cat /run/application.pid)"\n',
}


@dataclass
class OuterWatchdog:
    """Ends `machine` when nobody in it feeds the device."""

    place: Path
    machine: Machine
    fired: bool = False
    left_s: float | None = None
    """Time until it fires; None while it is not armed."""
    _ended: threading.Event = field(default_factory=threading.Event)
    _cutting: threading.Lock = field(default_factory=threading.Lock)
    _unarmed: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._serve)
        thread.start()
        wait_for(self.place.exists, within_s=5, what="the watchdog's socket")
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _serve(self) -> None:
        while not self._ended.is_set():
            with Watchdog(self.place) as device:
                self._serve_one_life(device)

    def _serve_one_life(self, device: Watchdog) -> None:
        """Until the machine has lost its power: what it boots with next is not armed."""
        self._unarmed.set()
        while not self._ended.is_set():
            select.select(device.descriptors(), [], [], min(0.02, device.left_s() or 0.02))
            device.serve()
            self.left_s = device.left_s()
            if device.fires():
                self.fired = True
                with self._cutting:
                    self.machine.power_cut()
            if self.left_s is not None and not self.machine.is_on:
                self._unarmed.clear()
            if not self._unarmed.is_set():
                return

    def cut(self) -> None:
        """Take the power away; the test and the watchdog never do so at once. The next life may begin afterwards."""
        with self._cutting:
            self.machine.power_cut()
        if not self._ended.is_set():
            self._unarmed.clear()
            assert self._unarmed.wait(timeout=5), "the watchdog does not answer"


@dataclass
class Guarded:
    """The machine, and what is asked of it."""

    machine: Machine
    watchdog: OuterWatchdog
    quorum: Path
    """The quorum disk's image."""
    _identity: tuple[str, bytes] | tuple[()] = ()

    def servha(self, command: str, *, check: bool = True) -> str:
        return self.machine.run(["/usr/share/servha/bin/servha", *shlex.split(command)], check=check).stdout

    def guard(self, *properties: str) -> dict[str, str]:
        return self.machine.unit(GUARDD, *properties)

    def is_leased(self) -> bool:
        """Whether the lease lives, as servhad has it from the guard."""
        shown = json.loads(self.servha("status -o json", check=False))
        return (shown["arbitration"].get("lease") or {}).get("word", "") in ("leased", "degraded")

    def servhad_is_replaced(self, before: str) -> bool:
        shown = self.machine.unit(SERVHAD, "ActiveState", "MainPID")
        return shown["ActiveState"] == "active" and shown["MainPID"] not in ("0", before)

    def slot(self) -> Slot:
        """What the node says of itself on the quorum disk, read from outside."""
        if not self._identity:
            key = disk_key(bytes.fromhex(self.machine.read("/etc/servha/cluster.key").strip()))
            self._identity = (cluster_of(self.machine.read(CONFIGURATION)), key)
        with self.quorum.open("rb") as image:
            image.seek(sector.SLOTS_AT)
            found = sector.decode_slots(image.read(sector.SLOTS_BYTES), *self._identity)[0].slot
        assert found is not None
        return found

    @property
    def guard_pid(self) -> str:
        return self.guard("MainPID")["MainPID"]

    @property
    def kept(self) -> int:
        """How many descriptors systemd keeps for the guard."""
        return int(self.guard("NFileDescriptorStore")["NFileDescriptorStore"])

    def is_replaced(self, before: str) -> bool:
        shown = self.guard("ActiveState", "MainPID")
        return shown["ActiveState"] == "active" and shown["MainPID"] not in ("0", before)

    def is_running(self) -> bool:
        done = self.machine.run(
            ["/usr/share/servha/bin/servha", "tree", "show", "web", "-o", "json"], check=False
        )
        return done.returncode == 0 and '"running"' in done.stdout

    def life(self) -> str:
        """Which process the application is, since when, how often it was started: from the machine, not servhad."""
        pid = self.machine.read("/run/application.pid").strip()
        began = self.machine.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[19]
        return f"process {pid} since {began}, starts: {self.count('starts')}"

    def count(self, what: str) -> int:
        return self.machine.run(["cat", f"/var/application.{what}"], check=False).stdout.count("\n")

    def left(self) -> list[str]:
        """What of the tree there is on the machine."""
        found = []
        if VIP in self.machine.run(["ip", "-4", "addr"]).stdout:
            found.append("address")
        if f" {MOUNT} " in self.machine.read("/proc/self/mountinfo"):
            found.append("file system")
        pid = self.machine.run(["cat", "/run/application.pid"], check=False).stdout.strip()
        if pid and self.machine.run(["test", "-e", f"/proc/{pid}"], check=False).returncode == 0:
            found.append("application")
        return found

    def stays_well(self, seconds: float) -> None:
        """Watch it for a while in which an armed watchdog would have fired."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            assert not self.watchdog.fired, "the watchdog has ended the machine"
            time.sleep(0.05)


def cluster_of(configuration: str) -> str:
    """The cluster's id, wherever the envelope keeps it."""
    found = re.search(r'"cluster":\s*\{[^{}]*?"id":\s*"([0-9a-f]{32})"', configuration)
    assert found, configuration[:500]
    return found.group(1)


@contextmanager
def loop_device(image: Path, size: str) -> Iterator[str]:
    subprocess.run(["truncate", "-s", size, image], check=True)
    made = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=True)
    device = made.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


@contextmanager
def guarded_machine(machine: Machine, folder: Path) -> Iterator[Guarded]:
    """The machine, still off, with its disks and its watchdog. When the block ends, so does the machine."""
    with ExitStack() as stack:
        quorum = stack.enter_context(loop_device(folder / "quorum.img", "32M"))
        data = stack.enter_context(loop_device(folder / "data.img", "32M"))
        subprocess.run(["mkfs.ext4", "-q", "-F", data], check=True)
        watchdog = OuterWatchdog(folder / "watchdog", machine)
        stack.enter_context(watchdog.serving())
        machine.binds = {quorum: QUORUM, data: DATA, str(watchdog.place): "/dev/watchdog"}
        stack.callback(watchdog.cut)
        yield Guarded(machine, watchdog, folder / "quorum.img")


def run_the_tree(node: Guarded, *, profile: str = "manual") -> None:
    """A cluster of this one node, with a tree of an address, a file system and an application.

    The lease of the profile fast lasts 0.38 s from its last renewal: on a machine that runs other tests a guard is not
    always replaced within that.
    """
    for name, script in APPLICATION.items():
        node.machine.write(f"/opt/application/{name}", script, mode=0o755)
    node.machine.run(["mkdir", "-p", MOUNT])
    scripts = " ".join(f"{name}_script=/opt/application/{name}" for name in APPLICATION)
    node.servha(f"cluster init --name one --node node1 --link private=private --profile {profile}")
    node.servha(f"quorum label {QUORUM} --yes")
    node.servha(f"cluster edit --arbitration quorum-disk --quorum-disk {QUORUM} --yes")
    node.servha("tree create web --hosts node1 --yes")
    node.servha(f"resource create web/vip ipv4 address={VIP}/24 nic=private --yes")
    node.servha(f"resource create web/disk shared_disk device={DATA} mount_point={MOUNT} --yes")
    node.servha(f"resource create web/app custom {scripts} --after disk --yes")
    wait_for(node.is_running, within_s=WITHIN_S, what="the application is started")
