"""What a guard that is replaced within one boot leaves to its successor: one small file in /run.

Two copies in one file, written in turn, each in one call and sealed with a checksum, so that a guard killed in the
middle of writing leaves the older one whole. What changes with every round, the slot's number and the moment from
which the lease counts, stands apart as a pulse of a few bytes, in two copies as well. Whether the successor may go on
from it is decided in core/guard.py.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import struct
import zlib
from dataclasses import dataclass, replace
from typing import Any, Final

from servha.core.clocks import Stamp
from servha.core.guard_model import Held, Saved
from servha.core.register import Claim, Entry, Slot, TreeEntry
from servha.core.timing import Limits
from servha.wire.guard_talk import (
    Belonging,
    Setup,
    asking_data,
    asking_of,
    belonging_data,
    belonging_of,
    limits_data,
    setup_data,
    setup_of,
    stamp_data,
    stamp_of,
)

_HEAD = struct.Struct("<QII")
_PULSE = struct.Struct("<QQ3d")
_SEAL = struct.Struct("<I")
_ROOM: Final = 1 << 16
_PULSES_AT: Final = 2 * _ROOM
_PULSE_ROOM: Final = 64


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything that a successor needs to go on at once, before servhad speaks to it."""

    setup: Setup
    belongings: tuple[Belonging, ...]
    saved: Saved


class MemoryFile:
    """The file. OSError is the caller's to judge: without it a restart ends in an emergency stop, which is safe."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._count = 0
        self._kept: Memory | None = None

    def load(self) -> Memory | None:
        """Return what was left, or None where nothing whole was."""
        best: tuple[int, bytes] | None = None
        try:
            with open(self._path, "rb") as file:  # noqa: PTH123 - the guard loads no pathlib for this
                content = file.read()
        except FileNotFoundError:
            return None
        for at in (0, _ROOM):
            if len(content) < at + _HEAD.size:
                continue
            count, size, seal = _HEAD.unpack_from(content, at)
            body = content[at + _HEAD.size : at + _HEAD.size + size]
            if size and len(body) == size and zlib.crc32(body) == seal and (best is None or count > best[0]):
                best = (count, body)
        if best is None:
            return None
        self._count = best[0]
        with contextlib.suppress(ValueError, KeyError, TypeError):
            data = json.loads(best[1])
            return Memory(
                setup_of(data["setup"]),
                tuple(belonging_of(b) for b in data["belongings"]),
                _with_pulse(_saved_of(data["saved"]), content),
            )
        return None

    def keep(self, memory: Memory) -> None:
        """Write what is new over its older copy."""
        if self._descriptor is not None and self._kept is not None and _same(memory, self._kept):
            self._beat(self._descriptor, memory.saved)
            return
        body = json.dumps(
            {
                "setup": setup_data(memory.setup),
                "belongings": [belonging_data(b) for b in memory.belongings],
                "saved": _saved_data(memory.saved),
            },
            separators=(",", ":"),
        ).encode()
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        count = self._count + 1
        block = _HEAD.pack(count, len(body), zlib.crc32(body)) + body
        if len(block) > _ROOM:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        if os.pwrite(self._descriptor, block, _ROOM * (count & 1)) != len(block):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._count = count  # only now: the next that fails must not spoil the copy that is whole
        self._kept = memory
        self._beat(self._descriptor, memory.saved)

    def _beat(self, descriptor: int, saved: Saved) -> None:
        basis = saved.basis
        if basis is None:
            return
        pulse = _PULSE.pack(saved.slot.generation, saved.slot.number, basis.mono_s, basis.boot_s, basis.raw_s)
        at = _PULSES_AT + _PULSE_ROOM * (saved.slot.number & 1)
        os.pwrite(descriptor, pulse + _SEAL.pack(zlib.crc32(pulse)), at)

    def clear(self) -> None:
        """Nothing depends on it any more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._kept = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)  # noqa: PTH108 - as above


def _same(one: Memory, other: Memory) -> bool:
    """Return whether only the pulse differs."""
    a, b = one.saved, other.saved
    return (
        (one.setup, one.belongings) == (other.setup, other.belongings)
        and (a.trees, a.asking, a.watchdog, a.watchdog_s, a.forced)
        == (b.trees, b.asking, b.watchdog, b.watchdog_s, b.forced)
        and (a.slot.claim, a.slot.trees, a.slot.limits) == (b.slot.claim, b.slot.trees, b.slot.limits)
        and (a.boot_id, a.slot.node, a.slot.generation) == (b.boot_id, b.slot.node, b.slot.generation)
    )


def _with_pulse(saved: Saved, content: bytes) -> Saved:
    """Return `saved` as of its last pulse."""
    for at in (_PULSES_AT, _PULSES_AT + _PULSE_ROOM):
        block = content[at : at + _PULSE.size + _SEAL.size]
        if (
            len(block) < _PULSE.size + _SEAL.size
            or _SEAL.pack(zlib.crc32(block[: _PULSE.size])) != block[_PULSE.size :]
        ):
            continue
        generation, number, mono_s, boot_s, raw_s = _PULSE.unpack_from(block)
        newer = number > saved.slot.number or (
            number == saved.slot.number and (saved.basis is None or raw_s > saved.basis.raw_s)
        )
        if generation == saved.slot.generation and newer:
            basis = Stamp(mono_s, boot_s, raw_s)
            saved = replace(saved, slot=replace(saved.slot, number=number), basis=basis)
    return saved


def _saved_data(saved: Saved) -> dict[str, Any]:
    slot = saved.slot
    return {
        "boot_id": saved.boot_id,
        "slot": {
            "node": slot.node,
            "generation": slot.generation,
            "number": slot.number,
            "limits": limits_data(slot.limits),
            "claim": [slot.claim.target_generation, slot.claim.target_number, slot.claim.nonce],
            "trees": [[t.id, t.entry, t.ownership, t.rank] for t in slot.trees],
        },
        "basis": stamp_data(saved.basis) if saved.basis else None,
        "trees": [[t.id, t.entry, t.ownership, t.rank, t.rounds] for t in saved.trees],
        "asking": asking_data(saved.asking) if saved.asking else None,
        "watchdog": saved.watchdog,
        "watchdog_s": saved.watchdog_s,
        "forced": saved.forced,
    }


def _saved_of(data: dict[str, Any]) -> Saved:
    slot = data["slot"]
    return Saved(
        boot_id=str(data["boot_id"]),
        slot=Slot(
            node=int(slot["node"]),
            generation=int(slot["generation"]),
            number=int(slot["number"]),
            boot_id=str(data["boot_id"]),
            limits=Limits(*(int(v) for v in slot["limits"])),
            claim=Claim(*(int(v) for v in slot["claim"])),
            trees=tuple(TreeEntry(int(i), Entry(e), int(o), int(r)) for i, e, o, r in slot["trees"]),
        ),
        basis=stamp_of(data["basis"]) if data["basis"] else None,
        trees=tuple(Held(int(i), Entry(e), int(o), int(r), int(n)) for i, e, o, r, n in data["trees"]),
        asking=asking_of(data["asking"]) if data["asking"] else None,
        watchdog=str(data["watchdog"]),
        watchdog_s=float(data["watchdog_s"]),
        forced=bool(data["forced"]),
    )
