"""One service of a node, kept running the way systemd would: what it may say, how long it may be silent.

Type=notify (or exec), Restart=always after 100 ms, WatchdogSec, KillMode=process: only the main process is ever
signalled, and what it left in control groups below its own lives on. A unit's file descriptor store works too.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup/system.slice")
NOTIFY_SOCKET = Path("/run/systemd/notify")


@dataclass(frozen=True)
class Unit:
    """What a unit file would say."""

    name: str
    argv: list[str]
    notify: bool = True  # says READY=1; else it counts as active once started
    watchdog_s: float = 0.0  # 0: none
    restart_s: float = 0.1
    start_limit_s: float = 90.0
    stop_limit_s: float = 90.0
    abort_limit_s: float = 2.0
    stays_ended_after: tuple[int, ...] = (200,)  # RestartPreventExitStatus
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: int = signal.SIGTERM  # KillSignal: when it is to stay ended
    stopped_after: str = ""  # the service that is stopped before it at shutdown (Before=)
    refuses_stop: bool = False  # RefuseManualStop
    nice: int = 0


class State(StrEnum):
    """systemd's words."""

    INACTIVE = "inactive"
    ACTIVATING = "activating"
    ACTIVE = "active"
    DEACTIVATING = "deactivating"
    AUTO_RESTART = "auto-restart"


