"""Writes to its shared disk all the time, so that two writers would be seen. `writer.py start | stop FILE`.

FILE is a ring of places of 4096 bytes, made beforehand, and written in place past every cache: what is written is
on the disk when the next line is. Each record says who wrote it, under which ownership number, when (CLOCK_BOOTTIME,
which the nodes of a lab share) and how often the record before was not its own. It draws no conclusion; whoever
reads the disk from outside does.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import sys
import time

PID_FILE = "/run/writer.pid"
PLACE = 4096
EVERY_S = 0.02
STOP_LIMIT_S = 5.0


def write_on(path: str) -> None:
    """Write until SIGTERM."""
    file = os.open(path, os.O_RDWR | os.O_DIRECT | os.O_DSYNC)
    places = os.fstat(file).st_size // PLACE
    block = mmap.mmap(-1, PLACE)
    node, ownership = os.uname().nodename, os.environ.get("SERVHA_OWNERSHIP", "0")
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as told:  # noqa: PTH123  pathlib costs 5 ms
        life = f"{node}/{told.read(8)}/{os.getpid()}"
    number = max((read(file, block, place)[0] for place in range(places)), default=0)
    last, foreign = read(file, block, number % places) if number else (0, ""), 0
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda signum, _: ending.append(signum))
    while not ending:
        foreign += read(file, block, number % places) != last
        number += 1
        at_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        block[:] = f"{number} {life} {ownership} {at_ns} {foreign}".encode().ljust(PLACE)
        os.pwritev(file, [block], number % places * PLACE)
        last = (number, life)
        time.sleep(EVERY_S)


def read(file: int, block: mmap.mmap, place: int) -> tuple[int, str]:
    """Return the number and the writer of the record there; 0 if there is none."""
    os.preadv(file, [block], place * PLACE)
    words = block[:].rstrip(b"\0 ").decode("ascii", "replace").split()
    return (int(words[0]), words[1]) if len(words) == 5 else (0, "")


def start(path: str) -> int:
    """Go into the background once the file can be written."""
    os.close(os.open(path, os.O_RDWR | os.O_DIRECT | os.O_DSYNC))
    pid = os.fork()
    if pid:
        with open(PID_FILE, "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(str(pid))
        return 0
    os.setsid()
    for number in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    write_on(path)
    return 0


def stop() -> int:
    """End it and wait until it has gone."""
    try:
        with open(PID_FILE, encoding="ascii") as file:  # noqa: PTH123
            pid = int(file.read() or 0)
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
            if b"writer.py" not in file.read():
                return 0
        end = os.pidfd_open(pid)
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        return 0
    return 0 if select.select([end], [], [], STOP_LIMIT_S)[0] else 1


if __name__ == "__main__":
    sys.exit(start(sys.argv[2]) if sys.argv[1] == "start" else stop())
