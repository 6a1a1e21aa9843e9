"""One heartbeat datagram <-> one `Beat`. Decides whether bytes are a beat of this cluster at all.

It refuses to decide whether a beat is fresh: that needs memory, which conversation.py has. Whatever is
wrong with a datagram becomes a `Reject` with its reason, never an exception: bytes from the network are
nobody's mistake here.

Layout, little endian; the first 40 bytes and the seal at the end stay where they are in every later
version, so that a node of another version is recognised, and only believed to be one when it holds the key:

     0  "SHB1"  4 u8 version  5 u8 kind  6 u8 sender id  7 u8 key id  8 u32 cluster  12 u16 link  14 u16 zero
    16  session of the sender (16)   32 u64 counter
    40  the receiver's session as the sender knows it (16), boot id (16), standing, flags, generation,
        configuration digest (8), links heard (8 x u16), lease line (33: u64 generation and u64 token of our ping,
        u8 whether a ping is answered by a promise, u64 generation and u64 token of that ping), echo line (8: u32 end
        of the counter heard last on this link, u32 microseconds since then), number of trees, then 20 bytes a tree.
        A lease datagram is a beat with no trees: only its lease line and its echo line count.
    end HMAC-SHA256 over everything before it, first 16 bytes

A link travels as a tag made from its name and not as its place in the list, so that two nodes that have a
different generation of the configuration for a moment, or for a day, still hear each other.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import lru_cache

from servha.core.model import Fitness, Goal, Order, Parked, Phase, Report, Standing, TreeReport

MAGIC = b"SHB1"
VERSION = 1
SIZE_MAX = 1400  # below every usual MTU with its headers: a beat is never fragmented
TREES_MAX = 48
LINKS_MAX = 8
SESSION_SIZE = 16
NO_SESSION = bytes(SESSION_SIZE)

_SEAL_SIZE = 16
_HEADER = struct.Struct("<4sBBBBIHH16sQ")
_BODY = struct.Struct("<16s16sBBQ8s8HQQBQQIIB")
_TREE = struct.Struct("<IBBBBQI")
_SIZE_LEAST = _HEADER.size + _SEAL_SIZE

# The place in these tuples is the number on the wire: append only.
_STANDINGS = (
    Standing.JOINING,
    Standing.STANDBY,
    Standing.ACTIVE,
    Standing.CLAIMING,
    Standing.YIELDING,
    Standing.ISOLATED,
)
_PHASES = (Phase.OFF, Phase.WANTED, Phase.STARTING, Phase.RUNNING, Phase.STOPPING, Phase.STOP_FAILED)
_FITNESS = (Fitness.FIT, Fitness.UNFIT, Fitness.UNKNOWN)
_PARKED = (Parked.NO, Parked.YES, Parked.ALONE)
_GOALS = (Goal.RUN, Goal.STOP)
_STANDING_NUMBER = {word: number for number, word in enumerate(_STANDINGS)}
_PHASE_NUMBER = {word: number for number, word in enumerate(_PHASES)}
_FITNESS_NUMBER = {word: number for number, word in enumerate(_FITNESS)}
_PARKED_NUMBER = {word: number for number, word in enumerate(_PARKED)}
_GOAL_NUMBER = {word: number for number, word in enumerate(_GOALS)}

_REFERENCE_OK = 1
_LEAVING = 2
_NOBODY = 255


class Kind(IntEnum):
    """What a beat is for, beside the report it carries."""

    BEAT = 1
    HELLO = 2  # "I have not yet heard a beat of yours that names my session: please answer"
    BYE = 3  # the last beats of a daemon that goes away
    LEASE = 4  # between two beats: only the lease line counts


class Reason(StrEnum):
    """Why a datagram was not accepted. The first eight are found here, the others by the conversation."""

    TRUNCATED = "truncated"
    OVERSIZE = "oversize"
    NOT_A_BEAT = "not-a-beat"
    FOREIGN_CLUSTER = "foreign-cluster"
    UNKNOWN_KEY = "unknown-key"
    SEAL = "seal"  # altered on the way, or made with another key: the two look the same
    VERSION = "version"
    MALFORMED = "malformed"
    SENDER = "sender"  # our own id, or one that the configuration does not know
    LINK = "link"  # made for another link than the one it came in on
    STALE_SESSION = "stale-session"  # speaks to a session that is not ours, or from one that has ended
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True)
class Reject:
    """A datagram that is not to be believed. `detail` is the version found, where that is the reason."""

    reason: Reason
    detail: int = 0


@dataclass(frozen=True, slots=True)
class LeaseLine:
    """What the arbitration guards of both nodes say to each other: our ping, and our promise that answers theirs.

    A token stands for the moment its ping was sent and is opaque to the other side; 0 is no ping.
    """

    ping_generation: int = 0
    ping_token: int = 0
    promises: bool = False
    promised_generation: int = 0
    promised_token: int = 0


NO_LEASE = LeaseLine()


@dataclass(frozen=True, slots=True)
class EchoLine:
    """Which datagram the sender heard last on this link, and for how long it has kept that: enough for a round trip.

    `counter` is the end (32 bits) of that datagram's counter, 0 for none; `held_us` is in microseconds.
    """

    counter: int = 0
    held_us: int = 0


NO_ECHO = EchoLine()


@dataclass(frozen=True, slots=True)
class Beat:
    """One beat, its seal found right. Sessions have 16 bytes; `echo` is NO_SESSION where none is known."""

    kind: Kind
    link: str
    session: bytes
    counter: int
    echo: bytes
    report: Report
    key_id: int = 0
    lease: LeaseLine = NO_LEASE
    heard: EchoLine = NO_ECHO


@dataclass(frozen=True, slots=True)
class Roster:
    """What both ends must know to read each other: who is in the cluster, and the keys beats are sealed with.

    `nodes` maps a node's id (0 or 1) to its name; `keys` a key id to a key, two of them while the key is
    changed.
    """

    cluster: int
    nodes: Mapping[int, str]
    links: tuple[str, ...]
    keys: Mapping[int, bytes] = field(repr=False)
    key_id: int = 0
    """The key new beats are sealed with."""
    node_ids: Mapping[str, int] = field(init=False, repr=False)
    tags: Mapping[str, int] = field(init=False, repr=False)
    links_by_tag: Mapping[int, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "node_ids", {name: number for number, name in self.nodes.items()})
        object.__setattr__(self, "tags", {name: link_tag(name) for name in self.links})
        object.__setattr__(self, "links_by_tag", {link_tag(name): name for name in self.links})


def link_tag(name: str) -> int:
    """Return the number 1..65535 by which a link travels; the configuration refuses two that share one."""
    return int.from_bytes(hashlib.sha256(b"link:" + name.encode()).digest()[:2], "little") or 1


def cluster_number(cluster_id: str) -> int:
    """Return the 32 bits of the cluster's id (32 hexadecimal digits) that every beat carries."""
    return int(cluster_id[:8], 16)


