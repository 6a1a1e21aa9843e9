"""A folder of an application, the link in its place, and the old folder beside it: moved over, and moved back.

Decides whether a move is possible. Every step leaves a state that the next attempt understands: the copy is made under
a name of its own and renamed when it is whole, and the old folder is renamed, never removed.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

OLD = "_old"
PARTIAL = ".servha-partial"
COPY_WITHIN_S = 24 * 3600


def old_of(path):
    """Return the name under which the folder itself is kept."""
    return path.with_name(path.name + OLD)


def describe(path, target):
    """Return where the folder, its link and the old folder are."""
    return {
        "folder": str(path) if path.is_dir() and not path.is_symlink() else "",
        "link": str(path.readlink()) if path.is_symlink() else "",
        "old": str(old_of(path)) if old_of(path).exists() else "",
        "on_disk": str(target) if target.exists() else "",
    }


def is_mounted(place):
    """Whether something is mounted there, be it a folder of another file system."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return str(place.resolve()) in {line.split(" ")[4] for line in mounts}


def refusal(path, target, mount_point, *, present):
    """Return why the move is not possible, "" where it is."""
    for name in (path, target, mount_point):
        if not name.is_absolute():
            return f"{name} is not a whole path"
    if mount_point not in target.parents:
        return f"{target} is not below {mount_point}: the data would not be on the shared disk"
    if present and path.is_symlink() and path.readlink() != target:
        return f"{path} is a link to {path.readlink()} already"
    if present and not path.is_symlink():
        if path.exists() and not path.is_dir():
            return f"{path} is not a folder"
        if path.exists() and old_of(path).exists():
            return f"{old_of(path)} is there already, of an earlier move: look at it and give it another name"
        if not path.exists() and not old_of(path).exists():
            return f"there is no {path}; is the application installed?"
    if not present and path.is_symlink() and not old_of(path).is_dir():
        return (
            f"there is no {old_of(path)} that could have its name back; copy the data from {target} by hand"
        )
    return ""


def opened_by(path):
    """Return the programs that have a file below the folder open or stand in it: "name (pid N)"."""
    inside = f"{path.resolve()}{os.sep}"
    found = {}
    for link in [*Path("/proc").glob("[0-9]*/fd/*"), *Path("/proc").glob("[0-9]*/cwd")]:
        try:
            place = f"{link.readlink()}{os.sep}"
        except OSError:
            continue
        if place.startswith(inside):
            pid = link.parts[2]
            found[pid] = f"{Path('/proc', pid, 'comm').read_text(encoding='utf-8').strip()} (pid {pid})"
    return sorted(found.values())


def moved_over(path, target, *, copies):
    """Copy the folder where that is wanted, keep it as _old, and put the link in its place."""
    source = path if path.is_dir() and not path.is_symlink() else old_of(path)
    if copies:
        partial = target.with_name(target.name + PARTIAL)
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["rm", "-rf", "--", str(partial)], check=True, timeout=COPY_WITHIN_S)
        subprocess.run(
            ["cp", "--archive", "--sparse=auto", "--", str(source), str(partial)],
            check=True,
            timeout=COPY_WITHIN_S,
        )
        subprocess.run(["sync", "--file-system", str(partial)], check=True, timeout=COPY_WITHIN_S)
        partial.rename(target)
    if source == path:
        path.rename(old_of(path))
    path.symlink_to(target)


def moved_back(path):
    """Remove the link and give the folder its name back."""
    path.unlink()
    old_of(path).rename(path)
