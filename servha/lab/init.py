"""Process 1 of a node: reaps, keeps the services running, keeps the journal, obeys `servha lab service`.

It decides nothing that systemd would not: a service is a `Unit`, its life is in service.py. SIGTERM shuts the node
down in order; the end of this process is the end of the node.
"""

from __future__ import annotations

import array
import json
import os
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from servha.lab.journal import Journal
from servha.lab.service import NOTIFY_SOCKET, Service, State, Unit

SHUTDOWN_LIMIT_S = 10.0
TERM_TO_KILL_S = 2.0


class Init:
    """The node's services and everything that can be heard from them."""

    def __init__(self, units: list[Unit], log_directory: int, control: socket.socket) -> None:
        self.journal = Journal(log_directory)
        self.services = {unit.name: Service(unit, log_directory) for unit in units}
        self._log_directory = log_directory
        self._control = control
        self._control.settimeout(0)
        self._notify = _notify_socket()
        self._waiting: list[tuple[socket.socket, str, State]] = []
        self._selector = selectors.DefaultSelector()
        self._shutdown_at: float | None = None
        self._signals, wake_up = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_up)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        sources: dict[int | socket.socket, Callable[[], None]] = {
            self._signals: self._read_signals,
            self._notify: self._read_notifications,
            self._control: self._read_order,
            self.journal.native: self.journal.read_native,
            self.journal.syslog: self.journal.read_syslog,
        }
        for source, read in sources.items():
            self._selector.register(source, selectors.EVENT_READ, read)

    def run(self) -> None:
        """Keep the node running until it is shut down."""
        for service in self.services.values():
            service.start()
        while not self._shut_down():
            dues = [service.due_at for service in self.services.values() if service.due_at is not None]
            wait_s = max(0.0, min(dues) - time.monotonic()) if dues else None
            if self._shutdown_at is not None:
                self._stop_next()
                wait_s = min(wait_s or 0.1, 0.1)
            for key, _ in self._selector.select(wait_s):
                key.data()
            for service in self.services.values():
                service.tick(time.monotonic())
            self._answer()

    def _shut_down(self) -> bool:
        if self._shutdown_at is None:
            return False
        stopped = all(service.state is State.INACTIVE for service in self.services.values())
        return stopped or time.monotonic() > self._shutdown_at + SHUTDOWN_LIMIT_S

    def _read_signals(self) -> None:
        numbers = os.read(self._signals, 4096)
        if signal.SIGCHLD in numbers:
            self._reap()
        if {signal.SIGTERM, signal.SIGINT} & set(numbers) and self._shutdown_at is None:
            self.journal.own("shutting down")
            self._shutdown_at = time.monotonic()
            self._stop_next()

    def _stop_next(self) -> None:
        """Stop everything that waits for nobody, or whose turn has come."""
        for service in self.services.values():
            before = self.services.get(service.unit.stopped_after)
            if before is None or before.state is State.INACTIVE:
                service.stop()

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                for service in self.services.values():
                    if service.pid == pid:
                        service.ended(os.waitstatus_to_exitcode(status))
                        self.journal.own(f"{service.unit.name} ended: {service.last_result}")

    def _read_notifications(self) -> None:
        while True:
            try:
                # Close-on-exec: a service that is started later must not hold open what another has stored.
                payload, control, _, _ = self._notify.recvmsg(8192, 2048, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            sender, files = 0, array.array("i")
            for _, kind, data in control:
                if kind == socket.SCM_CREDENTIALS:
                    (sender,) = struct.unpack_from("i", data)
                elif kind == socket.SCM_RIGHTS:
                    files.frombytes(data[: len(data) - len(data) % files.itemsize])
            if service := self._service_of(sender):
                service.said(payload.decode("utf-8", "replace"), list(files))
            else:
                for file in files:
                    os.close(file)

    def _service_of(self, pid: int) -> Service | None:
        """NotifyAccess=all: whoever lives in the service's control group speaks for it."""
        for service in self.services.values():
            if service.pid == pid:
                return service
        try:
            groups = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
        except OSError:
            return None
        return next((s for s in self.services.values() if f"/{s.unit.name}.service" in groups), None)

    def _read_order(self) -> None:
        """Take one order, a JSON line; answer when it is done, as systemctl would."""
        caller, _ = self._control.accept()
        caller.settimeout(1.0)
        try:
            order = json.loads(caller.makefile("r", encoding="utf-8").readline() or "{}")
        except (OSError, ValueError):
            caller.close()
            return
        wanted = self._obey(order)
        if isinstance(wanted, State):
            self._waiting.append((caller, order["service"], wanted))
        else:
            _reply(caller, wanted)

    def _obey(self, order: dict[str, Any]) -> State | dict[str, object]:
        """Begin what was ordered; return the state that ends it, or the answer at once."""
        verb, name = order.get("verb"), order.get("service", "")
        if verb == "add" and name not in self.services:
            self.services[name] = Service(Unit(name=name, **order["unit"]), self._log_directory)
            verb = "start"
        service = self.services.get(name)
        if verb == "status" and not name:
            return {"services": {each: one.summary() for each, one in self.services.items()}}
        if service is None:
            return {"problem": "no such service"}
        match verb:
            case "start":
                service.start()
                return State.ACTIVE
            case "stop" if service.unit.refuses_stop:
                return {"problem": "it refuses to be stopped by hand"}
            case "stop":
                service.stop()
                return State.INACTIVE
            case "restart":
                service.stop(again=True)
                return State.ACTIVE
            case "kill":
                service.kill(int(order["signal"]))
            case "status":
                pass
            case _:
                return {"problem": "no such verb"}
        return {"services": {name: service.summary()}}

    def _answer(self) -> None:
        for waiting in list(self._waiting):
            caller, name, state = waiting
            if self.services[name].state is state:
                _reply(caller, {"services": {name: self.services[name].summary()}})
                self._waiting.remove(waiting)


def _notify_socket() -> socket.socket:
    NOTIFY_SOCKET.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    listener.bind(str(NOTIFY_SOCKET))
    NOTIFY_SOCKET.chmod(0o666)
    return listener


def _reply(caller: socket.socket, answer: dict[str, object]) -> None:
    with suppress(OSError):
        caller.sendall(json.dumps(answer).encode() + b"\n")
    caller.close()


def _kill_the_rest() -> None:
    """Give whatever still runs two seconds; what is left dies with this process."""
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGTERM)
    deadline = time.monotonic() + TERM_TO_KILL_S
    with suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.005)
    os.sync()


def main() -> int:
    """Run the node whose description is the first argument."""
    orders = json.loads(sys.argv[1])
    init = Init(
        [Unit(**unit) for unit in orders["services"]], orders["log"], socket.socket(fileno=orders["control"])
    )
    init.journal.own("booted")
    for descriptor in (orders["log"], orders["control"]):
        os.set_inheritable(descriptor, False)  # noqa: FBT003  it takes no keyword
    os.write(orders["said"], b"booted\n")
    os.close(orders["said"])
    init.run()
    _kill_the_rest()
    return 0


if __name__ == "__main__":
    sys.exit(main())
