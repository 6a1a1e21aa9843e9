"""servha-guardd as a lab node starts it: the product's own, with trouble that can be put between it and its disk.

What resets a lab's node is a pipe to the process beside it; the machine that the lab runs on is never reset.
"""

from __future__ import annotations

import sys
from typing import Any

from servha.guard.main import main


def troubled() -> Any:
    """Return what stands between the guard and its disk; loaded when the guard has its priority, as all the rest."""
    from servha.lab.disk_trouble import TroubledIo  # noqa: PLC0415

    return TroubledIo()


if __name__ == "__main__":
    sys.exit(main(make_io=troubled))
