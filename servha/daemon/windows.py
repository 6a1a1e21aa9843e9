"""Tells the core which failback windows are open: the wall clock that it does not have.

Looks at the local time several times a minute, so that a clock set anew or a change to summer time is noticed, and
speaks only when the answer has changed. Whether a tree goes back is not decided here.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable

from servha.config.document import Document
from servha.core.events import Event, WindowsTold
from servha.core.model import Failback
from servha.daemon.loop import boottime_s

LOOK_EVERY_S = 15.0


def local_time_of_day() -> str:
    """Return the local time as "HH:MM"."""
    return dt.datetime.now().astimezone().strftime("%H:%M")


class Windows:
    """The failback windows of all trees. Called in the loop's thread only."""

    def __init__(
        self, happen: Callable[[Event], None], local_time: Callable[[], str] = local_time_of_day
    ) -> None:
        self._happen = happen
        self._local_time = local_time
        self._windows: dict[str, str] = {}
        self._told: frozenset[str] | None = frozenset()
        self._timer: asyncio.TimerHandle | None = None

    def adapt(self, document: Document) -> None:
        """Watch the windows of this configuration from now on."""
        self._windows = {t.name: t.failback_window for t in document.trees if t.failback is Failback.WINDOW}
        self._told = None if self._windows else self._told
        self._look()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self.close()
        now = self._local_time()
        opened = frozenset(tree for tree, window in self._windows.items() if is_open(window, now))
        if opened != self._told:
            self._told = opened
            self._happen(WindowsTold(boottime_s(), opened))
        if self._windows:
            self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)


def is_open(window: str, now: str) -> bool:
    """Return whether the time of day `now` lies in `window`; its end does not belong to it.

    >>> is_open("01:00-05:00", "04:59"), is_open("01:00-05:00", "05:00")
    (True, False)
    >>> [is_open("23:00-02:00", now) for now in ("22:59", "23:00", "00:30", "02:00")]
    [False, True, True, False]
    """
    begins, _, ends = window.partition("-")
    if begins <= ends:
        return begins <= now < ends
    return now >= begins or now < ends
