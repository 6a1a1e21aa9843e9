"""servha-guardd: reads its arguments and makes itself hard to stop, then serves (loop.py).

Decides nothing about trees. Locked in memory, real-time where the system allows, no garbage collection, no event
loop library: on a machine that is short of everything it still has to feed the watchdog, or to let it fire.

Everything else is loaded only after the process has its priority. A guard that is replaced has to be back within the
time for which a lease may go without renewal, and on a busy machine it was the loading that took too long.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

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


def main(make_io: Callable[[], Any] = lambda: None) -> int:
    """Run the daemon; return its exit status. `make_io` as in `loop.Guardd`."""
    run, reset = RUN, RESET
    words = sys.argv[1:]
    while words:
        match words:
            case ["--run", value, *words]:
                run = value
            case ["--reset", value, *words]:
                reset = value
            case ["--version", *_]:
                import servha  # noqa: PLC0415  see above

                print(f"servha-guardd {servha.__version__}")
                return 0
            case _:
                print(USAGE, end="")
                return 0 if words[0] in ("-h", "--help") else 64
    return serve(run, reset, make_io)


def serve(run: str, reset: str, make_io: Callable[[], Any]) -> int:
    """Take the priority, load the rest, serve. Returns only where it may not serve."""
    refused = real_time()
    from servha.core.words import say  # noqa: PLC0415
    from servha.guard.journal import log, never_wait  # noqa: PLC0415
    from servha.guard.loop import Guardd  # noqa: PLC0415

    if os.geteuid() != 0:
        print(say("servha-guardd must run as root: it feeds the watchdog"), file=sys.stderr)
        return 77
    os.umask(0o077)
    os.makedirs(run, mode=0o711, exist_ok=True)  # noqa: PTH103 - the guard loads no pathlib
    if not _only_one(run):
        print(say("another servha-guardd serves {directory}", directory=run), file=sys.stderr)
        return 75
    never_wait()
    if refused:
        log("warning", say("no real-time priority: {reason}", reason=refused))
    if reason := stay_in_memory():
        log("warning", say("memory cannot be locked: {reason}", reason=reason))
    status = Guardd(run, reset, make_io).run()
    os._exit(status)  # nothing is left to do, and a thread inside a disk that hangs must not be waited for


def real_time() -> str:
    """Be scheduled before everybody else; return why not where the system refuses."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError as problem:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, -20)
        except OSError:
            return str(problem)
        return str(problem)
    return ""


def stay_in_memory() -> str:
    """Lock what there is and what comes, be ended last for want of memory, never collect; return why not locked."""
    import contextlib  # noqa: PLC0415
    import ctypes  # noqa: PLC0415
    import gc  # noqa: PLC0415
    import threading  # noqa: PLC0415

    threading.stack_size(STACK_BYTES)
    libc = ctypes.CDLL(None, use_errno=True)
    locked = libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0
    reason = "" if locked else os.strerror(ctypes.get_errno())
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write("-1000")  # the unit has said so already, where there is one
    gc.collect()
    gc.freeze()
    gc.disable()
    return reason


def _only_one(run: str) -> bool:
    """Return whether no other guard serves this directory; it stays so until this process has ended."""
    import fcntl  # noqa: PLC0415

    lock = os.open(f"{run}/guard.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
