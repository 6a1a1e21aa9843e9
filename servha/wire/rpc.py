"""What a call looks like on the wire, between nodes and towards people: a length, then JSON.

Decides what is a well-formed question or answer, and how large one may be. Refuses to decide who may ask what
(daemon/api.py) and what an answer means. Holds no socket: bytes in, values out.

A frame is a length (u32, big endian) and that many bytes of UTF-8 JSON. A frame that is announced as too
large is refused before its body is read. One question may get several answers: all but the last say `more`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from string import Formatter
from typing import Any, Final, NoReturn, Protocol, TypeGuard

from servha.core.words import NOTHING_SAID, Text, Value, as_dict

FRAME_BYTES_MAX: Final = 4 * 1024 * 1024
LENGTH_BYTES: Final = 4
_SENTENCE_DEPTH_MAX: Final = 4
_LAYOUT: Final = re.compile(r"[0-9]?[0-9]?(\.[0-9])?[a-zA-Z,%]?")

Json = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None
Args = Mapping[str, Json]


class Code(StrEnum):
    """Why a call failed, in the words that also choose the command's exit status."""

    FAILED = "failed"
    USAGE = "usage"
    REFUSED = "refused"  # a safety rule says no
    NO_SUCH = "no-such"
    EXISTS = "exists"
    NO_QUORUM = "no-quorum"
    TRY_AGAIN = "try-again"  # nothing is wrong with the wish; now is the wrong moment
    NOT_PERMITTED = "not-permitted"
    BAD_CONFIGURATION = "bad-configuration"
    TIMED_OUT = "timed-out"


EXIT_STATUS: Final[Mapping[Code, int]] = {
    Code.FAILED: 1,
    Code.USAGE: 2,
    Code.REFUSED: 5,
    Code.NO_SUCH: 6,
    Code.EXISTS: 7,
    Code.NO_QUORUM: 8,
    Code.TRY_AGAIN: 75,
    Code.NOT_PERMITTED: 77,
    Code.BAD_CONFIGURATION: 78,
    Code.TIMED_OUT: 124,
}


class Wrong(Protocol):
    """Anything that names a place, a reason and a remedy; a configuration's problems do."""

    @property
    def path(self) -> str:
        """Where, as in "trees.web.resources.app.after"."""
        ...

    @property
    def because(self) -> Text:
        """Why it is wrong."""
        ...

    @property
    def remedy(self) -> Text:
        """What to do about it."""
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in what was handed in: where, why, and what to do."""

    path: str
    because: Text
    remedy: Text = NOTHING_SAID


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call did not do what it was asked, for a person and for a program."""

    code: Code
    text: Text
    problems: tuple[Wrong, ...] = ()


class Refusal(Exception):
    """Raised on either side of a call that is answered with a `Failure`."""

    def __init__(self, code: Code, text: Text, problems: Sequence[Wrong] = ()) -> None:
        super().__init__(code, text)
        self.failure = Failure(code, text, tuple(problems))

    @property
    def code(self) -> Code:
        """The word for the kind of failure."""
        return self.failure.code

    @property
    def text(self) -> Text:
        """The sentence for a person."""
        return self.failure.text

    @property
    def problems(self) -> tuple[Wrong, ...]:
        """Everything wrong in what was handed in; empty when the failure is about something else."""
        return self.failure.problems

    def __str__(self) -> str:
        return str(self.failure.text)


class BadFrame(ValueError):
    """What arrived is not a frame of this protocol. The connection is of no more use: close it."""


@dataclass(frozen=True, slots=True)
class Request:
    """A question. `id` is chosen by the asker and comes back in every answer."""

    id: int
    verb: str
    args: Args = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Exactly one of `result` and `failure` speaks; `more` announces further answers to the same id.
    """

    id: int
    result: Json = None
    failure: Failure | None = None
    more: bool = False

    @property
    def ok(self) -> bool:
        """Whether the call did what it was asked."""
        return self.failure is None


class FrameDecoder:
    """Cuts a stream of bytes into frames. Memory is bounded by the largest frame allowed."""

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self.frame_bytes_max = frame_bytes_max
        self._kept = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return the frames that they complete, in order.

        Raises `BadFrame` as soon as a frame announces more than `frame_bytes_max`, before its body arrives.
        """
        self._kept += piece
        frames: list[bytes] = []
        start = 0
        while len(self._kept) - start >= LENGTH_BYTES:
            body = start + LENGTH_BYTES
            length = int.from_bytes(self._kept[start:body], "big")
            if length > self.frame_bytes_max:
                raise BadFrame(f"a frame of {length} bytes is announced; {self.frame_bytes_max} are allowed")
            if len(self._kept) - body < length:
                break
            frames.append(bytes(self._kept[body : body + length]))
            start = body + length
        del self._kept[:start]
        return frames

    @property
    def waiting_bytes(self) -> int:
        """Bytes of a frame that is not complete yet."""
        return len(self._kept)


