"""servwebd as users run it, a process of its own with TLS, here without a servhad to ask."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.console.browser import Browser
from tests.machines.wait import wait_for

STARTED_WITHIN_S = 30.0
PAGE = b'<!doctype html><title>ServHA</title><script type="importmap">{}</script>'


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
        browser = Browser(port, log=tmp_path / "servwebd.log")

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
