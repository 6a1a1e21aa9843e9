"""What is done for each row of the console's interface (contract.py), and what stands around every request.

Decides who is let in to ask, and that a request is one. What it may do and whether the values are right is said by
servhad.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial, wraps
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bottle import Bottle, HTTPError, HTTPResponse, request, static_file

from servha import support
from servha.console import editing, founding, openapi, page, whatif
from servha.console.answers import (
    answer,
    body,
    encoded,
    language,
    not_logged_in,
    of_error,
    refusal,
    token_refused,
)
from servha.console.asking import TokenRefused, ask, log_in, resume
from servha.console.contract import OPERATIONS, Operation, Who
from servha.console.gate import COOKIE, Gate
from servha.console.live import Feeds
from servha.console.server import PAGES_MAX
from servha.console.sessions import IDLE_S, WHOLE_S, Place, Session, Sessions
from servha.console.shapes import checked, described, members
from servha.core.words import say
from servha.language import render
from servha.management import PORT, SOCKET, LateAnswer, NotRunning
from servha.wire.rpc import Code, Refusal

WEB_SOCKET: Final = SOCKET.replace("servhad", "web")
DIALS_MAX: Final = 4
"""Logins to other nodes at the same time: nobody without a password makes this server knock at many doors."""
RETRY_MS: Final = 1000
NUMBER_LENGTH_MAX: Final = 17

Handler = Callable[..., Any]
Given = dict[str, Any]


class Console:
    """The application. `home`: the servhad of this machine; `web`: where the pages are."""

    def __init__(
        self, *, home: Place, web: Path, names: frozenset[str] = frozenset(), encrypted: bool = True
    ) -> None:
        self.sessions = Sessions(time.monotonic)
        self.feeds = Feeds()
        self._run = secrets.token_hex(8)
        self.application = Bottle()
        self._home = home
        self._web = web
        self._encrypted = encrypted
        self._gate = Gate(self.sessions, names)
        self._dials = threading.BoundedSemaphore(DIALS_MAX)
        self._streams = threading.BoundedSemaphore(PAGES_MAX)
        self._routes()

    def _routes(self) -> None:
        handlers: dict[str, Handler] = {
            "session": self._session,
            "log_in": self._log_in,
            "ticket": self._ticket,
            "carry_on": self._carry_on,
            "here": lambda _, __: _here(),
            "log_out": self._log_out,
            "choose_password": self._choose_password,
            "status": lambda session, _: ask(session, "status"),
            "stream": self._stream,
            "journal": lambda session, given: ask(session, "journal", **given),
            "why": lambda session, given: ask(session, "why", **given),
            "quality": lambda session, _: ask(session, "quality"),
            "order": lambda session, given, tree: ask(session, "order", tree=tree, **given),
            "config": editing.config,
            "change": editing.change,
            "kinds": editing.kinds,
            "begin_maintenance": editing.begin_maintenance,
            "end_maintenance": editing.end_maintenance,
            "invite": editing.invite,
            "interfaces": founding.interfaces,
            "found": founding.found,
            "join_progress": founding.join_progress,
            "join": founding.join,
            "simulate": whatif.simulate,
            "bundle": _bundle,
            "metrics": self._metrics,
            "document": lambda _, __: openapi.document(language()),
        }
        app = self.application
        for operation in OPERATIONS:
            path = operation.path.replace("{name}", "<name:path>").replace("{", "<").replace("}", ">")
            app.route(path, operation.method, self._passed(self._let_in(operation, handlers[operation.name])))
        for path, handler in (
            ("/", self._index),
            ("/api", self._index),
            ("/static/<path:path>", self._static),
        ):
            app.route(path, "GET", self._passed(handler))
        app.default_error_handler = _library_error

    # --- around every request -----------------------------------------------------------------------------------

    def _passed(self, handler: Handler) -> Handler:
        @wraps(handler)
        def answered(**parts: str) -> Any:
            against = self._gate.against_host()
            if against is not None:
                return against
            try:
                return handler(**parts)
            except TokenRefused as refused:
                return token_refused(refused)
            except (Refusal, NotRunning, LateAnswer) as error:
                return of_error(error)

        return answered

    def _let_in(self, operation: Operation, handler: Handler) -> Handler:
        """Those whom the row names: changes by a browser must come from a page of ours, and whoever has a token passes.

        No page can send a token unless it has one: what comes with one needs no other proof of where it comes from.
        """

        def answered(**parts: str) -> Any:
            token = self._gate.token()
            session = self._gate.session()
            if operation.who is Who.KNOWN and token is not None:
                session = self._shown_by(token)
            elif operation.who is not Who.ANYBODY and session is None:
                return not_logged_in()
            elif request.method != "GET":
                against = self._gate.against_origin(session if operation.who is not Who.ANYBODY else None)
                if against is not None:
                    return against
            made = handler(session, _given(operation), **parts)
            return made if isinstance(made, HTTPResponse) else answer(made)

        return answered

    def _shown_by(self, token: str) -> Session:
        """Return what stands for a session while one request with a token is answered."""
        now_s = time.monotonic()
        return Session(
            self._home,
            browser=str(request.environ.get("REMOTE_ADDR", "")),
            right="",
            choose_password=False,
            ticket="",
            since_s=now_s,
            seen_s=now_s,
            token=token or "-",
        )

    # --- sessions -----------------------------------------------------------------------------------------------

    def _session(self, session: Session | None, _given: Given) -> Any:
        return self._told(session)

    def _told(self, session: Session | None) -> dict[str, Any]:
        return {"session": None if session is None else self._shown(session), "console": self._run}

    def _log_in(self, _session: Session | None, given: Given) -> HTTPResponse:
        place = self._place(given.get("address", ""))
        browser = str(request.environ.get("REMOTE_ADDR", ""))
        if not self._dials.acquire(blocking=False):
            raise Refusal(Code.TRY_AGAIN, say("others are logging in just now: try again in a few seconds"))
        try:
            shown = log_in(place, given["password"], browser)
        finally:
            self._dials.release()
        return self._opened(place, shown, browser)

    def _ticket(self, session: Session, _given: Given) -> Any:
        told = resume(session.place, session.ticket, session.browser, short=True)
        return {"ticket": told["short"]}

    def _carry_on(self, _session: Session | None, given: Given) -> HTTPResponse:
        browser = str(request.environ.get("REMOTE_ADDR", ""))
        shown = resume(self._home, given["ticket"], browser)
        return self._opened(self._home, {"ticket": given["ticket"], **shown}, browser)

    def _opened(self, place: Place, shown: Given, browser: str) -> HTTPResponse:
        """Begin a session with what servhad has told; its word goes into a cookie that scripts cannot read."""
        word = self.sessions.open(
            place=place,
            browser=browser,
            right=str(shown.get("right", "")),
            choose_password=bool(shown.get("choose_password")),
            ticket=str(shown.get("ticket", "")),
            cluster=str(shown.get("cluster", "")),
            node=str(shown.get("node", "")),
        )
        session = self.sessions.find(word)
        assert session is not None
        made = answer(self._told(session))
        made.set_cookie(
            COOKIE,
            word,
            path="/",
            httponly=True,
            secure=self._encrypted,
            samesite="strict",
            max_age=int(WHOLE_S),
        )
        return made

    def _log_out(self, _session: Session, _given: Given) -> HTTPResponse:
        self.sessions.close(self._gate.word())
        made = answer(self._told(None))
        made.delete_cookie(COOKIE, path="/")
        return made

    def _choose_password(self, session: Session, given: Given) -> Any:
        new = given["new"]
        log_in(session.place, given["old"], session.browser)  # whoever sits there must know the old one
        made = ask(session, "cluster.password", password=new)
        # Every ticket given for the old password is void now; this browser has just proved that it knows the new one.
        shown = log_in(session.place, new, session.browser)
        session.ticket, session.right = str(shown.get("ticket", "")), str(shown.get("right", ""))
        session.choose_password = bool(shown.get("choose_password"))
        self.sessions.close_all_but(self._gate.word())
        return {"session": self._shown(session), "changed": made}

    def _shown(self, session: Session) -> dict[str, Any]:
        return {
            "right": session.right,
            "choose_password": session.choose_password,
            "address": str(session.place),
            "cluster": session.cluster,
            "node": session.node,
            "since": _moment(session.since_s),
            "idle_s": IDLE_S,
            "until": _moment(session.since_s + WHOLE_S),
            "csrf": session.csrf,
        }

    def _place(self, address: str) -> Place:
        """Return the node meant: none for this machine, else an IP address with or without the port."""
        if not address:
            return self._home
        host, _, port = address.rpartition(":") if address.count(":") == 1 else (address, "", "")
        try:
            ipaddress.ip_address(host.strip("[]"))
            number = int(port or PORT)
        except ValueError:
            text = say(
                "{address} is no address of a node: write its IP address, as in 192.168.1.11 or 192.168.1.11:{port}",
                address=address[:64],
                port=PORT,
            )
            raise Refusal(Code.USAGE, text) from None
        return Place(address=(host.strip("[]"), number))

    # --- what is, and what is to be -------------------------------------------------------------------------------

    def _metrics(self, session: Session, _given: Given) -> HTTPResponse:
        text = ask(session, "metrics")["text"]
        return HTTPResponse(
            body=text.encode(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    def _stream(self, session: Session, _given: Given) -> HTTPResponse:
        if not self._streams.acquire(blocking=False):
            text = say(
                "{count} pages are open already: close one, or load this page again later", count=PAGES_MAX
            )
            raise Refusal(Code.TRY_AGAIN, text)
        last_id, words = request.headers.get("Last-Event-ID", ""), language()
        headers = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
        return HTTPResponse(body=self._pieces(session, last_id, words), headers=headers)

    def _pieces(self, session: Session, last_id: str, words: str) -> Iterator[bytes]:
        word = self._gate.word()
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            for shown in self.feeds.of(session).follow(session, last_id):
                if self.sessions.find(word) is None:
                    return  # logged out, here or in another page
                if shown is None:
                    yield b": still here\n\n"
                    continue
                number = f"id: {shown.id}\n" if shown.id else ""
                yield f"{number}event: {shown.kind}\ndata: {encoded(shown.data, words)}\n\n".encode()
        finally:
            self._streams.release()

    # --- the pages ----------------------------------------------------------------------------------------------

    def _index(self) -> HTTPResponse:
        try:
            index = (self._web / "index.html").read_bytes()
        except OSError:
            text = say(
                "the console's pages are missing from {path}: install ServHA again", path=str(self._web)
            )
            return refusal(Code.FAILED, text, 500)
        others = self._others()
        return HTTPResponse(
            body=page.naming(index, others),
            headers={
                "Content-Type": "text/html; charset=utf-8",
                "Cache-Control": page.NO_CACHE,
                "Content-Security-Policy": page.policy(index, others),
            },
        )

    def _others(self) -> tuple[str, ...]:
        """Return the consoles that the page of whoever is logged in may ask for: those of all nodes but this one."""
        session = self._gate.session()
        if session is None:
            return ()
        called = urlsplit(f"//{request.headers.get('Host', '')}")
        try:
            port = f":{called.port}" if called.port else ""
        except ValueError:
            return ()  # no number at all
        scheme = "https" if self._encrypted else "http"
        ips = self.feeds.of(session).addresses()
        return tuple(f"{scheme}://{ip}{port}" for ip in ips if ip != called.hostname)

    def _static(self, path: str) -> Any:
        found = static_file(path, root=str(self._web / "static"))
        found.set_header("Cache-Control", page.NO_CACHE)
        return found


def _moment(clock_s: float) -> str:
    """Return a moment of the sessions' clock as people and programs write it: 2026-01-31T09:30:00+00:00."""
    ago = dt.timedelta(seconds=time.monotonic() - clock_s)
    return (dt.datetime.now(dt.UTC) - ago).isoformat(timespec="seconds")


