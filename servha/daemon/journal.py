"""What happened on this node, kept for people: the last entries in memory, all of them in a file, each to journald.

Entries are stored as code and values, not as sentences, so that a reader gets them in his own language. The file
is bounded: when it is full it becomes the older of two. Nothing here decides what is worth telling.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import queue
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from servha.core.model import JournalEntry
from servha.core.words import as_dict

log = logging.getLogger("servha.journal")

RING_COUNT_MAX = 2000
FILE_BYTES_MAX = 4 * 1024 * 1024
FOLLOWER_BACKLOG_MAX = 500
JOURNALD = Path("/run/systemd/journal/socket")
PRIORITY = {"info": "6", "cleared": "5", "warning": "4", "error": "3"}

Told = dict[str, Any]


def told(entry: JournalEntry, number: int, at: str) -> Told:
    """Return the entry in the form in which it is stored and sent."""
    return {
        "id": number,
        "at": at,
        "at_s": round(entry.at_s, 6),
        "node": entry.node,
        "subject": entry.subject,
        "before": str(entry.before),
        "after": str(entry.after),
        "rule": entry.rule,
        "because": as_dict(entry.because),
        "facts": [{"what": as_dict(f.what), "source": f.source, "age_s": f.age_s} for f in entry.facts],
        "otherwise": as_dict(entry.otherwise),
        "ownership": entry.ownership,
        "took_s": round(entry.took_s, 6),
        "severity": entry.severity,
    }


class Journal:
    """The journal of one node. `add` never blocks: files are written by a thread of their own."""

    def __init__(self, directory: Path, *, clock: Any = None) -> None:
        self._path = directory / "journal.jsonl"
        self._ring: deque[Told] = deque(_read_tail(self._path), maxlen=RING_COUNT_MAX)
        self._next = (self._ring[-1]["id"] + 1) if self._ring else 1
        self._followers: set[asyncio.Queue[Told]] = set()
        self._waiting: queue.SimpleQueue[Told | None] = queue.SimpleQueue()
        self._now = clock or (lambda: datetime.now(UTC))
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    def add(self, entry: JournalEntry) -> Told:
        """Keep one entry and pass it to everybody who follows."""
        at = self._now().isoformat(timespec="milliseconds")
        line = told(entry, self._next, at)
        self._next += 1
        self._ring.append(line)
        self._waiting.put(line)
        for follower in tuple(self._followers):
            try:
                follower.put_nowait(line)
            except asyncio.QueueFull:  # a reader this slow starts anew from `since`
                self._followers.discard(follower)
        return line

    def last(self, *, since: int = 0, limit: int = 200) -> list[Told]:
        """Return at most `limit` entries, oldest first: the newest, or with `since` those that follow that id.

        Whoever asks again from the last id that came misses none.
        """
        found = [line for line in self._ring if line["id"] > since]
        if limit <= 0:
            return []
        return found[:limit] if since else found[-limit:]

    async def follow(self, *, since: int | None = None) -> AsyncIterator[Told]:
        """Yield entries as they come, first those after `since`."""
        follower: asyncio.Queue[Told] = asyncio.Queue(FOLLOWER_BACKLOG_MAX)
        self._followers.add(follower)
        try:
            for line in self.last(since=since, limit=RING_COUNT_MAX) if since is not None else ():
                yield line
            while follower in self._followers or not follower.empty():
                yield await follower.get()
        finally:
            self._followers.discard(follower)

    def close(self) -> None:
        """Write out what is waiting and end the thread; waits at most two seconds."""
        self._waiting.put(None)
        self._writer.join(2.0)

    def _write(self) -> None:
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as journald:
            journald.settimeout(0)
            file = None
            while (line := self._waiting.get()) is not None:
                try:
                    if file is None or file.tell() > FILE_BYTES_MAX:
                        file = self._reopen(file)
                    file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
                    if self._waiting.empty():
                        file.flush()
                except OSError as problem:
                    log.warning("journal %s cannot be written: %s", self._path, problem)
                    file = None
                with contextlib.suppress(OSError):
                    journald.sendto(_native(line), os.fspath(JOURNALD))
            if file is not None:
                file.close()

    def _reopen(self, file: Any) -> Any:
        if file is not None:
            file.close()
            self._path.replace(self._path.with_suffix(".jsonl.1"))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        return os.fdopen(descriptor, "a", encoding="utf-8")


def _read_tail(path: Path) -> list[Told]:
    """Return the last entries of the file; a line torn by a power cut is passed over."""
    lines: list[Told] = []
    for name in (path.with_suffix(".jsonl.1"), path):
        with contextlib.suppress(OSError), name.open(encoding="utf-8", errors="replace") as file:
            for text in deque(file, maxlen=RING_COUNT_MAX):
                with contextlib.suppress(ValueError):
                    line = json.loads(text)
                    if isinstance(line, dict) and "id" in line:
                        lines.append(line)
    return lines[-RING_COUNT_MAX:]


def _native(line: Told) -> bytes:
    """Return the entry in journald's native protocol (systemd, Native Journal Protocol)."""
    because = line["because"]["template"].format(**_flat(line["because"]["params"]))
    fields = {
        "MESSAGE": f"{line['subject']}: {line['before']} -> {line['after']}: {because}",
        "PRIORITY": PRIORITY.get(line["severity"], "6"),
        "SYSLOG_IDENTIFIER": "servhad",
        "SERVHA_SUBJECT": line["subject"],
        "SERVHA_BEFORE": line["before"],
        "SERVHA_AFTER": line["after"],
        "SERVHA_RULE": line["rule"],
        "SERVHA_OWNERSHIP": str(line["ownership"]),
        "SERVHA_ENTRY": str(line["id"]),
    }
    out = b""
    for name, value in fields.items():
        data = value.encode()
        if b"\n" in data:
            out += name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
        else:
            out += name.encode() + b"=" + data + b"\n"
    return out


def _flat(params: dict[str, Any]) -> dict[str, Any]:
    return {
        name: v["template"].format(**_flat(v["params"])) if isinstance(v, dict) else v
        for name, v in params.items()
    }
