"""A browser without a screen: cookies, the word against foreign pages, and the page's live news."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, Self

from servha.lab.namespace import inside

TIMEOUT_S = 40.0


@dataclass
class Browser:
    """One browser: a cookie jar, the CSRF word of its session, and connections to one servwebd."""

    port: int
    host: str = "127.0.0.1"
    namespace: str = ""
    """The network namespace in which it sits; empty: where the tests run."""
    cookie: str = ""
    csrf: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    log: Path | None = None
    """What servwebd says, where that is known."""

    def open(self) -> HTTPSConnection:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        line = HTTPSConnection(self.host, self.port, timeout=TIMEOUT_S, context=context)
        line.sock = context.wrap_socket(self.plain(), server_hostname=self.host)
        return line

    def plain(self) -> socket.socket:
        """Connect and say nothing."""
        with inside(self.namespace) if self.namespace else nullcontext():
            return socket.create_connection((self.host, self.port), timeout=TIMEOUT_S)

    def send(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[HTTPSConnection, HTTPResponse]:
        line = self.open()
        sent = {"Cookie": self.cookie} if self.cookie else {}
        if self.csrf:
            sent["X-Servha-CSRF"] = self.csrf
        sent |= self.headers | dict(headers or {})
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        line.request(method, path, data, sent)
        return line, line.getresponse()

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, HTTPResponse]:
        """Return the status, the JSON that came (or the text), and the response with its headers."""
        line, response = self.send(method, path, body, headers)
        try:
            text = response.read().decode()
        finally:
            line.close()
        kept = response.getheader("Set-Cookie")
        if kept:
            self.cookie = kept.partition(";")[0]
        is_json = (response.getheader("Content-Type") or "").startswith("application/json")
        return response.status, json.loads(text) if is_json else text, response

    def download(self, path: str) -> tuple[int, bytes]:
        """Return the status and what came, as it is."""
        line, response = self.send("GET", path)
        try:
            return response.status, response.read()
        finally:
            line.close()

    def log_in(self, password: str, **more: str) -> dict[str, Any]:
        """Log in and keep the session's word against foreign pages; return the session."""
        status, told, _ = self.ask("POST", "/api/v1/session", {"password": password, **more})
        assert status == 200, told
        session: dict[str, Any] = told["session"]
        self.csrf = session["csrf"]
        return session


@dataclass
class Stream:
    """The page's live news, read by a thread of its own: kind, data and moment of each."""

    browser: Browser
    path: str = "/api/v1/stream?lang=en"
    last_id: str = ""
    news: list[tuple[str, Any, float]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        self._line, self._response = self.browser.send("GET", self.path, headers=headers)
        assert self._response.status == 200, self._response.read()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._line.sock is not None:
            with suppress(OSError):
                self._line.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(TIMEOUT_S)
        self._line.close()

    def _read(self) -> None:
        kind, data = "", ""
        with suppress(OSError, HTTPException, ValueError):
            while read := self._response.readline().decode():
                line = read.rstrip("\n")
                if not line:
                    if kind:
                        self.news.append((kind, json.loads(data), time.monotonic()))
                    kind, data = "", ""
                elif line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: "):
                    data = line[6:]
                elif line.startswith("id: "):
                    self.last_id = line[4:]
        self.ended.set()

    def newest(self, kind: str) -> Any:
        """The newest data of a kind; None when there was none yet."""
        return next((data for known, data, _ in reversed(self.news) if known == kind), None)

    def since(self, kind: str, moment_s: float, wanted: Callable[[Any], object]) -> float | None:
        """Seconds from `moment_s` to the first news of a kind that are as wanted; None while there are none."""
        for known, data, at_s in list(self.news):
            if known == kind and at_s >= moment_s and wanted(data):
                return at_s - moment_s
        return None
