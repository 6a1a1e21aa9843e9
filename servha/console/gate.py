"""Who may pass: the browser's session, and that a change really comes from a page of this console.

Decides only what a browser alone can show (cookie, origin, host name). What a session may do is servhad's decision.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from typing import Final

from bottle import HTTPResponse, request

from servha.console.answers import refusal
from servha.console.sessions import Session, Sessions
from servha.core.words import say
from servha.wire.rpc import Code

COOKIE: Final = "servha_session"
CSRF_HEADER: Final = "X-Servha-CSRF"


class Gate:
    """Looks at each request before it is answered. `names`: host names that this console is called by."""

    def __init__(self, sessions: Sessions, names: frozenset[str] = frozenset()) -> None:
        self._sessions = sessions
        own = socket.gethostname().lower()
        self._names = names | {"localhost", own, own.partition(".")[0]}

    def session(self) -> Session | None:
        """Return the session of this request; None when there is none."""
        word = self.word()
        return self._sessions.find(word) if word else None

    @staticmethod
    def token() -> str | None:
        """Return the token that a program shows; None when this request shows none, empty when it shows nonsense."""
        shown = str(request.headers.get("Authorization", ""))
        if not shown:
            return None
        scheme, _, token = shown.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def word(self) -> str:
        """Return what is in the session's cookie."""
        return str(request.get_cookie(COOKIE) or "")

    def against_host(self) -> HTTPResponse | None:
        """Refuse a host name that is not ours: a foreign page could have its own name point here (DNS rebinding)."""
        host = request.headers.get("Host", "")
        if _is_address(host) or _name_of(host) in self._names:
            return None
        text = say(
            "this console is not called {host}: open it by its IP address, or name it with servwebd's option --name",
            host=_name_of(host) or "-",
        )
        return refusal(Code.NOT_PERMITTED, text, 421)

    def against_origin(self, session: Session | None) -> HTTPResponse | None:
        """Refuse a change that another site's page may have sent. `session` None: there is none yet, as at a login."""
        origin = request.headers.get("Origin", "")
        same = origin.partition("://")[2] == request.headers.get("Host", "")
        if origin and not same:
            text = say("this change does not come from a page of this console: it was not carried out")
            return refusal(Code.NOT_PERMITTED, text, 403)
        if session is None:
            return None
        shown = request.headers.get(CSRF_HEADER, "")
        if hmac.compare_digest(shown.encode(), session.csrf.encode()):
            return None
        text = say("the page is out of date: load it again, then repeat the change")
        return refusal(Code.NOT_PERMITTED, text, 403)


def _name_of(host: str) -> str:
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _is_address(host: str) -> bool:
    bare = host[1 : host.index("]")] if host.startswith("[") and "]" in host else host.partition(":")[0]
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return False
    return True
