"""What `servha quorum` reads of this node and of the disk: who we are, whose label it is, who writes there.

Decides what is needed (this node's number, the cluster's key, the figures) and refuses where it is missing. Works
without servhad. Never writes to a disk: quorum_label.py and quorum_measure.py do, each where its own rules allow it.
"""

from __future__ import annotations

import argparse
import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servha.arbiters.quorum_disk import DirectIo, label_trouble, open_trouble
from servha.cli.block_device import BlockDevice, block_device
from servha.cli.cluster_wipe import name_here, places
from servha.cli.screen import Screen
from servha.core.words import Text, say
from servha.management import NotRunning
from servha.wire import sector
from servha.wire.keys import disk_key
from servha.wire.rpc import Code, Refusal
from servha.wire.sector import Header, Reason, Reject, Side

if TYPE_CHECKING:
    from servha.config.document import Document

LOOK_AGAIN_S = 0.02
WATCH_S = 1.0


@dataclass(frozen=True, slots=True)
class Here:
    """What the command knows of this node and its cluster."""

    document: Document
    us: str
    node: int
    key: bytes
    """K_disk."""

    @property
    def cluster_id(self) -> str:
        """The cluster's 32 hexadecimal digits."""
        return self.document.cluster.id

    def node_name(self, node: int) -> str:
        """Return the name of node 0 or 1, or a dash while there is none."""
        return next((n.name for n in self.document.nodes if n.id == node), "-")

    def tree_name(self, tree_id: int) -> str:
        """Return the name of a tree, or its number when the configuration does not know it."""
        return next((t.name for t in self.document.trees if t.id == tree_id), str(tree_id))


@dataclass(slots=True)
class Watched:
    """What one slot did while somebody looked."""

    side: Side
    changes: int = 0
    changed_s: float | None = None
    """When the last change was seen, by CLOCK_MONOTONIC."""


def here() -> Here:
    """Read who this node is. Works without servhad. Raises `Refusal` where there is no cluster, or no right to look."""
    from servha.daemon.identity import Identity  # noqa: PLC0415 - reads more than --help needs
    from servha.daemon.shelf import Shelf  # noqa: PLC0415

    where = places()
    try:
        (where.etc / "cluster.key").read_bytes()
    except PermissionError as error:
        text = say("only root may read what this node knows of its cluster; run the command with sudo")
        raise Refusal(Code.NOT_PERMITTED, text) from error
    except OSError:
        pass  # whether it ought to be there is seen below
    version = Shelf(where.state).current()
    if version is None:
        raise NotRunning(
            say("this node is in no cluster: run `servha cluster init` or `servha cluster join`")
        )
    secret = Identity(where.etc).read_cluster_key()
    us = name_here(where)
    section = version.document.node(us)
    if section is None:
        raise Refusal(
            Code.BAD_CONFIGURATION,
            say(
                "no node of cluster {cluster} has the certificate of this one",
                cluster=version.document.cluster.name,
            ),
        )
    return Here(version.document, us, section.id, disk_key(secret))


def device_meant(args: argparse.Namespace, cluster: Here) -> BlockDevice:
    """Return the disk that was typed, else the one in the configuration."""
    name = args.device or cluster.document.cluster.quorum_disk
    if not name:
        raise Refusal(
            Code.USAGE,
            say(
                "the configuration names no quorum disk; give the device: `servha quorum {verb} DEVICE`",
                verb=args.verb,
            ),
        )
    return block_device(name)


def is_taken(device: BlockDevice) -> bool:
    """Whether somebody on this node has the disk for himself: servha-guardd, LVM, a mount in another namespace."""
    try:
        os.close(os.open(device.name, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return True
        raise Refusal(Code.FAILED, open_trouble(device.name, error)) from error
    return False


def opened(device: BlockDevice, *, writes: bool = False) -> DirectIo:
    """Return the disk opened past the cache, not for us alone: a guard may start meanwhile. Raises `Refusal`."""
    io = DirectIo(writes=writes, alone=False)
    try:
        io.open(device.name)
    except OSError as error:
        raise Refusal(Code.FAILED, open_trouble(device.name, error)) from error
    return io


def read(io: DirectIo, device: BlockDevice, at: int, size: int) -> bytes:
    """Read, or raise `Refusal` in words."""
    try:
        area = io.read(at, size)
    except OSError as error:
        text = say(
            "{device} could not be read: {reason}", device=device.name, reason=error.strerror or str(error)
        )
        raise Refusal(Code.FAILED, text) from error
    if len(area) != size:
        raise Refusal(
            Code.FAILED,
            say("{device} gave back {got} bytes of {size}", device=device.name, got=len(area), size=size),
        )
    return area


def label_of(io: DirectIo, device: BlockDevice, cluster: Here) -> Header | Reject:
    """Return this cluster's label on the disk, or why there is none."""
    area = read(io, device, sector.HEADERS_AT, sector.HEADERS_BYTES)
    return sector.decode_headers(area, cluster.cluster_id, cluster.key)


def own_label(io: DirectIo, device: BlockDevice, cluster: Here) -> Header:
    """Return this cluster's label, or raise `Refusal` with why the disk is not ours."""
    found = label_of(io, device, cluster)
    if isinstance(found, Reject):
        nothing = found.reason in (Reason.BLANK, Reason.NOT_A_RECORD)
        raise Refusal(Code.NO_SUCH if nothing else Code.REFUSED, label_trouble(device.name, found))
    return found


def watch(
    io: DirectIo,
    device: BlockDevice,
    cluster: Here,
    seconds: float,
    meanwhile: Callable[[], None] = lambda: time.sleep(LOOK_AGAIN_S),
) -> tuple[Watched, Watched]:
    """Look at both slots for so long; `meanwhile` runs between two looks."""
    seen: tuple[Watched, Watched] | None = None
    until = time.monotonic() + seconds
    while True:
        area = read(io, device, sector.SLOTS_AT, sector.SLOTS_BYTES)
        sides = sector.decode_slots(area, cluster.cluster_id, cluster.key)
        now = time.monotonic()
        if seen is None:
            seen = (Watched(sides[0]), Watched(sides[1]))
        for watched, side in zip(seen, sides, strict=True):
            if side.mark != watched.side.mark:
                watched.changes, watched.changed_s, watched.side = watched.changes + 1, now, side
        if now >= until:
            return seen
        meanwhile()


def watch_s(cluster: Here, least_s: float = WATCH_S) -> float:
    """Return how long to watch so that a node that writes is seen to write."""
    return max(least_s, 2.5 * cluster.document.timing.limits.round_s)


def size_words(size_bytes: int) -> Text:
    """Return a size as disks are sold, in MB or GB."""
    if size_bytes < 10**9:
        return say("{n} MB", n=round(size_bytes / 10**6))
    return say("{n} GB", n=f"{size_bytes / 10**9:.1f}")


def device_rows(device: BlockDevice, screen: Screen) -> list[list[str]]:
    """Return what is known of the disk itself, for a table."""
    rows = [
        [screen.words(say("disk")), f"{device.name} ({device.kernel_name})"],
        [screen.words(say("size")), screen.words(size_words(device.size_bytes))],
    ]
    rows += [[screen.words(say("lasting name")), name] for name in device.stable_names if name != device.name]
    if device.array_id:
        rows.append([screen.words(say("number of the array")), device.array_id])
    return rows
