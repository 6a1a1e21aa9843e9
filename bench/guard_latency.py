"""How late servha-guardd feeds the watchdog where the machine is short of everything (inequality I6); what it costs.

`python -m bench.guard_latency [SECONDS]`, as root. The real guard on a quorum disk of its own (a loop device), holding
one tree under a lease long enough never to end; this program plays servhad, and a watchdog that only notes when it was
fed. Then the machine is filled: two busy loops for every processor, memory at the limit of a control group, a writer
that syncs. Three times: as the guard runs by itself (SCHED_FIFO), with Nice=-20 where real time is refused, and with
neither. A watchdog time W is enough when it is at least twice the worst lateness.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from servha.core.guard_model import Asking, TreeAsked
from servha.core.lease import Asked
from servha.core.timing import Limits
from servha.lab import cgroup, disk
from servha.wire import sector
from servha.wire.guard_talk import AskingMessage, Setup, SetupMessage, ViewMessage, decode, encode
from servha.wire.keys import disk_key
from servha.wire.sector import Header

CLUSTER, KEY = "0123456789abcdef" * 2, bytes(range(32))
LIMITS = Limits(lease_ms=60_000, watchdog_ms=1000, round_ms=100, drift_ppm=5000, in_flight_ms=300)
QUIET_S = 20.0
PRESSURE_MIB = 192
_PR_CAPBSET_DROP, _CAP_SYS_NICE = 24, 23
_PRIORITY = 70  # above the guard's own 50: what notes the times must not be what is late

HOG = "while True: pass"
EATER = f"""
import mmap
room = mmap.mmap(-1, {PRESSURE_MIB + 32} << 20)
while True:
    for at in range(0, len(room), 4096):
        room[at] = 1
"""
READER = """
import os
while True:
    with open({path!r}, "rb") as file:
        while file.read(1 << 20): pass
"""


@dataclass
class Witness:
    """A watchdog that never fires and notes when it was fed."""

    place: Path
    fed_s: list[float] = field(default_factory=list)

    def serve(self) -> None:
        """Serve the one user; ends with it."""
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
            door.bind(str(self.place))
            door.listen()
            user, _ = door.accept()
            with user:
                while message := _received(user):
                    self.fed_s.append(time.monotonic())
                    words = message.decode("ascii", "replace").split()
                    answer = {"timeout": words[-1], "identity": "noting"}.get(words[0], "ok")
                    with contextlib.suppress(OSError):
                        user.send(answer.encode("ascii"), socket.MSG_DONTWAIT)

    def worst_gap_s(self, since_s: float) -> float:
        """Return the longest time between two feedings from `since_s` until now."""
        times = [*(at for at in list(self.fed_s) if at >= since_s), time.monotonic()]
        return max(after - before for before, after in itertools.pairwise(times))


@dataclass
class Running:
    """A guard that holds a tree."""

    process: subprocess.Popen[bytes]
    witness: Witness

    @property
    def processor_s(self) -> float:
        """Processor time it has used."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def pss_mib(self) -> float:
        """Its share of memory."""
        lines = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def refuse_real_time(nice: int) -> Callable[[], None]:
    """Return what a child does to itself so that it keeps this niceness and gets no priority beyond it."""

    def act() -> None:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_SYS_NICE, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
        resource.setrlimit(resource.RLIMIT_NICE, (0, 0))

    return act


@contextmanager
def running(place: Path, before: Callable[[], None] | None) -> Iterator[Running]:
    """A guard with disk, watchdog and servhad's part, from its grant to its end."""
    image = place / "quorum.img"
    disk.make_image(image, 16)
    block = sector.encode_header(Header(CLUSTER, ("11" * 16, "22" * 16), 1, LIMITS), disk_key(KEY))
    with image.open("r+b") as file:
        file.seek(sector.HEADERS_AT)
        file.write(block + block)
    (place / "key").write_text(KEY.hex(), encoding="ascii")
    witness = Witness(place / "watchdog")
    threading.Thread(target=witness.serve, daemon=True).start()
    device = disk.attach(image)
    argv = [sys.executable, "-m", "servha.guard.main", "--run", str(place), "--reset", str(place / "reset")]
    process = subprocess.Popen(argv, preexec_fn=before)  # noqa: PLW1509  the only thread there is serves a socket
    ended = threading.Event()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
            _connect(line, place / "guard.sock")
            setup = Setup(CLUSTER, 0, str(device), str(place / "key"), LIMITS, str(witness.place))
            line.settimeout(20)
            line.send(encode(SetupMessage(setup)))
            line.send(encode(AskingMessage(Asking((TreeAsked(1, Asked.WANT),)))))
            while not _granted(line.recv(65536)):
                pass
            speaking = threading.Thread(target=_speak, args=(line, ended))
            speaking.start()
            yield Running(process, witness)
            ended.set()
            speaking.join()
    finally:
        ended.set()
        process.kill()
        process.wait()
        subprocess.run(["losetup", "--detach", str(device)], check=True)
        disk.wait_unused(device, within_s=5)


