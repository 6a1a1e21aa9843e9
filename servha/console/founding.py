"""The addresses of a node that is in no cluster yet: what is there, make a cluster, join one.

Decides that a session goes on in the cluster that it has just made or joined. Refuses to judge a single field: with
`dry_run` servhad says what it would do, or everything that is in the way.
"""

from __future__ import annotations

from typing import Any, Final

from servha.console.asking import ask
from servha.console.sessions import Session

INIT_WITHIN_S: Final = 60.0
JOIN_WITHIN_S: Final = 95.0
"""Longer than servhad itself gives a join."""
Given = dict[str, Any]


def interfaces(session: Session, _given: Given) -> Any:
    """GET /interfaces: the node's name, its interfaces with addresses, carrier and speed, and its disks."""
    return ask(session, "interfaces")


def found(session: Session, given: Given) -> Any:
    """POST /cluster: make a cluster; with dry_run say what it would be."""
    return _entered(session, "cluster.init", given, INIT_WITHIN_S)


def join(session: Session, given: Given) -> Any:
    """POST /cluster/join: join one; with dry_run look at it."""
    return _entered(session, "cluster.join", given, JOIN_WITHIN_S)


def join_progress(session: Session, _given: Given) -> Any:
    """GET /cluster/join: the step that a join is at."""
    return ask(session, "cluster.joining")


def _entered(session: Session, verb: str, given: Given, within_s: float) -> Any:
    told = ask(session, verb, within_s=within_s, **given)
    if "ticket" in told:
        session.ticket, session.right = str(told.pop("ticket")), str(told.pop("right"))
        session.choose_password = bool(told.pop("choose_password"))
        session.cluster, session.node = str(told["cluster"]), str(told.pop("node", ""))
    return told
