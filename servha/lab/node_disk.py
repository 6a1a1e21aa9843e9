"""What is on a node's own disk before its first boot: who it is, and the demonstration application."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from servha.lab import disk
from servha.lab.layout import NodeLayout

APPLICATION = Path("/opt/demo")
MOUNT_POINT = Path("/srv/web")
RECORDS = MOUNT_POINT / "records"
"""Where the demonstration application keeps what it writes, if it runs on a shared disk."""
# A machine that has the product installed must not lend its configuration to the nodes.
_PRIVATE = {
    "etc/servha": 0o700,
    "opt/demo": 0o755,
    "srv/web": 0o755,
    "var/lib/servha": 0o700,
    "var/log/servha": 0o750,
}


def make(node: NodeLayout) -> None:
    """Make the disk with the first files on it."""
    content = node.image.with_suffix(".first")
    root = content / "root" / "upper"
    for place, mode in _PRIVATE.items():
        (root / place).mkdir(parents=True)
        (root / place).chmod(mode)
        os.setxattr(root / place, "trusted.overlay.opaque", b"y")
    addresses = [f"{other.address('public')} {other.name}" for other in node.lab.nodes]
    files = {
        "hostname": node.name,
        "hosts": "\n".join(["127.0.0.1 localhost", *addresses]),
        "machine-id": uuid.uuid4().hex,
        "resolv.conf": "# a lab reaches nothing outside itself",
    }
    for name, text in files.items():
        (root / "etc" / name).write_text(f"{text}\n", encoding="utf-8")
    application = root / APPLICATION.relative_to("/")
    for program in ("server.py", "writer.py"):
        (application / program).write_bytes((Path(__file__).parent / "app" / program).read_bytes())
    for order in ("start", "stop", "test"):
        _script(application / order, _python("server.py", order))
    for order in ("start", "stop"):
        lines = _python("writer.py", order, str(RECORDS)), _python("server.py", order)
        _script(application / f"{order}-on-disk", " && ".join(lines))
    disk.make_file_system(node.image, disk.NODE_DISK_MIB, content)
    shutil.rmtree(content)


def _python(program: str, *arguments: str) -> str:
    return " ".join(("python3 -I -S", str(APPLICATION / program), *arguments))


def _script(place: Path, line: str) -> None:
    place.write_text(f"#!/bin/sh\n{line}\n", encoding="ascii")
    place.chmod(0o755)
