"""The addresses of a node that is in no cluster yet: what is there, make a cluster, join one.

Decides that a session goes on in the cluster that it has just made or joined. Refuses to judge a single field: with
`dry_run` servhad says what it would do, or everything that is in the way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from servha.console.answers import body
from servha.console.asking import ask
from servha.console.sessions import Session

INIT_WITHIN_S: Final = 60.0
JOIN_WITHIN_S: Final = 95.0
"""Longer than servhad itself gives a join."""
INIT_FIELDS: Final = (
    "name",
    "node",
    "description",
    "password",
    "links",
    "order",
    "timing",
    "policy",
    "references",
    "quorum_disk",
    "language",
    "ports",
    "dry_run",
)
JOIN_FIELDS: Final = ("address", "port", "node", "description", "password", "code", "links", "dry_run")


def interfaces(session: Session) -> Any:
    """GET /interfaces: the node's name, its interfaces with addresses, carrier and speed, and its disks."""
    return ask(session, "interfaces")


def init(session: Session) -> Any:
    """POST /cluster {name, node, links, ..., dry_run?}: make a cluster; with dry_run say what it would be."""
    return _entered(session, "cluster.init", INIT_FIELDS, INIT_WITHIN_S)


def join(session: Session) -> Any:
    """POST /cluster/join {address, node, password | code, links, dry_run?}: join one; with dry_run look at it."""
    return _entered(session, "cluster.join", JOIN_FIELDS, JOIN_WITHIN_S)


def progress(session: Session) -> Any:
    """GET /cluster/join: the step that a join is at."""
    return ask(session, "cluster.joining")


def _entered(session: Session, verb: str, fields: tuple[str, ...], within_s: float) -> Any:
    asked = body()
    told = ask(session, verb, within_s=within_s, **{name: asked[name] for name in fields if name in asked})
    if "ticket" in told:
        session.ticket, session.right = str(told.pop("ticket")), str(told.pop("right"))
        session.choose_password = bool(told.pop("choose_password"))
        session.cluster, session.node = str(told["cluster"]), str(told.pop("node", ""))
    return told


ROUTES: Final[tuple[tuple[str, str, Callable[..., Any]], ...]] = (
    ("GET", "/api/v1/interfaces", interfaces),
    ("POST", "/api/v1/cluster", init),
    ("GET", "/api/v1/cluster/join", progress),
    ("POST", "/api/v1/cluster/join", join),
)
