"""What the guard tells systemd: that it is ready, and to keep the watchdog's descriptor over a restart of the guard."""

from __future__ import annotations

import array
import contextlib
import os
import socket

WATCHDOG = "watchdog"
_FIRST = 3


def notify(words: str, descriptor: int | None = None) -> None:
    """Send `words` (and a descriptor) to the service manager; nothing where there is none, or where it is stuck."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    address = "\0" + place[1:] if place.startswith("@") else place
    rights = []
    if descriptor is not None:
        rights.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor])))
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendmsg([words.encode()], rights, socket.MSG_DONTWAIT, address)


def keep(descriptor: int) -> None:
    """Let the service manager hold the watchdog open when this process ends."""
    notify(f"FDSTORE=1\nFDNAME={WATCHDOG}\nFDPOLL=0", descriptor)


def forget() -> None:
    """Let the service manager close the watchdog it holds."""
    notify(f"FDSTOREREMOVE=1\nFDNAME={WATCHDOG}")


def kept() -> int | None:
    """Return the watchdog's descriptor that a predecessor left, or None."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    found = None
    for place, name in enumerate(names[: int(os.environ.get("LISTEN_FDS", "0") or 0)]):
        descriptor = _FIRST + place
        os.set_inheritable(descriptor, False)  # noqa: FBT003  it takes no keyword
        if name == WATCHDOG and found is None:
            found = descriptor
        else:
            os.close(descriptor)
    return found