def encode_request(request: Request) -> bytes:
    """Return the frame that asks this question. Raises `BadFrame` when it would be too large."""
    return _frame({"id": request.id, "verb": request.verb, "args": request.args})


def encode_reply(reply: Reply) -> bytes:
    """Return the frame that gives this answer. Raises `BadFrame` when it would be too large."""
    message: dict[str, Json] = {"id": reply.id, "ok": reply.ok}
    if reply.failure is None:
        message["result"] = reply.result
    else:
        message["error"] = failure_as_json(reply.failure)
    if reply.more:
        message["more"] = True
    return _frame(message)


def decode_request(frame: bytes) -> Request:
    """Return the question in a frame. Raises `BadFrame` when there is none."""
    message = _object(frame)
    number, verb, args = message.get("id"), message.get("verb"), message.get("args", {})
    if not _is_id(number) or not isinstance(verb, str) or not isinstance(args, dict) or len(verb) > 64:
        raise BadFrame("a question needs a number id, a verb and an object of arguments")
    return Request(number, verb, args)


def decode_reply(frame: bytes) -> Reply:
    """Return the answer in a frame. Raises `BadFrame` when there is none."""
    message = _object(frame)
    number, ok, more = message.get("id"), message.get("ok"), message.get("more", False)
    if not _is_id(number) or not isinstance(ok, bool) or not isinstance(more, bool):
        raise BadFrame("an answer needs a number id and says whether it is ok")
    if ok:
        return Reply(number, result=message.get("result"), more=more)
    return Reply(number, failure=failure_from_json(message.get("error")), more=more)


def text_as_json(text: Text) -> dict[str, Json]:
    """Return a sentence as it travels: its template and the values in it, never rendered."""
    return as_dict(text)


def text_from_json(value: Json, *, depth: int = 0) -> Text:
    """Return the sentence in `value`. Raises `BadFrame` when there is none."""
    if not isinstance(value, dict) or depth > _SENTENCE_DEPTH_MAX:
        raise BadFrame("a sentence is an object with a template")
    template, params = value.get("template"), value.get("params", {})
    if not isinstance(template, str) or not isinstance(params, dict):
        raise BadFrame("a sentence is an object with a template and its values")
    pairs: list[tuple[str, Value]] = []
    for name, param in params.items():
        if isinstance(param, dict):
            pairs.append((name, text_from_json(param, depth=depth + 1)))
        elif isinstance(param, str | int | float):
            pairs.append((name, param))
        else:
            raise BadFrame("a value in a sentence is a word, a number or a sentence")
    _check_template(template, dict(pairs))
    return Text(template, tuple(pairs))


def failure_as_json(failure: Failure) -> dict[str, Json]:
    """Return a failure as it travels."""
    return {
        "code": failure.code.value,
        **text_as_json(failure.text),
        "problems": [
            {"path": p.path, "because": text_as_json(p.because), "remedy": text_as_json(p.remedy)}
            for p in failure.problems
        ],
    }


def failure_from_json(value: Json) -> Failure:
    """Return the failure in `value`. Raises `BadFrame` when there is none."""
    if not isinstance(value, dict):
        raise BadFrame("an answer that is not ok needs an error object")
    problems = value.get("problems", [])
    if not isinstance(problems, list):
        raise BadFrame("problems are a list")
    found: list[Problem] = []
    for problem in problems:
        if not isinstance(problem, dict) or not isinstance(problem.get("path"), str):
            raise BadFrame("a problem is an object with a path")
        because, remedy = text_from_json(problem.get("because")), text_from_json(problem.get("remedy"))
        found.append(Problem(problem["path"], because, remedy))
    try:
        code = Code(str(value.get("code")))
    except ValueError:
        code = Code.FAILED  # a newer peer may know words that we do not
    return Failure(code, text_from_json(value), tuple(found))


def _frame(message: Json) -> bytes:
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A file name that is no UTF-8 must not keep an answer from being given: it is shown with a question mark.
    body = text.encode(errors="replace")
    if len(body) > FRAME_BYTES_MAX:
        raise BadFrame(f"a frame of {len(body)} bytes was to be sent; {FRAME_BYTES_MAX} are allowed")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def _object(frame: bytes) -> dict[str, Any]:
    try:
        message = json.loads(frame, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadFrame("a frame holds something else than JSON") from error
    if not isinstance(message, dict):
        raise BadFrame("a frame holds something else than an object")
    return message


def _check_template(template: str, params: Mapping[str, object]) -> None:
    # A template from outside is later given to str.format: it may name its values and their digits, and may
    # not reach into them ({x.__class__}) or blow them up ({x:>99999999}).
    try:
        for _, name, layout, conversion in Formatter().parse(template):
            if name is None:
                continue
            if name not in params or conversion or not _LAYOUT.fullmatch(layout or ""):
                raise BadFrame("a sentence does not fit its values")
            format(params[name], layout or "")
    except (ValueError, TypeError) as error:
        raise BadFrame("a sentence does not fit its values") from error


def _is_id(number: object) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**53


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)
