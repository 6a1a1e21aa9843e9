"""servha-guardd: reads its arguments and makes itself hard to stop, then serves (loop.py).

Decides nothing about trees. Locked in memory, real-time where the system allows, no garbage collection, no event
loop library: on a machine that is short of everything it still has to feed the watchdog, or to let it fire.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
import threading
from collections.abc import Callable

import servha
from servha.arbiters.quorum_disk import BlockIo
from servha.core.words import say
from servha.guard.loop import Guardd, log

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
    harden()
    Guardd(run, reset, make_io).run()
    return 0


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
