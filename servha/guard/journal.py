"""The guard's lines for the system journal. A journal that hangs loses lines; it never holds the guard up."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Final

from servha.core.words import Text

_STANDARD_ERROR: Final = 2
_LEVELS: Final = {"error": 3, "warning": 4, "cleared": 5, "info": 6}


def log(severity: str, text: Text | str) -> None:
    """Write a line to standard error in the form the journal understands (sd-daemon(3)), or drop it."""
    line = f"<{_LEVELS.get(severity, 6)}>{text}\n".encode("utf-8", "replace")
    with contextlib.suppress(OSError):
        os.write(_STANDARD_ERROR, line)


def never_wait() -> None:
    """From now on a line that the journal does not take at once is dropped.

    The disk that makes the journal wait may be the one of which the guard has something to say.
    """
    with contextlib.suppress(OSError):
        mode = os.fstat(_STANDARD_ERROR).st_mode
        if stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode):
            os.set_blocking(_STANDARD_ERROR, False)
