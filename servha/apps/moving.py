"""A directory moves to the shared disk and leaves a symbolic link: copy, verify, rename, link; and the way back.

The manual does it by hand (cp -rp, mv, ln -s; L950-1010). Here every step is atomic, and none begins before the
record of what will be done is on the disk; so `put_back` works from wherever it stopped, from what it finds and not
from what was planned. The original is never deleted. On the second node only the last two steps are done: the data
came with the first. Whether the application is stopped is asked before (looks.py), and once more before the rename.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from servha.apps.copying import MARGIN_BYTES, CannotMove, copy, difference, foreign, size_of
from servha.core.words import Text, say
from servha.host import mounts

FRESH = ".servha-new"


class Keep(StrEnum):
    """Which data stand at the old place after the way back, when the two are no longer the same."""

    DISK = "disk"  # those of the shared disk are copied back
    ORIGINAL = "original"  # those from before the move; the disk's stay on the disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One directory. `copies` is False on the second node: only the link is made there."""

    source: str
    target: str
    mount_point: str
    copies: bool

    @property
    def original(self) -> Path:
        """Where the directory itself stays."""
        return Path(self.source + "_old")


def move_of(source: str, mount_point: str, *, copies: bool) -> Move:
    """Return the move of `source` to the directory of the same name on the disk."""
    target = str(Path(mount_point) / Path(source).name)
    return Move(source=source, target=target, mount_point=mount_point, copies=copies)


def is_done(move: Move) -> bool:
    """Whether the link is there already."""
    source = Path(move.source)
    return source.is_symlink() and str(source.readlink()) == move.target


def refusals(move: Move, device: str) -> list[Text]:
    """Why this move cannot be begun on this node. Looks; changes nothing."""
    source, target = Path(move.source), Path(move.target)
    if is_done(move):
        return _target_refusals(move, device) if move.copies else []
    found: list[Text] = []
    if source.is_symlink():
        found.append(
            say("{path} is a symbolic link already, to {to}", path=str(source), to=str(source.readlink()))
        )
    elif not source.is_dir() and (move.copies or source.exists()):
        found.append(say("{path} is not a directory", path=str(source)))
    if os.path.lexists(move.original):
        found.append(say("{path} is in the way: move it elsewhere", path=str(move.original)))
    if source.resolve().is_relative_to(Path(move.mount_point)):
        found.append(say("{path} is on the shared disk already", path=str(source)))
    if not move.copies or found:
        return found
    found += _target_refusals(move, device)
    for path in (target, Path(move.target + FRESH)):
        if os.path.lexists(path):
            found.append(say("{path} is in the way: move it elsewhere", path=str(path)))
    if found:
        return found
    try:
        other = foreign(source)
        if other is not None:
            found.append(
                say("{path} is on another file system than {source}", path=str(other), source=str(source))
            )
        needed, free = size_of(source) + MARGIN_BYTES, shutil.disk_usage(move.mount_point).free
    except OSError as error:
        return [
            *found,
            say(
                "{path} cannot be read: {reason}",
                path=str(error.filename),
                reason=error.strerror or str(error),
            ),
        ]
    if needed > free:
        found.append(
            say(
                "{mount_point} has {free} MiB free, {needed} MiB are needed",
                mount_point=move.mount_point,
                free=free >> 20,
                needed=-(-needed >> 20),
            )
        )
    return found


def _target_refusals(move: Move, device: str) -> list[Text]:
    here = [mount for mount in mounts.own() if mount.where == move.mount_point]
    number = mounts.block_number(device)
    if not number:
        return [say("there is no device {device}", device=device)]
    if not here or here[-1].disk != number:
        return [
            say(
                "{device} is not mounted on {mount_point}: mount {device} {mount_point}",
                device=device,
                mount_point=move.mount_point,
            )
        ]
    if here[-1].read_only:
        return [say("{mount_point} is mounted read-only", mount_point=move.mount_point)]
    return []


