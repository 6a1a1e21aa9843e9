"""`servha tree|resource|node maintenance`: what it hands in, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import FakeDaemon, Run
from tests.cli.test_changes import cluster, sent

__all__ = ["cluster"]


def test_a_tree_goes_into_maintenance_for_a_reason_and_a_while(cluster: FakeDaemon, run: Run) -> None:
    ran = run("tree", "maintenance", "web", "on", "--reason", "new disk", "--for", "30m")
    assert ran.status == 0, ran.err
    assert "web is in maintenance from now on: new disk" in ran.out
    assert "To undo: servha tree maintenance web off" in ran.out
    (section,) = sent(cluster)["maintenance"]
    assert (section["tree"], section["reason"]) == ("web", "new disk")
    assert section["until_unix_s"] - section["since_unix_s"] == 1800
    assert list(section["orders"]) == ["web"]
    assert run("tree", "maintenance", "web", "off").status == 0
    assert sent(cluster)["maintenance"] == []


def test_a_resource_and_a_node_go_into_maintenance_until_somebody_ends_it(
    cluster: FakeDaemon, run: Run
) -> None:
    assert run("resource", "maintenance", "web/vip", "on", "--reason", "new address").status == 0
    assert run("node", "maintenance", "node1", "on", "--reason", "memory").status == 0
    resource, node = sent(cluster)["maintenance"]
    assert (resource["tree"], resource["resource"], resource["orders"]) == ("web", "vip", {})
    assert (node["node"], node["until_unix_s"]) == ("node1", 0)


def test_what_may_be_otherwise_meanwhile_is_named_once(cluster: FakeDaemon, run: Run) -> None:
    words = ("tree", "maintenance", "web", "on", "--reason", "new release", "--allow", "stopped")
    assert run(*words, "--allow", "unready", "--allow", "stopped").status == 0
    assert sent(cluster)["maintenance"][0]["allowed"] == ["stopped", "unready"]


def test_the_maintenance_of_what_is_deleted_goes_with_it(cluster: FakeDaemon, run: Run) -> None:
    assert run("resource", "maintenance", "web/vip", "on", "--reason", "new address").status == 0
    assert run("resource", "delete", "web/vip", "--yes").status == 0
    assert sent(cluster)["maintenance"] == []


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("tree", "maintenance", "web", "on"), 2, "a reason is needed"),
        (("tree", "maintenance", "web", "on", "--reason", "x", "--for", "soon"), 2, "'soon' is not a time"),
        (
            ("tree", "maintenance", "web", "on", "--reason", "x", "--allow", "silent"),
            2,
            "for the maintenance of a node",
        ),
        (("tree", "maintenance", "db", "on", "--reason", "x"), 6, "there is no resource tree db"),
        (("resource", "maintenance", "web/no", "on", "--reason", "x"), 6, "there is no resource web/no"),
        (("node", "maintenance", "node9", "on", "--reason", "x"), 6, "there is no node node9"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    cluster: FakeDaemon, run: Run, words: tuple[str, ...], status: int, said: str
) -> None:
    ran = run(*words)
    assert (ran.status, said in ran.err) == (status, True), ran.err
    assert "config.replace" not in cluster.verbs()


def test_show_says_why_who_and_for_how_long(cluster: FakeDaemon, run: Run) -> None:
    one: dict[str, Any] = {
        "what": "web",
        "reason": "new disk",
        "by": "root",
        "since_s": 60.0,
        "left_s": 1740.0,
    }
    status = cluster.answers["status"]
    assert isinstance(status, dict)
    cluster.answers["status"] = {**status, "maintenance": [one]}
    ran = run("tree", "maintenance", "web", "show")
    assert "web is in maintenance: new disk (root)" in ran.out
    assert "ends by itself in" in ran.out
    assert "node1 is not in maintenance." in run("node", "maintenance", "node1", "show").out
