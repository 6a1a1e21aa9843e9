"""Plays the node's journal: what programs send to journald and syslog becomes one JSON line for each entry."""

from __future__ import annotations

import array
import json
import os
import re
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path

JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
SYSLOG_SOCKET = Path("/dev/log")

_SYSLOG = re.compile(
    r"(?:<(?P<priority>\d{1,3})>)?"
    r"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d )?"
    r"(?:(?P<who>[^\s:\[]{1,64})(?:\[(?P<pid>\d+)\])?: )?"
    r"(?P<text>.*)",
    re.DOTALL,
)


def native_entry(payload: bytes) -> dict[str, str]:
    r"""Read journald's own protocol.

    >>> native_entry(b"MESSAGE=hello\nPRIORITY=6\n")
    {'MESSAGE': 'hello', 'PRIORITY': '6'}
    >>> native_entry(b"MESSAGE\n" + (3).to_bytes(8, "little") + b"a\nb\nPRIORITY=4\n")
    {'MESSAGE': 'a\nb', 'PRIORITY': '4'}
    """
    entry = {}
    at = 0
    while at < len(payload):
        end = payload.find(b"\n", at)
        line = payload[at : end if end >= 0 else len(payload)]
        at += len(line) + 1
        name, equals, value = line.partition(b"=")
        if not equals and at + 8 <= len(payload):
            (size,) = struct.unpack_from("<Q", payload, at)
            value = payload[at + 8 : at + 8 + size]
            at += 8 + size + 1
        if name:
            entry[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
    return entry


def syslog_entry(payload: bytes) -> dict[str, str]:
    """Read a line as syslog(3) sends it.

    >>> syslog_entry(b"<30>Oct  1 12:00:00 demo[17]: started")
    {'MESSAGE': 'started', 'PRIORITY': '6', 'SYSLOG_IDENTIFIER': 'demo', 'SYSLOG_PID': '17'}
    """
    found = _SYSLOG.fullmatch(payload.decode("utf-8", "replace").rstrip("\n\0"))
    if not found:
        return {}
    entry = {"MESSAGE": found["text"], "PRIORITY": str(int(found["priority"] or 6) & 7)}
    if found["who"]:
        entry["SYSLOG_IDENTIFIER"] = found["who"]
    if found["pid"]:
        entry["SYSLOG_PID"] = found["pid"]
    return entry


class Journal:
    """Both sockets of a node and the file that their entries go to."""

    def __init__(self, log_directory: int) -> None:
        self._file = os.open(
            "journal.jsonl",
            os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC,
            0o600,
            dir_fd=log_directory,
        )
        self.native = _datagram_socket(JOURNAL_SOCKET)
        self.syslog = _datagram_socket(SYSLOG_SOCKET)

    def read_native(self) -> None:
        """Write down every entry that waits on journald's socket."""
        while (got := _receive(self.native)) is not None:
            payload, pid = got
            self._write(native_entry(payload), pid)

    def read_syslog(self) -> None:
        """Write down every line that waits on syslog's socket."""
        while (got := _receive(self.syslog)) is not None:
            payload, pid = got
            self._write(syslog_entry(payload), pid)

    def own(self, message: str, **fields: str) -> None:
        """Write an entry of init itself."""
        self._write({"MESSAGE": message, "SYSLOG_IDENTIFIER": "init", **fields}, 1)

    def _write(self, entry: dict[str, str], pid: int) -> None:
        with suppress(OSError):
            entry["_COMM"] = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
        entry["_PID"] = str(pid)
        entry["__REALTIME_TIMESTAMP"] = str(time.clock_gettime_ns(time.CLOCK_REALTIME) // 1000)
        entry["__MONOTONIC_TIMESTAMP"] = str(time.monotonic_ns() // 1000)
        os.write(self._file, json.dumps(entry, ensure_ascii=False).encode() + b"\n")


def _datagram_socket(place: Path) -> socket.socket:
    place.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    listener.bind(str(place))
    place.chmod(0o666)
    return listener


def _receive(listener: socket.socket) -> tuple[bytes, int] | None:
    """Return the next entry and its sender; a long one comes as an empty datagram with a file."""
    try:
        payload, control, _, _ = listener.recvmsg(1 << 20, 512)
    except BlockingIOError:
        return None
    pid = 0
    for _, kind, data in control:
        if kind == socket.SCM_CREDENTIALS:
            (pid,) = struct.unpack_from("i", data)
        elif kind == socket.SCM_RIGHTS:
            files = array.array("i", data[: len(data) - len(data) % 4])
            with os.fdopen(files[0], "rb") as file:
                file.seek(0)
                payload = file.read(64 << 20)
            for extra in files[1:]:
                os.close(extra)
    return payload, pid