def incarnation(boot_id: str, session: bytes) -> str:
    """Name one life of a daemon.

    `boot_id` as the kernel gives it; `session` 16 random bytes drawn at its start.
    """
    return f"{bytes.fromhex(boot_id.strip().replace('-', '')).hex()}.{session.hex()}"


def encode(beat: Beat, roster: Roster) -> bytes:
    """Return the datagram.

    ValueError, and what is wrong, for a report that no configuration could have given.
    """
    report, lease = beat.report, beat.lease
    boot, dot, session = report.incarnation.partition(".")
    if dot != "." or session != beat.session.hex() or len(boot) != 32:
        raise ValueError(
            f"incarnation {report.incarnation!r} is not boot id and session as incarnation() makes it"
        )
    if len(report.config_digest) not in (0, 16):
        raise ValueError(f"configuration digest {report.config_digest!r} is not 16 hexadecimal digits")
    if len(report.trees) > TREES_MAX or len(report.hears) > LINKS_MAX:
        raise ValueError(
            f"{len(report.trees)} trees, {len(report.hears)} links: a beat has room for 48 and 8"
        )
    heard = [roster.tags[name] for name in report.hears if name in roster.tags]
    flags = (_REFERENCE_OK if report.reference_ok else 0) | (_LEAVING if report.leaving else 0)
    node_ids = roster.node_ids
    try:
        parts = [
            _HEADER.pack(
                MAGIC,
                VERSION,
                beat.kind,
                node_ids[report.node],
                beat.key_id,
                roster.cluster,
                roster.tags[beat.link],
                0,
                beat.session,
                beat.counter,
            ),
            _BODY.pack(
                beat.echo,
                bytes.fromhex(boot),
                _STANDING_NUMBER[report.standing],
                flags,
                report.generation,
                bytes.fromhex(report.config_digest),
                *heard,
                *(0,) * (LINKS_MAX - len(heard)),
                lease.ping_generation,
                lease.ping_token,
                lease.promises,
                lease.promised_generation,
                lease.promised_token,
                beat.heard.counter,
                beat.heard.held_us,
                len(report.trees),
            ),
        ]
        parts += [
            _TREE.pack(
                tree.id,
                _PHASE_NUMBER[tree.phase],
                _FITNESS_NUMBER[tree.fitness] << 4 | _PARKED_NUMBER[tree.parked],
                _GOAL_NUMBER[tree.order.goal],
                node_ids.get(tree.order.pin, _NOBODY),
                tree.ownership,
                tree.order.number,
            )
            for tree in report.trees
        ]
    except (struct.error, KeyError) as error:
        raise ValueError(f"a beat cannot say this: {error}") from error
    plain = b"".join(parts)
    return plain + hmac.digest(roster.keys[beat.key_id], plain, "sha256")[:_SEAL_SIZE]


