"""The quorum disk's trouble in a lab: reads and writes that fail, take long, or hang, by a word in a file.

`TroubledIo` stands between servha-guardd and the device (arbiters/quorum_disk.py, `BlockIo`). The product never
makes one: only the program by which a lab node starts its servha-guardd does, so outside a lab nobody can reach it.
The file is looked at before every read and write:

    (empty, or no file)   nothing is wrong
    error                 every read and write fails with EIO
    error-write           every write fails with EIO, reads are answered
    slow 800              every read and write takes 800 ms longer
    hang                  it does not come back until the file says something else

Which of these a real disk would show, and when, is decided by whoever writes the file.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Final

from servha.arbiters.quorum_disk import BlockIo, DirectIo

PLACE: Final = Path("/run/quorum-disk-trouble")
"""Inside the node; /run is new at every boot, and so is the disk's health."""

_LOOK_AGAIN_S: Final = 0.002


class TroubledIo:
    """The device with the trouble that `place` names."""

    def __init__(self, place: Path = PLACE, inner: BlockIo | None = None) -> None:
        self._place = place
        self._inner: BlockIo = inner or DirectIo()

    def open(self, path: str) -> None:
        """Open the device: that alone always works, as it does on a disk whose sectors fail."""
        self._inner.open(path)

    def read(self, at: int, size: int) -> bytes:
        """Read, unless reading is in trouble."""
        self._suffer(writing=False)
        return self._inner.read(at, size)

    def write(self, at: int, block: bytes) -> None:
        """Write, unless writing is in trouble."""
        self._suffer(writing=True)
        self._inner.write(at, block)

    def close(self) -> None:
        """Close the device."""
        self._inner.close()

    def _suffer(self, *, writing: bool) -> None:
        words = self._words()
        while words == ["hang"]:
            time.sleep(_LOOK_AGAIN_S)
            words = self._words()
        match words:
            case ["error"]:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            case ["error-write"] if writing:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            case ["slow", milliseconds]:
                time.sleep(float(milliseconds) / 1000)

    def _words(self) -> list[str]:
        try:
            return self._place.read_text(encoding="ascii").split()
        except FileNotFoundError:
            return []


def set_trouble(words: str, place: Path = PLACE) -> None:
    """Put `words` in force with the next read or write; empty ends the trouble.

    From outside a node `place` is below its root: `node.root / "run/quorum-disk-trouble"`.
    """
    new = place.with_name(f"{place.name}.new")
    new.write_text(words + "\n", encoding="ascii")
    new.replace(place)
