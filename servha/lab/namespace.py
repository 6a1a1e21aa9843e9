"""Network namespaces with a name, where `ip -n` finds them."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from servha.lab import kernel
from servha.lab.layout import NETNS

_OWN = "/proc/thread-self/ns/net"


@contextmanager
def _coming_back() -> Iterator[None]:
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        kernel.setns(home, kernel.CLONE_NEWNET)
        os.close(home)


def add(name: str) -> None:
    """Make an empty network namespace.

    Not with `ip netns add`: it turns /run/netns into a mount of its own, which then stays on the machine.
    """
    NETNS.mkdir(exist_ok=True)
    place = NETNS / name
    place.touch(mode=0o444, exist_ok=False)
    with _coming_back():
        kernel.unshare(kernel.CLONE_NEWNET)
        kernel.mount(_OWN, place, flags=kernel.MS_BIND)


def remove(name: str) -> None:
    """Remove a namespace with all its interfaces; fine if there is none."""
    place = NETNS / name
    with suppress(OSError):
        kernel.detach(place)
    try:
        place.unlink(missing_ok=True)
    except OSError as problem:
        if problem.errno != errno.EBUSY:
            raise
        _remove_hidden(place)


def _remove_hidden(place: Path) -> None:
    """Remove a namespace on which somebody's first `ip netns add` has laid /run/netns once more.

    The mount below cannot be named any more, and its file not be unlinked where it is mounted. Where it is not, in a
    mount namespace from which both are taken away, it can, and the kernel lets every other one forget the mount.
    """
    uncover = 'umount --lazy "$0"; umount --lazy "$1"; rm -f "$1"'
    subprocess.run(["unshare", "--mount", "sh", "-c", uncover, str(NETNS), str(place)], check=True)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Run the calling thread in a namespace; a socket opened there stays there."""
    there = os.open(NETNS / name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with _coming_back():
            kernel.setns(there, kernel.CLONE_NEWNET)
            yield
    finally:
        os.close(there)
