"""The addresses for changing the configuration: itself, its kinds, maintenance, and a second server's invitation.

Decides that a change made from an older configuration is answered with what others changed meanwhile. Refuses to
know what a configuration is: plan, problems and kinds are servhad's words.
"""

from __future__ import annotations

from typing import Any, Final

from bottle import HTTPResponse

from servha.console.answers import answer
from servha.console.asking import ask
from servha.console.sessions import Session
from servha.core.words import as_dict, say
from servha.wire.rpc import Code, Refusal

CONFLICT: Final = 409
Given = dict[str, Any]


def config(session: Session, _given: Given) -> Any:
    """GET /config: the document in force, its generation and digest."""
    return ask(session, "config.get")


def kinds(session: Session, _given: Given) -> Any:
    """GET /kinds: each kind with its fields."""
    return ask(session, "kinds")


def change(session: Session, given: Given) -> Any:
    """PUT /config: say what it changes and, without dry_run, do it.

    A dry run answers in `against` what doing it would be refused with as things stand, or null.
    409 with `meanwhile` among the problems when the document was made from another generation than that in force.
    """
    made = {"document": given["document"], "base_generation": given["base_generation"]}
    plan = ask(session, "config.plan", **made)
    if plan["meanwhile"] is not None:
        return _changed_meanwhile(plan)
    if given.get("dry_run") or not plan["changes"]:
        told = {name: plan[name] for name in ("changes", "generation", "against")}
        return {**told, "changed": False}
    try:
        done = ask(session, "config.replace", **made, alone=given.get("alone", False))
    except Refusal as refusal:
        if refusal.code is not Code.TRY_AGAIN:
            raise
        newer = ask(session, "config.plan", **made)
        if newer["meanwhile"] is None:
            raise
        return _changed_meanwhile(newer)
    told = {"changes": plan["changes"], "generation": done["generation"]}
    return {**told, "changed": True, "on_both": done["on_both"]}


def begin_maintenance(session: Session, given: Given) -> Any:
    """POST /maintenance: hands off; the trees it is about stay as they are."""
    scope, name = given["scope"], given["name"]
    by = {"tree": "name", "node": "running_on"}.get(scope, "")
    trees = ask(session, "status")["trees"] if by else []
    return ask(
        session,
        "maintenance.begin",
        scope=scope,
        name=name,
        reason=given["reason"],
        by=session.browser,
        for_s=given.get("for_s", 0),
        orders={tree["name"]: tree["order"]["number"] for tree in trees if tree[by] == name},
    )


def end_maintenance(session: Session, _given: Given, scope: str, name: str) -> Any:
    """DELETE /maintenance/SCOPE/NAME: it is looked after again; the name of a resource is TREE/RESOURCE."""
    return ask(session, "maintenance.end", scope=scope, name=name)


def invite(session: Session, _given: Given) -> Any:
    """POST /invitation: a code with which a second server may join, and for how many seconds it is good."""
    return ask(session, "cluster.invite")


def _changed_meanwhile(plan: Any) -> HTTPResponse:
    text = say(
        "the configuration was changed by somebody else meanwhile (now {n}):"
        " nothing of yours was done; look at what changed, then hand it in again",
        n=plan["generation"],
    )
    problems = [{"path": "", "because": one, "remedy": None} for one in plan["meanwhile"]]
    told = {"code": Code.REFUSED, **as_dict(text), "problems": problems, "generation": plan["generation"]}
    return answer({"error": told}, CONFLICT)
