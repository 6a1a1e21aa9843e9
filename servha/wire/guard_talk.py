"""What servhad and servha-guardd say to each other over their local socket: JSON objects, one a datagram.

Each message is whole: whoever starts later or missed one learns everything from the next. What a newer release adds
is ignored; what cannot be read becomes `Unreadable` with its reason, never an exception. Both daemons run as root on
one machine, so nothing here is a matter of trust, only of versions.

    {"v": 1, "asking": {...}}     servhad -> guard: everything it asks
    {"v": 1, "view": {...}}       guard -> servhad: everything it answers
    {"v": 1, "rounds": [...]}     guard -> servhad: how long its rounds on the disk took
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

from servha.core.clocks import Stamp
from servha.core.guard_model import Asking, EntryView, TreeAsked, View
from servha.core.lease import Asked, Lease, Sources
from servha.core.register import Entry, TreeEntry
from servha.core.timing import Limits
from servha.core.words import as_dict, from_dict

VERSION = 1
SIZE_MAX = 65536


@dataclass(frozen=True, slots=True)
class Setup:
    """Where the guard finds its disk and watchdog, and the figures of the lease."""

    cluster_id: str
    node: int
    device: str
    key_file: str
    """File that holds the cluster's key in hexadecimal; the key itself never travels."""
    limits: Limits
    watchdog: str = ""
    host: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Belonging:
    """Everything of one tree that an emergency stop has to end on this node."""

    tree: int
    addresses: tuple[tuple[str, str], ...] = ()
    """(interface, address with prefix length)."""
    scopes: tuple[str, ...] = ()
    """Directories of control groups."""
    mounts: tuple[str, ...] = ()
    """Mount points."""


@dataclass(frozen=True, slots=True)
class SetupMessage:
    """servhad -> guard: the configuration."""

    setup: Setup


@dataclass(frozen=True, slots=True)
class BelongingsMessage:
    """servhad -> guard: what an emergency stop has to end."""

    belongings: tuple[Belonging, ...]


@dataclass(frozen=True, slots=True)
class AskingMessage:
    """servhad -> guard: everything it asks."""

    asking: Asking


@dataclass(frozen=True, slots=True)
class PingMessage:
    """servhad -> guard: the peer asks for our promise."""

    generation: int
    token: int


@dataclass(frozen=True, slots=True)
class RenewalMessage:
    """servhad -> guard: the peer promised, in answer to our ping sent at `pinged`."""

    generation: int
    pinged: Stamp


@dataclass(frozen=True, slots=True)
class ViewMessage:
    """guard -> servhad: everything it answers."""

    view: View


@dataclass(frozen=True, slots=True)
class PromiseMessage:
    """guard -> servhad: answer the peer's ping with our promise."""

    generation: int
    token: int


