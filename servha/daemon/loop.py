"""The shell's one loop around the core: the only clock, one timer, effects carried out in the order given.

It hands every event to the engine with the time of CLOCK_BOOTTIME and wakes it when it asks to be woken. It decides
nothing and never waits; what can block runs elsewhere and comes back as an event.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from servha.core.effects import Effect
from servha.core.engine import Engine
from servha.core.events import Event, Tick
from servha.core.model import Cluster
from servha.core.state import State

log = logging.getLogger("servha.loop")

WAKE_MIN_S = 0.0005
WAKE_MAX_S = 5.0


def boottime_s() -> float:
    """Return seconds since the machine was started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Loop:
    """Runs the engine of this node. Everything here is called in the thread of the running asyncio loop."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        incarnation: str,
        carry_out: Callable[[Effect], None],
        changed: Callable[[State], None],
        failed: Callable[[], None],
    ) -> None:
        self._engine = Engine(cluster, incarnation=incarnation, now_s=boottime_s())
        self._carry_out = carry_out
        self._changed = changed
        self._failed = failed
        self._timer: asyncio.TimerHandle | None = None
        self._armed_s = float("inf")
        self._waiting: list[Event] = []
        self._busy = False
        self.passes = 0
        """How many events the engine has handled: proof of life for the watchdog."""

    @property
    def state(self) -> State:
        """What the node remembers now."""
        return self._engine.state

    def happen(self, event: Event) -> None:
        """Let the engine handle `event`; an event that arises while effects are carried out waits its turn."""
        self._waiting.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                effects = self._engine.handle(self._waiting.pop(0))
                self.passes += 1
                for effect in effects:
                    self._carry_out(effect)
                if effects:
                    self._changed(self._engine.state)
        except Exception:
            # State and world no longer agree. A fresh daemon finds out what runs and adopts it; going on would guess.
            log.exception("the core or one of its effects failed")
            self._failed()
            return
        finally:
            self._busy = False
        self._arm()

    def close(self) -> None:
        """Stop waking the engine."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        wake_s = self._engine.wake_at_s
        if self._timer is not None:
            if abs(wake_s - self._armed_s) < WAKE_MIN_S:
                return
            self._timer.cancel()
        self._armed_s = wake_s
        wait_s = min(WAKE_MAX_S, max(WAKE_MIN_S, wake_s - boottime_s()))
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.happen(Tick(boottime_s()))
