"""What the console costs: servwebd and the servhad behind it, with nobody, with one page, with many pages open.

The pages are streams as a browser opens them, at the lab's client. While many are open and some callers say nothing, it
is measured how long /api/v1/status takes.

`python -m bench console`
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from bench import footprint
from servha.lab import demo
from servha.lab.lab import Lab
from servha.lab.namespace import inside
from servha.lab.node import Node

PORT = 7700
PAGES = 64
SILENT = 3
WINDOW_S = 60.0
REST_S = 5.0
ASKED = 200
START_S = 30.0
UNITS = ("servwebd",), ("servhad",)


class Caller:
    """Somebody who has logged in."""

    def __init__(self, lab: Lab, node: Node) -> None:
        self._namespace = lab.layout.namespace("client")
        self._host = str(node.layout.address("public"))
        self._cookie = ""
        body = json.dumps({"password": node.read(demo.PHRASE_FILE).strip()})
        line = self.open()
        line.request("POST", "/api/v1/session", body, {"Content-Type": "application/json"})
        answer = line.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"login: {answer.status} {answer.read().decode()}")
        self._cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
        line.close()

    def plain(self) -> socket.socket:
        """Connect and say nothing."""
        with inside(self._namespace):
            return socket.create_connection((self._host, PORT), timeout=30.0)

    def open(self) -> HTTPConnection:
        """Return a connection of its own."""
        context = ssl._create_unverified_context()  # noqa: S323, SLF001 - the lab's console makes its own certificate
        line = HTTPSConnection(self._host, PORT, timeout=30.0, context=context)
        line.sock = context.wrap_socket(self.plain(), server_hostname=self._host)
        return line

    def status_s(self) -> float:
        """Ask for the status on a new connection; return how long it took."""
        began_s = time.perf_counter()
        line = self.open()
        line.request("GET", "/api/v1/status", headers={"Cookie": self._cookie})
        answer = line.getresponse()
        answer.read()
        line.close()
        if answer.status != 200:
            raise RuntimeError(f"status: {answer.status}")
        return time.perf_counter() - began_s

    def page(self, stack: ExitStack) -> None:
        """Open a stream and read it until the block ends."""
        line = self.open()
        line.request("GET", "/api/v1/stream?lang=en", headers={"Cookie": self._cookie})
        answer = line.getresponse()

        def read() -> None:
            with suppress(OSError, HTTPException, ValueError):
                while answer.readline():
                    pass

        thread = threading.Thread(target=read, daemon=True)
        thread.start()

        def end() -> None:
            if line.sock is not None:
                with suppress(OSError):
                    line.sock.shutdown(socket.SHUT_RDWR)
            thread.join()
            line.close()

        stack.callback(end)


def tables() -> list[str]:
    """Measure, and return the lines of two tables."""
    lines = [
        "| pages | servwebd, PSS in MiB | servwebd, CPU s/min | servhad, CPU s/min |",
        "|---|---|---|---|",
    ]
    with Lab.up("bench-console", profile="manual") as lab, ExitStack() as pages:
        demo.form_cluster(lab)
        demo.create_tree(lab)
        demo.await_standby(lab, lab.node2)
        lab.node1.service("start", "servwebd", within_s=START_S)
        caller = Caller(lab, lab.node1)
        opened = 0
        for count in (0, 1, PAGES):
            while opened < count:
                caller.page(pages)
                opened += 1
            time.sleep(REST_S)
            lines.append(f"| {count} | {_cost(lab.node1)} |")
        for _ in range(SILENT):
            pages.callback(caller.plain().close)
        ordered = sorted(caller.status_s() for _ in range(ASKED))
        lines += [
            "",
            f"| /api/v1/status on a new connection, {PAGES} pages open, {SILENT} callers silent | ms |",
            "|---|---|",
            f"| middle | {ordered[len(ordered) // 2] * 1000:.0f} |",
            f"| 99 of 100 | {ordered[int(len(ordered) * 0.99) - 1] * 1000:.0f} |",
        ]
    return lines


def _cost(node: Node) -> str:
    pids = [footprint.pids_of(node, units) for units in UNITS]
    before = [footprint.processor_s(node, units, own) for units, own in zip(UNITS, pids, strict=True)]
    began_s = time.monotonic()
    time.sleep(WINDOW_S)
    per_minute = 60 / (time.monotonic() - began_s)
    spent = [
        (footprint.processor_s(node, units, own).own_s - then.own_s) * per_minute
        for units, own, then in zip(UNITS, pids, before, strict=True)
    ]
    pss, _ = footprint.memory(node, UNITS[0])
    return f"{pss / 2**20:.1f} | {spent[0]:.2f} | {spent[1]:.2f}"
