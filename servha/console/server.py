"""HTTPS for many pages that stay open: cheroot with as many threads as there may be pages, and a few more.

Decides that nobody waits for somebody else's handshake: it is done by the thread that serves the connection, within
five seconds. Decides nothing about what is served.
"""

from __future__ import annotations

import logging
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

HANDSHAKE_S = 5.0
REQUEST_S = 30
PAGES_MAX = 72
"""Pages with an open stream; one more is told to ask now and then instead."""
THREADS = PAGES_MAX + 16
BODY_BYTES_MAX = 4 * 1024 * 1024
HEADER_BYTES_MAX = 32 * 1024
BACKLOG = 64

_log = logging.getLogger("servwebd")


class LazyTls(BuiltinSSLAdapter):
    """TLS whose handshake happens at the first read, in the connection's own thread.

    cheroot shakes hands in its only accepting thread; a caller who connects and says nothing would keep everybody out
    (cheroot issue 748).
    """

    def wrap(self, sock: socket.socket) -> tuple[ssl.SSLSocket, dict[str, str]]:
        """Return the connection, not yet encrypted, and what a request on it shall know."""
        sock.settimeout(HANDSHAKE_S)
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, {"wsgi.url_scheme": "https", "HTTPS": "on"}


class Listener(Server):
    """cheroot's server, for which a browser that turns away is no defect; a real one comes with its traceback."""

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:  # noqa: FBT001, FBT002
        """Keep what cheroot has to say."""
        error = sys.exc_info()[1]
        if isinstance(error, ssl.SSLError | ConnectionError):
            # Such as a browser that does not know the certificate.
            _log.debug("a caller turned away: %s", error)
        else:
            _log.log(level, "%s", msg, exc_info=traceback)


def listening(
    application: Callable[..., Any], *, address: str, port: int, certificate: Path | None, key: Path | None
) -> Server:
    """Return a server that listens already and serves nothing yet; `certificate` None means plain HTTP.

    Raises:
        OSError: the port is taken, or a file cannot be read.
    """
    server = Listener(
        (address, port),
        application,
        numthreads=THREADS,
        request_queue_size=BACKLOG,
        timeout=REQUEST_S,
        shutdown_timeout=1,
        server_name="servwebd",
    )
    server.max_request_body_size = BODY_BYTES_MAX
    server.max_request_header_size = HEADER_BYTES_MAX
    if certificate is not None:
        adapter = LazyTls(str(certificate), str(key))
        adapter.context.minimum_version = ssl.TLSVersion.TLSv1_2
        server.ssl_adapter = adapter
    server.prepare()
    return server
