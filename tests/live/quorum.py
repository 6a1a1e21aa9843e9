"""A cluster whose quorum disk decides: tree `web` is an address, a file system on a shared disk, and what writes to it.

As cluster.py says, shared between tests and brought back; here are the disk's trouble, the guard, and the slots as
they stand on the disk, read from outside.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

from servha.core.register import Entry as RegisterEntry
from servha.core.register import Slot
from servha.core.timing import Limits
from servha.lab import demo
from servha.lab.disk_trouble import set_trouble
from servha.lab.lab import Lab
from servha.lab.node import Node
from servha.lab.trouble import LabError
from servha.wire import sector
from servha.wire.keys import disk_key
from tests.live.cluster import READY_S, TREE, Cluster, show
from tests.live.records import Records
from tests.live.wait import eventually

LIMITS = Limits(lease_ms=4000, watchdog_ms=1000, round_ms=100, drift_ppm=5000, in_flight_ms=300)
"""Of the shared cluster: trees are stopped 1.98 s after the last renewal. The profile fast leaves 0.38 s."""
BEYOND_S = 1.5 * LIMITS.lease_s
"""Long enough for everything that a lost renewal could lead to."""
DAEMONS = ("servhad", "servha-guardd")
LINKS = ("private", "public")


@dataclass
class QuorumCluster(Cluster):
    """Both nodes, their disks, and who watches them."""

    records: Records = field(kw_only=True)
    cluster_id: str = field(kw_only=True)
    key: bytes = field(kw_only=True)

    # --- the quorum disk

    def trouble(self, words: str, *nodes: Node) -> None:
        """Put a disk's trouble in force on these nodes (both, unless named); empty ends it."""
        for node in nodes or self.lab.nodes:
            set_trouble(words, node.root / "run/quorum-disk-trouble")

    def slots(self) -> tuple[Slot | None, Slot | None]:
        """What stands on the disk, read past both nodes."""
        with self.lab.layout.lun("quorum").open("rb") as image:
            image.seek(sector.SLOTS_AT)
            area = image.read(sector.SLOTS_BYTES)
        one, two = sector.decode_slots(area, self.cluster_id, self.key)
        return one.slot, two.slot

    def slot(self, node: Node) -> Slot:
        """The slot of one node."""
        found = self.slots()[node.layout.number - 1]
        assert found is not None, f"no slot of {node.name} can be read"
        return found

    def claims(self, node: Node) -> bool:
        """Whether the node claims what the other one holds, or wants it, by the disk."""
        slot = self.slot(node)
        return bool(slot.claim.target_generation) or any(t.entry is RegisterEntry.WANT for t in slot.trees)

    def await_writer(self, node: Node, ownership: int, *, within_s: float = READY_S) -> None:
        """Wait until what stands on the shared disk was written by that node under that number."""

        def writes() -> bool:
            self.records.look()
            last = self.records.lives()[-1:]
            return [(life.last.node, life.ownership) for life in last] == [(node.name, ownership)]

        assert eventually(writes, within_s=within_s), f"{node.name} does not write: {self.records.lives()}"

    def against_the_slots(self) -> str:
        """What stands on the disk and must not, at any moment; empty if nothing."""
        slots = [slot for slot in self.slots() if slot is not None]
        held = [(slot, tree) for slot in slots for tree in slot.trees if tree.entry.holds]
        if len({tree.ownership for _, tree in held}) < len(held):
            return f"two nodes hold it under one number: {held}"
        for slot in slots:
            # The first round that declares a wish is on its way while the watchdog's driver still answers.
            unguarded = [tree for tree in slot.trees if tree.entry.holds]
            if unguarded and not slot.flags.watchdog_armed:
                return f"{slot.host} declares {unguarded} without a watchdog"
        return ""

    # --- daemons and lives

    def guard(self, node: Node) -> int:
        """The process id of servha-guardd inside the node; 0 if it does not run."""
        return int(node.service("status", "servha-guardd")["servha-guardd"]["pid"])

    def boot(self, node: Node) -> str:
        """Which life of the node this is; empty while it has none."""
        with suppress(OSError, LabError):
            return (node.root / "run/boot_id").read_text(encoding="ascii")
        return ""

    def console(self, node: Node) -> str:
        return (node.log / "console.log").read_text(encoding="utf-8", errors="replace")

    def stop_daemon(self, node: Node, name: str) -> None:
        """SIGSTOP."""
        node.service("kill", name, signal=signal.SIGSTOP)

    def continue_daemon(self, node: Node, name: str) -> None:
        """SIGCONT."""
        node.service("kill", name, signal=signal.SIGCONT)

    def kill_daemon(self, node: Node, name: str) -> None:
        """SIGKILL."""
        node.service("kill", name, signal=signal.SIGKILL)

    def stop_init(self, node: Node) -> None:
        """SIGSTOP to the node's first process: what ends from now on is not started again."""
        assert node.pid is not None
        os.kill(node.pid, signal.SIGSTOP)

    def kill_by_pid(self, node: Node, *names: str) -> None:
        """SIGKILL without asking init."""
        for name in names:
            group = node.layout.cgroup / "system.slice" / f"{name}.service" / "cgroup.procs"
            for pid in group.read_text(encoding="ascii").split():
                os.kill(int(pid), signal.SIGKILL)

    # --- the witness

    def order(self, since_s: float) -> tuple[float, float]:
        """Return when node1 had nothing any more, and when anybody had the first thing after that, by the witness."""
        left: list[float] = []
        came: list[float] = []
        for thing, changes in self.witness.changes.items():
            for (_, before), (at_s, who) in pairwise(changes):
                if at_s > since_s:
                    show(f"{thing} with {', '.join(who) or 'nobody'} after", at_s - since_s)
                    left += [at_s] if "node1" in before - who and not came else []
                    came += [at_s] if who - before and left else []
        assert left and came, f"nothing was stopped, or nothing started:\n{self.witness.story()}"
        return max(left), min(came)

    # --- links

    def isolate(self, *nodes: Node, direction: str = "both") -> None:
        """Cut every link at these nodes' ends."""
        for node in nodes or self.lab.nodes:
            for link in LINKS:
                self.lab.cut(link, node.name, direction=direction)

    def part(self) -> None:
        """Let nothing pass between the nodes; both keep their clients, and the carrier of the public network.

        The switch forgets it about the port of a node that boots.
        """
        self.lab.cut("private")
        self._isolate_ports("on")

    def heal(self) -> None:
        """Mend every link."""
        self.lab.heal()
        self._isolate_ports("off")

    def _isolate_ports(self, word: str) -> None:
        lab = self.lab.layout
        for node in lab.nodes:
            # A node without power has no port; the two that are isolated do not reach each other, but everybody else.
            port = ("dev", node.port("public"), "type", "bridge_slave", "isolated", word)
            subprocess.run(
                ["ip", "-n", lab.namespace("switch"), "link", "set", *port], check=False, capture_output=True
            )

    # --- the way back

    def mend(self) -> None:
        """End every fault; both nodes are on and their daemons run afterwards."""
        self.heal()
        for node in self.lab.nodes:
            deadline = time.monotonic() + READY_S
            while not self._mended(node):
                assert time.monotonic() < deadline, f"{node.name} is {node.power} and does not come back"
                time.sleep(0.05)

    def _mended(self, node: Node) -> bool:
        """Whether it is well; else one step on the way. A node that is just resetting itself comes back alone."""
        try:
            match node.power:
                case "off":
                    node.boot()
                case "frozen":
                    node.thaw()
                case "on":
                    self.trouble("", node)
                    for name in DAEMONS:
                        self.continue_daemon(node, name)
                        node.service("start", name)
                    return True
        except (LabError, OSError):
            pass
        return False

    def settle(self) -> None:
        """Bring it back to the state in which every test finds it."""
        self.mend()
        assert eventually(lambda: all(self.picture(n).exists for n in self.lab.nodes), within_s=READY_S)
        if self.failed():
            self.servha(self.node1, "tree", "release", TREE)
        super().settle()

    def failed(self) -> bool:
        """Whether the tree waits for an order."""
        return any("only by an order" in self.alarms(node) for node in self.lab.nodes)


def build_unhurried(lab: Lab) -> QuorumCluster:
    """The same with a lease that a busy machine keeps."""
    return build(lab, "--lease-ms=4000", "--first-start-ms=5600")


def build(lab: Lab, *figures: str) -> QuorumCluster:
    """Make the nodes of a new lab a cluster with a quorum disk, the tree on its shared disk."""
    demo.form_cluster(lab, *figures)
    demo.share_quorum_disk(lab)
    demo.create_tree(lab, on_disk=True)
    with lab.layout.lun("quorum").open("rb") as image:
        image.seek(sector.HEADERS_AT)
        cluster_id = sector.cluster_named_in(image.read(sector.BLOCK_BYTES))
    secret = next((lab.node1.root / "etc/servha").rglob("cluster.key"))
    cluster = QuorumCluster(
        lab,
        records=Records.of(lab),
        cluster_id=cluster_id,
        key=disk_key(bytes.fromhex(secret.read_text(encoding="ascii").strip())),
    )
    cluster.generation = cluster.picture(lab.node1).generation
    return cluster
