"""Blocks of the quorum disk <-> `Header` and `Slot`. Decides whether bytes are a record of this cluster at all.

It refuses to decide what a record entitles to, and whether it is newer than one seen before: that needs memory,
which the core has. Whatever is wrong with a block becomes a `Reject` with its reason, never an exception: what
stands on a shared disk is nobody's mistake here. A record that is rejected says nothing; it never says "dead".

The first MiB is left alone: a partition label may stand there. From B = 1 MiB, in blocks of 4096 bytes:

    B       header copy 0       B + 4K      header copy 1
    B + 64K slot 0 copy 0       B + 68K     slot 1 copy 0       B + 72K   slot 0 copy 1     B + 76K   slot 1 copy 1
    B + 128K  a block of node 0 and one of node 1 that only `servha quorum test` reads, to measure writing with

Every record is little endian, begins with its mark and version and ends with HMAC-SHA256 over all before it. A
node writes its two copies in turn, so that a torn write spoils the older one of them at most.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servha.core.register import TREES_MAX, Claim, Entry, Flags, Slot, TreeEntry
from servha.core.timing import Limits

BLOCK_BYTES: Final = 4096
BASE_AT: Final = 1 << 20
HEADERS_AT: Final = BASE_AT
HEADERS_BYTES: Final = 2 * BLOCK_BYTES
SLOTS_AT: Final = BASE_AT + (64 << 10)
SLOTS_BYTES: Final = 4 * BLOCK_BYTES
SCRATCH_AT: Final = BASE_AT + (128 << 10)
DEVICE_BYTES_MIN: Final = 16 << 20
"""A smaller disk is refused (reading A02); nothing beyond the second MiB is used."""

VERSION: Final = 1
HEADER_MAGIC: Final = b"SERVHAQ1"
SLOT_MAGIC: Final = b"SHQD"
HOST_BYTES: Final = 64
RELEASE_BYTES: Final = 32

_SEAL_AT: Final = BLOCK_BYTES - 32
_HEADER = struct.Struct("<8sHHI16s16s16sQIIIIII32s")
_SLOT = struct.Struct("<4sHH16sBBHIQ16sQQQQQQIIIIIHH")
_TREE = struct.Struct("<IBBHQQ")
_TREES_AT: Final = _SLOT.size
_SHOWN = struct.Struct(f"<q{HOST_BYTES}s{RELEASE_BYTES}s")
_SHOWN_AT: Final = _TREES_AT + TREES_MAX * _TREE.size

# The place in these tuples is the number on the disk, or the bit: append only.
_ENTRIES = (Entry.NONE, Entry.WANT, Entry.HELD, Entry.RELEASED, Entry.STOP_FAILED)
_ENTRY_NUMBER = {entry: number for number, entry in enumerate(_ENTRIES)}
_FLAGS = (
    "reference_ok",
    "hears_peer",
    "shut_down",
    "maintenance",
    "eligible",
    "watchdog_armed",
    "reservations_ok",
    "degraded",
)


class Reason(StrEnum):
    """Why a block is not a record to be believed."""

    TRUNCATED = "truncated"
    BLANK = "blank"  # all zeros: never written
    NOT_A_RECORD = "not-a-record"
    FOREIGN_CLUSTER = "foreign-cluster"
    UNKNOWN_KEY = "unknown-key"  # a header of this cluster made with another key
    SEAL = "seal"  # damaged, or made with another key: the two look the same
    VERSION = "version"
    PLACE = "place"  # written for another node or as the other copy
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Reject:
    """A block that says nothing. `detail` is the cluster or the version found, where that is the reason."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """Whose disk it is. The figures are those in force when it was labelled; each slot carries its own."""

    cluster_id: str
    nodes: tuple[str, str]
    """`node_mark` of node 0 and 1; 32 zeros where the cluster had no second node yet."""
    generation: int
    """Generation of the configuration by which it was labelled."""
    limits: Limits
    dead_ms: int = 0


@dataclass(frozen=True, slots=True)
class Side:
    """What the two copies of one node's slot say together."""

    slot: Slot | None
    """The newer valid one."""
    mark: bytes
    """Stands for the raw bytes of both copies: any change shows."""
    blank: bool
    """Whether both copies are all zeros: the node never wrote."""
    rejects: tuple[Reject, ...] = ()
    """Why a copy that is not blank was not believed."""


def key_mark(key: bytes) -> bytes:
    """Return the 32 bytes by which a header names the key it was made with, without telling the key."""
    return hashlib.sha256(key).digest()


def node_mark(cluster_id: str, name: str) -> str:
    """Return the 32 hexadecimal digits by which a header names a node."""
    return hashlib.sha256(f"servha node {cluster_id} {name}".encode()).hexdigest()[:32]


