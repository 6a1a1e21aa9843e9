"""What must be the same on both nodes for a resource: scripts by their content, users and groups by their numbers.

It finds the values on this machine and compares them with the other node's; what a difference means for a takeover
is not decided here. Reads files: called in a thread.
"""

from __future__ import annotations

import contextlib
import grp
import hashlib
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from servha.core.words import Text, say

Twins = Mapping[str, str]
"""What there is -> its value here: "script /opt/web/start" -> a digest, "user www" -> its number."""

DIGEST_LENGTH = 12
SIZE_MAX = 4 * 1024 * 1024
"""A larger file is a program that a package has brought, and is not compared."""


def twins_of(kind: Any, commands: tuple[str, ...]) -> dict[str, str]:
    """Return what this node has; what is missing here is left out, that is for the preconditions to tell."""
    found: dict[str, str] = {}
    for path in (*scripts_of(kind), *commands):
        with contextlib.suppress(OSError):
            if Path(path).stat().st_size <= SIZE_MAX:
                digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
                found[f"script {path}"] = digest[:DIGEST_LENGTH]
    user, group = _word(kind, "user"), _word(kind, "group")
    with contextlib.suppress(KeyError):
        if user:
            found[f"user {user}"] = str(pwd.getpwnam(user).pw_uid)
    with contextlib.suppress(KeyError):
        if group:
            found[f"group {group}"] = str(grp.getgrnam(group).gr_gid)
    return found


def scripts_of(kind: Any) -> tuple[str, ...]:
    """Return the scripts that are fields of a kind."""
    return tuple(
        value
        for name in getattr(kind, "__dataclass_fields__", ())
        if name.endswith("_script") and (value := _word(kind, name)).startswith("/")
    )


def missing(kind: Any) -> list[Text]:
    """Return which users and groups of a kind this machine does not know."""
    found: list[Text] = []
    user, group = _word(kind, "user"), _word(kind, "group")
    try:
        if user:
            pwd.getpwnam(user)
    except KeyError:
        found.append(say("there is no user {user}: useradd --system {user}", user=user))
    try:
        if group:
            grp.getgrnam(group)
    except KeyError:
        found.append(say("there is no group {group}: groupadd --system {group}", group=group))
    return found


def differences(ours: Twins, theirs: Twins, *, us: str, peer: str) -> tuple[list[Text], list[Text]]:
    """Return which numbers differ, and which scripts do, in that order.

    A user with another number cannot use the files on the shared disk; another version of a script may well do.
    """
    numbers: list[Text] = []
    scripts: list[Text] = []
    for key in sorted(ours.keys() & theirs.keys()):
        what, _, name = key.partition(" ")
        if ours[key] == theirs[key]:
            continue
        values: dict[str, Any] = {"us": us, "peer": peer, "ours": ours[key], "theirs": theirs[key]}
        if what == "script":
            text = say(
                "script {path} is {ours} on {us} and {theirs} on {peer} (SHA-256): copy the right one to the other"
                " node",
                path=name,
                **values,
            )
            scripts.append(text)
        elif what == "user":
            text = say(
                "user {name} has number {ours} on {us} and {theirs} on {peer}: files on a shared disk would belong"
                " to somebody else; usermod -u gives it the same one",
                name=name,
                **values,
            )
            numbers.append(text)
        else:
            text = say(
                "group {name} has number {ours} on {us} and {theirs} on {peer}: files on a shared disk would belong"
                " to somebody else; groupmod -g gives it the same one",
                name=name,
                **values,
            )
            numbers.append(text)
    return numbers, scripts


def _word(kind: Any, name: str) -> str:
    value = getattr(kind, name, "")
    return value if isinstance(value, str) else ""
