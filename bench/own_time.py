"""How long the application itself takes to start and to stop, without any cluster. Runs in a node.

`own_time.py START STOP` prints two numbers of seconds: from running START until the port accepts, and from running
STOP until it has ended. A target that says "plus the application's own start" means these.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

LIMIT_S = 10.0


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _once(start: Path, stop: Path) -> tuple[float, float]:
    began_s = time.monotonic()
    pid = os.posix_spawn(start, [str(start)], os.environ)
    while not _accepts(80):
        if time.monotonic() > began_s + LIMIT_S:
            raise TimeoutError(f"{start}: nothing answers after {LIMIT_S} s")
        time.sleep(0.001)
    start_s = time.monotonic() - began_s
    os.waitpid(pid, 0)
    began_s = time.monotonic()
    os.waitpid(os.posix_spawn(stop, [str(stop)], os.environ), 0)
    return start_s, time.monotonic() - began_s


def main() -> int:
    """Do it twice, and tell the second time: the first reads from the disk."""
    start, stop = (Path(argument) for argument in sys.argv[1:3])
    _once(start, stop)
    print(*_once(start, stop))
    return 0


if __name__ == "__main__":
    sys.exit(main())
