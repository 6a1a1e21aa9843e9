"""The watchdog as the guard holds it: armed, fed, handed to a successor, let go. When, is decided in core/guard.py."""

from __future__ import annotations

import contextlib
import errno
import time
from typing import Final

from servha.core.words import say
from servha.fences.watchdog import Watchdog, adopted, open_watchdog
from servha.guard import systemd
from servha.guard.journal import log

LET_GO_WITHIN_S: Final = 0.5
"""How long the service manager may take to close what it kept of a watchdog that was let go a moment ago."""
_AGAIN_S: Final = 0.01
_TAKEN: Final = frozenset({errno.EBUSY, errno.ECONNRESET, errno.EPIPE})


class Leash:
    """At most one open watchdog."""

    def __init__(self) -> None:
        self._watchdog: Watchdog | None = None
        self.feed_every_s: float | None = None
        """Period of feeding a watchdog that is not needed and cannot be stopped; None while there is none."""

    @property
    def held(self) -> bool:
        """Whether a watchdog is open, and so armed."""
        return self._watchdog is not None

    def adopt(self) -> None:
        """Take what a predecessor left with the service manager."""
        descriptor = systemd.kept()
        if descriptor is not None:
            self._watchdog = adopted(descriptor)

    def arm(self, path: str, timeout_s: float) -> tuple[str, float]:
        """Open it, set its time and feed it; return its name and the time it keeps, ("", 0) where none is usable."""
        self.feed_every_s = None
        if not path and self._watchdog is None:
            return "", 0.0
        try:
            if self._watchdog is None:
                self._watchdog = _opened(path)
            # First: a guard that dies from here on has a successor to feed it.
            systemd.keep(self._watchdog.fileno())
            kept_s = self._watchdog.set_timeout(timeout_s)
            self._watchdog.feed()
        except (OSError, ValueError) as problem:
            log("warning", say("there is no usable watchdog: {reason}", reason=str(problem)))
            self.let_go()
            return "", 0.0
        return self._watchdog.name, kept_s

    def feed(self) -> None:
        """Put off its firing."""
        if self._watchdog is not None:
            try:
                self._watchdog.feed()
            except OSError as problem:
                log("error", say("the watchdog cannot be fed: {reason}", reason=str(problem)))

    def let_go(self) -> None:
        """Stop it. One that cannot be stopped (`nowayout`) is fed on: nothing here deserves a reset any more."""
        if self._watchdog is None:
            return
        try:
            self._watchdog.disarm()
        except OSError as problem:
            if problem.errno == errno.EBUSY:
                log(
                    "warning",
                    say("the watchdog cannot be stopped once armed; it is fed for as long as this runs"),
                )
                with contextlib.suppress(OSError, ValueError):
                    self.feed_every_s = self._watchdog.set_timeout(1.0) / 4
                self.feed_every_s = self.feed_every_s or 0.25
                return
            log("error", say("the watchdog could not be stopped: {reason}", reason=str(problem)))
        self._watchdog = None
        systemd.forget()


def _opened(path: str) -> Watchdog:
    """Open it. Nothing is held yet, so the loop may stand still for the moment until it is free again."""
    until_s = time.monotonic() + LET_GO_WITHIN_S
    while True:
        try:
            return open_watchdog(path)
        except OSError as problem:
            if problem.errno not in _TAKEN or time.monotonic() >= until_s:
                raise
        time.sleep(_AGAIN_S)
