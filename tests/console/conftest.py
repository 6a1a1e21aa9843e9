"""servwebd as users run it: a process of its own with TLS, asked by http.client over loopback."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from tests.machines.wait import wait_for

STARTED_WITHIN_S = 30.0
PAGE = b'<!doctype html><title>ServHA</title><script type="importmap">{}</script>'


@dataclass
class Browser:
    """One browser: a cookie jar, the CSRF word of its session, and connections to one servwebd."""

    port: int
    cookie: str = ""
    csrf: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def open(self) -> HTTPSConnection:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return HTTPSConnection("127.0.0.1", self.port, timeout=20.0, context=context)

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


Serving = Callable[..., Browser]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Start servwebd that asks the servhad at a unix socket; every one that was started is ended."""
    started: list[subprocess.Popen[bytes]] = []
    tmp_path = tmp_path_factory.mktemp("console")
    web = tmp_path / "web"
    (web / "static").mkdir(parents=True)
    (web / "index.html").write_bytes(PAGE)
    (web / "static/app.js").write_text("export {};\n", encoding="utf-8")

    def start(home: Path) -> Browser:
        port = free_port()
        with (tmp_path / "servwebd.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "servha.console.main", "--address=127.0.0.1", f"--port={port}"]
                + [f"--state={tmp_path / 'state'}", f"--socket={home}", f"--web={web}"],
                stdout=log,
                stderr=log,
            )
        started.append(process)
        browser = Browser(port)

        def answers() -> bool:
            assert process.poll() is None, (tmp_path / "servwebd.log").read_text(encoding="utf-8")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_for(answers, within_s=STARTED_WITHIN_S, what="servwebd listens")
        return browser

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=10.0)


@pytest.fixture(scope="module")
def alone(serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """A console whose servhad does not run; each test takes a browser of its own from it."""
    return serving(tmp_path_factory.mktemp("none") / "no.sock")
