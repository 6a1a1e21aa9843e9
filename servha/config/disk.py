"""The few things the store does to a directory, each of them whole and on the disk when it returns.

Apart from the store so that a test can cut the power between any two of them, and in the middle of one.
"""

from __future__ import annotations

import os
from pathlib import Path


class Disk:
    """One directory of small files, readable by root only. Blocking; OSError where the disk says no."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def make(self) -> None:
        """Create the directory, mode 0700, if it is not there."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write(self, name: str, content: bytes) -> None:
        """Write a file, mode 0600, and wait until its content is on the disk. Its name may still be lost."""
        path = self.directory / name
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(content)
            file.flush()
            os.fsync(descriptor)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name in one step, replacing what had that name."""
        (self.directory / old).replace(self.directory / new)
        self.settle()

    def link(self, name: str, second: str) -> None:
        """Give a file a second name, unless something has that name already."""
        try:
            (self.directory / second).hardlink_to(self.directory / name)
        except FileExistsError:
            return
        self.settle()

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is fine."""
        (self.directory / name).unlink(missing_ok=True)
        self.settle()

    def settle(self) -> None:
        """Wait until the names in the directory are on the disk."""
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self, name: str, size_max: int) -> bytes | None:
        """Return at most `size_max` bytes of a file, or None when there is no such file."""
        try:
            with (self.directory / name).open("rb") as file:
                return file.read(size_max)
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        """Return the names of the files there are."""
        try:
            return sorted(path.name for path in self.directory.iterdir())
        except FileNotFoundError:
            return []
