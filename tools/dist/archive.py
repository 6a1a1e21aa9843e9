"""Packs a folder so that the same content gives the same bytes: sorted, no owner, one time for every file."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from pathlib import Path


def write(folder: Path, target: Path, *, epoch: int) -> None:
    """Pack `folder`, under its own name, into the .tar.gz `target`."""

    def tidied(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mtime = epoch
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    unfinished = target.with_name(f".{target.name}")
    with (
        unfinished.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in [folder, *sorted(folder.rglob("*"))]:
            name = str(path.relative_to(folder.parent))
            tar.add(path, arcname=name, recursive=False, filter=tidied)
    unfinished.replace(target)


def write_checksums(folder: Path) -> None:
    """Write SHA256SUMS over every file of the folder, in the form of sha256sum."""
    sums = folder / "SHA256SUMS"
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != sums
    ]
    sums.write_text("".join(lines), encoding="utf-8")
