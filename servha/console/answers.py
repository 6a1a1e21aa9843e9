"""What a browser gets: JSON with every sentence also in the reader's language, and an HTTP status for each refusal.

Decides the language from the page's wish or the browser's. Decides nothing about the content.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from bottle import HTTPError, HTTPResponse, request

from servha.core.words import Text, as_dict, say
from servha.language import LANGUAGES, spoken
from servha.management import LateAnswer, NotRunning
from servha.wire.rpc import Code, Failure, Refusal, failure_as_json

STATUS: Final[Mapping[Code, int]] = {
    Code.FAILED: 502,
    Code.USAGE: 400,
    Code.REFUSED: 409,
    Code.NO_SUCH: 404,
    Code.EXISTS: 409,
    Code.NO_QUORUM: 409,
    Code.TRY_AGAIN: 429,
    Code.NOT_PERMITTED: 403,
    Code.BAD_CONFIGURATION: 422,
    Code.TIMED_OUT: 504,
}
NO_SESSION: Final = 401
NOT_RUNNING: Final = 503


def language() -> str:
    """Return the language of this request: `?lang=`, else the first known one of Accept-Language, else English."""
    wanted = request.query.get("lang", "")
    if wanted in LANGUAGES:
        return str(wanted)
    for part in request.headers.get("Accept-Language", "").split(","):
        tag = part.partition(";")[0].strip().lower()
        if tag.startswith("zh"):
            return "zh-CN"
        if tag.startswith("en"):
            return "en"
    return "en"


def encoded(value: Any, words: str) -> str:
    """Return `value` as JSON, its sentences rendered in the language `words`."""
    return json.dumps(spoken(value, words), ensure_ascii=False, separators=(",", ":"))


def answer(value: Any, status: int = 200) -> HTTPResponse:
    """Return the response for `value`."""
    return HTTPResponse(
        body=encoded(value, language()).encode(),
        status=status,
        headers={"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"},
    )


def refusal(code: str, text: Text, status: int) -> HTTPResponse:
    """Return the response that says why something was not done."""
    return answer({"error": {"code": code, **as_dict(text), "problems": []}}, status)


def failure(failed: Failure) -> HTTPResponse:
    """Return the response for a refusal in servhad's own words."""
    return answer({"error": failure_as_json(failed)}, STATUS[failed.code])


def of_error(error: Refusal | NotRunning | LateAnswer) -> HTTPResponse:
    """Return the response for whatever came instead of an answer."""
    if isinstance(error, Refusal):
        return failure(error.failure)
    if isinstance(error, LateAnswer):
        return refusal(Code.TIMED_OUT, error.text, STATUS[Code.TIMED_OUT])
    return refusal("not-running", error.text, NOT_RUNNING)


def token_refused(error: Refusal) -> HTTPResponse:
    """Return the response for a program whose token is not accepted."""
    made = answer({"error": failure_as_json(error.failure)}, NO_SESSION)
    made.set_header("WWW-Authenticate", "Bearer")
    return made


def not_logged_in() -> HTTPResponse:
    """Return the response for somebody without a session, or whose session is over."""
    return refusal(Code.NOT_PERMITTED, say("log in first: there is no session, or it is over"), NO_SESSION)


def body() -> dict[str, Any]:
    """Return what the request carries. Raises `Refusal` (usage) when it is no JSON object."""
    try:
        asked = request.json
    except (HTTPError, ValueError):
        asked = None
    if not isinstance(asked, dict):
        raise Refusal(Code.USAGE, say("the request must be a JSON object"))
    return asked