@dataclass(frozen=True, slots=True)
class RoundsMessage:
    """guard -> servhad: what its last rounds on the disk took in seconds; None for one that failed."""

    took_s: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A datagram that is no message of this release, and why."""

    reason: str


Message = (
    SetupMessage
    | BelongingsMessage
    | AskingMessage
    | PingMessage
    | RenewalMessage
    | ViewMessage
    | PromiseMessage
    | RoundsMessage
)


def encode(message: Message) -> bytes:
    """Return the datagram."""
    return json.dumps({"v": VERSION, **_body(message)}, separators=(",", ":")).encode()


def _body(message: Message) -> dict[str, Any]:
    match message:
        case SetupMessage(setup=setup):
            return {"setup": setup_data(setup)}
        case BelongingsMessage(belongings=belongings):
            return {"belongings": [belonging_data(b) for b in belongings]}
        case AskingMessage(asking=asking):
            return {"asking": asking_data(asking)}
        case PingMessage(generation=generation, token=token):
            return {"ping": [generation, token]}
        case RenewalMessage(generation=generation, pinged=pinged):
            return {"renewal": [generation, *stamp_data(pinged)]}
        case ViewMessage(view=view):
            return {"view": _view_data(view)}
        case PromiseMessage(generation=generation, token=token):
            return {"promise": [generation, token]}
        case RoundsMessage(took_s=took_s):
            return {"rounds": took_s}


def decode(datagram: bytes) -> Message | Unreadable:
    """Return the message in `datagram`, or why there is none."""
    try:
        data = json.loads(datagram)
        if not isinstance(data, dict) or data.get("v") != VERSION:
            return Unreadable(f"version {data.get('v') if isinstance(data, dict) else None} is not {VERSION}")
        return _message(data)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as problem:
        return Unreadable(f"{type(problem).__name__}: {problem}")


def _message(data: dict[str, Any]) -> Message | Unreadable:
    if "asking" in data:
        return AskingMessage(asking_of(data["asking"]))
    if "view" in data:
        return ViewMessage(_view_of(data["view"]))
    if "ping" in data:
        return PingMessage(*map(int, data["ping"]))
    if "promise" in data:
        return PromiseMessage(*map(int, data["promise"]))
    if "renewal" in data:
        generation, *stamp = data["renewal"]
        return RenewalMessage(int(generation), stamp_of(stamp))
    if "rounds" in data:
        return RoundsMessage(tuple(None if took_s is None else float(took_s) for took_s in data["rounds"]))
    if "setup" in data:
        return SetupMessage(setup_of(data["setup"]))
    if "belongings" in data:
        return BelongingsMessage(tuple(belonging_of(b) for b in data["belongings"]))
    return Unreadable(f"unknown message {', '.join(data)}")


# --- one value each; guardd's memory in /run is written in the same form ------------------------------------------


def stamp_data(stamp: Stamp) -> list[float]:
    """Return a stamp as three numbers."""
    return [stamp.mono_s, stamp.boot_s, stamp.raw_s]


def stamp_of(data: list[float]) -> Stamp:
    """Return the stamp of three numbers; ValueError where one is none: a lease counted from it would never get old."""
    mono_s, boot_s, raw_s = (float(v) for v in data)
    if not (isfinite(mono_s) and isfinite(boot_s) and isfinite(raw_s)):
        raise ValueError(f"no moment: {data}")
    return Stamp(mono_s, boot_s, raw_s)


def limits_data(limits: Limits) -> list[int]:
    """Return the lease's figures in the order in which they stand in a slot."""
    return [limits.lease_ms, limits.watchdog_ms, limits.round_ms, limits.drift_ppm, limits.in_flight_ms]


def setup_data(setup: Setup) -> dict[str, Any]:
    """Return a setup as plain data."""
    return {
        "cluster": setup.cluster_id,
        "node": setup.node,
        "device": setup.device,
        "key": setup.key_file,
        "limits": limits_data(setup.limits),
        "watchdog": setup.watchdog,
        "host": setup.host,
        "version": setup.version,
    }


def setup_of(data: dict[str, Any]) -> Setup:
    """Return the setup of plain data; KeyError, TypeError or ValueError where it is none."""
    return Setup(
        cluster_id=str(data["cluster"]),
        node=int(data["node"]),
        device=str(data["device"]),
        key_file=str(data["key"]),
        limits=Limits(*(int(v) for v in data["limits"])),
        watchdog=str(data.get("watchdog", "")),
        host=str(data.get("host", "")),
        version=str(data.get("version", "")),
    )


def belonging_data(belonging: Belonging) -> dict[str, Any]:
    """Return what belongs to a tree as plain data."""
    return {
        "tree": belonging.tree,
        "addresses": belonging.addresses,
        "scopes": belonging.scopes,
        "mounts": belonging.mounts,
    }


