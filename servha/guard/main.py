"""servha-guardd: reads its arguments and makes itself hard to stop, then serves (loop.py).

Decides nothing about trees. Locked in memory, real-time where the system allows, no garbage collection, no event
loop library: on a machine that is short of everything it still has to feed the watchdog, or to let it fire.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import os
import sys
import threading
from collections.abc import Callable

import servha
from servha.arbiters.quorum_disk import BlockIo
from servha.core.words import say
from servha.guard.journal import log, never_wait
from servha.guard.loop import Guardd

RUN = "/run/servha"
RESET = "/proc/sysrq-trigger"
PRIORITY = 50
STACK_BYTES = 256 * 1024
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4

USAGE = """servha-guardd: the arbitration daemon of ServHA. systemd starts it.

    --run DIRECTORY   where its socket and its memory are (/run/servha)
    --reset FILE      what resets the machine when "b" is written to it (/proc/sysrq-trigger)
    --version         say which version this is
"""


def main(make_io: Callable[[], BlockIo | None] = lambda: None) -> int:
    """Run the daemon; return its exit status."""
    run, reset = RUN, RESET
    words = sys.argv[1:]
    while words:
        match words:
            case ["--run", value, *words]:
                run = value
            case ["--reset", value, *words]:
                reset = value
            case ["--version", *_]:
                print(f"servha-guardd {servha.__version__}")
                return 0
            case _:
                print(USAGE, end="")
                return 0 if words[0] in ("-h", "--help") else 64
    if os.geteuid() != 0:
        print(say("servha-guardd must run as root: it feeds the watchdog"), file=sys.stderr)
        return 77
    os.umask(0o077)
    os.makedirs(run, mode=0o711, exist_ok=True)  # noqa: PTH103 - the guard loads no pathlib
    if not _only_one(run):
        print(say("another servha-guardd serves {directory}", directory=run), file=sys.stderr)
        return 75
    never_wait()
    harden()
    status = Guardd(run, reset, make_io).run()
    os._exit(status)  # nothing is left to do, and a thread inside a disk that hangs must not be waited for


def _only_one(run: str) -> bool:
    """Return whether no other guard serves this directory; it stays so until this process has ended."""
    lock = os.open(f"{run}/guard.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def harden() -> None:
    """Stay in memory and be scheduled first; what the system refuses is said once."""
    threading.stack_size(STACK_BYTES)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        reason = os.strerror(ctypes.get_errno())
        log("warning", say("memory cannot be locked: {reason}", reason=reason))
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError as problem:
        log("warning", say("no real-time priority: {reason}", reason=str(problem)))
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, -20)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write("-1000")
    gc.collect()
    gc.freeze()
    gc.disable()


if __name__ == "__main__":
    sys.exit(main())
