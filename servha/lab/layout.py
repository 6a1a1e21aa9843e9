"""Where everything of a lab is and what it is called; nothing else in this package spells a path or an address.

Everything follows from the lab's name, so that a lab can be removed when nothing but its name is known.

`/run/servha-lab/NAME` holds what is true only while this machine runs: sockets, locks, mount points, the power
switch. `/var/tmp/servha-lab/NAME` holds the disks and logs: it has to be a real file system, because the disks
are read past the page cache, and logs are wanted after the machine itself was restarted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from servha.core.words import say
from servha.lab import cgroup
from servha.lab.trouble import Exit, LabError

RUN = Path("/run/servha-lab")
DISKS = Path("/var/tmp/servha-lab")  # noqa: S108  made 0700 by root
NETNS = Path("/run/netns")

NODES = ("node1", "node2")
LINKS = ("public", "private")
INTERFACE = {"public": "pub0", "private": "priv0"}
BRIDGE = {"public": "br-public", "private": "cable"}

REFERENCE_ADDRESS = "192.0.2.254"
CLIENT_ADDRESS = "192.0.2.50"
VIRTUAL_ADDRESS = "192.0.2.100"
PREFIX = 24

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,23}")


@dataclass(frozen=True)
class Layout:
    """The places of one lab."""

    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            problem = say(
                'a lab cannot be called "{name}": up to 24 small letters, digits and hyphens, '
                "and no hyphen at the start",
                name=self.name,
            )
            raise LabError(problem, Exit.USAGE)

    @property
    def run(self) -> Path:
        """What ends with this machine's own boot."""
        return RUN / self.name

    @property
    def lock(self) -> Path:
        """Held while the lab is built, changed or removed; beside the directory, which goes."""
        return RUN / f"{self.name}.lock"

    @property
    def record(self) -> Path:
        """What `up` was told."""
        return self.run / "lab.json"

    @property
    def complete(self) -> Path:
        """Says that `up` came to its end."""
        return self.run / "complete"

    @property
    def cuts(self) -> Path:
        """The links that somebody cut."""
        return self.run / "cuts.json"

    @property
    def disks(self) -> Path:
        """Disk images and logs."""
        return DISKS / self.name

    @cached_property
    def cgroup(self) -> Path:
        """The control group of everything that runs for this lab."""
        return cgroup.hierarchy() / f"servha-lab-{self.name}"

    def namespace(self, member: str) -> str:
        """The network namespace of node1, node2, switch or client, as `ip -n` takes it."""
        return f"servha-{self.name}-{member}"

    @property
    def namespaces(self) -> tuple[str, ...]:
        """All four."""
        return tuple(self.namespace(member) for member in (*NODES, "switch", "client"))

    def lun(self, disk: str) -> Path:
        """The image behind the shared disk `data` or `quorum`."""
        return self.disks / f"{disk}.img"

    @cached_property
    def nodes(self) -> tuple[NodeLayout, NodeLayout]:
        """Both nodes."""
        return NodeLayout(self, 1), NodeLayout(self, 2)

    def node(self, name: str) -> NodeLayout:
        """The node called `name`.

        Raises:
            LabError: no node is called so.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError(say('no node is called "{name}": node1 or node2', name=name), Exit.NO_SUCH)


@dataclass(frozen=True)
class NodeLayout:
    """The places, names and addresses of one node."""

    lab: Layout
    number: int

    @property
    def name(self) -> str:
        """Also its host name."""
        return f"node{self.number}"

    @property
    def peer(self) -> NodeLayout:
        """The other one."""
        return self.lab.nodes[2 - self.number]

    @property
    def namespace(self) -> str:
        """Its network namespace."""
        return self.lab.namespace(self.name)

    @property
    def run(self) -> Path:
        """Its sockets, locks and mount points."""
        return self.lab.run / self.name

    @property
    def power(self) -> Path:
        """The power switch: a file that says on or off."""
        return self.run / "power"

    @property
    def disk(self) -> Path:
        """Where the node's first process mounts the node's own disk, for itself only."""
        return self.run / "disk"

    @property
    def root(self) -> Path:
        """The mount point of the node's root; only the node itself sees something there."""
        return self.run / "root"

    @property
    def control(self) -> Path:
        """The socket of the node's init."""
        return self.run / "control"

    @property
    def sysrq(self) -> Path:
        """The pipe that plays /proc/sysrq-trigger."""
        return self.run / "sysrq"

    @property
    def watchdog(self) -> Path:
        """The socket that plays /dev/watchdog."""
        return self.run / "watchdog"

    @property
    def image(self) -> Path:
        """The image of its own disk."""
        return self.lab.disks / f"{self.name}.img"

    @property
    def log(self) -> Path:
        """What its services and its journal said; on this machine's disk, so a power-off loses nothing of it."""
        return self.lab.disks / self.name / "log"

    @property
    def cgroup(self) -> Path:
        """Everything that runs in the node."""
        return self.lab.cgroup / self.name

    @property
    def machine_cgroup(self) -> Path:
        """What plays the node's hardware: power supply, reset button, watchdog."""
        return self.lab.cgroup / f"{self.name}-machine"

    def address(self, link: str) -> str:
        """Its address on a link."""
        network = "192.0.2" if link == "public" else "198.51.100"
        return f"{network}.{self.number}"

    def mac(self, link: str) -> str:
        """The same after every boot, as a network card's is."""
        return f"02:00:00:00:{LINKS.index(link) + 1:02x}:{self.number:02x}"

    def port(self, link: str) -> str:
        """The switch's end of its cable."""
        return f"{self.name}-{INTERFACE[link]}"
