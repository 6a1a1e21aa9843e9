"""Tokens: known on both nodes, good for their scope and their time and for nothing more."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from servha.daemon import tokens
from servha.daemon.api import Api, for_readers
from servha.daemon.caller import Caller, DoorKind, Right
from servha.wire.rpc import Args, Code, Json, Refusal, Request
from tests.daemon.two_nodes import Node, TwoNodes, refused

pytestmark = pytest.mark.root

ADDRESS = "192.0.2.77"


def program() -> Caller:
    return Caller(DoorKind.WEB, "", "", same_machine=False)


async def let_in(node: Node, token: str) -> Caller:
    caller = program()
    await node.do_as(caller, "present", {"token": token, "from": ADDRESS})
    return caller


async def made(node: Node, scope: str, **more: Any) -> str:
    told = await node.do("token.create", name=scope, scope=scope, **{"for_s": 0, **more})
    return str(told["token"])


def described(data: dict[str, Any], words: str) -> dict[str, Any]:
    first, *rest = data["nodes"]
    return {**data, "nodes": [{**first, "description": words}, *rest]}


async def test_it_is_good_on_both_nodes_kept_as_a_digest_and_worthless_when_removed(nodes: TwoNodes) -> None:
    one, two = await nodes.joined()
    token = await made(one, "read")
    assert token.startswith(tokens.PREFIX)
    assert token not in json.dumps(one.current.data)
    there = await let_in(two, token)
    assert (there.right, there.name, there.address) == (Right.READER, "token read", ADDRESS)
    assert (await two.do_as(there, "kinds", {}))["resources"]
    (listed,) = (await two.do("token.list"))["tokens"]
    assert (listed["name"], listed["scope"], listed["by"], listed["until_unix_s"]) == (
        "read",
        "read",
        "root",
        0,
    )
    assert "digest" not in listed

    await one.do("token.remove", name="read")
    # Whoever is inside with it is outside now.
    assert (await refused(two.do_as(there, "kinds", {}))).code is Code.NOT_PERMITTED
    assert (await refused(let_in(two, token))).code is Code.NOT_PERMITTED
    assert any("(read) was made by root" in line for line in one.notes)
    assert "info: token read was removed by root" in one.notes
    assert (
        two.notes[-1]
        == f"warning: token from {ADDRESS} refused: it is not one of this cluster, or was removed"
    )
    assert (await refused(one.do("token.remove", name="read"))).code is Code.NO_SUCH


async def test_what_is_streamed_to_it_ends_with_the_first_piece_after_its_removal(nodes: TwoNodes) -> None:
    async def told(_args: Args, _caller: Caller) -> AsyncGenerator[Json, None]:
        async def pieces() -> AsyncGenerator[Json, None]:
            for number in range(3):
                yield number

        return pieces()

    one = await nodes.founded()
    api = Api(
        {"follow": for_readers(told)},
        identity=one.identity,
        current=lambda: one.configuration.current,
        us=one.us,
        note=one.note,
    )
    caller = await let_in(one, await made(one, "read"))
    stream = await api.answer(Request(1, "follow", {}), caller)
    assert isinstance(stream, AsyncGenerator)
    assert await anext(stream) == 0
    await one.do("token.remove", name="read")
    assert (await refused(anext(stream))).code is Code.NOT_PERMITTED


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("read", {"kinds"}), ("operate", {"kinds", "maintenance.end"}), ("configure", None)],
)
async def test_each_verb_is_for_the_scopes_that_servhad_says(
    nodes: TwoNodes, scope: str, allowed: set[str] | None
) -> None:
    one = await nodes.founded()
    caller = await let_in(one, await made(one, scope))
    base = one.current
    asked: dict[str, dict[str, Any]] = {
        "kinds": {},
        "maintenance.end": {"scope": "node", "name": "node1"},
        "config.plan": {"base_generation": base.generation, "document": {}},
    }
    for verb, args in asked.items():
        may = allowed is None or verb in allowed
        try:
            await one.do_as(caller, verb, args)
            code = None
        except Refusal as refusal:
            code = refusal.code
        assert (code is not Code.NOT_PERMITTED) is may, (scope, verb)
    for verb in (
        "token.create",
        "token.list",
        "token.remove",
        "cluster.password",
        "cluster.invite",
        "peer.stage",
    ):
        assert (await refused(one.do_as(caller, verb, {}))).code is Code.NOT_PERMITTED, verb


async def test_a_token_cannot_make_itself_more_than_it_is(nodes: TwoNodes) -> None:
    one = await nodes.founded()
    caller = await let_in(one, await made(one, "configure"))
    seen = await one.do_as(caller, "config.get", {})
    assert not {"tokens", "password"} & seen["document"].keys()
    base, document = seen["generation"], seen["document"]
    own = {**document["nodes"][0], "certificate_sha256": "0" * 64}
    data = one.current.data
    for more in ({"tokens": data["tokens"]}, {"password": data["password"]}, {"nodes": [own]}):
        for verb in ("config.plan", "config.replace"):
            wish = {"base_generation": base, "document": {**document, **more}}
            assert (await refused(one.do_as(caller, verb, wish))).code is Code.NOT_PERMITTED, (
                verb,
                more.keys(),
            )
    await one.do_as(
        caller, "config.replace", {"base_generation": base, "document": described(document, "by it")}
    )
    assert one.words == "by it"
    assert len(one.current.document.tokens) == 1, "those that it was not shown stay"
    assert one.current.document.password is not None


async def test_it_is_over_when_its_time_is_and_its_user_too(
    nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await nodes.founded()
    token = await made(one, "read", for_s=60)
    until = one.current.document.tokens[0].until_unix_s
    caller = await let_in(one, token)
    monkeypatch.setattr("servha.daemon.api.wall_clock_s", lambda: float(until))
    assert (await refused(one.do_as(caller, "kinds", {}))).code is Code.NOT_PERMITTED
    await refused(let_in(one, token))
    assert "read is over" in one.notes[-1]


async def test_a_program_that_goes_on_with_a_wrong_one_neither_fills_the_journal_nor_keeps_others_out(
    nodes: TwoNodes,
) -> None:
    one = await nodes.founded()
    token = await made(one, "read")
    before = len(one.notes)
    for _ in range(40):
        await refused(let_in(one, token + "x"))
    assert 1 <= len(one.notes) - before <= 6
    assert (await let_in(one, token)).right is Right.READER


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"name": "a b"}, Code.USAGE),
        ({"scope": "administrator"}, Code.USAGE),
        ({"for_s": -1}, Code.USAGE),
        ({"name": "read"}, Code.EXISTS),
    ],
)
async def test_what_is_no_token_is_not_made(nodes: TwoNodes, wrong: dict[str, Any], code: Code) -> None:
    one = await nodes.founded()
    await made(one, "read")
    wish = {"name": "other", "scope": "read", "for_s": 0, **wrong}
    assert (await refused(one.do("token.create", **wish))).code is code
    assert len(one.current.document.tokens) == 1