def _received(user: socket.socket) -> bytes:
    with contextlib.suppress(ConnectionResetError):  # it was killed
        return user.recv(64)
    return b""


def _connect(line: socket.socket, place: Path) -> None:
    deadline_s = time.monotonic() + 10
    while True:
        try:
            line.connect(str(place))
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)
        else:
            return


def _granted(datagram: bytes) -> bool:
    message = decode(datagram)
    return isinstance(message, ViewMessage) and message.view.entry(1).granted


def _speak(line: socket.socket, ended: threading.Event) -> None:
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    line.setblocking(False)  # noqa: FBT003  it takes no keyword
    while not ended.wait(0.5):
        with contextlib.suppress(BlockingIOError):
            while line.recv(65536):
                pass
        line.send(encode(AskingMessage(Asking((TreeAsked(1, Asked.RUN),), seen=1 << 40))))


@contextmanager
def filled(place: Path) -> Iterator[None]:
    """A machine with no processor time, little memory and a busy disk to spare."""
    group = cgroup.hierarchy() / f"servha-bench-{os.getpid()}"
    group.mkdir()
    limit = _memory_limit(group)
    junk = place / "junk"
    junk.write_bytes(bytes(PRESSURE_MIB << 20))
    programs = [[sys.executable, "-c", HOG]] * (2 * (os.cpu_count() or 1))
    programs += [[sys.executable, "-c", READER.replace("{path!r}", repr(str(junk)))]]
    programs += [[sys.executable, "-c", EATER]] if limit else []
    writer = f"while :; do dd if=/dev/zero of={place}/synced bs=1M count=64 conv=fsync status=none; done"
    programs += [["sh", "-c", writer]]
    enter = ["sh", "-c", 'for g in $0; do echo 0 > "$g/cgroup.procs"; done; exec "$@"']
    groups = " ".join(str(one) for one in (group, limit) if one)
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.extend(subprocess.Popen([*enter, groups, *argv], start_new_session=True) for argv in programs)
        yield
    finally:
        (group / "cgroup.kill").write_text("1", encoding="ascii")
        for one in started:
            one.wait()
        cgroup.remove(group, within_s=10)
        if limit and limit != group:
            limit.rmdir()


def _memory_limit(group: Path) -> Path | None:
    """Return the control group that limits memory: `group` itself, one of the old hierarchy, or none."""
    size = str((PRESSURE_MIB + 64) << 20)
    with contextlib.suppress(OSError):
        (group / "memory.max").write_text(size, encoding="ascii")
        return group
    old = Path("/sys/fs/cgroup/memory")
    if not (old / "memory.limit_in_bytes").exists():
        print("no memory controller here: no memory pressure")
        return None
    old /= group.name
    old.mkdir()
    (old / "memory.limit_in_bytes").write_text(size, encoding="ascii")
    return old


def measure(name: str, before: Callable[[], None] | None, seconds: float) -> None:
    """Measure one way to run, quiet and filled, and print it."""
    with ExitStack() as undo:
        place = Path(tempfile.mkdtemp(prefix="servha-guard-", dir="/var/tmp"))
        undo.callback(shutil.rmtree, place, ignore_errors=True)
        guard = undo.enter_context(running(place, before))
        time.sleep(2)
        used_s, begin_s = guard.processor_s, time.monotonic()
        time.sleep(QUIET_S)
        quiet_s = guard.witness.worst_gap_s(begin_s)
        per_minute_s = (guard.processor_s - used_s) / (time.monotonic() - begin_s) * 60
        with filled(place):
            time.sleep(2)
            begin_s = time.monotonic()
            time.sleep(seconds)
            worst_s = guard.witness.worst_gap_s(begin_s)
        late_s = worst_s - LIMITS.feed_s
        print(
            f"{name:<24} PSS {guard.pss_mib:5.1f} MiB   CPU {per_minute_s:5.2f} s/min   between two feedings:"
            f" quiet {quiet_s * 1000:6.1f} ms, filled {worst_s * 1000:6.1f} ms   worst lateness {late_s * 1000:6.1f} ms"
            f"   W >= 2 x worst: {'yes' if LIMITS.watchdog_s >= 2 * late_s else 'NO'}",
            flush=True,
        )


def main() -> int:
    """Measure all three ways."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    load = Path("/proc/loadavg").read_text(encoding="ascii").split()[0]
    print(f"W {LIMITS.watchdog_ms} ms, R {LIMITS.round_ms} ms, fed every {LIMITS.feed_s * 1000:.0f} ms;"
          f" {os.cpu_count()} processors, load before {load}, {seconds:.0f} s filled")  # fmt: skip
    for name, before in (
        ("SCHED_FIFO 50", None),
        ("Nice=-20, no real time", refuse_real_time(-20)),
        ("neither", refuse_real_time(0)),
    ):
        measure(name, before, seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
