"""A program with a token at the console of a real node: its scope, on either node, and nothing after its removal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.browser import Browser
from tests.live.cluster import READY_S, TREE, Cluster

PORT = 7700
REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
EXAMPLE = re.compile(r"^    (curl (?:.*\\\n)*.*)$", re.MULTILINE)


@pytest.fixture
def programs(cluster: Cluster) -> Iterator[tuple[Browser, Browser]]:
    """A program at the lab's client that asks node1, and one that asks node2."""
    both = (cluster.node1, cluster.node2)
    for node in both:
        node.service("start", "servwebd", within_s=READY_S)
    client = cluster.lab.layout.namespace("client")
    one, two = (Browser(PORT, host=node.layout.address("public"), namespace=client) for node in both)
    yield one, two
    for node in both:
        node.service("stop", "servwebd", within_s=READY_S)


def test_a_program_gets_what_its_scope_allows_and_nothing_when_it_is_removed(
    cluster: Cluster, programs: tuple[Browser, Browser]
) -> None:
    here, there = programs

    def made(name: str, scope: str) -> dict[str, str]:
        ran = cluster.servha(cluster.node1, "token", "create", name, "--scope", scope, "-o", "json")
        return {"Authorization": f"Bearer {json.loads(ran.stdout)['token']}"}

    reader, operator = made("prometheus", "read"), made("deployment", "operate")
    for program in programs:
        status, text, _ = program.ask("GET", "/metrics", headers=reader)
        assert (status, "servha_up" in text) == (200, True)
    assert here.ask("GET", "/api/v1/status", headers=reader)[1]["node"] == "node1"
    config = here.ask("GET", "/api/v1/config", headers=reader)[1]
    assert not {"password", "tokens"} & config["document"].keys()

    wish = {"scope": "tree", "name": TREE, "reason": "new release"}
    status, told, _ = here.ask("POST", "/api/v1/maintenance?lang=en", wish, reader)
    assert (status, told["error"]["code"]) == (403, "not-permitted")
    assert "(read)" in told["error"]["text"]
    assert here.ask("POST", "/api/v1/maintenance", wish, operator)[0] == 200
    assert there.ask("DELETE", f"/api/v1/maintenance/tree/{TREE}", None, operator)[0] == 200
    forced = {"verb": "start", "node": "node1", "forced": True, "peer_is_off": "node2"}
    status, told, _ = here.ask("POST", f"/api/v1/trees/{TREE}/order?lang=en", forced, operator)
    assert (status, "by a person" in told["error"]["text"]) == (403, True)
    put = {"document": config["document"], "base_generation": config["generation"]}
    assert here.ask("PUT", "/api/v1/config", put, operator)[0] == 403
    for method, path in (("GET", "/api/v1/stream"), ("DELETE", "/api/v1/session")):
        assert here.ask(method, path, headers=operator)[0] == 401, "for browsers"

    cluster.servha(cluster.node1, "token", "remove", "prometheus")
    cluster.servha(cluster.node1, "token", "remove", "deployment")
    for headers in (reader, {"Authorization": "Bearer servha_x"}, {"Authorization": "Basic eDp5"}):
        status, _, response = there.ask("GET", "/metrics", headers=headers)
        assert (status, response.getheader("WWW-Authenticate")) == (401, "Bearer")
    cluster.await_told(cluster.node2, "token from .* refused")


def test_the_examples_of_the_reference_do_what_they_say(
    cluster: Cluster, programs: tuple[Browser, Browser]
) -> None:
    del programs  # both consoles run
    examples = EXAMPLE.findall((REFERENCE / "api.md").read_text(encoding="utf-8"))
    assert examples == EXAMPLE.findall((REFERENCE / "api.zh-CN.md").read_text(encoding="utf-8"))
    ran = cluster.servha(cluster.node1, "token", "create", "examples", "--scope", "operate", "-o", "json")
    token = json.loads(ran.stdout)["token"]
    look, move = (text.replace("192.168.1.11", cluster.node1.layout.address("public")) for text in examples)
    told = cluster.lab.client("env", f"TOKEN={token}", "sh", "-c", look)
    assert json.loads(told.stdout)["trees"][0]["name"] == TREE
    told = cluster.lab.client("env", f"TOKEN={token}", "sh", "-c", move)
    assert "error" not in json.loads(told.stdout), told.stdout
    cluster.await_running_on(cluster.node2)
