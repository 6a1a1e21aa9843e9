"""Does a web application answer a GET as it should?

Nobody listening is "stopped"; somebody who listens and answers wrongly, or not at all, is "failed". A name that
cannot be looked up tells nothing. One deadline covers a whole attempt, and redirects never leave the host.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import Annotated, ClassVar
from urllib.parse import SplitResult, urljoin, urlsplit

from msgspec import Meta

from servha.core.model import ResourceState
from servha.core.words import Text, say
from servha.detectors.detector import cannot_tell
from servha.host import FieldProblem, Finding, Host

BODY_BYTES_MAX = 1024 * 1024
HEAD_BYTES_MAX = 64 * 1024
REDIRECTS_MAX = 3
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class Url:
    """URL detector: GET over http or https, if wished with a text to be found."""

    name: ClassVar[str] = "url"

    url: Annotated[str, Meta(description="http:// or https:// address, best with 127.0.0.1 as host")]
    text: Annotated[str, Meta(description="ASCII text that must occur in the answer; empty: any answer")] = ""
    status: Annotated[int, Meta(ge=0, le=599, description="Status that must come back; 0: any below 400")] = 0
    retries: Annotated[int, Meta(ge=0, le=20, description="Further attempts before it counts as failed")] = 3
    single_timeout_ms: Annotated[int, Meta(ge=50, le=60_000, description="Time for one attempt")] = 3000
    verify_certificate: Annotated[bool, Meta(description="Refuse a certificate this node does not trust")] = (
        False
    )

    def problems(self) -> list[FieldProblem]:
        """Every reason why the fields may not be saved."""
        found: list[FieldProblem] = []
        try:
            parts = urlsplit(self.url)
            fine = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fine = False
        if not fine or not self.url.isascii() or any(c <= " " for c in self.url):
            found.append(
                FieldProblem("url", say("{url} is not an http:// or https:// address", url=self.url))
            )
        if not self.text.isascii():
            found.append(FieldProblem("text", say("the text to be found may only hold ASCII characters")))
        return found

    async def detect(self, host: Host) -> Finding:
        """Ask until an answer is right, nobody listens, or the attempts are used up."""
        del host  # the answer comes over the network; nothing is asked of the machine
        trouble = Text("")
        for _ in range(1 + self.retries):
            try:
                async with asyncio.timeout(self.single_timeout_ms / 1000):
                    trouble = await self._attempt()
            except TimeoutError:
                trouble = say("{url} did not answer within {ms} ms", url=self.url, ms=self.single_timeout_ms)
            except ConnectionRefusedError:
                # The kernel's own answer, certain at once.
                return Finding(ResourceState.STOPPED, say("{url}: nobody listens there", url=self.url), "url")
            except ssl.SSLError as error:
                trouble = say(
                    "{url}: no secure connection: {reason}", url=self.url, reason=error.reason or ""
                )
            except ConnectionError as error:
                trouble = say("{url}: connection broken: {reason}", url=self.url, reason=error.strerror or "")
            except OSError as error:
                return cannot_tell(
                    say("{url} cannot be reached: {reason}", url=self.url, reason=error.strerror or ""), "url"
                )
            if not trouble.template:
                return Finding(ResourceState.RUNNING, say("{url} answers", url=self.url), "url")
        return Finding(ResourceState.FAILED, trouble, "url")

    async def _attempt(self) -> Text:
        """One GET with its redirects; what is wrong with the answer, empty if nothing."""
        parts = urlsplit(self.url)
        for _ in range(1 + REDIRECTS_MAX):
            status, headers, body = await fetch(parts, verify=self.verify_certificate)
            target = urlsplit(urljoin(parts.geturl(), headers.get("location", "")))
            if status not in (301, 302, 303, 307, 308) or self.status == status or "location" not in headers:
                return self._judge(status, body)
            if target.hostname != parts.hostname or target.scheme not in PORTS:
                return self._judge(status, body)
            parts = target
        return say("{url} redirects in a circle", url=self.url)

    def _judge(self, status: int, body: bytes) -> Text:
        right = status == self.status if self.status else 100 <= status < 400
        if not right:
            return say("{url} answers with status {status}", url=self.url, status=status)
        if self.text.encode() not in body:
            return say('{url} answers without the text "{text}"', url=self.url, text=self.text)
        return Text("")


async def fetch(parts: SplitResult, *, verify: bool) -> tuple[int, dict[str, str], bytes]:
    """One GET; status (0: not HTTP), headers by lower-case name, at most 1 MiB of body. The caller bounds time."""
    tls = None
    if parts.scheme == "https":
        tls = ssl.create_default_context() if verify else trusting()
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port or PORTS[parts.scheme], ssl=tls, limit=HEAD_BYTES_MAX
    )
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        # HTTP/1.0 asks the server to send the body in one piece and to close.
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n".encode())
        writer.write(b"User-Agent: ServHA\r\nAccept: */*\r\nConnection: close\r\n\r\n")
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return 0, {}, b""
        status, headers = parse_head(head)
        body = bytearray()
        wanted = min(
            BODY_BYTES_MAX,
            int(headers.get("content-length", "")) if length_given(headers) else BODY_BYTES_MAX,
        )
        while len(body) < wanted and (piece := await reader.read(65536)):
            body += piece
        return (
            status,
            headers,
            unchunked(bytes(body)) if "transfer-encoding" in headers else bytes(body[:wanted]),
        )
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
            async with asyncio.timeout(0.1):
                await writer.wait_closed()


def length_given(headers: dict[str, str]) -> bool:
    """Whether the body's length is announced in a way that can be believed."""
    return headers.get("content-length", "").isdecimal() and "transfer-encoding" not in headers


def trusting() -> ssl.SSLContext:
    """A TLS context for an application's self-made certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    r"""Status and headers of an answer; status 0 when it is not HTTP.

    >>> parse_head(b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n")
    (302, {'location': '/login'})
    """
    first, *rest = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdecimal():
        return 0, {}
    pairs = (line.partition(":") for line in rest if ":" in line)
    return int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}


def unchunked(body: bytes) -> bytes:
    r"""The body of an answer sent in chunks although we asked not to.

    >>> unchunked(b"3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n")
    b'abcde'
    """
    whole = bytearray()
    while body:
        line, _, body = body.partition(b"\r\n")
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            break
        if size <= 0:
            break
        whole += body[:size]
        body = body[size + 2 :]
    return bytes(whole)
