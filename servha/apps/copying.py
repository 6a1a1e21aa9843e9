"""A directory copied as it is, and whether two directories are the same: owner, modes, times, attributes, content.

`cp -a` copies; nothing is believed of it: `difference` reads both sides again. It names the first difference and
does not judge it.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from servha.core.words import Text, say
from servha.host import mounts

PIECE_BYTES: Final = 1024 * 1024
BLOCK_BYTES: Final = 512
MARGIN_BYTES: Final = 64 * 1024 * 1024
"""What must stay free beside a copy: a database that fills its disk at the first start helps nobody."""


class CannotMove(Exception):
    """A step was not done; `text` says which and why. What was there before is still there."""

    def __init__(self, text: Text) -> None:
        super().__init__(text)
        self.text = text


def size_of(directory: Path) -> int:
    """Bytes that the directory takes on its disk. Raises OSError where something cannot be read."""
    return sum(path.lstat().st_blocks * BLOCK_BYTES for path in _inside(directory))


def foreign(directory: Path) -> Path | None:
    """The first path inside on which something is mounted: a copy would not know what to do with it.

    By the mount table, not by device numbers: on an overlay files of one directory have different ones.
    """
    inside = (Path(mount.where) for mount in mounts.own())
    top = directory.resolve()
    return min((where for where in inside if where != top and where.is_relative_to(top)), default=None)


def copy(source: Path, fresh: Path) -> None:
    """Copy `source` as `fresh`, which must not be there, and wait until it is on the disk."""
    for command in (
        ["cp", "-a", "--sparse=auto", "--", str(source), str(fresh)],
        ["sync", "-f", "--", str(fresh)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["?"])[-1]
            raise CannotMove(say("{program} failed: {reason}", program=command[0], reason=last))


def difference(one: Path, other: Path) -> Text | None:
    """The first thing in which the two directories differ, or None. Raises OSError where one cannot be read."""
    ours = {path.relative_to(one): path for path in _inside(one)}
    theirs = {path.relative_to(other): path for path in _inside(other)}
    alone = sorted(ours.keys() ^ theirs.keys())
    if alone:
        here = one if alone[0] in ours else other
        return say("only {path} is there", path=str(here / alone[0]))
    for name in sorted(ours):
        what = _differs(ours[name], theirs[name])
        if what is not None:
            return say(
                "{what} differs between {one} and {other}",
                what=what,
                one=str(ours[name]),
                other=str(theirs[name]),
            )
    return None


def _inside(directory: Path) -> Iterator[Path]:
    yield directory
    for base, folders, files in os.walk(directory, onerror=_raise):
        yield from (Path(base, name) for name in (*folders, *files))


def _raise(error: OSError) -> None:
    raise error


def _differs(one: Path, other: Path) -> Text | None:
    ours, theirs = one.lstat(), other.lstat()
    if stat.S_IFMT(ours.st_mode) != stat.S_IFMT(theirs.st_mode):
        return say("the type")
    if ours.st_mode != theirs.st_mode:
        return say("the mode")
    if (ours.st_uid, ours.st_gid) != (theirs.st_uid, theirs.st_gid):
        return say("the owner")
    if _attributes(one) != _attributes(other):
        return say("an extended attribute")
    if stat.S_ISLNK(ours.st_mode):
        return None if one.readlink() == other.readlink() else say("the link")
    if stat.S_ISREG(ours.st_mode) and (ours.st_size != theirs.st_size or _digest(one) != _digest(other)):
        return say("the content")
    return None if ours.st_mtime_ns == theirs.st_mtime_ns else say("the time of the last change")


def _attributes(path: Path) -> dict[str, bytes]:
    """Extended attributes, which are access lists as well."""
    names = os.listxattr(path, follow_symlinks=False)
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}


def _digest(path: Path) -> bytes:
    digest = hashlib.blake2b()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return digest.digest()
