"""Who is logged in: one record for each browser, found by a random word in its cookie.

Decides when a session has been idle too long. Refuses to judge passwords and rights: a session only keeps the ticket
that servhad gave for the right password, in memory and nowhere else.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

IDLE_S = 15 * 60.0
"""A browser without a page that is open and shows the cluster is forgotten after so long."""
WHOLE_S = 12 * 3600.0
"""However busy it is."""
SESSIONS_MAX = 256
"""Beyond that the one that has been idle longest is forgotten."""
WORD_BYTES = 32


@dataclass(frozen=True, slots=True)
class Place:
    """Where a servhad is asked: this machine's unix socket, or an address and port of another node."""

    socket: str = ""
    address: tuple[str, int] | None = None

    def __str__(self) -> str:
        """How a person would write it; empty for this machine."""
        return "" if self.address is None else f"{self.address[0]}:{self.address[1]}"


@dataclass(slots=True, eq=False)
class Session:
    """One browser that has shown the password. Times are in seconds of the clock given to `Sessions`."""

    place: Place
    browser: str
    """The browser's IP address."""
    right: str
    choose_password: bool
    ticket: str
    since_s: float
    seen_s: float
    cluster: str = ""
    """The cluster's name; empty while the node is in none."""
    node: str = ""
    """The node that was logged in to."""
    token: str = ""
    """What a program showed in place of a login; such a session lasts for one request."""
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(WORD_BYTES))


class Sessions:
    """Every session there is. Safe to use from several threads."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._known: dict[str, Session] = {}
        self._lock = threading.Lock()

    def open(
        self,
        *,
        place: Place,
        browser: str,
        right: str,
        choose_password: bool,
        ticket: str,
        cluster: str = "",
        node: str = "",
    ) -> str:
        """Begin a session and return the word that goes into its cookie."""
        now_s = self._clock_s()
        session = Session(place, browser, right, choose_password, ticket, now_s, now_s, cluster, node=node)
        word = secrets.token_urlsafe(WORD_BYTES)
        with self._lock:
            self._forget_old(now_s)
            if len(self._known) >= SESSIONS_MAX:
                del self._known[min(self._known, key=lambda w: self._known[w].seen_s)]
            self._known[word] = session
        return word

    def find(self, word: str) -> Session | None:
        """Return the session of a cookie, which counts as being used; None when there is none any more."""
        now_s = self._clock_s()
        with self._lock:
            self._forget_old(now_s)
            session = self._known.get(word)
            if session is not None:
                session.seen_s = now_s
            return session

    def close(self, word: str) -> None:
        """End one session."""
        with self._lock:
            self._known.pop(word, None)

    def close_all_but(self, word: str) -> None:
        """End every session except one: the password has changed, and tickets of the old one are void."""
        with self._lock:
            self._known = {w: s for w, s in self._known.items() if w == word}

    def _forget_old(self, now_s: float) -> None:
        self._known = {
            word: session
            for word, session in self._known.items()
            if now_s - session.seen_s < IDLE_S and now_s - session.since_s < WHOLE_S
        }
