"""A node of a lab on which only servha-guardd runs, and a servhad that only speaks: for the tests of the guard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from servha.core.guard_model import Asking, EntryView, TreeAsked, View
from servha.core.lease import Asked, Lease
from servha.core.register import Slot
from servha.core.timing import Limits
from servha.lab.lab import Lab, daemons
from servha.lab.node import Node
from servha.lab.service import Unit
from servha.lab.trouble import LabError
from servha.wire import sector
from servha.wire.guard_talk import (
    AskingMessage,
    Belonging,
    BelongingsMessage,
    Message,
    PromiseMessage,
    Setup,
    SetupMessage,
    ViewMessage,
    decode,
    encode,
)
from servha.wire.keys import disk_key
from servha.wire.sector import Header
from tests.live.wait import eventually

CLUSTER = "0123456789abcdef" * 2
KEY = bytes(range(32))
KEY_FILE = "/run/cluster.key"
DEVICE = "/dev/servha/quorum"
WATCHDOG = "/dev/watchdog"
TREE = 1
LIMITS = Limits(lease_ms=4000, watchdog_ms=1000, round_ms=100, drift_ppm=5000, in_flight_ms=300)
"""A lease that leaves 1.98 s from the last renewal to its end: the machine that tests may be busy."""

PROGRAM = Path(__file__).with_name("guard_partner.py")


def guard_only() -> list[Unit]:
    return [unit for unit in daemons() if unit.name == "servha-guardd"]


def label(lab: Lab, limits: Limits = LIMITS) -> None:
    """Make the lab's quorum disk this cluster's, from outside, with both nodes' devices unused."""
    block = sector.encode_header(Header(CLUSTER, ("11" * 16, "22" * 16), 1, limits), disk_key(KEY))
    with lab.layout.lun("quorum").open("r+b") as image:
        image.seek(sector.HEADERS_AT)
        image.write(block + block)
        image.seek(sector.SLOTS_AT)
        image.write(bytes(sector.SLOTS_BYTES))
        image.flush()


def slot_of(lab: Lab, node: int) -> Slot | None:
    """What stands on the quorum disk, read from outside."""
    with lab.layout.lun("quorum").open("rb") as image:
        image.seek(sector.SLOTS_AT)
        area = image.read(sector.SLOTS_BYTES)
    return sector.decode_slots(area, CLUSTER, disk_key(KEY))[node].slot


@dataclass
class Speaker:
    """servhad's part on one node."""

    lab: Lab
    node: Node
    process: subprocess.Popen[bytes]
    views: list[tuple[float, View]] = field(default_factory=list)
    promises: list[PromiseMessage] = field(default_factory=list)
    asking: Asking = Asking(peer="node2")

    @classmethod
    def start(cls, lab: Lab, node: Node) -> Speaker:
        process = node.popen(sys.executable, str(PROGRAM), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return cls(lab, node, process)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as said:
            for line in said:
                at_s, _, datagram = line.partition(b" ")
                match decode(datagram.strip()):
                    case ViewMessage(view=view):
                        self.views.append((float(at_s), view))
                    case PromiseMessage() as promise:
                        self.promises.append(promise)

    def say(self, message: Message | str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write((message.encode() if isinstance(message, str) else encode(message)) + b"\n")
        self.process.stdin.flush()

    def introduce(self, *belongings: Belonging, limits: Limits = LIMITS) -> None:
        (self.node.root / KEY_FILE.lstrip("/")).write_text(KEY.hex(), encoding="ascii")
        here = self.node.layout.number - 1
        setup = Setup(CLUSTER, here, DEVICE, KEY_FILE, limits, WATCHDOG, self.node.name, "0")
        self.say(SetupMessage(setup))
        self.say(BelongingsMessage(belongings))

    def ask(self, asked: Asked, **more: Any) -> None:
        self.asking = replace(self.asking, trees=(TreeAsked(TREE, asked, name="web"),), **more)
        self.say(AskingMessage(self.asking))

    @property
    def view(self) -> View:
        return self.views[-1][1] if self.views else View()

    @property
    def entry(self) -> EntryView:
        return self.view.entry(TREE)

    def await_view(self, wanted: Callable[[View], object], what: str, *, within_s: float = 5.0) -> float:
        """Wait for a view that is as wanted; return when it was read."""
        begin = len(self.views) - 1 if self.views else 0
        found = eventually(lambda: any(wanted(v) for _, v in self.views[max(0, begin) :]), within_s=within_s)
        assert found, f"never {what}; last: {self.view}"
        return next(at for at, v in self.views[max(0, begin) :] if wanted(v))

    def hold(self) -> None:
        """Get the tree, and say that it runs."""
        self.ask(Asked.WANT, peer_silent=False)
        self.await_view(lambda v: v.entry(TREE).granted, "granted")
        self.ask(Asked.RUN)

    @property
    def pid(self) -> int:
        """Its process as this machine counts: the child of the one that went into the node and waits there."""
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()[0])

    def end(self) -> None:
        """End it for certain."""
        with suppress(OSError, IndexError):
            os.kill(self.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        with suppress(OSError):
            assert self.process.stdin is not None
            self.process.stdin.close()


@dataclass
class Guarded:
    """A node whose guard has a disk and a partner."""

    lab: Lab
    node: Node
    speaker: Speaker

    @property
    def guard_pid(self) -> int:
        """The guard's process, as this machine counts."""
        group = self.node.layout.cgroup / "system.slice" / "servha-guardd.service" / "cgroup.procs"
        pids = group.read_text(encoding="ascii").split() if group.exists() else []
        return int(pids[0]) if pids else 0

    @property
    def boot(self) -> str:
        """Which life of the node this is; empty while it has none."""
        with suppress(OSError, LabError):
            return self.node.read("/run/boot_id") if self.node.pid else ""
        return ""  # it ended while it was looked at

    def log(self) -> str:
        place = self.node.log / "servha-guardd.log"
        return place.read_text(encoding="utf-8") if place.exists() else ""

    def console(self) -> str:
        return (self.node.log / "console.log").read_text(encoding="utf-8")

    def await_log(self, words: str, *, within_s: float = 5.0) -> None:
        assert eventually(lambda: words in self.log(), within_s=within_s), self.log()

    def leased(self, view: View) -> bool:
        return view.lease in (Lease.LEASED, Lease.DEGRADED) and view.entry(TREE).granted


def now_s() -> float:
    return time.monotonic()
