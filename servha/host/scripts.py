"""May we run this file as root? Only if nobody but root could have changed it.

The file and every directory on the way to it must belong to root and be closed to others' writing, and the
same holds for the place a symbolic link leads to. Then only root can exchange the file between this look and
its start, so it is run by its path: a script finds its directory through $0, which /proc/self/fd would hide.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from servha.core.words import Text, say


def problem(path: str) -> Text | None:
    """Why the file may not be run, in words; None when it may. Looks at this machine, now."""
    if not path.startswith("/") or "\0" in path or "\n" in path:
        return say("{path} is not an absolute path", path=path)
    given = Path(os.path.normpath(path))
    try:
        real = given.resolve(strict=True)
        mode = real.stat().st_mode
    except OSError as error:
        return say("{path} cannot be read: {reason}", path=path, reason=error.strerror or str(error))
    if not stat.S_ISREG(mode):
        return say("{path} is not a file", path=path)
    if not mode & 0o111:
        return say("{path} is not executable: chmod 755 {path}", path=path)
    return _changeable(real) or _changeable(given)


def _changeable(path: Path) -> Text | None:
    for step in (path, *path.parents):
        status = step.lstat()
        if status.st_uid != 0:
            return say("{what} belongs to another user, who may change it: chown root {what}", what=str(step))
        # A link's own permissions mean nothing. In a directory with the sticky bit (/tmp) only the owner may
        # exchange an entry, but anybody may add one: root's scripts do not belong there.
        if not stat.S_ISLNK(status.st_mode) and status.st_mode & 0o022:
            return say("others may change {what}: chmod go-w {what}", what=str(step))
    return None
