"""`servha tree start | stop | move --plan`: told as it would be done, and not done."""

from __future__ import annotations

import json

import pytest

from tests.cli import recorded
from tests.cli.conftest import FakeDaemon, Run
from tests.cli.test_orders import Tree


@pytest.fixture
def tree(daemon: FakeDaemon) -> Tree:
    return Tree(daemon)


def test_a_plan_tells_what_follows_what_and_changes_nothing(tree: Tree, run: Run) -> None:
    tree.web["resources"].append(
        {**tree.web["resources"][0], "name": "mail", "kind": "custom", "after": ["vip"]}
    )
    tree.whole["maintenance"] = [
        {"what": "web", "reason": "new disk", "by": "root", "since_s": 1.0, "left_s": None}
    ]
    tree.web["phase_by_node"]["node2"]["checks"] = [
        {"resource": "app", "ready": False, "problems": [recorded.said("/opt/app is missing")], "remarks": []}
    ]
    ran = run("tree", "move", "web", "node2", "--plan")
    assert ran.status == 0
    lines = ran.out.splitlines()
    assert lines[0] == "Plan: stop web on node1, start it on node2"
    assert [line.split() for line in lines[1:3]] == [
        ["1", "node1", "stop", "app", "+", "mail", "then", "vip"],
        ["2", "node2", "start", "vip", "then", "app", "+", "mail"],
    ]
    assert "web is in maintenance (new disk, root): the order is obeyed all the same" in ran.out
    assert "In the way on node2: app: /opt/app is missing" in ran.out
    assert not tree.ordered
    machine = json.loads(run("tree", "stop", "web", "--plan", "-o", "json").out)
    assert machine["plan"] == [{"node": "node1", "action": "stop", "rounds": [["app", "mail"], ["vip"]]}]
    assert not tree.ordered


def test_a_plan_in_chinese(tree: Tree, run: Run) -> None:
    ran = run("tree", "stop", "web", "--plan", "--lang", "zh-CN")
    assert "停止 app，然后 vip" in ran.out
    assert not tree.ordered
