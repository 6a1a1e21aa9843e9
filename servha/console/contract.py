"""The console's HTTP interface, /api/v1, in one table: every operation, who may ask for it, what it takes and answers.

A new operation is a row in `OPERATIONS` and a handler of the same name in routes.py; requests are checked by the types
of asked.py, and the document at /api/v1/openapi.json is made of nothing else. Who may do what is servhad's
decision: `verb` names what is asked of it, and its scope is repeated here for the reader (a test compares).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from servha.console import asked as a
from servha.console import shown as s
from servha.console import shown_picture as p
from servha.core.words import Text, say

PREFIX: Final = "/api/v1"


class Who(StrEnum):
    """Who may ask."""

    ANYBODY = "anybody"
    BROWSER = "browser"  # a session that a login has opened
    KNOWN = "known"  # such a session, or a program with a token


PATH_PARTS: Final[dict[str, Text]] = {
    "tree": say("name of the tree"),
    "scope": say("tree, resource or node"),
    "name": say("name of the tree or node; of a resource TREE/RESOURCE"),
}

REFUSALS: Final[dict[int, Text]] = {
    400: say("the request itself is wrong: its fields are named"),
    401: say("nobody is logged in, the session is over, or the token is not accepted"),
    403: say(
        "this may not be done with this right, or the request does not come from a page of this console"
    ),
    404: say("there is no such thing"),
    409: say("it cannot be done as things stand; the sentence says why, and what to do"),
    421: say("the console is not called by this host name"),
    422: say("the configuration is refused; every problem is named"),
    429: say("too many tries, or something else is under way: try again later"),
    502: say("servhad has tried and failed"),
    503: say("servhad does not answer"),
    504: say("the answer did not come in time; what was asked may have been done"),
}
ALWAYS: Final = (400, 421)
KNOWN: Final = (401, 403, 429, 502, 503, 504)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One row. `verb`: what servhad is asked; `scope`: the least scope of a token that may."""

    name: str
    method: str
    path: str
    about: Text
    who: Who
    verb: str = ""
    scope: str = ""
    query: type | None = None
    asked: type | None = None
    answered: Any
    media: str = "application/json"
    refused: tuple[int, ...] = ()

    @property
    def statuses(self) -> tuple[int, ...]:
        """Every status but 200 that may come back."""
        known = KNOWN if self.who is not Who.ANYBODY else ()
        return tuple(sorted({*ALWAYS, *known, *self.refused}))


def _row(name: str, request: str, about: Text, who: Who, answered: Any, **more: Any) -> Operation:
    method, path = request.split(" ")
    whole = path if path == "/metrics" else PREFIX + path
    return Operation(name=name, method=method, path=whole, about=about, who=who, answered=answered, **more)


