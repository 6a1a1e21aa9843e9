"""The conditions that last now, whoever raised them: the core, the configuration, a link.

It keeps since when; it decides neither what is a condition nor where an alarm travels.
"""

from __future__ import annotations

from dataclasses import dataclass

from servha.core.words import Text
from servha.daemon.loop import boottime_s


@dataclass(frozen=True, slots=True)
class Alarm:
    """One condition: since when (seconds of CLOCK_BOOTTIME), how grave, in words."""

    severity: str
    text: Text
    since_s: float


class StandingAlarms:
    """Raised and cleared by key; raising again changes the words and keeps the beginning."""

    def __init__(self) -> None:
        self._standing: dict[str, Alarm] = {}

    @property
    def standing(self) -> dict[str, Alarm]:
        """Every alarm that stands, errors first."""
        ranked = sorted(
            self._standing.items(), key=lambda item: (item[1].severity != "error", item[1].since_s)
        )
        return dict(ranked)

    def raise_alarm(self, key: str, severity: str, text: Text) -> None:
        """The condition `key` holds from now on."""
        known = self._standing.get(key)
        self._standing[key] = Alarm(severity, text, known.since_s if known else boottime_s())

    def clear_alarm(self, key: str) -> None:
        """The condition `key` has ended, if it ever began."""
        self._standing.pop(key, None)
