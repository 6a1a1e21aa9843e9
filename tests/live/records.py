"""The witness block: what the application writes to the shared disk, read from the disk's image, past every node.

Whether two ever wrote at the same time is decided here, by what stands on the disk; who was allowed to is not asked.
The file lies where it was made and is written in place, so that its blocks can be read while a node has it mounted.

    records.look()        often enough that none is overwritten unseen: the ring is `RECORD_PLACES` long
    records.problems()    empty if the writers followed each other
"""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from servha.lab.lab import Lab
from servha.lab.node_disk import MOUNT_POINT, RECORDS

PLACE = 4096
_BLOCK_SIZE_AT = 1024 + 24


@dataclass(frozen=True, slots=True)
class Record:
    """One line on the disk; `at_s` by CLOCK_BOOTTIME, `foreign` as the writer counted."""

    number: int
    life: str
    ownership: int
    at_s: float
    foreign: int

    @property
    def node(self) -> str:
        return self.life.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Life:
    """One process that wrote."""

    name: str
    ownership: int
    first: Record
    last: Record


@dataclass
class Records:
    """Everything seen so far."""

    image: Path
    extents: list[tuple[int, int]]
    seen: dict[int, Record] = field(default_factory=dict)
    changed: list[tuple[Record, Record]] = field(default_factory=list)

    @classmethod
    def of(cls, lab: Lab) -> Records:
        """Find the file's blocks in the image; it has been made, and is not mounted for the moment."""
        image = lab.layout.lun("data")
        place = f"/{RECORDS.relative_to(MOUNT_POINT)}"
        told = subprocess.run(
            ["debugfs", "-R", f"blocks {place}", str(image)], capture_output=True, text=True, check=True
        )
        blocks = [int(word) for word in told.stdout.split()]
        assert blocks, f"no {place} on the disk: {told.stderr}"
        with image.open("rb") as file:
            file.seek(_BLOCK_SIZE_AT)
            size = 1024 << struct.unpack("<I", file.read(4))[0]
        extents: list[tuple[int, int]] = []
        for block in blocks:
            if extents and sum(extents[-1]) == block * size:
                extents[-1] = (extents[-1][0], extents[-1][1] + size)
            else:
                extents.append((block * size, size))
        return cls(image, extents)

    def look(self) -> None:
        """Read all that stands there now."""
        file = os.open(self.image, os.O_RDONLY | os.O_DIRECT)
        try:
            for at, length in self.extents:
                with mmap.mmap(-1, length) as area:
                    os.preadv(file, [area], at)
                    for start in range(0, length, PLACE):
                        self._take(area[start : start + PLACE])
        finally:
            os.close(file)

    def _take(self, block: bytes) -> None:
        words = block.rstrip(b"\0 ").decode("ascii", "replace").split()
        if len(words) != 5 or not words[0].isdigit():
            return  # empty, or torn by a power-off
        new = Record(int(words[0]), words[1], int(words[2]), int(words[3]) / 1e9, int(words[4]))
        if self.seen.setdefault(new.number, new) != new:
            self.changed.append((self.seen[new.number], new))

    def lives(self) -> list[Life]:
        """Every process that wrote, by its first record."""
        found: dict[str, list[Record]] = {}
        for record in sorted(self.seen.values(), key=lambda one: one.at_s):
            found.setdefault(record.life, []).append(record)
        return [Life(name, some[0].ownership, some[0], some[-1]) for name, some in found.items()]

    def problems(self) -> list[str]:
        """What shows that two wrote at the same time, or under a number that was not theirs."""
        found = [f"{one} was overwritten by {two}" for one, two in self.changed]
        found += [f"{one} found what it had not written" for one in self.seen.values() if one.foreign]
        for before, after in pairwise(self.lives()):
            if after.first.at_s <= before.last.at_s:
                found.append(f"{before.name} and {after.name} wrote at the same time: {before} {after}")
            if after.ownership < before.ownership:
                found.append(f"{after.name} wrote under a number that was over: {before} {after}")
            nodes = {before.first.node, after.first.node}
            if after.ownership == before.ownership and len(nodes) > 1:
                found.append(f"two nodes wrote under one number: {before} {after}")
        return found
