"""Rounds on the quorum disk, in a thread of their own: a disk that hangs must not keep the watchdog from being fed.

One round at a time. Its result wakes the loop through an eventfd. Decides nothing.
"""

from __future__ import annotations

import os
import threading
from collections import deque

from servha.arbiters.quorum_disk import QuorumDisk, RoundResult
from servha.core.register import Slot


class DiskThread:
    """One disk and its thread. `wake` is the eventfd that says a result is there."""

    def __init__(self, disk: QuorumDisk, wake: int) -> None:
        self._disk = disk
        self._wake = wake
        self._orders: deque[Slot | None] = deque()
        self._ordered = threading.Semaphore(0)
        self._results: deque[RoundResult] = deque()
        self._ended = False
        threading.Thread(target=self._run, name="quorum-disk", daemon=True).start()

    def begin(self, slot: Slot | None) -> None:
        """Begin a round; the one before has ended."""
        self._orders.append(slot)
        self._ordered.release()

    def results(self) -> list[RoundResult]:
        """Return the results that have come in."""
        found = []
        while self._results:
            found.append(self._results.popleft())
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
