"""The client's process for planned moves: busy connections, and whether each request that was accepted is answered.

`python -m servha.lab.load_worker HOST PORT PATH CONNECTIONS keep|close`: every connection asks again as soon as it
has its answer, until SIGTERM. One line for each request, "start end result who"; the result is `200` and the like,
or

    refused, unreachable, no-connection   nobody accepted it: the caller knows, and tries elsewhere
    reopened    a kept connection was closed before it said anything: a browser asks again by itself
    lost        accepted, and never answered in full
"""

from __future__ import annotations

import re
import signal
import socket
import sys
import threading
import time

from servha.lab.probe_worker import word

CONNECT_S = 0.5
ANSWER_S = 2.0
BREATH_S = 0.005


class Closed(Exception):
    """The connection ended before the answer did."""


def _answer(caller: socket.socket) -> tuple[str, str, bytes]:
    """Read one answer; return its status, who gave it, and what was read before it broke off."""
    text = b""
    while True:
        head, blank, body = text.partition(b"\r\n\r\n")
        size = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if blank and size and len(body) >= int(size[1]):
            node = re.search(rb"(?i)\r\nx-node: *(\S+)", head)
            return (
                head[9:12].decode("ascii", "replace"),
                node[1].decode("ascii", "replace") if node else "-",
                text,
            )
        more = caller.recv(65536)
        if not more:
            raise Closed(text)
        text += more


class Connection:
    """One caller that asks again and again."""

    def __init__(self, address: tuple[str, int], question: bytes, *, keep: bool) -> None:
        self._address = address
        self._question = question
        self._keep = keep
        self._open: socket.socket | None = None

    def ask(self) -> tuple[str, str]:
        """Make one request; return its result and who answered."""
        kept = self._open is not None
        if self._open is None:
            try:
                self._open = socket.create_connection(self._address, timeout=CONNECT_S)
            except TimeoutError:
                return "no-connection", "-"
            except OSError as error:
                return word(error.errno or 0), "-"
            self._open.settimeout(ANSWER_S)
        try:
            self._open.sendall(self._question)
            result, who, _ = _answer(self._open)
        except Closed as closed:
            self.close()
            return ("reopened" if kept and not closed.args[0] else "lost"), "-"
        except ConnectionError:
            self.close()
            return ("reopened" if kept else "lost"), "-"
        except OSError:
            self.close()
            return "lost", "-"
        if not self._keep:
            self.close()
        return result, who

    def close(self) -> None:
        """Hang up."""
        if self._open:
            self._open.close()
        self._open = None


def _run(connection: Connection, ended: threading.Event, printing: threading.Lock) -> None:
    while not ended.is_set():
        start_s = time.monotonic()
        result, who = connection.ask()
        with printing:
            sys.stdout.write(f"{start_s:.6f} {time.monotonic():.6f} {result} {who}\n")
            sys.stdout.flush()
        if who == "-":
            time.sleep(BREATH_S)
    connection.close()


def main() -> int:
    """Keep the connections busy until SIGTERM."""
    host, port, path, count, kept = sys.argv[1:6]
    keep = kept == "keep"
    manner = "keep-alive" if keep else "close"
    question = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: {manner}\r\n\r\n".encode()
    ended, printing = threading.Event(), threading.Lock()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    callers = [
        threading.Thread(
            target=_run, args=(Connection((host, int(port)), question, keep=keep), ended, printing)
        )
        for _ in range(int(count))
    ]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
