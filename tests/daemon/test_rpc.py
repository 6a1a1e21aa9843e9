"""Whatever arrives, the decoder gives frames, or says that this is none; it never takes more than it announced."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servha.core.words import Text, say
from servha.wire.rpc import (
    EXIT_STATUS,
    FRAME_BYTES_MAX,
    BadFrame,
    Code,
    Failure,
    FrameDecoder,
    Json,
    Problem,
    Reply,
    Request,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
    text_from_json,
)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
requests = st.builds(
    Request,
    id=st.integers(0, 2**53 - 1),
    verb=st.text(max_size=64),
    args=st.dictionaries(st.text(), values, max_size=4),
)


@given(st.lists(requests, max_size=5), st.data())
def test_requests_survive_however_the_stream_is_cut(asked: list[Request], data: st.DataObject) -> None:
    stream = b"".join(encode_request(request) for request in asked)
    decoder, got = FrameDecoder(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += decoder.feed(stream[:size])
        stream = stream[size:]
    assert [decode_request(frame) for frame in got] == asked
    assert decoder.waiting_bytes == 0


@given(st.integers(0, 2**53 - 1), values, st.booleans())
def test_results_survive(number: int, result: Json, more: bool) -> None:  # noqa: FBT001
    reply = Reply(number, result=result, more=more)
    assert decode_reply(encode_reply(reply)[4:]) == reply


@given(
    st.sampled_from(Code), st.text(alphabet=st.characters(codec="utf-8", exclude_characters="{}")), st.text()
)
def test_failures_survive_with_every_problem(code: Code, plain: str, value: str) -> None:
    problem = Problem(
        "nodes.node1", say("{what} is wrong", what=value), say("change {what}", what=Text(plain))
    )
    reply = Reply(1, failure=Failure(code, Text(plain), (problem,)))
    assert decode_reply(encode_reply(reply)[4:]) == reply


@given(st.binary(max_size=200))
def test_garbage_is_a_bad_frame_and_nothing_else(garbage: bytes) -> None:
    decoder = FrameDecoder(frame_bytes_max=1000)
    try:
        frames = decoder.feed(garbage)
    except BadFrame:
        return
    for frame in frames:
        for decode in (decode_request, decode_reply):
            with contextlib.suppress(BadFrame):
                decode(frame)
    assert decoder.waiting_bytes <= len(garbage)


@given(st.recursive(values, lambda inner: st.fixed_dictionaries({"id": inner, "ok": inner, "error": inner})))
def test_well_formed_json_of_the_wrong_shape_is_a_bad_frame(message: Json) -> None:
    body = json.dumps(message).encode()
    for decode in (decode_request, decode_reply):
        try:
            decode(body)
        except BadFrame:
            continue
        assert isinstance(message, dict)


def test_a_frame_too_large_is_refused_before_its_body() -> None:
    with pytest.raises(BadFrame, match="are allowed"):
        FrameDecoder().feed((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))


def test_a_frame_too_large_is_not_sent() -> None:
    with pytest.raises(BadFrame):
        encode_request(Request(1, "x", {"long": "y" * FRAME_BYTES_MAX}))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"id":' + b"9" * 10_000 + b"}",
        b'{"id":NaN,"verb":"x"}',
        b'{"id":true,"verb":"x"}',
        b"\xff\xfe",
    ],
)
def test_json_bombs_are_bad_frames(body: bytes) -> None:
    with pytest.raises(BadFrame):
        decode_request(body)


@pytest.mark.parametrize(
    "template",
    ["{x.__class__}", "{x[0]}", "{x!r}", "{x:>999999999}", "{y}", "{", "{x:{x}}", "{0}", "{}"],
)
def test_a_sentence_from_outside_cannot_reach_into_its_values(template: str) -> None:
    with pytest.raises(BadFrame):
        text_from_json({"template": template, "params": {"x": "a"}})


def test_a_sentence_may_lay_out_a_number_and_hold_another_sentence() -> None:
    told: Json = {
        "template": "{t:.1f} s: {why}",
        "params": {"t": 7.36, "why": {"template": "silent", "params": {}}},
    }
    assert str(text_from_json(told)) == "7.4 s: silent"


def test_a_name_that_is_no_utf8_is_sent_all_the_same() -> None:
    reply = decode_reply(encode_reply(Reply(1, result=b"caf\xe9".decode(errors="surrogateescape")))[4:])
    assert reply.result == "caf?"


def test_every_code_has_its_exit_status() -> None:
    assert set(EXIT_STATUS) == set(Code)
    assert len(set(EXIT_STATUS.values())) == len(Code)