def slot_at(node: int, number: int) -> int:
    """Return where on the disk the record `number` of `node` stands: even ones are copy 0, odd ones copy 1."""
    return SLOTS_AT + ((number & 1) * 2 + node) * BLOCK_BYTES


def copy_of(area: bytes, node: int, copy: int) -> bytes:
    """Return one node's copy 0 or 1 out of the area of all slots."""
    start = (copy * 2 + node) * BLOCK_BYTES
    return area[start : start + BLOCK_BYTES]


def cluster_named_in(block: bytes) -> str:
    """Return the cluster that a header says it belongs to, whoever made it; empty when it is no header."""
    return block[16:32].hex() if block.startswith(HEADER_MAGIC) and len(block) == BLOCK_BYTES else ""


# --- header -----------------------------------------------------------------------------------------------------


def encode_header(header: Header, key: bytes) -> bytes:
    """Return the block; ValueError for what it cannot say."""
    limits = header.limits
    try:
        plain = _HEADER.pack(
            HEADER_MAGIC,
            VERSION,
            BLOCK_BYTES,
            0,
            _sixteen(header.cluster_id),
            _sixteen(header.nodes[0]),
            _sixteen(header.nodes[1]),
            header.generation,
            limits.lease_ms,
            limits.watchdog_ms,
            limits.round_ms,
            limits.drift_ppm,
            limits.in_flight_ms,
            header.dead_ms,
            key_mark(key),
        )
    except struct.error as error:
        raise ValueError(f"a header cannot say this: {error}") from error
    return _sealed(plain, key)


def decode_header(block: bytes, cluster_id: str, key: bytes) -> Header | Reject:
    """Return the header in one block, or why there is none to believe."""
    if len(block) != BLOCK_BYTES:
        return Reject(Reason.TRUNCATED)
    if not any(block):
        return Reject(Reason.BLANK)
    if not block.startswith(HEADER_MAGIC):
        return Reject(Reason.NOT_A_RECORD)
    found = _HEADER.unpack_from(block)
    version, cluster, made_with = found[1], found[4], found[-1]
    if cluster.hex() != cluster_id:
        return Reject(Reason.FOREIGN_CLUSTER, cluster.hex())
    if made_with != key_mark(key):
        return Reject(Reason.UNKNOWN_KEY)
    if not _seal_is_right(block, key):
        return Reject(Reason.SEAL)
    if version != VERSION:
        return Reject(Reason.VERSION, str(version))
    nodes, generation, figures = (found[5].hex(), found[6].hex()), found[7], found[8:14]
    return Header(cluster_id, nodes, generation, Limits(*figures[:5]), figures[5])


def decode_headers(area: bytes, cluster_id: str, key: bytes) -> Header | Reject:
    """Return the header from its two copies.

    One valid copy is enough where the other is damaged or blank, but a copy that names another cluster or key
    wins: somebody is taking the disk over, and a disk of two owners is not ours to write to.
    """
    copies = [decode_header(area[start : start + BLOCK_BYTES], cluster_id, key) for start in (0, BLOCK_BYTES)]
    for copy in copies:
        if isinstance(copy, Reject) and copy.reason in (Reason.FOREIGN_CLUSTER, Reason.UNKNOWN_KEY):
            return copy
    for copy in copies:
        if isinstance(copy, Header):
            return copy
    return next((c for c in copies if isinstance(c, Reject) and c.reason is not Reason.BLANK), copies[0])


# --- slot -------------------------------------------------------------------------------------------------------


def encode_slot(slot: Slot, cluster_id: str, key: bytes) -> bytes:
    """Return the block that belongs at `slot_at(slot.node, slot.number)`.

    ValueError for what it cannot say. Host name and version are for people to read: they are cut where they are
    too long.
    """
    flags = sum(1 << bit for bit, name in enumerate(_FLAGS) if getattr(slot.flags, name))
    if len(slot.trees) > TREES_MAX or slot.node not in (0, 1):
        raise ValueError(
            f"node {slot.node}, {len(slot.trees)} trees: a slot is node 0's or 1's, with room for 64"
        )
    limits, claim = slot.limits, slot.claim
    try:
        head = _SLOT.pack(
            SLOT_MAGIC,
            VERSION,
            BLOCK_BYTES,
            _sixteen(cluster_id),
            slot.node,
            slot.number & 1,
            0,
            flags,
            slot.generation,
            _sixteen(slot.boot_id),
            slot.number,
            claim.target_generation,
            claim.target_number,
            claim.nonce,
            slot.seen_generation,
            slot.seen_number,
            limits.lease_ms,
            limits.watchdog_ms,
            limits.round_ms,
            limits.drift_ppm,
            limits.in_flight_ms,
            len(slot.trees),
            0,
        )
        trees = b"".join(
            _TREE.pack(tree.id, _ENTRY_NUMBER[tree.entry], tree.rank, 0, tree.ownership, 0)
            for tree in slot.trees
        )
        shown = _SHOWN.pack(slot.written_at, _cut(slot.host, HOST_BYTES), _cut(slot.version, RELEASE_BYTES))
    except struct.error as error:
        raise ValueError(f"a slot cannot say this: {error}") from error
    return _sealed(head + trees.ljust(TREES_MAX * _TREE.size, b"\0") + shown, key)