class Service:
    """A unit and its present life. Time comes in with `tick`; the next moment it wants one is `due_at`."""

    def __init__(self, unit: Unit, log_directory: int) -> None:
        self.unit = unit
        self.state = State.INACTIVE
        self.pid = 0
        self.status = ""
        self.last_result = ""
        self.restarts = 0
        self.due_at: float | None = None
        self._watchdog_s = unit.watchdog_s
        self._again = False  # start anew when the main process has ended
        self._log_directory = log_directory
        self._store: list[tuple[str, int]] = []

    def start(self) -> None:
        """Start it if it is not running."""
        if self.state in {State.INACTIVE, State.AUTO_RESTART}:
            self._spawn()

    def stop(self, *, again: bool = False) -> None:
        """Ask the main process to end; `again` starts it anew then."""
        self._again = again
        match self.state:
            case State.AUTO_RESTART | State.INACTIVE:
                self.due_at, self.state = None, State.INACTIVE
                if again:
                    self._spawn()
            case State.ACTIVATING | State.ACTIVE:
                self._end_with(signal.SIGTERM if again else self.unit.stop_signal, self.unit.stop_limit_s)
            case State.DEACTIVATING:
                pass

    def kill(self, number: int) -> None:
        """Send the main process a signal, as somebody from outside would."""
        if self.pid:
            os.kill(self.pid, number)

    def said(self, message: str, files: list[int]) -> None:
        """Take what the service said through its notify socket."""
        lines = dict(line.partition("=")[::2] for line in message.split("\n") if "=" in line)
        self.status = lines.get("STATUS", self.status)
        self._keep(lines, files)
        if "WATCHDOG_USEC" in lines:
            self._watchdog_s = int(lines["WATCHDOG_USEC"]) / 1e6
        if lines.get("MAINPID", "").isdigit():
            self.pid = int(lines["MAINPID"])
        if lines.get("READY") == "1" and self.state is State.ACTIVATING:
            self.state = State.ACTIVE
            self._feed()
        if lines.get("STOPPING") == "1" and self.state is State.ACTIVE:
            self.state = State.DEACTIVATING
            self._again = True
            self.due_at = time.monotonic() + self.unit.stop_limit_s
        if lines.get("WATCHDOG") == "1" and self.state is State.ACTIVE:
            self._feed()
        elif lines.get("WATCHDOG") == "trigger":
            self._starved()
        if "EXTEND_TIMEOUT_USEC" in lines and self.state in {State.ACTIVATING, State.DEACTIVATING}:
            until = time.monotonic() + int(lines["EXTEND_TIMEOUT_USEC"]) / 1e6
            self.due_at = max(self.due_at or until, until)

    def ended(self, status: int) -> None:
        """Take the end of the main process: an exit code, or a signal as a negative number."""
        wanted = self.state is State.DEACTIVATING and not self._again
        wanted = wanted or status in self.unit.stays_ended_after
        self.last_result = f"exit {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"
        self.pid, self.due_at, self.status = 0, None, ""
        if wanted:
            self.state = State.INACTIVE
            self._forget(None)
        elif self.state is State.DEACTIVATING:
            self._spawn()
        else:
            self.state = State.AUTO_RESTART
            self.restarts += 1
            self.due_at = time.monotonic() + self.unit.restart_s

    def tick(self, now_s: float) -> None:
        """Do what is due."""
        if self.due_at is None or now_s < self.due_at:
            return
        match self.state:
            case State.AUTO_RESTART:
                self._spawn()
            case State.ACTIVATING:
                self._again = True
                self._end_with(signal.SIGTERM, self.unit.stop_limit_s)
            case State.ACTIVE:
                self._starved()
            case State.DEACTIVATING:
                self._end_with(signal.SIGKILL, self.unit.stop_limit_s)
            case State.INACTIVE:
                self.due_at = None

    def summary(self) -> dict[str, object]:
        """What `servha lab service NODE status` prints."""
        return {
            "state": str(self.state),
            "pid": self.pid,
            "status": self.status,
            "restarts": self.restarts,
            "last_result": self.last_result,
        }

    def _feed(self) -> None:
        self.due_at = time.monotonic() + self._watchdog_s if self._watchdog_s else None

    def _starved(self) -> None:
        self._again = True
        self._end_with(signal.SIGABRT, self.unit.abort_limit_s)

    def _end_with(self, number: int, limit_s: float) -> None:
        self.state = State.DEACTIVATING
        self.due_at = time.monotonic() + limit_s
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _keep(self, lines: dict[str, str], files: list[int]) -> None:
        name = lines.get("FDNAME", "stored")
        if lines.get("FDSTORE") == "1":
            self._store += [(name, file) for file in files]
        else:
            for file in files:
                os.close(file)
        if lines.get("FDSTOREREMOVE") == "1":
            self._forget(name)

    def _forget(self, name: str | None) -> None:
        for stored, file in self._store:
            if name in {None, stored}:
                os.close(file)
        self._store = [pair for pair in self._store if name not in {None, pair[0]}]

    def _spawn(self) -> None:
        group = CGROUPS / f"{self.unit.name}.service"
        group.mkdir(parents=True, exist_ok=True)
        self._again = False
        self._watchdog_s = self.unit.watchdog_s
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._exec(group)
            except BaseException as error:  # noqa: BLE001  the child may only end here
                print(f"{self.unit.name}: {error}", file=sys.stderr, flush=True)
            os._exit(203)
        if self.unit.notify:
            self.state = State.ACTIVATING
            self.due_at = time.monotonic() + self.unit.start_limit_s
        else:
            self.state = State.ACTIVE
            self._feed()

    def _exec(self, group: Path) -> None:
        (group / "cgroup.procs").write_text("0", encoding="ascii")
        os.setsid()
        os.setpriority(os.PRIO_PROCESS, 0, self.unit.nice)
        os.chdir("/")
        os.umask(0o027)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        log = os.open(f"{self.unit.name}.log", flags, 0o600, dir_fd=self._log_directory)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        environment = dict(os.environ) | self.unit.environment | {"NOTIFY_SOCKET": str(NOTIFY_SOCKET)}
        if self.unit.watchdog_s:
            environment["WATCHDOG_USEC"] = str(int(self.unit.watchdog_s * 1e6))
            environment["WATCHDOG_PID"] = str(os.getpid())
        if self._store:
            # Lifted out of the way first: a stored file may itself sit on one of the numbers we hand out.
            first_free = 3 + len(self._store)
            lifted = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, first_free) for _, file in self._store]
            for number, file in enumerate(lifted, start=3):
                os.dup2(file, number, inheritable=True)
            environment["LISTEN_FDS"] = str(len(self._store))
            environment["LISTEN_PID"] = str(os.getpid())
            environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in self._store)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.execvpe(self.unit.argv[0], self.unit.argv, environment)  # noqa: S606  no shell is wanted
