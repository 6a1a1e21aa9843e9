"""One round on the quorum disk: write the own slot, then read every slot, and say what stands there.

Decides whether the disk may be written to at all: only one that carries this cluster's label, and only as long as
it still holds what this node wrote before. Refuses to decide what a round entitles to (core/guard.py does), and to
wait for anything: a call takes as long as the disk takes, so whoever must not be held up calls it in a thread.

Only servha-guardd writes slots. It loads this file, so nothing but the standard library, core and wire is used.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import time
from dataclasses import dataclass
from typing import Final, Protocol

from servha.core.register import Slot
from servha.core.words import NOTHING_SAID, Text, say
from servha.wire import sector
from servha.wire.sector import Reason, Reject, Side

PEER_READ_COUNT_MAX: Final = 4
"""How often all slots are read in one round while the peer's copies are both invalid (section 2.3)."""


class BlockIo(Protocol):
    """All that is ever done to the device. Every call may raise `OSError`, and may take as long as the disk does."""

    def open(self, path: str) -> None:
        """Open the device; it is closed."""

    def read(self, at: int, size: int) -> bytes:
        """Return `size` bytes from `at`, from the disk and not from a cache; fewer where there are no more."""

    def write(self, at: int, block: bytes) -> None:
        """Write one block; it is on the disk when this returns."""

    def close(self) -> None:
        """Close the device; nothing when it is closed."""


class DirectIo:
    """Past the page cache, one call a transfer. Both nodes see one disk, not each its own memory of it."""

    def __init__(self, *, writes: bool = True, alone: bool = True) -> None:
        self._writes, self._alone = writes, writes and alone
        self._descriptor: int | None = None
        # O_DIRECT wants aligned memory; a mapping begins on a page.
        self._buffer = mmap.mmap(-1, sector.SLOTS_BYTES)

    def open(self, path: str) -> None:
        """Open it. Whoever writes slots has a block device alone: then nobody here can mount or format it."""
        wanted = os.O_DIRECT | os.O_CLOEXEC | (os.O_RDWR | os.O_DSYNC if self._writes else os.O_RDONLY)
        if self._alone and stat.S_ISBLK(os.stat(path).st_mode):  # noqa: PTH116  follows the link of by-id
            wanted |= os.O_EXCL
        self.close()
        self._descriptor = os.open(path, wanted)

    def read(self, at: int, size: int) -> bytes:
        """Read by one preadv."""
        with memoryview(self._buffer) as memory:
            count = os.preadv(self._opened(), [memory[:size]], at)
        return self._buffer[:count]

    def write(self, at: int, block: bytes) -> None:
        """Write by one pwritev; a part written is an error."""
        self._buffer[: len(block)] = block
        with memoryview(self._buffer) as memory:
            count = os.pwritev(self._opened(), [memory[: len(block)]], at)
        if count != len(block):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def close(self) -> None:
        """Close it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _opened(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._descriptor


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What one round found; the first fields are those of `guard_model.RoundEnded`, which explains them."""

    read: bool
    own: Slot | None = None
    own_blank: bool = False
    peer: Slot | None = None
    peer_mark: bytes = b""
    peer_blank: bool = False
    trouble: Text = NOTHING_SAID
    write_s: float = 0.0
    read_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Written:
    """What one of the own copies must hold: nobody else writes there."""

    block: bytes
    age: tuple[int, int]


class _Trouble(Exception):
    def __init__(self, text: Text) -> None:
        super().__init__(str(text))
        self.text = text


