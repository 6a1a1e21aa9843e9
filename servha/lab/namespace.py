"""Network namespaces with a name, where `ip -n` finds them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

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
    place.unlink(missing_ok=True)


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
