"""Rounds on the quorum disk, in a thread of their own: a disk that hangs must not keep the watchdog from being fed.

One round at a time. Its result wakes the loop through an eventfd. Decides nothing.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import replace
from typing import Final

from servha.arbiters.quorum_disk import QuorumDisk, RoundResult
from servha.core.clocks import Stamp
from servha.core.guard_model import RoundEnded
from servha.core.register import Slot

TELL_EVERY_S: Final = 1.0
KEPT_MAX: Final = 256
"""Of how many rounds the time is kept until it is told."""


class DiskThread:
    """One disk and its thread. `wake` is the eventfd that says a result is there."""

    def __init__(self, disk: QuorumDisk, wake: int, *, host: str, version: str) -> None:
        """`host` and `version` go into the slot for people to read."""
        self._disk = disk
        self._wake = wake
        self._host, self._version = host, version
        self._orders: deque[Slot | None] = deque()
        self._ordered = threading.Semaphore(0)
        self._results: deque[RoundResult] = deque()
        self._writing: tuple[Slot, Slot] | None = None
        self._took_s: deque[float | None] = deque(maxlen=KEPT_MAX)
        self._tell_s = 0.0
        self._ended = False
        threading.Thread(target=self._run, name="quorum-disk", daemon=True).start()

    def begin(self, slot: Slot | None) -> None:
        """Begin a round; the one before has ended."""
        self._writing = None
        if slot is not None:
            shown = replace(slot, host=self._host, version=self._version, written_at=time.time_ns())
            self._writing = (slot, shown)
            slot = shown
        self._orders.append(slot)
        self._ordered.release()

    def ended(self, now: Stamp) -> list[RoundEnded]:
        """Return what has come in, as it is handled at `now`."""
        found = []
        while self._results:
            result = self._results.popleft()
            self._took_s.append(result.write_s + result.read_s if result.read else None)
            own = result.own
            if self._writing is not None and own == self._writing[1]:
                own = self._writing[0]  # what was asked to be written, without what is only for people
            found.append(
                RoundEnded(
                    now,
                    read=result.read,
                    own=own,
                    own_blank=result.own_blank,
                    peer=result.peer,
                    peer_mark=result.peer_mark,
                    peer_blank=result.peer_blank,
                    trouble=result.trouble,
                )
            )
        return found

    def took_s(self, now_s: float) -> tuple[float | None, ...]:
        """Return, once a second, what the rounds since the last time took in seconds; None for one that failed."""
        if now_s < self._tell_s:
            return ()
        self._tell_s = now_s + TELL_EVERY_S
        found = tuple(self._took_s)
        self._took_s.clear()
        return found

    def close(self) -> None:
        """Let the thread end when its round has; it is not waited for."""
        self._ended = True
        self._ordered.release()

    def _run(self) -> None:
        while True:
            self._ordered.acquire()
            if self._ended:
                self._disk.close()
                return
            self._results.append(self._disk.round(self._orders.popleft()))
            os.eventfd_write(self._wake, 1)