class QuorumDisk:
    """The device as one node uses it. Opened by the first round, and again by the next after every failure."""

    def __init__(self, path: str, cluster_id: str, node: int, key: bytes, io: BlockIo | None = None) -> None:
        """`key` is `wire.keys.disk_key` of the cluster; `node` 0 or 1."""
        self.path = path
        self._cluster_id, self._node, self._key = cluster_id, node, key
        self._io: BlockIo = io or DirectIo()
        self._is_open = False
        self._copies: list[_Written | None] = [None, None]
        self._taken_away: Text | None = None

    def close(self) -> None:
        """Close the device; a later round opens it again."""
        self._is_open = False
        self._io.close()

    def round(self, slot: Slot | None) -> RoundResult:
        """Write `slot`, where given, then read all slots. Never raises for what a disk can do wrong."""
        if slot is not None and slot.node != self._node:
            raise ValueError(f"the slot of node {slot.node} is not ours to write")
        if self._taken_away is not None:
            return RoundResult(read=False, trouble=self._taken_away)
        try:
            return self._round(slot)
        except _Trouble as trouble:
            self.close()
            return RoundResult(read=False, trouble=trouble.text)

    def _round(self, slot: Slot | None) -> RoundResult:
        if not self._is_open:
            self._open()
        began = time.monotonic()
        block = self._write(slot) if slot is not None else b""
        written = time.monotonic()
        # Issued only now that the write has completed: a read before it would let both nodes miss each other.
        own, peer, area = self._read_slots()
        ended = time.monotonic()
        found = own.slot
        if slot is not None:
            found = self._read_back(slot, block, own, area)
        self._look_whether_taken_away(area)
        self._remember(area)
        return RoundResult(
            read=True,
            own=found,
            own_blank=own.blank,
            peer=peer.slot,
            peer_mark=peer.mark,
            peer_blank=peer.blank,
            write_s=written - began,
            read_s=ended - written,
        )

    def _open(self) -> None:
        try:
            self._io.open(self.path)
        except OSError as error:
            raise _Trouble(open_trouble(self.path, error)) from error
        self._is_open = True
        self._check_label()

    def _check_label(self) -> None:
        """Refuse the disk unless its label is ours."""
        found = sector.decode_headers(
            self._read(sector.HEADERS_AT, sector.HEADERS_BYTES), self._cluster_id, self._key
        )
        if isinstance(found, Reject):
            raise _Trouble(label_trouble(self.path, found))

    def _write(self, slot: Slot) -> bytes:
        block = sector.encode_slot(slot, self._cluster_id, self._key)
        self._copies[slot.number & 1] = None  # should it fail, the old record or the new one may stand there
        try:
            self._io.write(sector.slot_at(self._node, slot.number), block)
        except OSError as error:
            text = say("{device} could not be written: {reason}", device=self.path, reason=_reason(error))
            raise _Trouble(text) from error
        return block

    def _read(self, at: int, size: int) -> bytes:
        try:
            area = self._io.read(at, size)
        except OSError as error:
            text = say("{device} could not be read: {reason}", device=self.path, reason=_reason(error))
            raise _Trouble(text) from error
        if len(area) != size:
            raise _Trouble(
                say("{device} gave back {got} bytes of {size}", device=self.path, got=len(area), size=size)
            )
        return area

    def _read_slots(self) -> tuple[Side, Side, bytes]:
        """Return our side, the peer's, and the bytes they were read from."""
        count = 0
        while True:
            area = self._read(sector.SLOTS_AT, sector.SLOTS_BYTES)
            sides = sector.decode_slots(area, self._cluster_id, self._key)
            own, peer = sides[self._node], sides[1 - self._node]
            count += 1
            if peer.slot is not None or peer.blank or count == PEER_READ_COUNT_MAX:
                return own, peer, area

    def _read_back(self, slot: Slot, block: bytes, own: Side, area: bytes) -> Slot | None:
        """Return the own record as it stands there: `slot` itself only when every byte is as it was written."""
        copy = slot.number & 1
        if sector.copy_of(area, self._node, copy) == block:
            self._copies[copy] = _Written(block, slot.age)
            return own.slot if own.slot is not None and own.slot.age > slot.age else slot
        self._check_label()
        return own.slot

    def _look_whether_taken_away(self, area: bytes) -> None:
        """Find out by the own copies whether somebody initialised the disk under us, or set it back.

        Then the peer's slot says nothing either: a blank one would read as a peer that never held a tree. A record
        of ours with a higher age was written by a second node with our number, which the core judges.
        """
        for copy, known in enumerate(self._copies):
            block = sector.copy_of(area, self._node, copy)
            if known is None or block == known.block:
                continue
            found = sector.decode_slot(block, self._node, copy, self._cluster_id, self._key)
            older = isinstance(found, Slot) and found.age <= known.age
            if older or (isinstance(found, Reject) and found.reason is Reason.BLANK):
                self._check_label()
                self._taken_away = say(
                    "{device} was initialised anew or set back to an older state while this node used it; nothing is"
                    " written to it any more until servha-guardd is started anew",
                    device=self.path,
                )
                raise _Trouble(self._taken_away)
            if isinstance(found, Reject):
                self._check_label()  # a damaged copy under our label: our next record replaces it

    def _remember(self, area: bytes) -> None:
        for copy, known in enumerate(self._copies):
            block = sector.copy_of(area, self._node, copy)
            if known is not None and block == known.block:
                continue
            found = sector.decode_slot(block, self._node, copy, self._cluster_id, self._key)
            self._copies[copy] = _Written(block, found.age) if isinstance(found, Slot) else None


def open_trouble(device: str, error: OSError) -> Text:
    """Return why a device could not be opened."""
    if error.errno == errno.EBUSY:
        return say(
            "{device} is in use by something else on this node: mounted, part of LVM, RAID or multipath, or written"
            " by another program",
            device=device,
        )
    return say("{device} cannot be opened: {reason}", device=device, reason=_reason(error))


def label_trouble(device: str, reject: Reject) -> Text:
    """Return why the label of a device does not make it this cluster's quorum disk."""
    match reject.reason:
        case Reason.FOREIGN_CLUSTER:
            return say(
                "{device} is the quorum disk of another cluster, {cluster}",
                device=device,
                cluster=reject.detail,
            )
        case Reason.UNKNOWN_KEY:
            return say(
                "{device} was labelled with another cluster key than this node has: label it anew, or bring the key"
                " of the node that labelled it",
                device=device,
            )
        case Reason.SEAL:
            return say("the label of {device} is damaged in both copies", device=device)
        case Reason.VERSION:
            return say(
                "the label of {device} has version {version}, which this release does not know",
                device=device,
                version=reject.detail,
            )
        case _:
            return say(
                "{device} carries no label of a quorum disk: `servha quorum label {device}` writes one",
                device=device,
            )


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
