"""Ends everything of every tree at once and without grace: addresses, processes, file systems (section 2.8).

Runs in a thread of its own, because letting a file system go may hang; whether it took too long is decided by the
guard, which then resets the node. Never syncs, never detaches a file system lazily: what is detached is not gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import ipaddress
import os
import socket
import struct
import threading
import time
from typing import Final

from servha.wire.guard_talk import Belonging

AGAIN_S: Final = 0.005
_RTM_DELADDR: Final = 21
_NLM_F_REQUEST_ACK: Final = 0x5
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_HEADER = struct.Struct("=IHHII")
_ADDRESS = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_GONE: Final = frozenset({errno.EADDRNOTAVAIL, errno.ENODEV})

_libc = ctypes.CDLL(None, use_errno=True)


class Emergency:
    """The thread. `order` begins; each order that was carried out to the end appears in `done`."""

    def __init__(self, wake: int) -> None:
        self._wake = wake
        self._ordered = threading.Semaphore(0)
        self._order = 0
        self._belongings: tuple[Belonging, ...] = ()
        self.done: int = 0
        """Number of the last order after which nothing was left."""
        threading.Thread(target=self._run, name="emergency", daemon=True).start()

    def order(self, number: int, belongings: tuple[Belonging, ...]) -> None:
        """Stop everything that `belongings` names; a later order replaces the one under way."""
        self._belongings = belongings
        self._order = number
        self._ordered.release()

    def _run(self) -> None:
        while True:
            self._ordered.acquire()
            while (number := self._order) > self.done:
                if sweep(self._belongings):
                    if number == self._order:
                        self.done = number
                        os.eventfd_write(self._wake, 1)
                else:
                    time.sleep(AGAIN_S)


def sweep(belongings: tuple[Belonging, ...]) -> bool:
    """Take everything away once; return whether nothing was left."""
    gone = [_address_gone(nic, address) for b in belongings for nic, address in b.addresses]
    gone += [_scope_empty(scope) for b in belongings for scope in b.scopes]
    gone += [_unmounted(mount) for b in belongings for mount in b.mounts]
    return all(gone)


def _address_gone(nic: str, address: str) -> bool:
    """Remove an address from its interface by one rtnetlink request (RFC 3549; rtnetlink(7))."""
    place = ipaddress.ip_interface(address)
    try:
        index = socket.if_nametoindex(nic)
    except OSError:
        return True
    family = socket.AF_INET if place.version == 4 else socket.AF_INET6
    packed = place.ip.packed
    kinds = (_IFA_LOCAL, _IFA_ADDRESS) if place.version == 4 else (_IFA_ADDRESS,)
    attributes = b"".join(_ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), kind) + packed for kind in kinds)
    body = _ADDRESS.pack(family, place.network.prefixlen, 0, 0, index) + attributes
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as line:
        line.settimeout(0.1)
        try:
            line.send(_HEADER.pack(_HEADER.size + len(body), _RTM_DELADDR, _NLM_F_REQUEST_ACK, 1, 0) + body)
            answer = line.recv(4096)
        except OSError:
            return False
    (problem,) = struct.unpack_from("=i", answer, _HEADER.size)
    return -problem in _GONE  # removed just now is looked at once more


def _scope_empty(scope: str) -> bool:
    """Kill every process in a control group and below (cgroup.kill, Linux 5.14)."""
    try:
        with open(f"{scope}/cgroup.events", encoding="ascii") as file:  # noqa: PTH123 - the guard loads no pathlib
            if "populated 0" in file.read():
                return True
        with open(f"{scope}/cgroup.kill", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write("1")
    except FileNotFoundError:
        return True
    except OSError as problem:
        return problem.errno == errno.ENODEV
    return False


def _unmounted(mount: str) -> bool:
    """Let a file system go; one that is still used stays, and is tried again once its processes are dead."""
    with contextlib.suppress(FileNotFoundError):
        for _ in range(16):  # mounted over itself, it is there more than once
            if not _is_mounted(mount):
                return True
            if _libc.umount2(os.fsencode(mount), 0) != 0:
                return ctypes.get_errno() == errno.EINVAL and not _is_mounted(mount)
    return not _is_mounted(mount)


def _is_mounted(mount: str) -> bool:
    escaped = mount.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        return any(line.split(" ", 5)[4] == escaped for line in file)
