"""Asks servhad what a browser wants to know or have done, with the right that its password has given it.

Decides when a connection may be used again. Refuses to ask twice for anything that changes something: an answer that
did not come may still be under way.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from servha.console.sessions import Place, Session
from servha.management import Client, NotRunning
from servha.wire.rpc import Refusal

ANSWER_S = 15.0
LOOK_S = 5.0


def client_at(place: Place) -> Client:
    """Return a client of the servhad at `place`; it connects when it is first asked."""
    return Client(place.socket, address=place.address, answer_within_s=ANSWER_S)


def resumed(place: Place, ticket: str, browser: str) -> Client:
    """Return a connection that has the right of `ticket`.

    Raises:
        Refusal: the ticket is void: the password has changed, or it is too old.
        NotRunning: nobody answers there.
        LateAnswer: the answer did not come in time.
    """
    client = client_at(place)
    try:
        client.call("resume", within_s=LOOK_S, **_shown(browser, ticket=ticket))
    except BaseException:
        client.close()
        raise
    return client


class TokenRefused(Refusal):
    """The token itself is not accepted, whatever was asked."""


def presented(place: Place, token: str, browser: str) -> Client:
    """Return a connection that has the right of a token.

    Raises:
        TokenRefused: servhad does not know it, or it is over.
        NotRunning: nobody answers there.
        LateAnswer: the answer did not come in time.
    """
    client = client_at(place)
    try:
        client.call("present", within_s=LOOK_S, **_shown(browser, token=token))
    except BaseException as error:
        client.close()
        if isinstance(error, Refusal):
            raise TokenRefused(error.code, error.text, error.problems) from None
        raise
    return client


def ask(session: Session, verb: str, /, **args: Any) -> Any:
    """Ask servhad on behalf of a session, on a connection of its own, and return the answer.

    Raises:
        Refusal: servhad says no, in its own words.
        NotRunning: nobody answers; what was asked may have been done if it was a change.
        LateAnswer: it takes too long.
    """
    if session.token:
        client = presented(session.place, session.token, session.browser)
    else:
        client = resumed(session.place, session.ticket, session.browser)
    try:
        return client.call(verb, **args)
    finally:
        client.close()


def resume(place: Place, ticket: str, browser: str, **more: Any) -> dict[str, Any]:
    """Show a ticket to the servhad at `place`; return its answer, which has another one where that was a short one.

    Raises what `resumed` raises.
    """
    client = client_at(place)
    try:
        return dict(client.call("resume", within_s=LOOK_S, **_shown(browser, ticket=ticket), **more))
    finally:
        client.close()


def log_in(place: Place, password: str, browser: str) -> dict[str, Any]:
    """Show the password to the servhad at `place`; return its answer: right, choose_password, ticket.

    Raises:
        Refusal: a wrong password, or too many of them.
        NotRunning: nobody answers there.
        LateAnswer: the answer did not come in time.
    """
    client = client_at(place)
    try:
        answer = client.call("login", **_shown(browser, password=password))
    finally:
        client.close()
    return dict(answer)


def _shown(browser: str, **proof: str) -> dict[str, Any]:
    return {**proof, "from": browser}


def other_places(picture: dict[str, Any], port: int) -> list[Place]:
    """Return where the other node of the cluster may be asked, from what this one shows of it."""
    found = []
    for node in picture.get("nodes", ()):
        if node.get("us"):
            continue
        with suppress(KeyError, TypeError):
            found += [Place(address=(link["address"], port)) for link in node["links"] if link["address"]]
    return found


__all__ = [
    "NotRunning",
    "Refusal",
    "TokenRefused",
    "ask",
    "client_at",
    "log_in",
    "other_places",
    "presented",
    "resume",
    "resumed",
]
