"""Tries an address at fixed times and says for how long it did not answer.

Trying at fixed times matters: a client that waits for an answer before it tries again sees an outage later than it
began. Decides what counts as an answer: any HTTP status below 500, or an accepted connection.
"""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit


def answers(url: str, timeout_s: float) -> bool:
    """Return whether `url` (http, https or tcp://HOST:PORT) answers within the time."""
    parts = urlsplit(url)
    try:
        if parts.scheme == "tcp":
            with socket.create_connection((parts.hostname, parts.port), timeout=timeout_s):
                return True
        # No proxy of the controller between it and the servers.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=timeout_s):
            return True
    except urllib.error.HTTPError as refused:
        return refused.code < 500
    except (OSError, ValueError):
        return False


class Attempts:
    """What came of the attempts, each by the time it began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: list[tuple[float, bool]] = []

    def note(self, began_s: float, *, good: bool) -> None:
        """Note one attempt that is over."""
        with self._lock:
            self._seen.append((began_s, good))

    def seen(self) -> list[tuple[float, bool]]:
        """Return (when it began, whether it was answered) in the order of their beginnings."""
        with self._lock:
            return sorted(self._seen)


def outages(seen: list[tuple[float, bool]]) -> list[tuple[float, float]]:
    """Return (began, lasted) of every outage, in seconds; the last one lasts up to the last attempt if it goes on.

    >>> outages([(0.0, True), (0.1, False), (0.2, False), (0.3, True), (0.4, True)])
    [(0.1, 0.2)]
    >>> outages([(0.0, True), (0.1, False), (0.2, False)])
    [(0.1, 0.1)]
    """
    found: list[tuple[float, float]] = []
    began_s: float | None = None
    for at_s, good in seen:
        if not good and began_s is None:
            began_s = at_s
        elif good and began_s is not None:
            found.append((began_s, round(at_s - began_s, 3)))
            began_s = None
    if began_s is not None:
        found.append((began_s, round(seen[-1][0] - began_s, 3)))
    return found


def steady_since(seen: list[tuple[float, bool]]) -> float | None:
    """Return when the answers began that have not been interrupted since; None while the last one is missing."""
    since: float | None = None
    for at_s, good in seen:
        since = (at_s if since is None else since) if good else None
    return since


def watch(
    url: str, *, every_s: float, timeout_s: float, steady_s: float, within_s: float
) -> list[tuple[float, bool]]:
    """Try until it has answered for `steady_s` after an outage, at the latest for `within_s`; return the attempts."""
    attempts, began_s, number = Attempts(), time.monotonic(), 0

    def attempt(at_s: float) -> None:
        attempts.note(round(at_s - began_s, 3), good=answers(url, timeout_s))

    while time.monotonic() - began_s < within_s:
        threading.Thread(target=attempt, args=(time.monotonic(),), daemon=True).start()
        number += 1
        time.sleep(max(0.0, began_s + number * every_s - time.monotonic()))
        seen = attempts.seen()
        since = steady_since(seen)
        if outages(seen) and since is not None and seen[-1][0] - since >= steady_s:
            break
    time.sleep(timeout_s)
    return attempts.seen()
