"""Who is asking, and by which door they came in.

Decides nothing: daemon/api.py gives and takes rights, daemon/door.py fills in what the connection itself
shows.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from servha.wire.rpc import Args, Json


class DoorKind(StrEnum):
    """The four ways in."""

    LOCAL = "local"  # the unix socket: root on this machine
    WEB = "web"  # the console's unix socket: people by password, whose browsers' addresses it tells
    MANAGEMENT = "management"  # 25792/tcp: people and the console, by password
    PEER = "peer"  # 17969/tcp: the other node, by its pinned certificate; and whoever wants to become it


class Right(StrEnum):
    """What a caller may be; a verb names the rights that may use it."""

    STRANGER = "stranger"  # connected, nothing shown: may log in, or ask to join
    CHOOSER = "choose-password"  # logged in from elsewhere with the initial password: may only choose another
    ADMINISTRATOR = "administrator"
    READER = "read"  # these three come by a token, which gives no more than its scope
    OPERATOR = "operate"
    CONFIGURER = "configure"
    PEER = "peer"


BY_TOKEN = frozenset({Right.READER, Right.OPERATOR, Right.CONFIGURER})


@dataclass(slots=True)
class Caller:
    """One connection's other end. `right` changes when it logs in."""

    door: DoorKind
    name: str
    """For journal lines: "root", "password", a node's name."""
    address: str
    """IP address; empty for the unix socket."""
    same_machine: bool
    right: Right = Right.STRANGER
    certificate_sha256: str = ""
    """Fingerprint of the certificate shown; empty when none was."""
    kept: dict[str, object] = field(default_factory=dict)
    """What a verb of several steps remembers between them; gone with the connection."""


Answer = Json | AsyncGenerator[Json, None]
Method = Callable[[Args, Caller], Awaitable[Answer]]
