"""Tells to the microsecond when an IPv4 address came to a node or went, whoever did it.

A netlink socket opened in the node's network namespace hears the kernel itself; a daemon's word is not asked.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from servha.lab import namespace
from servha.lab.lab import Lab

RTMGRP_IPV4_IFADDR = 0x10
RTM_NEWADDR, RTM_DELADDR = 20, 21
IFA_LOCAL = 2


@dataclass(frozen=True, slots=True)
class Change:
    """An address came or went at `at_s` (CLOCK_MONOTONIC)."""

    at_s: float
    node: str
    came: bool
    address: str


def changes_in(packet: bytes, *, at_s: float, node: str) -> Iterator[Change]:
    """Read the address changes out of what the kernel sent (rtnetlink(7))."""
    at = 0
    while at + 16 <= len(packet):
        length, kind = struct.unpack_from("=IH", packet, at)
        if length < 16:
            return
        end = min(at + length, len(packet))
        if kind in {RTM_NEWADDR, RTM_DELADDR}:
            attribute = at + 16 + 8
            while attribute + 4 <= end:
                size, which = struct.unpack_from("=HH", packet, attribute)
                if size < 4:
                    break
                if which == IFA_LOCAL and attribute + 8 <= end:
                    address = socket.inet_ntoa(packet[attribute + 4 : attribute + 8])
                    yield Change(at_s, node, kind == RTM_NEWADDR, address)
                attribute += (size + 3) & ~3
        at += (length + 3) & ~3


class AddressWatch:
    """Watches both nodes of a lab from `watching` on, until they are switched off or the block ends."""

    def __init__(self, lab: Lab) -> None:
        self._seen: list[Change] = []
        self._news = threading.Condition()
        self._sockets: list[tuple[str, socket.socket]] = []
        for node in lab.nodes:
            with namespace.inside(node.namespace):
                ear = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            ear.bind((0, RTMGRP_IPV4_IFADDR))
            self._sockets.append((node.name, ear))
        self._stop, self._stopped = os.pipe()
        self._listener = threading.Thread(target=self._listen, name="addresses", daemon=True)
        self._listener.start()

    def close(self) -> None:
        """Stop listening."""
        os.close(self._stopped)
        self._listener.join()
        os.close(self._stop)
        for _, ear in self._sockets:
            ear.close()

    def first(self, address: str, *, came: bool, after_s: float, within_s: float = 0.0) -> Change | None:
        """Return the first such change after `after_s`; waits for one up to `within_s`."""
        deadline = time.monotonic() + within_s
        with self._news:
            while True:
                for one in self._seen:
                    if one.address == address and one.came is came and one.at_s >= after_s:
                        return one
                if not self._news.wait(max(0.0, deadline - time.monotonic())):
                    return None

    def _listen(self) -> None:
        names = {ear.fileno(): (name, ear) for name, ear in self._sockets}
        poll = select.poll()
        for number in (*names, self._stop):
            poll.register(number, select.POLLIN)
        while True:
            ready = poll.poll()
            at_s = time.monotonic()
            for number, _ in ready:
                if number == self._stop:
                    return
                name, ear = names[number]
                found = list(changes_in(ear.recv(65536), at_s=at_s, node=name))
                with self._news:
                    self._seen.extend(found)
                    self._news.notify_all()


@contextmanager
def watching(lab: Lab) -> Iterator[AddressWatch]:
    """Watch both nodes while the block runs; they must be on at its beginning."""
    watch = AddressWatch(lab)
    try:
        yield watch
    finally:
        watch.close()
