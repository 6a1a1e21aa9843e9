"""Somebody works on the application: it is killed and left alone, and started again when the maintenance is over."""

from __future__ import annotations

import json

from tests.live.cluster import Cluster
from tests.live.wait import eventually


def test_a_killed_application_is_left_alone_until_the_maintenance_is_over(cluster: Cluster) -> None:
    cluster.servha(
        cluster.node1, "tree", "maintenance", "web", "on", "--reason", "release", "--for", "1h", "-y"
    )
    cluster.await_alarm(cluster.node2, "web is in maintenance: release")
    old = cluster.application(cluster.node1)
    cluster.kill_application(cluster.node1)
    cluster.await_told(cluster.node1, "left alone")
    cluster.witness.await_holders("application")
    shown: list[tuple[str, str | None]] = []

    def seen_from_node2() -> bool:
        tree = json.loads(cluster.servha(cluster.node2, "tree", "show", "web", "-o", "json").stdout)["tree"]
        app = next(r for r in tree["resources"] if r["name"] == "app")
        shown.append((app["state"], tree["running_on"]))
        return shown[-1] == ("stopped", "node1")

    assert eventually(seen_from_node2), shown
    cluster.servha(cluster.node2, "tree", "maintenance", "web", "off", "-y")
    cluster.await_new_application(cluster.node1, old)
    cluster.witness.await_holders("application", "node1")
