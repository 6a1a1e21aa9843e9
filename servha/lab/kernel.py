"""The system calls that Python 3.11 has no function for: namespaces, mounts, pivot_root.

Nothing here decides; every failure comes back as OSError with the path in it.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

CLONE_NEWCGROUP = 0x02000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWNET = 0x40000000
CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWUTS = 0x04000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, path: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def mount(source: str | Path, target: Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount `source` on `target`; `kind` is the file system's name, empty for a bind or a change of flags."""
    names = (os.fsencode(source), os.fsencode(target), kind.encode() or None)
    _checked(_libc.mount(*names, ctypes.c_ulong(flags), options.encode() or None), str(target))


def bind(source: Path, target: Path, flags: int = 0) -> None:
    """Show `source` at `target`; read-only and the like take the second call that the kernel wants."""
    mount(source, target, flags=MS_BIND | (flags & MS_REC))
    if flags & ~MS_REC:
        mount(source, target, flags=MS_BIND | MS_REMOUNT | (flags & ~MS_REC))


def detach(target: Path) -> None:
    """Take the mount at `target` away now; the kernel drops it when its last user has gone."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH), str(target))


def unshare(namespaces: int) -> None:
    """Give the calling thread new namespaces of the given kinds."""
    _checked(_libc.unshare(namespaces), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Move the calling thread into the namespace behind `descriptor`."""
    _checked(_libc.setns(descriptor, kind), "setns")


def become_root(new_root: Path) -> None:
    """Make `new_root`, a mount point, the root; the old one is detached with everything mounted in it."""
    os.chdir(new_root)
    # Both names are the same place: the old root lies on top of the new one for one line.
    _checked(_libc.pivot_root(b".", b"."), str(new_root))
    _checked(_libc.umount2(b".", MNT_DETACH), "the former root")
    os.chdir("/")