OPERATIONS: Final = (
    _row("session", "GET /session", say("who is logged in with this cookie"), Who.ANYBODY, s.SessionAnswer),
    _row(
        "log_in",
        "POST /session",
        say("log in: sets the session's cookie; every change then carries its `csrf` as X-Servha-CSRF"),
        Who.ANYBODY,
        s.SessionAnswer,
        verb="login",
        asked=a.LogIn,
        refused=(403, 404, 429, 502, 503, 504),
    ),
    _row(
        "ticket",
        "POST /session/ticket",
        say("a short ticket for this page, by which it goes on at another console when this one is gone"),
        Who.BROWSER,
        s.TicketAnswer,
        verb="resume",
    ),
    _row(
        "carry_on",
        "POST /session/carried",
        say("go on with a short ticket: sets the session's cookie, as a login does"),
        Who.ANYBODY,
        s.SessionAnswer,
        verb="resume",
        asked=a.Carried,
        refused=(403, 429, 502, 503, 504),
    ),
    _row(
        "here",
        "GET /here",
        say("whether a console answers at this address; the one thing that another console's page may ask"),
        Who.ANYBODY,
        s.HereAnswer,
    ),
    _row("log_out", "DELETE /session", say("log out"), Who.BROWSER, s.SessionAnswer),
    _row(
        "choose_password",
        "PUT /session/password",
        say("change the cluster's password; every other session ends"),
        Who.BROWSER,
        s.PasswordAnswer,
        verb="cluster.password",
        asked=a.ChoosePassword,
        refused=(404, 409, 422),
    ),
    _row(
        "status",
        "GET /status",
        say("everything about the cluster as this node sees it"),
        Who.KNOWN,
        p.Picture,
        verb="status",
        scope="read",
        refused=(404,),
    ),
    _row(
        "stream",
        "GET /stream",
        say("the same, told again whenever it changes, and the journal: server-sent events"),
        Who.BROWSER,
        str,
        verb="status",
        media="text/event-stream",
    ),
    _row(
        "journal",
        "GET /journal",
        say("what this node has decided and done, oldest first"),
        Who.KNOWN,
        s.JournalAnswer,
        verb="journal",
        scope="read",
        query=a.Page,
    ),
    _row(
        "why",
        "GET /why",
        say("the journals of both nodes in one, and what each tree waits for"),
        Who.KNOWN,
        s.WhyAnswer,
        verb="why",
        scope="read",
        query=a.OfTree,
        refused=(404,),
    ),
    _row(
        "quality",
        "GET /quality",
        say("round trip and loss on every link, and the rounds on the quorum disk, minute by minute"),
        Who.KNOWN,
        p.QualityAnswer,
        verb="quality",
        scope="read",
        refused=(404,),
    ),
    _row(
        "order",
        "POST /trees/{tree}/order",
        say("start, stop or move a tree, or release it to the rules"),
        Who.KNOWN,
        s.OrderAnswer,
        verb="order",
        scope="operate",
        asked=a.Order,
        refused=(404, 409),
    ),
    _row(
        "config",
        "GET /config",
        say("the configuration in force; passwords and tokens are left out"),
        Who.KNOWN,
        s.ConfigAnswer,
        verb="config.get",
        scope="read",
        refused=(404,),
    ),
    _row(
        "change",
        "PUT /config",
        say("change the configuration on both nodes, or with `dry_run` say what would change"),
        Who.KNOWN,
        s.ChangeAnswer,
        verb="config.replace",
        scope="configure",
        asked=a.Change,
        refused=(404, 409, 422),
    ),
    _row(
        "kinds",
        "GET /kinds",
        say("the kinds of resources and detectors, each with its fields"),
        Who.KNOWN,
        s.KindsAnswer,
        verb="kinds",
        scope="read",
    ),
    _row(
        "begin_maintenance",
        "POST /maintenance",
        say("hands off a tree, a resource or a node: nothing is restarted or moved by itself"),
        Who.KNOWN,
        s.MaintenanceAnswer,
        verb="maintenance.begin",
        scope="operate",
        asked=a.Maintain,
        refused=(404, 409, 422),
    ),
    _row(
        "end_maintenance",
        "DELETE /maintenance/{scope}/{name}",
        say("look after it again"),
        Who.KNOWN,
        s.MaintenanceAnswer,
        verb="maintenance.end",
        scope="operate",
        refused=(404, 409, 422),
    ),
    _row(
        "invite",
        "POST /invitation",
        say("make a code with which a second server may join"),
        Who.BROWSER,
        s.InvitationAnswer,
        verb="cluster.invite",
        refused=(404, 409),
    ),
    _row(
        "interfaces",
        "GET /interfaces",
        say("the interfaces and disks of the machine, for whoever chooses heartbeat links"),
        Who.KNOWN,
        s.InterfacesAnswer,
        verb="interfaces",
        scope="configure",
    ),
    _row(
        "found",
        "POST /cluster",
        say("make a cluster of which this node is the first, or with `dry_run` say what it would be"),
        Who.BROWSER,
        s.EnteredAnswer,
        verb="cluster.init",
        asked=a.Found,
        refused=(409, 422),
    ),
    _row(
        "join_progress",
        "GET /cluster/join",
        say("the step that a join is at"),
        Who.BROWSER,
        s.JoiningAnswer,
        verb="cluster.joining",
    ),
    _row(
        "join",
        "POST /cluster/join",
        say("join the cluster of another node, or with `dry_run` look at it"),
        Who.BROWSER,
        s.EnteredAnswer,
        verb="cluster.join",
        asked=a.Join,
        refused=(404, 409, 422),
    ),
    _row(
        "simulate",
        "POST /simulation",
        say("what would happen if ...: the configuration in force played in virtual time; nothing moves"),
        Who.KNOWN,
        s.SimulationAnswer,
        verb="config.get",
        scope="read",
        asked=a.Simulate,
        refused=(404, 409),
    ),
    _row(
        "bundle",
        "GET /bundle",
        say("what is needed to find out what happened, as .tar.gz, without secrets"),
        Who.KNOWN,
        Any,
        verb="status",
        scope="read",
        media="application/gzip",
    ),
    _row(
        "metrics",
        "GET /metrics",
        say("figures for Prometheus"),
        Who.KNOWN,
        str,
        verb="metrics",
        scope="read",
        media="text/plain; version=0.0.4; charset=utf-8",
        refused=(404,),
    ),
    _row(
        "document", "GET /openapi.json", say("this description, as OpenAPI 3.1"), Who.ANYBODY, dict[str, Any]
    ),
)
