"""Whose desktop is on this machine's screen, and what a program needs to appear there.

logind keeps a file for each session (/run/systemd/sessions); the one of an ordinary user that is active and graphical
is the desktop. Which display and which keys belong to it only its own programs know: their environment is read. Tried
with session files made by a test and real programs beside them, not with gdm or lightdm on a real screen.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from pathlib import Path

from servha.host.port import Desktop

SESSIONS = Path("/run/systemd/sessions")
GRAPHICAL = frozenset({"x11", "wayland", "mir"})
NEEDED = (
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_SESSION_TYPE",
    "XDG_CURRENT_DESKTOP",
    "DBUS_SESSION_BUS_ADDRESS",
    "LANG",
    "HOME",
)
"""What is taken over from a program of the session."""


def find(sessions: Path, *, user: str = "") -> Desktop | None:
    """Return the desktop, that of `user` if given; None when nobody is logged in to one. Looks at /proc: blocks.

    The session on the machine's own screen (seat0) comes before one on another seat; a remote one is none.
    """
    found = [one for one in _sessions(sessions) if not user or one.get("USER") == user]
    if not found:
        return None
    best = min(found, key=lambda one: (one.get("SEAT") != "seat0", one["ID"]))
    uid = int(best["UID"])
    runtime = f"/run/user/{uid}"
    env = {
        "HOME": _home(uid),
        "DISPLAY": best.get("DISPLAY", ""),
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus",
        "XDG_SESSION_TYPE": best["TYPE"],
        **_of_its_programs(uid, best["ID"]),
        "USER": best["USER"],
        "LOGNAME": best["USER"],
        "XDG_RUNTIME_DIR": runtime,
        "XDG_SESSION_ID": best["ID"],
    }
    return Desktop(best["USER"], best["ID"], {name: value for name, value in env.items() if value})


def _home(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "/"


def _sessions(directory: Path) -> Iterator[dict[str, str]]:
    """Every active graphical session of an ordinary user."""
    try:
        files = sorted(directory.iterdir())
    except FileNotFoundError:
        return
    for file in files:
        try:
            one = dict(_pairs(file.read_text(encoding="utf-8").splitlines()))
        except (OSError, UnicodeDecodeError):
            continue  # it ended meanwhile, or is the pipe beside its file
        active = one.get("ACTIVE") == "1" and one.get("CLASS") == "user" and one.get("REMOTE", "0") == "0"
        if active and one.get("TYPE") in GRAPHICAL and one.get("USER") and one.get("UID", "").isdigit():
            yield {**one, "ID": file.name}


def _pairs(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            yield name, value


def _of_its_programs(uid: int, session: str) -> Mapping[str, str]:
    """What the session's programs have in their environment; of those that know a display the oldest tells."""
    kept: Mapping[str, str] = {}
    for entry in sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int):  # noqa: PTH208
        path = Path("/proc", entry)
        try:
            if path.stat().st_uid != uid:
                continue
            raw = (path / "environ").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue  # ended meanwhile
        env = dict(_pairs(raw.split("\0")))
        if "DISPLAY" not in env and "WAYLAND_DISPLAY" not in env:
            continue
        told = {name: env[name] for name in NEEDED if name in env}
        if env.get("XDG_SESSION_ID") == session:
            return told
        kept = kept or told
    return kept