def decode(datagram: bytes, roster: Roster) -> Beat | Reject:
    """Return the beat in `datagram`, or why there is none to believe."""
    refusal = _refusal(datagram, roster)
    if refusal is not None:
        return refusal
    _, _, kind, sender, key_id, _, tag, _, session, counter = _HEADER.unpack_from(datagram)
    node = roster.nodes.get(sender)
    if node is None:
        return Reject(Reason.SENDER, sender)
    link = roster.links_by_tag.get(tag)
    if link is None:
        return Reject(Reason.LINK)
    try:
        echo, report, lease, heard = _read_report(datagram, node, session, roster)
        return Beat(Kind(kind), link, session, counter, echo, report, key_id, lease, heard)
    except (struct.error, IndexError, ValueError):
        return Reject(Reason.MALFORMED)


def _refusal(datagram: bytes, roster: Roster) -> Reject | None:
    """Return why the envelope is not to be opened. Cheap checks first, the seal before any content."""
    if len(datagram) > SIZE_MAX:
        return Reject(Reason.OVERSIZE)
    if len(datagram) < _SIZE_LEAST:
        return Reject(Reason.TRUNCATED)
    magic, version, _, _, key_id, cluster, _, _, _, _ = _HEADER.unpack_from(datagram)
    if magic != MAGIC:
        return Reject(Reason.NOT_A_BEAT)
    if cluster != roster.cluster:
        return Reject(Reason.FOREIGN_CLUSTER)
    key = roster.keys.get(key_id)
    if key is None:
        return Reject(Reason.UNKNOWN_KEY, key_id)
    seal = hmac.digest(key, datagram[:-_SEAL_SIZE], "sha256")[:_SEAL_SIZE]
    # compare_digest takes the same time wherever the first difference is: no guessing byte by byte.
    if not hmac.compare_digest(seal, datagram[-_SEAL_SIZE:]):
        return Reject(Reason.SEAL)
    return None if version == VERSION else Reject(Reason.VERSION, version)


def _read_report(
    datagram: bytes, node: str, session: bytes, roster: Roster
) -> tuple[bytes, Report, LeaseLine, EchoLine]:
    """Read what follows the header; struct.error, IndexError or ValueError when it is not a report."""
    echo, boot, standing, flags, generation, digest, *rest = _BODY.unpack_from(datagram, _HEADER.size)
    heard, (*lease_line, counter, held_us, tree_count) = rest[:LINKS_MAX], rest[LINKS_MAX:]
    ping_generation, ping_token, promises, promised_generation, promised_token = lease_line
    start = _HEADER.size + _BODY.size
    if tree_count > TREES_MAX or len(datagram) != start + tree_count * _TREE.size + _SEAL_SIZE:
        raise ValueError("the length does not fit the number of trees")
    names = (roster.nodes.get(0, ""), roster.nodes.get(1, ""))
    links = roster.links_by_tag
    records = (datagram[at : at + _TREE.size] for at in range(start, len(datagram) - _SEAL_SIZE, _TREE.size))
    trees = tuple(_read_tree(record, names) for record in records)
    if promises > 1:
        raise ValueError("a promise is given or not")
    lease = LeaseLine(ping_generation, ping_token, bool(promises), promised_generation, promised_token)
    report = Report(
        node=node,
        incarnation=f"{boot.hex()}.{session.hex()}",
        standing=_STANDINGS[standing],
        reference_ok=bool(flags & _REFERENCE_OK),
        leaving=bool(flags & _LEAVING),
        hears=tuple(links[tag] for tag in heard if tag in links),
        generation=generation,
        config_digest="" if digest == bytes(8) else digest.hex(),
        trees=trees,
    )
    return echo, report, lease, EchoLine(counter, held_us)


@lru_cache(maxsize=4 * TREES_MAX)
def _read_tree(record: bytes, names: tuple[str, str]) -> TreeReport:
    """Read one tree. Remembered, because most beats say of most trees what the beat before said."""
    tree_id, phase, state, goal, pin, ownership, number = _TREE.unpack(record)
    if pin not in (0, 1, _NOBODY):
        raise ValueError("no such node to be pinned to")
    return TreeReport(
        tree_id,
        _PHASES[phase],
        ownership,
        _FITNESS[state >> 4],
        _PARKED[state & 15],
        Order(number, _GOALS[goal], "" if pin == _NOBODY else names[pin]),
    )