def belonging_of(data: dict[str, Any]) -> Belonging:
    """Return what belongs to a tree; KeyError, TypeError or ValueError where it is none."""
    return Belonging(
        tree=int(data["tree"]),
        addresses=tuple((str(nic), str(address)) for nic, address in data.get("addresses", ())),
        scopes=tuple(str(s) for s in data.get("scopes", ())),
        mounts=tuple(str(m) for m in data.get("mounts", ())),
    )


def asking_data(asking: Asking) -> dict[str, Any]:
    """Return everything servhad asks as plain data."""
    return {
        "trees": [
            [t.id, t.asked, t.ownership, t.rank, t.forced, t.name, t.peer_holds, t.released]
            for t in asking.trees
        ],
        "silent": asking.peer_silent,
        "reference": asking.reference_ok,
        "detached": asking.detached,
        "seen": asking.seen,
        "number": asking.number,
        "peer": asking.peer,
        "fence": asking.fence,
    }


def asking_of(data: dict[str, Any]) -> Asking:
    """Return everything servhad asks; KeyError, TypeError or ValueError where it is none."""
    return Asking(
        trees=tuple(
            TreeAsked(int(i), Asked(a), int(o), int(r), bool(f), str(n), bool(h), int(x))
            for i, a, o, r, f, n, h, x in _rows(data["trees"], (None, None, 0, 0, False, "", False, 0))
        ),
        peer_silent=bool(data["silent"]),
        reference_ok=bool(data["reference"]),
        detached=bool(data.get("detached", False)),
        seen=int(data["seen"]),
        peer=str(data.get("peer", "")),
        number=int(data.get("number", 0)),
        fence=str(data.get("fence", "")),
    )


def _view_data(view: View) -> dict[str, Any]:
    return {
        "number": view.number,
        "answers": view.answers,
        "lease": view.lease,
        "because": as_dict(view.because),
        "otherwise": as_dict(view.otherwise),
        "sources": view.sources,
        "disk_ok": view.disk_ok,
        "disk_trouble": as_dict(view.disk_trouble),
        "watchdog": view.watchdog,
        "generation": view.generation,
        "entries": [
            [e.id, e.entry, e.ownership, e.granted, as_dict(e.because), as_dict(e.otherwise)]
            for e in view.entries
        ],
        "peer_entries": [[t.id, t.entry, t.ownership, t.rank] for t in view.peer_entries],
        "peer_moves": view.peer_moves,
        "peer_reference_ok": view.peer_reference_ok,
        "limits_differ": view.limits_differ,
    }


def _view_of(data: dict[str, Any]) -> View:
    return View(
        number=int(data["number"]),
        answers=int(data.get("answers", 0)),
        lease=Lease(data["lease"]),
        because=from_dict(data["because"]),
        otherwise=from_dict(data["otherwise"]),
        sources=Sources(data["sources"]),
        disk_ok=bool(data["disk_ok"]),
        disk_trouble=from_dict(data["disk_trouble"]),
        watchdog=str(data["watchdog"]),
        generation=int(data["generation"]),
        entries=tuple(
            EntryView(int(i), Entry(e), int(o), bool(g), from_dict(b), from_dict(w))
            for i, e, o, g, b, w in _rows(data["entries"], (None, None, None, None, None, None))
        ),
        peer_entries=tuple(
            TreeEntry(int(i), Entry(e), int(o), int(r))
            for i, e, o, r in _rows(data["peer_entries"], (None, None, 0, 0))
        ),
        peer_moves=bool(data["peer_moves"]),
        peer_reference_ok=bool(data["peer_reference_ok"]),
        limits_differ=bool(data["limits_differ"]),
    )


def _rows(rows: list[list[Any]], least: tuple[Any, ...]) -> Iterator[list[Any]]:
    """Yield rows as long as `least`: what a newer release has put behind is cut off, what an older lacks is filled in.

    The memory in /run is read by the next release too, while trees run under it.
    """
    for row in rows:
        yield [*row[: len(least)], *least[len(row) :]]