def carry_out(move: Move, *, still_stopped: Callable[[], Text | None]) -> None:
    """Do the move. Raises `CannotMove`; what was done until then is for `put_back`."""
    source, target, fresh = Path(move.source), Path(move.target), Path(move.target + FRESH)
    if is_done(move):
        return
    try:
        if move.copies:
            copy(source, fresh)
        busy = still_stopped()
        if busy is not None:
            raise CannotMove(busy)
        if move.copies:
            differs = difference(source, fresh)
            if differs is not None:
                raise CannotMove(say("the copy is not like the original: {what}", what=differs))
            _rename(fresh, target)
        owner = source.lstat() if source.exists() else None
        if owner is not None:
            _rename(source, move.original)
        source.symlink_to(target)
        if owner is not None:
            os.lchown(source, owner.st_uid, owner.st_gid)
        _on_disk(source.parent)
    except OSError as error:
        raise CannotMove(_trouble(error)) from error


def put_back(move: Move, *, keep: Keep | None) -> Text:
    """Undo the move from wherever it stopped; return what was done. Raises `CannotMove` having changed nothing."""
    source, target = Path(move.source), Path(move.target)
    try:
        if not is_done(move) and source.exists():
            # Begun and not finished, or back already: the original was never touched.
            if move.copies:
                shutil.rmtree(Path(move.target + FRESH), ignore_errors=True)
                if target.is_dir() and difference(source, target) is None:
                    shutil.rmtree(target)
            return say("{path} is the original", path=str(source))
        if not move.original.is_dir():
            if move.copies:
                raise CannotMove(say("{path} is gone: nothing can be put back", path=str(move.original)))
            source.unlink(missing_ok=True)
            return say("the link {path} is gone; there was nothing before it", path=str(source))
        if move.copies and keep is not Keep.ORIGINAL:
            return _with_data(move, keep)
        source.unlink(missing_ok=True)
        _rename(move.original, source)
        if not move.copies:
            return say("{path} is the original again", path=str(source))
        return say(
            "{path} is the original again; {target} stays on the disk", path=str(source), target=str(target)
        )
    except OSError as error:
        raise CannotMove(_trouble(error)) from error


def _with_data(move: Move, keep: Keep | None) -> Text:
    """Put back what the disk holds now, or the original where that is the same."""
    source, target = Path(move.source), Path(move.target)
    if not any(mount.where == move.mount_point for mount in mounts.own()) or not target.is_dir():
        raise CannotMove(
            say(
                "{target} is not there: mount the shared disk on {mount_point}, or take the data from before the move"
                " with --keep original",
                target=str(target),
                mount_point=move.mount_point,
            )
        )
    differs = difference(move.original, target)
    if differs is None:
        source.unlink(missing_ok=True)
        _rename(move.original, source)
        shutil.rmtree(target)
        return say("{path} is the original again, as it was on the disk", path=str(source))
    if keep is None:
        raise CannotMove(
            say(
                "the data have changed since the move ({what}): --keep disk copies them back, --keep original puts back"
                " those from before",
                what=differs,
            )
        )
    back = Path(move.source + FRESH)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(back)
    copy(target, back)
    wrong = difference(target, back)
    if wrong is not None:
        raise CannotMove(say("the copy is not like the original: {what}", what=wrong))
    source.unlink(missing_ok=True)
    _rename(back, source)
    return say(
        "{path} holds the data of the disk; those from before the move stay in {original}",
        path=str(source),
        original=str(move.original),
    )


def _rename(here: Path, there: Path) -> None:
    """Rename onto a free place, and wait until the directories on the disk say so."""
    if os.path.lexists(there):
        raise CannotMove(say("{path} is in the way: move it elsewhere", path=str(there)))
    here.rename(there)
    _on_disk(there.parent)


def _on_disk(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _trouble(error: OSError) -> Text:
    return say("{path}: {reason}", path=str(error.filename or "?"), reason=error.strerror or str(error))