def _here() -> HTTPResponse:
    made = answer({"here": True})
    made.set_header("Cross-Origin-Resource-Policy", "cross-origin")
    return made


def _bundle(session: Session, _given: Given) -> HTTPResponse:
    words, now = language(), dt.datetime.now().astimezone()
    packed = support.pack(
        partial(ask, session),
        lambda text: render(text, words),
        (Refusal, NotRunning, LateAnswer),
        at_s=now.timestamp(),
    )
    name = f"servha-support-{now:%Y%m%d-%H%M%S}.tar.gz"
    headers = {"Content-Type": "application/gzip", "Content-Disposition": f'attachment; filename="{name}"'}
    return HTTPResponse(body=packed, headers=headers | {"Cache-Control": "no-store"})


def _given(operation: Operation) -> Given:
    """Return what the request carries, checked by the row's types. Raises `Refusal` (usage)."""
    if operation.asked is not None:
        return checked(operation.asked, body())
    if operation.query is None:
        return {}
    shown: Given = {}
    for name, (hint, _) in members(operation.query).items():
        text = request.query.get(name)
        if text is not None:
            is_number = described(hint, {}).get("type") == "integer" and text.isdecimal()
            shown[name] = int(text) if is_number and len(text) < NUMBER_LENGTH_MAX else text
    return checked(operation.query, shown)


def _library_error(error: HTTPError) -> HTTPResponse:
    """Answer what no route answers: an unknown path, a method it does not have, a defect of ours."""
    status = error.status_code
    if status == 404:
        text = say("there is nothing at {path}", path=request.path)
        return refusal(Code.NO_SUCH, text, status)
    if status == 405:
        return refusal(Code.USAGE, say("{method} is not possible here", method=request.method), status)
    return refusal(Code.FAILED, say("the console has failed: the journal of servwebd says where"), status)
