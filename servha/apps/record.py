"""The undo record of one application on this node: what was moved and written, kept until it is put back.

It is on the disk before the first step is done. A record that cannot be read stops the undo: nothing is guessed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from servha.apps.moving import Move
from servha.core.words import Text, say

KEPT: Final = Path("/var/lib/servha/apps")
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What `servha app add` did on this node. `made_tree`: it also made the tree."""

    application: str
    tree: str
    moves: tuple[Move, ...] = ()
    file: str = ""
    """The file of variables that was written, if any."""
    made_tree: bool = False
    version: int = VERSION


class Unreadable(Exception):
    """A record is there and cannot be used; `text` says why."""

    def __init__(self, text: Text) -> None:
        super().__init__(text)
        self.text = text


def path_of(tree: str) -> Path:
    """Where the record of a tree is kept."""
    return KEPT / f"{tree}.json"


def read(tree: str) -> Record | None:
    """Return the record of a tree, None when there is none. Raises `Unreadable`."""
    path = path_of(tree)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise Unreadable(say("{file} cannot be read: {reason}", file=str(path), reason=str(error))) from error


def write(record: Record) -> None:
    """Keep a record. Raises OSError."""
    store(path_of(record.tree), msgspec.json.format(msgspec.json.encode(record)) + b"\n")


def forget(tree: str) -> None:
    """Remove a record: everything was put back."""
    path_of(tree).unlink(missing_ok=True)


def store(path: Path, content: bytes) -> None:
    """Write a file that only root may read, whole or not at all. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
