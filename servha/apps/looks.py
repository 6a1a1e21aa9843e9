"""What has to hold on this node before an application joins: looked at, told with the remedy, nothing changed.

"Cannot tell" is an answer of its own and never counts as fine. Equal numbers of users on both nodes are compared with
what the other node's plan says of itself; without that they are not known to be equal.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from servha.core.words import NOTHING_SAID, Text, say
from servha.host import scripts

LOOK_TIMEOUT_S: Final = 10.0
BOOTS: Final = ("enabled", "enabled-runtime", "linked", "linked-runtime", "alias", "generated")
NAMED_MAX: Final = 5
PROC: Final = Path("/proc")
LISTENING: Final = "0A"
"""State of a listening socket in /proc/net/tcp."""


class Verdict(StrEnum):
    """What a look came to."""

    FINE = "fine"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that was looked at, and what to do where it is not fine."""

    verdict: Verdict
    text: Text
    remedy: Text = NOTHING_SAID


Numbers = dict[str, list[int]]
"""Each user's uid and gid."""


def numbers_of(users: Iterable[str]) -> Numbers:
    """The numbers of those users that there are."""
    found: Numbers = {}
    for user in users:
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            continue
        found[user] = [entry.pw_uid, entry.pw_gid]
    return found


def users(names: Iterable[str], other: Mapping[str, list[int]] | None) -> list[Look]:
    """Whether each user is there, with the numbers that the other node gives; `other` None: not asked."""
    found: list[Look] = []
    here = numbers_of(names)
    for name in names:
        if name not in here:
            found.append(
                Look(
                    Verdict.WRONG,
                    say("there is no user {user} on this node", user=name),
                    say("install the application first, in the same way on both nodes"),
                )
            )
            continue
        mine = ":".join(map(str, here[name]))
        if other is None and here[name] != [0, 0]:
            text = say("user {user} is {mine} here; the other node was not asked", user=name, mine=mine)
            remedy = say(
                "give the other node's plan: --other FILE, made there with `servha app plan ... -o json`"
            )
            found.append(Look(Verdict.UNKNOWN, text, remedy))
        elif other is not None and other.get(name) != here[name]:
            theirs = ":".join(map(str, other[name])) if name in other else "-"
            text = say("user {user} is {mine} here and {theirs} there", user=name, mine=mine, theirs=theirs)
            remedy = say("make them equal with usermod -u and groupmod -g, and chown what they own")
            found.append(Look(Verdict.WRONG, text, remedy))
        else:
            found.append(Look(Verdict.FINE, say("user {user} is {mine}", user=name, mine=mine)))
    return found


def units(running: Iterable[str], booting: Iterable[str]) -> list[Look]:
    """Whether units are stopped, and not started by the machine itself."""
    found = [_stopped(unit) for unit in running]
    for unit in booting:
        word = _systemctl("is-enabled", unit)
        if word in BOOTS:
            text = say("{unit} is started at boot, on whichever node", unit=unit)
            found.append(
                Look(Verdict.WRONG, text, say("`systemctl disable {unit}` on both nodes", unit=unit))
            )
        elif word in ("disabled", "static", "indirect"):
            found.append(Look(Verdict.FINE, say("{unit} is not started at boot", unit=unit)))
        else:
            found.append(_untold(unit, word))
    return found


def _stopped(unit: str) -> Look:
    word = _systemctl("is-active", unit)
    if word in ("inactive", "failed"):
        return Look(Verdict.FINE, say("{unit} is stopped", unit=unit))
    if word in ("active", "reloading", "activating", "deactivating"):
        text = say("{unit} is running ({state})", unit=unit, state=word)
        return Look(Verdict.WRONG, text, say("`systemctl stop {unit}`", unit=unit))
    return _untold(unit, word)


def _untold(unit: str, word: str) -> Look:
    if word == "not-found":
        text = say("there is no unit {unit} on this node", unit=unit)
        return Look(Verdict.WRONG, text, say("install the application first, in the same way on both nodes"))
    return Look(
        Verdict.UNKNOWN, say("systemd does not tell about {unit}: {word}", unit=unit, word=word or "-")
    )


def _systemctl(verb: str, unit: str) -> str:
    """Return systemd's one word; what else it says where it cannot tell."""
    try:
        done = subprocess.run(
            ["systemctl", verb, "--", unit],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LOOK_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)[:200]
    said = (done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or [""])[0]
    return "not-found" if "No such file" in done.stderr else said[:200]


def in_use(directories: Iterable[str]) -> Look:
    """Whether a process has something below the directories open, or stands in one; only root sees them all."""
    wanted = [os.path.realpath(path) for path in directories]
    busy: list[str] = []
    if not wanted:
        return Look(Verdict.FINE, say("there is nothing to move"))
    if os.geteuid() != 0:
        return Look(
            Verdict.UNKNOWN, say("only root sees who uses the data"), say("run the command with sudo")
        )
    for entry in PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _uses(entry, wanted):
            try:
                name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
            except OSError:
                continue  # it ended while we looked
            busy.append(f"{entry.name} ({name})")
    if not busy:
        return Look(Verdict.FINE, say("no process uses the data"))
    named = ", ".join(busy[:NAMED_MAX]) + (", ..." if len(busy) > NAMED_MAX else "")
    return Look(Verdict.WRONG, say("{users} use the data", users=named), say("stop the application"))


def _uses(entry: Path, wanted: list[str]) -> bool:
    def below(path: str) -> bool:
        return any(path == one or path.startswith(f"{one}/") for one in wanted)

    try:
        links = [entry / "cwd", entry / "root", *(entry / "fd").iterdir()]
        for link in links:
            try:
                if below(str(link.readlink()).removesuffix(" (deleted)")):
                    return True
            except OSError:
                continue
        with (entry / "maps").open(encoding="utf-8", errors="replace") as maps:
            return any(below(line.split(maxsplit=5)[5].strip()) for line in maps if line.count("/"))
    except (OSError, IndexError):
        return False


def ports(numbers: Iterable[int]) -> list[Look]:
    """Whether nobody listens on the ports: as long as the application is stopped they are free."""
    taken: set[int] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError as error:
            if table == "tcp6":
                continue  # a kernel without IPv6
            text = say("the ports of this node cannot be seen: {reason}", reason=error.strerror or str(error))
            return [Look(Verdict.UNKNOWN, text)]
        taken |= {
            int(fields[1].rpartition(":")[2], 16)
            for fields in map(str.split, lines)
            if fields[3] == LISTENING
        }
    return [
        Look(
            Verdict.WRONG,
            say("something listens on port {port}", port=port),
            say("stop it: `ss -ltnp` names it"),
        )
        if port in taken
        else Look(Verdict.FINE, say("port {port} is free", port=port))
        for port in numbers
    ]


def programs(paths: Iterable[str]) -> list[Look]:
    """Whether the scripts may be run as root on this node."""
    found = []
    for path in dict.fromkeys(path for path in paths if path):
        trouble = scripts.problem(path)
        found.append(
            Look(Verdict.FINE, say("{path} can be run", path=path))
            if trouble is None
            else Look(Verdict.WRONG, trouble)
        )
    return found
