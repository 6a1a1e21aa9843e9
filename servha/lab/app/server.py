"""A web page that says who serves it. `server.py start | stop | test`, run as `python3 -I -S`.

`start` returns when the port accepts: the listening socket is there before the process goes into the background.
`stop` returns when the process is gone; requests it had accepted are answered first. `test` asks it over the
loopback. Nothing of the standard library that is slow to import is used: failover waits for this program.
"""

from __future__ import annotations

import array
import os
import select
import signal
import socket
import struct
import sys
import time

PORT = 80
PID_FILE = "/run/demo.pid"
STOP_LIMIT_S = 5.0
REQUEST_MAX = 8192

LAST_WORDS_S = 0.2

# A filter for the listening socket, in the kernel's classic BPF: of the TCP flags (byte 13) look at SYN and ACK;
# SYN alone is dropped, everything else passes.
SO_ATTACH_FILTER = 26
_STEPS = ((0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFF))
_FILTER = array.array("B", b"".join(struct.pack("HBBI", *step) for step in _STEPS))
NO_NEW_CALLERS = struct.pack("HL", len(_STEPS), _FILTER.buffer_info()[0])

PAGE = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>{node}</title>
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="2">
<style>
body {{ font: 18px/1.6 system-ui, sans-serif; margin: 12vh auto; max-width: 34rem; padding: 0 1rem; color: #1c2733; }}
strong {{ display: block; font-size: 4rem; line-height: 1.2; color: #0a5c8f; }}
dl {{ display: grid; grid-template-columns: auto 1fr; gap: .2rem 1.5rem; }} dt {{ color: #5a6877; }} dd {{ margin: 0; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #12181f; color: #dde5ec; }} strong {{ color: #6cc0f2; }} }}
</style></head><body>
<p>应答的节点 · answered by</p><strong>{node}</strong>
<dl><dt>进程 · process</dt><dd>{pid}</dd>
<dt>启动于 · since</dt><dd>{since}</dd>
<dt>请求数 · requests</dt><dd>{count}</dd></dl>
</body></html>
"""


class Application:
    """Answers every request that is complete; keeps a connection open if the caller wishes."""

    def __init__(self, door: socket.socket) -> None:
        self._door = door
        self._node = os.uname().nodename
        self._since = time.strftime("%Y-%m-%d %H:%M:%S")
        self._count = 0
        self._callers: dict[int, tuple[socket.socket, bytes, int]] = {}
        self._poll = select.epoll()
        self._poll.register(door, select.EPOLLIN)

    def serve(self) -> None:
        """Answer until SIGTERM, then what was accepted by then."""
        stopping: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
        own, wake_up = socket.socketpair()
        for end in (own, wake_up):
            end.settimeout(0)
        signal.set_wakeup_fd(wake_up.fileno())
        self._poll.register(own, select.EPOLLIN)
        while not stopping:
            self._round(-1)
        # The kernel holds connections that we have not seen and would reset them with the door. So no new ones
        # first, then everything that has come in.
        self._door.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, NO_NEW_CALLERS)
        until_s = time.monotonic() + LAST_WORDS_S
        while time.monotonic() < until_s and (self._round(0.005) or self._unheard()):
            pass

    def _unheard(self) -> bool:
        """Whether somebody came in and has not asked anything yet."""
        return any(answered == 0 for _, _, answered in self._callers.values())

    def _round(self, wait_s: float) -> bool:
        """Do what there is to do; say whether there was anything."""
        ready = self._poll.poll(wait_s)
        for number, _ in ready:
            if number == self._door.fileno():
                self._let_in()
            elif number in self._callers:
                self._hear(number)
        return any(number == self._door.fileno() for number, _ in ready)

    def _let_in(self) -> None:
        for _ in range(64):
            try:
                caller, _ = self._door.accept()
            except BlockingIOError:
                return
            caller.settimeout(0)
            self._callers[caller.fileno()] = (caller, b"", 0)
            self._poll.register(caller, select.EPOLLIN)
            self._hear(caller.fileno())

    def _hear(self, number: int) -> None:
        caller, text, answered = self._callers[number]
        try:
            more = caller.recv(REQUEST_MAX)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        text += more
        while b"\r\n\r\n" in text:
            head, _, text = text.partition(b"\r\n\r\n")
            answered += 1
            if not self._answer(caller, head):
                more = b""
        if not more or len(text) > REQUEST_MAX:
            del self._callers[number]
            caller.close()
        else:
            self._callers[number] = (caller, text, answered)

    def _answer(self, caller: socket.socket, head: bytes) -> bool:
        """Answer one request; say whether the connection stays open."""
        self._count += 1
        facts = {"node": self._node, "pid": os.getpid(), "since": self._since, "count": self._count}
        if head.split(b" ", 2)[1:2] == [b"/who"]:
            kind, body = "text/plain", "{node} pid={pid} since={since} requests={count}\n".format(**facts)
        else:
            kind, body = "text/html", PAGE.format(**facts)
        stays = b"\r\nconnection: close" not in head.lower()
        content = body.encode()
        caller.settimeout(None)
        try:
            caller.sendall(
                (
                    f"HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {len(content)}\r\n"
                    f"X-Node: {self._node}\r\nCache-Control: no-store\r\n"
                    f"Connection: {'keep-alive' if stays else 'close'}\r\n\r\n"
                ).encode()
                + content
            )
        except OSError:
            return False
        caller.settimeout(0)
        return stays


def start() -> int:
    """Listen, then go into the background."""
    if _running() and test() == 0:
        return 0
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind(("0.0.0.0", PORT))  # noqa: S104  inside a lab's node
    except OSError as error:
        print(f"port {PORT}: {error.strerror}", file=sys.stderr)
        return 1
    door.listen(512)
    door.settimeout(0)
    pid = os.fork()
    if pid:
        with open(PID_FILE, "w", encoding="ascii") as file:  # noqa: PTH123  pathlib costs 5 ms
            file.write(str(pid))
        return 0
    os.setsid()
    for number in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    Application(door).serve()
    return 0


def stop() -> int:
    """End it and wait until it has gone."""
    pid = _running()
    if not pid:
        return 0
    end = os.pidfd_open(pid)
    os.kill(pid, signal.SIGTERM)
    if not select.select([end], [], [], STOP_LIMIT_S)[0]:
        print(f"process {pid} did not end in {STOP_LIMIT_S} s", file=sys.stderr)
        return 1
    return 0


def test() -> int:
    """Ask it."""
    try:
        with socket.create_connection(("127.0.0.1", PORT), timeout=2) as caller:
            caller.sendall(b"GET /who HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return 0 if caller.recv(64).startswith(b"HTTP/1.1 200") else 1
    except OSError:
        return 1


def _running() -> int:
    """Return the pid of the running application, 0 if there is none."""
    try:
        with open(PID_FILE, encoding="ascii") as file:  # noqa: PTH123
            pid = int(file.read() or 0)
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
            return pid if b"server.py" in file.read() else 0
    except (OSError, ValueError):
        return 0


if __name__ == "__main__":
    sys.exit({"start": start, "stop": stop, "test": test}[sys.argv[1]]())
