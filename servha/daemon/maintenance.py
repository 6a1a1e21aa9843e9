"""Which maintenance is in force now, by the wall clock that the core does not have.

It stands in the replicated configuration: both nodes know it, a reboot does not end it, and a node that was off takes
it over with the generation it missed. Its end needs no word between the nodes, each looks at its own clock. What
maintenance means for a tree is not decided here.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Any

from servha.config.document import Document
from servha.core.model import Maintenance

LOOK_EVERY_S = 5.0
FORGOTTEN_AFTER_H = 8
REMIND_EVERY_H = 24

WallClock = Callable[[], float]


def wall_clock_s() -> float:
    """Return the seconds since 1970 by the wall clock: an end that people set is meant by it."""
    return dt.datetime.now(dt.UTC).timestamp()


def in_force(document: Document, now_s: WallClock = wall_clock_s) -> tuple[Maintenance, ...]:
    """Return what is in maintenance at this moment of the wall clock (seconds since 1970)."""
    now = now_s()
    return tuple(
        Maintenance(
            reason=m.reason,
            by=m.by,
            tree=m.tree,
            resource=m.resource,
            node=m.node,
            orders=tuple(sorted(m.orders.items())),
            allowed=tuple(m.allowed),
            forgotten_h=0 if m.until_unix_s else forgotten_h(now - m.since_unix_s),
        )
        for m in document.maintenance
        if not m.until_unix_s or now < m.until_unix_s
    )


def forgotten_h(age_s: float) -> int:
    """Return the hours at the last reminder: after 8, then once a day; 0 before the first.

    >>> [forgotten_h(hours * 3600.0) for hours in (0, 7.9, 8, 31, 32, 60)]
    [0, 0, 8, 8, 32, 56]
    """
    late_h = int(age_s // 3600) - FORGOTTEN_AFTER_H
    return 0 if late_h < 0 else FORGOTTEN_AFTER_H + late_h // REMIND_EVERY_H * REMIND_EVERY_H


def maintained(document: Document, now_s: WallClock = wall_clock_s) -> list[dict[str, Any]]:
    """Return what is in maintenance as `servha status -o json` shows it; `left_s` None where nothing ends it."""
    now = now_s()
    return [
        {
            "what": m.what,
            "reason": m.reason,
            "by": m.by,
            "allowed": list(m.allowed),
            "since_s": round(now - m.since_unix_s, 1),
            "left_s": round(m.until_unix_s - now, 1) if m.until_unix_s else None,
        }
        for m in document.maintenance
        if not m.until_unix_s or now < m.until_unix_s
    ]


class MaintenanceClock:
    """Notices when a maintenance ends or seems forgotten. Called in the loop's thread only."""

    def __init__(self, changed: Callable[[], None], now_s: WallClock = wall_clock_s) -> None:
        self._changed = changed
        self._now_s = now_s
        self._document: Document | None = None
        self._known: tuple[Maintenance, ...] = ()
        self._timer: asyncio.TimerHandle | None = None

    def adapt(self, document: Document) -> None:
        """Watch this configuration, of which the core has just been told, from now on."""
        self._document = document
        self._known = in_force(document, self._now_s)
        self._wait()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self.close()
        if self._document is not None and self._document.maintenance:
            self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        assert self._document is not None
        now = in_force(self._document, self._now_s)
        if now != self._known:
            self._known = now
            self._changed()
        self._wait()
