"""The client outside: how long nobody answered after something was done. Takes no node's word for anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from servha.lab import probe
from servha.lab.attempts import Attempt, Blackout
from servha.lab.lab import Lab
from servha.lab.layout import VIRTUAL_ADDRESS
from servha.lab.probe import TIMEOUT_S, Probe

CALM_S = TIMEOUT_S + 0.1
"""So long only good answers: then no attempt of the bad time is still open."""


class NoCalmError(Exception):
    """The application was not answered steadily in time."""


def silence_s(blackouts: list[Blackout], *, since_s: float) -> float:
    """Return the length of all blackouts that ended after `since_s`: the whole time nobody answered.

    >>> silence_s([Blackout(1.0, 1.5, 3, "a", "a"), Blackout(2.0, 2.25, 3, "a", "b")], since_s=1.9)
    0.25
    """
    return sum(one.length_s for one in blackouts if one.end_s is None or one.end_s > since_s)


def calm(attempts: list[Attempt], *, since_s: float, now_s: float) -> bool:
    """Say whether every attempt of the last CALM_S was answered, all of that time being after `since_s`.

    >>> good = [Attempt(n / 10, n / 10 + 0.001, "200", "a") for n in range(21)]
    >>> calm(good, since_s=1.0, now_s=2.05), calm(good, since_s=1.9, now_s=2.05)
    (True, False)
    """
    from_s = now_s - CALM_S
    if from_s < since_s:
        return False
    late = [one for one in reversed(attempts) if one.end_s >= from_s]
    return bool(late) and all(one.good for one in late) and any(one.start_s < from_s + 0.1 for one in late)


@dataclass(frozen=True)
class Client:
    """Two clients at once: one asks the application, one pings its address."""

    http: Probe
    icmp: Probe

    def await_calm(self, *, since_s: float, within_s: float) -> None:
        """Wait until both have got nothing but good answers for CALM_S after `since_s`.

        Raises:
            NoCalmError: it did not become so in time.
        """
        deadline = time.monotonic() + within_s
        while True:
            now_s = time.monotonic()
            if all(calm(one.attempts(), since_s=since_s, now_s=now_s) for one in (self.http, self.icmp)):
                return
            if now_s > deadline:
                last = self.http.last()
                raise NoCalmError(f"no steady answers within {within_s:.0f} s; the last: {last}")
            time.sleep(0.02)

    def owner(self) -> str:
        """Return the node that answers now."""
        return self.http.wait_answer().who

    def silences_s(self, since_s: float) -> dict[str, float]:
        """How long each went unanswered after `since_s`."""
        return {
            "http": silence_s(self.http.blackouts(), since_s=since_s),
            "icmp": silence_s(self.icmp.blackouts(), since_s=since_s),
        }

    def answered_s(self, since_s: float) -> float | None:
        """Return when the last blackout after `since_s` ended for the one who asks the application."""
        ends = [one.end_s for one in self.http.blackouts() if one.end_s is not None and one.end_s > since_s]
        return max(ends, default=None)


@contextmanager
def asking(lab: Lab) -> Iterator[Client]:
    """Run both clients while the block runs."""
    with probe.running(lab) as http, probe.running(lab, icmp=VIRTUAL_ADDRESS) as icmp:
        yield Client(http, icmp)