def decode_slot(block: bytes, node: int, copy: int, cluster_id: str, key: bytes) -> Slot | Reject:
    """Return the record in the block that was read where `node` keeps its copy 0 or 1, or why there is none."""
    if len(block) != BLOCK_BYTES:
        return Reject(Reason.TRUNCATED)
    if not any(block):
        return Reject(Reason.BLANK)
    if not block.startswith(SLOT_MAGIC):
        return Reject(Reason.NOT_A_RECORD)
    if block[8:24].hex() != cluster_id:
        return Reject(Reason.FOREIGN_CLUSTER, block[8:24].hex())
    if not _seal_is_right(block, key):
        return Reject(Reason.SEAL)
    version = int.from_bytes(block[4:6], "little")
    if version != VERSION:
        return Reject(Reason.VERSION, str(version))
    if (block[24], block[25]) != (node, copy):
        return Reject(Reason.PLACE)
    try:
        return _read_slot(block)
    except (IndexError, ValueError):
        return Reject(Reason.MALFORMED)


def decode_slots(area: bytes, cluster_id: str, key: bytes) -> tuple[Side, Side]:
    """Return what node 0 and node 1 say in the area of all slots, as one read gave it."""
    return _side(area, 0, cluster_id, key), _side(area, 1, cluster_id, key)


def _side(area: bytes, node: int, cluster_id: str, key: bytes) -> Side:
    blocks = [copy_of(area, node, copy) for copy in (0, 1)]
    copies = [decode_slot(block, node, copy, cluster_id, key) for copy, block in enumerate(blocks)]
    slots = [copy for copy in copies if isinstance(copy, Slot)]
    rejects = [copy for copy in copies if isinstance(copy, Reject)]
    return Side(
        slot=max(slots, key=lambda slot: slot.age, default=None),
        mark=hashlib.sha256(b"".join(blocks)).digest(),
        blank=all(reject.reason is Reason.BLANK for reject in rejects) and not slots,
        rejects=tuple(reject for reject in rejects if reject.reason is not Reason.BLANK),
    )


def _read_slot(block: bytes) -> Slot:
    """Read a sealed record; IndexError or ValueError when it is not one of this version."""
    found = _SLOT.unpack_from(block)
    node, copy, flags, generation, boot_id, number = found[4], found[5], *found[7:11]
    claim, (seen_generation, seen_number), figures = Claim(*found[11:14]), found[14:16], found[16:21]
    tree_count = found[21]
    if tree_count > TREES_MAX or number & 1 != copy:
        raise ValueError("more trees than there is room for, or a number that belongs into the other copy")
    trees = (_TREE.unpack_from(block, _TREES_AT + place * _TREE.size) for place in range(tree_count))
    written_at, host, release = _SHOWN.unpack_from(block, _SHOWN_AT)
    return Slot(
        node=node,
        generation=generation,
        number=number,
        boot_id=boot_id.hex(),
        limits=Limits(*figures),
        claim=claim,
        seen_generation=seen_generation,
        seen_number=seen_number,
        flags=Flags(**{name: bool(flags >> bit & 1) for bit, name in enumerate(_FLAGS)}),
        trees=tuple(
            TreeEntry(tree_id, _ENTRIES[entry], ownership, rank)
            for tree_id, entry, rank, _, ownership, _ in trees
        ),
        host=_uncut(host),
        version=_uncut(release),
        written_at=written_at,
    )


def _sealed(plain: bytes, key: bytes) -> bytes:
    whole = plain.ljust(_SEAL_AT, b"\0")
    return whole + hmac.digest(key, whole, "sha256")


def _seal_is_right(block: bytes, key: bytes) -> bool:
    return hmac.compare_digest(hmac.digest(key, block[:_SEAL_AT], "sha256"), block[_SEAL_AT:])


def _sixteen(digits: str) -> bytes:
    """Return 16 bytes from 32 hexadecimal digits; ValueError for anything else."""
    made = bytes.fromhex(digits)
    if len(made) != 16:
        raise ValueError(f"{digits!r} is not 32 hexadecimal digits")
    return made


def _cut(words: str, size: int) -> bytes:
    """Return at most `size` bytes of UTF-8, cut between two characters."""
    return words.encode(errors="replace")[:size].decode(errors="ignore").encode()


def _uncut(field: bytes) -> str:
    return field.rstrip(b"\0").decode(errors="replace")
