"""The URL detector against a real server on a loopback of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from servha.core.model import ResourceState
from servha.detectors import Url
from servha.host import LocalHost, ScriptedHost

pytestmark = pytest.mark.root
SITE = "http://127.0.0.1:8080"
ANSWERS = {
    "/": b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is wellNOT-COUNTED",
    "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n7\r\nis well\r\n0\r\n\r\n",
    "/broken": b"HTTP/1.1 500 Oops\r\n\r\n",
    "/gone": b"HTTP/1.1 404 Not Found\r\n\r\nall is well",
    "/moved": b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n",
    "/circle": b"HTTP/1.1 302 Found\r\nLocation: /circle\r\n\r\n",
    "/away": b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.2/\r\n\r\n",
    "/not-http": b"220 mail.example.com ESMTP\r\n\r\n",
    "/nothing": b"",
    "/long-head": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
}


class Site:
    """Answers by path; `asked` counts, `failures` first attempts end without an answer."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.requests: list[bytes] = []
        self.failures = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            self.requests.append(head)
            if self.failures:
                self.failures -= 1
            elif path == "/slow":
                await reader.read()
            else:
                writer.write(ANSWERS[path])
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def site(host: LocalHost) -> AsyncIterator[Site]:
    del host  # the server listens in the test's namespace
    one = Site()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 8080)
    yield one
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("detector", "state"),
    [
        (Url(url=SITE), ResourceState.RUNNING),
        (Url(url=f"{SITE}/", text="is wel"), ResourceState.RUNNING),
        (Url(url=f"{SITE}/", text="NOT-COUNTED"), ResourceState.FAILED),
        (Url(url=f"{SITE}/chunked", text="all is well"), ResourceState.RUNNING),
        (Url(url=f"{SITE}/broken"), ResourceState.FAILED),
        (Url(url=f"{SITE}/broken", status=500), ResourceState.RUNNING),
        (Url(url=f"{SITE}/gone", text="all is well"), ResourceState.FAILED),
        (Url(url=f"{SITE}/moved", text="all is well"), ResourceState.RUNNING),
        (Url(url=f"{SITE}/moved", status=302), ResourceState.RUNNING),
        (Url(url=f"{SITE}/circle"), ResourceState.FAILED),
        (Url(url=f"{SITE}/not-http"), ResourceState.FAILED),
        (Url(url=f"{SITE}/nothing"), ResourceState.FAILED),
        (Url(url=f"{SITE}/long-head"), ResourceState.FAILED),
        (Url(url=f"{SITE}/slow", single_timeout_ms=50, retries=1), ResourceState.FAILED),
        (Url(url="http://127.0.0.1:8081/"), ResourceState.STOPPED),
        (Url(url="https://127.0.0.1:8080/"), ResourceState.FAILED),
    ],
    ids=lambda value: str(getattr(value, "url", value)),
)
async def test_what_the_url_detector_says(site: Site, detector: Url, state: ResourceState) -> None:
    found = await detector.detect(ScriptedHost())
    assert found.state is state, found
    assert detector.url in str(found.because)


async def test_a_redirect_to_another_host_is_an_answer_and_not_followed(site: Site) -> None:
    assert (await Url(url=f"{SITE}/away").detect(ScriptedHost())).state is ResourceState.RUNNING
    assert site.asked == ["/away"]


async def test_a_wrong_answer_is_asked_for_again_and_nobody_listening_is_not(site: Site) -> None:
    site.failures = 3
    assert (await Url(url=SITE, retries=3).detect(ScriptedHost())).state is ResourceState.RUNNING
    assert len(site.asked) == 4
    site.failures = 4
    assert (await Url(url=SITE, retries=3).detect(ScriptedHost())).state is ResourceState.FAILED


async def test_the_request_is_one_that_any_server_understands(site: Site) -> None:
    await Url(url=f"{SITE}/").detect(ScriptedHost())
    assert site.requests[0].startswith(b"GET / HTTP/1.0\r\nHost: 127.0.0.1:8080\r\n")


@pytest.mark.parametrize(
    ("detector", "field"),
    [
        (Url(url="ftp://192.0.2.1/"), "url"),
        (Url(url="http://"), "url"),
        (Url(url="http://192.0.2.1:99999/"), "url"),
        (Url(url="http://192.0.2.1/\r\nX: y"), "url"),
        (Url(url="http://192.0.2.1/", text="正常"), "text"),
    ],
)
def test_what_is_no_web_address_is_refused(detector: Url, field: str) -> None:
    assert [problem.field for problem in detector.problems()] == [field]
