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
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable
from functools import partial
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
    """The thread. The number that `order` returns appears in `done` once nothing was left."""

    def __init__(self, wake: int) -> None:
        self._wake = wake
        self._ordered = threading.Semaphore(0)
        self._order = 0
        self._belongings: tuple[Belonging, ...] = ()
        self.done: int = 0
        """The last order after which everything was looked for, and nothing found."""
        threading.Thread(target=self._run, name="emergency", daemon=True).start()

    def order(self, belongings: tuple[Belonging, ...]) -> int:
        """Stop everything that `belongings` names; a later order replaces the one under way. Return its number."""
        self._belongings = belongings
        self._order += 1  # last: who sees the number sees what belongs to it
        self._ordered.release()
        return self._order

    def _run(self) -> None:
        while True:
            self._ordered.acquire()
            while (number := self._order) > self.done:
                if not sweep(self._belongings):
                    time.sleep(AGAIN_S)
                elif number == self._order:
                    self.done = number
                    os.eventfd_write(self._wake, 1)


def sweep(belongings: tuple[Belonging, ...]) -> bool:
    """Take everything away once; return whether nothing was left. What cannot be looked at counts as left."""
    acts: list[Callable[[], bool]] = []
    for b in belongings:
        acts += [partial(_address_gone, nic, address) for nic, address in b.addresses]
    for b in belongings:
        acts += [partial(_scope_empty, scope) for scope in b.scopes]
    for b in belongings:
        acts += [partial(_unmounted, mount) for mount in b.mounts]
    left = [act for act in acts if not _done(act)]  # every one is done, whatever became of the one before
    return not left


def _done(act: Callable[[], bool]) -> bool:
    try:
        return act()
    except (OSError, ValueError):
        return False


def _address_gone(nic: str, address: str) -> bool:
    """Remove an address from its interface by one rtnetlink request (RFC 3549; rtnetlink(7))."""
    place = ipaddress.ip_interface(address)
    try:
        index = socket.if_nametoindex(nic)
    except OSError:
        return True
    family = socket.AF_INET if place.version == 4 else socket.AF_INET6
    packed = place.ip.packed
    # IPv4 without IFA_ADDRESS: the address goes whatever prefix length somebody gave it meanwhile.
    kind = _IFA_LOCAL if place.version == 4 else _IFA_ADDRESS
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), kind) + packed
    body = _ADDRESS.pack(family, place.network.prefixlen, 0, 0, index) + attribute
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
    """Kill every process in a control group and below."""
    try:
        with open(f"{scope}/cgroup.events", encoding="ascii") as file:  # noqa: PTH123 - the guard loads no pathlib
            if "populated 0" in file.read():
                return True
    except FileNotFoundError:
        return not os.path.exists(scope)  # noqa: PTH110 - as above
    except OSError as problem:
        return problem.errno == errno.ENODEV  # removed while it was looked at
    try:
        descriptor = os.open(f"{scope}/cgroup.kill", os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        _kill_one_by_one(scope)  # before Linux 5.14
        return False
    try:
        os.write(descriptor, b"1")
    finally:
        os.close(descriptor)
    return False  # looked at once more when they have had time to die


def _kill_one_by_one(scope: str) -> None:
    for place, _, files in os.walk(scope):
        if "cgroup.procs" in files:
            with open(f"{place}/cgroup.procs", encoding="ascii") as file:  # noqa: PTH123
                for word in file.read().split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(word), signal.SIGKILL)


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
