"""What /proc tells of sockets and processes: who listens where, what runs.

Reading it blocks for milliseconds, so whoever runs a loop calls these in a thread. A process that ends while
we look is simply not in the answer.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from servha.host.port import Listener, Process

PROC = Path("/proc")
LISTENING = {"tcp": "0A", "udp": "07"}
"""The state column of a socket that waits for clients: LISTEN, and for udp "not connected"."""


def listeners(protocol: str) -> tuple[Listener, ...]:
    """Every "tcp" or "udp" socket of this network namespace that waits for clients."""
    found: list[Listener] = []
    for family in ("", "6"):
        with contextlib.suppress(FileNotFoundError), (PROC / f"net/{protocol}{family}").open() as table:
            next(table)
            found += read_table(table, protocol)
    return tuple(found)


def read_table(lines: Iterator[str], protocol: str) -> Iterator[Listener]:
    """Read a socket table.

    The kernel lists listening tcp sockets before all others, so the thousands of connections of a busy server
    are never read.
    """
    for line in lines:
        columns = line.split()
        if columns[3] != LISTENING[protocol]:
            if protocol == "tcp":
                return
            continue
        address, _, port = columns[1].rpartition(":")
        yield Listener(protocol, address_from(address), int(port, 16), int(columns[9]))


def address_from(text: str) -> str:
    """The address of a socket table: 32-bit words in the machine's byte order.

    >>> address_from("0100007F") if sys.byteorder == "little" else "127.0.0.1"
    '127.0.0.1'
    """
    words = [int(text[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8)]
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, b"".join(words))


def pids() -> list[int]:
    """Every process there is."""
    with os.scandir(PROC) as entries:
        return [int(entry.name) for entry in entries if entry.name.isdecimal()]


def processes() -> tuple[Process, ...]:
    """Every process this one may see, except itself."""
    ours = os.getpid()
    return tuple(found for pid in pids() if pid != ours and (found := process(pid)) is not None)


def process(pid: int) -> Process | None:
    """One process; None when it has ended (a zombie has ended)."""
    base = PROC / str(pid)
    try:
        stat = (base / "stat").read_text(encoding="utf-8", errors="replace")
        name, _, rest = stat.partition("(")[2].rpartition(")")
        if rest.split()[0] in "ZX":
            return None
        command = (base / "cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    try:
        exe = str((base / "exe").readlink())
    except OSError:
        exe = ""
    return Process(pid, name, exe.removesuffix(" (deleted)"), tuple(command) if command != [""] else ())


def owners(inodes: frozenset[int]) -> tuple[Process, ...]:
    """The processes that hold one of these sockets open."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    found: list[Process] = []
    for pid in pids():
        if _holds(PROC / str(pid) / "fd", wanted):
            holder = process(pid)
            if holder is not None:
                found.append(holder)
    return tuple(found)


def _holds(directory: Path, wanted: set[str]) -> bool:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if str(Path(entry.path).readlink()) in wanted:
                        return True
    except OSError:
        return False
    return False
