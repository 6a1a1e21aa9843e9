"""What a browser gets from servwebd while nobody has logged in: headers, refusals, and room for others."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import time

import pytest

from tests.console.browser import Browser
from tests.console.conftest import PAGE


def test_the_page_may_run_nothing_but_its_own_files_and_the_import_map(alone: Browser) -> None:
    browser = Browser(alone.port)
    status, text, response = browser.ask("GET", "/")
    policy = response.getheader("Content-Security-Policy") or ""
    assert (status, text) == (200, PAGE.decode())
    assert base64.b64encode(hashlib.sha256(b"{}").digest()).decode() in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert browser.ask("GET", "/static/app.js")[0] == 200
    assert browser.ask("GET", "/static/../index.html")[0] in (403, 404)
    assert browser.ask("GET", "/static/%2e%2e/index.html")[0] in (403, 404)


def test_without_a_session_nothing_is_told_and_the_next_step_is(alone: Browser) -> None:
    browser = Browser(alone.port)
    assert browser.ask("GET", "/api/v1/session")[1]["session"] is None
    for path in (
        "/api/v1/status",
        "/api/v1/journal",
        "/api/v1/stream",
        "/api/v1/config",
        "/api/v1/kinds",
        "/api/v1/interfaces",
        "/api/v1/cluster/join",
        "/metrics",
    ):
        status, told, _ = browser.ask("GET", path)
        assert (status, told["error"]["code"]) == (401, "not-permitted"), path
    status, told, _ = browser.ask("POST", "/api/v1/trees/web/order", {"verb": "stop"})
    assert status == 401
    assert browser.ask("PUT", "/api/v1/config", {"document": {}, "base_generation": 1})[0] == 401
    assert browser.ask("POST", "/api/v1/session/ticket", {})[0] == 401
    assert browser.ask("POST", "/api/v1/cluster", {"name": "demo"})[0] == 401
    assert browser.ask("POST", "/api/v1/cluster/join", {"address": "192.0.2.1"})[0] == 401
    assert browser.ask("POST", "/api/v1/maintenance", {"scope": "tree", "name": "web"})[0] == 401
    assert browser.ask("DELETE", "/api/v1/maintenance/resource/web/app")[0] == 401


def test_a_login_without_servhad_says_so_in_the_readers_language(alone: Browser) -> None:
    browser = Browser(alone.port)
    status, told, _ = browser.ask(
        "POST", "/api/v1/session", {"password": "1"}, {"Accept-Language": "zh-CN,en;q=0.5"}
    )
    assert (status, told["error"]["code"]) == (503, "not-running")
    assert "没有运行" in told["error"]["text"]
    status, told, _ = browser.ask("POST", "/api/v1/session?lang=en", {"password": "1"})
    assert "is not running" in told["error"]["text"]


@pytest.mark.parametrize(
    ("body", "code"),
    [(None, "usage"), ([1], "usage"), ({"password": 1}, "usage"), ({"address": "x y"}, "usage")],
)
def test_a_login_that_is_none_is_refused_with_what_is_wrong(alone: Browser, body: object, code: str) -> None:
    status, told, _ = Browser(alone.port).ask("POST", "/api/v1/session", body)
    assert (status, told["error"]["code"]) == (400, code)
    assert told["error"]["text"]


def test_another_sites_page_can_neither_log_in_nor_be_called_by_its_own_name(alone: Browser) -> None:
    browser = Browser(alone.port)
    foreign = {"Origin": "https://elsewhere.example"}
    assert browser.ask("POST", "/api/v1/session", {"password": "1"}, foreign)[0] == 403
    status, told, _ = browser.ask("GET", "/", headers={"Host": "elsewhere.example"})
    assert status == 421
    assert "elsewhere.example" in told["error"]["text"]


def test_a_browser_that_does_not_know_the_certificate_is_no_defect(alone: Browser) -> None:
    careful = ssl.create_default_context()
    for _ in range(2):
        with pytest.raises(ssl.SSLCertVerificationError), alone.plain() as line:
            careful.wrap_socket(line, server_hostname="localhost")
    assert alone.ask("GET", "/api/v1/session")[0] == 200
    assert alone.log is not None
    assert "Traceback" not in alone.log.read_text(encoding="utf-8")


def test_those_who_connect_and_say_nothing_keep_nobody_out(alone: Browser) -> None:
    browser = Browser(alone.port)
    silent = [socket.create_connection(("127.0.0.1", browser.port)) for _ in range(3)]
    try:
        began_s = time.monotonic()
        assert browser.ask("GET", "/api/v1/session")[0] == 200
        assert time.monotonic() - began_s < 2.0, "a handshake of somebody else was waited for"
    finally:
        for one in silent:
            one.close()
