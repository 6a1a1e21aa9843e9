"""What forms ask servhad: a plan that changes nothing, what others changed meanwhile, the kinds, maintenance."""

from __future__ import annotations

import json
from typing import Any

import pytest

from servha.daemon.caller import Caller, DoorKind, Right
from servha.wire.rpc import Code
from tests.daemon.two_nodes import TwoNodes, refused

pytestmark = pytest.mark.root


def described(data: dict[str, Any], words: str) -> dict[str, Any]:
    first, *rest = data["nodes"]
    return {**data, "nodes": [{**first, "description": words}, *rest]}


async def test_a_plan_says_what_would_change_and_changes_nothing(nodes: TwoNodes) -> None:
    one = await nodes.founded()
    before = one.current
    plan = await one.do(
        "config.plan", base_generation=before.generation, document=described(before.data, "left")
    )
    assert "node1" in json.dumps(plan["changes"])
    assert (plan["generation"], plan["meanwhile"], one.current) == (before.generation, None, before)
    same = await one.do("config.plan", base_generation=before.generation, document=before.data)
    assert same["changes"] == []


async def test_the_second_of_two_is_told_what_the_first_changed(nodes: TwoNodes) -> None:
    one = await nodes.founded()
    seen = one.current
    await one.change("somebody was quicker")
    wish = {"base_generation": seen.generation, "document": described(seen.data, "mine")}
    plan = await one.do("config.plan", **wish)
    assert plan["changes"] == []
    assert "somebody was quicker" in json.dumps(plan["meanwhile"])
    unknown = await one.do("config.plan", **{**wish, "base_generation": 99})
    assert "is not known any more" in json.dumps(unknown["meanwhile"])


async def test_a_plan_of_something_wrong_names_every_place(nodes: TwoNodes) -> None:
    one = await nodes.founded()
    bad = {**one.current.data, "links": ["private", "nowhere"], "nonsense": 1}
    refusal = await refused(one.do("config.plan", base_generation=one.current.generation, document=bad))
    assert refusal.code is Code.BAD_CONFIGURATION
    assert {"nonsense"} <= {problem.path for problem in refusal.problems}


async def test_the_password_is_shown_to_root_alone_and_stays_when_others_change_the_rest(
    nodes: TwoNodes,
) -> None:
    one = await nodes.founded()
    before = one.current.document
    assert before.password is not None
    secret = before.password.hash
    assert secret in json.dumps(await one.do("config.get"))
    for door in (DoorKind.WEB, DoorKind.MANAGEMENT):
        browser = Caller(door, "password", "192.0.2.7", same_machine=False, right=Right.ADMINISTRATOR)
        seen = await one.do_as(browser, "config.get", {})
        assert secret not in json.dumps(seen)
        wish = {
            "base_generation": seen["generation"],
            "document": described(seen["document"], f"by {door}"),
        }
        plan = await one.do_as(browser, "config.plan", wish)
        assert "password" not in json.dumps(plan["changes"])
        await one.do_as(browser, "config.replace", wish)
        assert one.current.document.password == before.password
        assert one.current.document.nodes[0].description == f"by {door}"
        known = {"salt": "0" * 32, "hash": "0" * len(secret)}
        for verb in ("config.plan", "config.replace"):
            more = {
                "base_generation": one.current.generation,
                "document": {**wish["document"], "password": known},
            }
            said = await refused(one.do_as(browser, verb, more))
            assert (said.code, "servha cluster password" in str(said)) == (Code.NOT_PERMITTED, True)


async def test_the_kinds_come_with_what_a_form_needs(nodes: TwoNodes) -> None:
    kinds = await (await nodes.founded()).do("kinds")
    address = next(f for f in kinds["resources"]["ipv4"]["fields"] if f["name"] == "address")
    assert (address["type"], address["required"]) == ("text", True)
    assert address["description"]["template"]
    assert kinds["detectors"]
    json.dumps(kinds)


async def test_a_maintenance_begins_and_ends_for_what_there_is(nodes: TwoNodes) -> None:
    one = await nodes.founded()
    wish = {"scope": "node", "name": "node1", "reason": "new disk", "by": "192.0.2.9", "for_s": 60}
    await one.do("maintenance.begin", **wish)
    (kept,) = one.current.document.maintenance
    assert (kept.what, kept.reason, kept.by) == ("node1", "new disk", "192.0.2.9")
    assert kept.until_unix_s - kept.since_unix_s == 60
    for changed, code in (
        ({"scope": "cluster"}, Code.USAGE),
        ({"reason": " "}, Code.USAGE),
        ({"for_s": -1}, Code.USAGE),
        ({"name": "node9"}, Code.NO_SUCH),
        ({"scope": "tree"}, Code.NO_SUCH),
        ({"scope": "resource", "name": "web"}, Code.NO_SUCH),
    ):
        assert (await refused(one.do("maintenance.begin", **{**wish, **changed}))).code is code, changed
    assert (await refused(one.do("maintenance.end", scope="tree", name="node1"))).code is Code.NO_SUCH
    await one.do("maintenance.end", scope="node", name="node1")
    assert one.current.document.maintenance == ()
    assert (await refused(one.do("maintenance.end", scope="node", name="node1"))).code is Code.NO_SUCH
