"""A servhad that only speaks: what comes in by standard input goes to the guard, what the guard says comes out.

Runs inside a node, because the guard wants to know its process. A line is one message of wire/guard_talk.py. It says
its last asking again five times a second, with the number of the newest view it has read; the words `mute`, `speak`
and `blind` change that.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import time
from typing import Any

AGAIN_S = 0.2


class Partner:
    def __init__(self) -> None:
        self.line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.asking: dict[str, Any] | None = None
        self.setup: list[bytes] = []
        self.seen = 0
        self.mute = self.blind = False

    def run(self) -> None:
        self.connect()
        kept = b""
        said_s = 0.0
        while True:
            ready, _, _ = select.select([0, self.line.fileno()], [], [], 0.02)
            if self.line.fileno() in ready and not self.listen():
                self.connect()
            if 0 in ready:
                fresh = os.read(0, 65536)
                if not fresh:
                    return
                *lines, kept = (kept + fresh).split(b"\n")
                for line in lines:
                    self.obey(line)
            if time.monotonic() >= said_s + AGAIN_S and not self.mute:
                said_s = time.monotonic()
                self.ask()

    def connect(self) -> None:
        self.line.close()
        while True:
            self.line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                self.line.connect("/run/servha/guard.sock")
            except OSError:
                self.line.close()
                time.sleep(0.01)
                continue
            break
        for one in self.setup:
            self.line.send(one)
        self.ask()

    def listen(self) -> bool:
        try:
            datagram = self.line.recv(65536)
        except OSError:
            return False
        if datagram:
            view = json.loads(datagram).get("view")
            if view and not self.blind:
                self.seen = view["number"]
            sys.stdout.write(f"{time.monotonic()} {datagram.decode()}\n")
            sys.stdout.flush()
        return bool(datagram)

    def obey(self, line: bytes) -> None:
        match line:
            case b"mute":
                self.mute = True
            case b"speak":
                self.mute = False
            case b"blind":
                self.blind = True
            case _:
                message = json.loads(line)
                if "asking" in message:
                    self.asking = message
                    self.ask()
                    return
                if "setup" in message or "belongings" in message:
                    self.setup.append(line)
                self.line.send(line)

    def ask(self) -> None:
        if self.asking is not None:
            self.asking["asking"]["seen"] = self.seen
            with contextlib.suppress(OSError):
                self.line.send(json.dumps(self.asking).encode())


if __name__ == "__main__":
    Partner().run()
