"""An administrator moves, stops and starts the tree: what the clients notice, and what stands in the way."""

from __future__ import annotations

import json

import pytest

from servha.lab import probe
from tests.live.cluster import Cluster, show

BLACKOUT_S = 3.0
"""Limit on a busy machine, the application's own stop and start included; the bench takes those off."""


def clients_mac(cluster: Cluster) -> str:
    (interface,) = json.loads(cluster.lab.client("ip", "-json", "link", "show", "pub0").stdout)
    return str(interface["address"])


@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_planned_move_loses_no_request_that_was_accepted(cluster: Cluster, *, keep_alive: bool) -> None:
    before = cluster.ownership(cluster.node1)
    with probe.load(cluster.lab, keep_alive=keep_alive) as client, probe.running(cluster.lab) as single:
        for target in (cluster.node2, cluster.node1):
            client.wait_answer(who=cluster.other(target).name)
            said = cluster.servha(cluster.node1, "tree", "move", "web", target.name).stdout
            assert f"web: runs on {target.name}" in said
            assert "To undo: servha tree move web" in said
            client.wait_answer(who=target.name)
            single.wait_answer(who=target.name)
            cluster.await_ready(target)
    assert client.results()["lost"] == 0, client.results()
    assert client.results()["200"] > 100
    for blackout in single.blackouts():
        show("planned move, blackout", blackout.length_s)
        assert blackout.length_s < BLACKOUT_S
    assert cluster.ownership(cluster.node1) == before + 2
    assert cluster.told(cluster.node2, "web .*root ordered it to run on node1")


def test_a_stopped_tree_stays_stopped_through_a_restart_of_everything(cluster: Cluster) -> None:
    assert "web: stopped" in cluster.servha(cluster.node2, "tree", "stop", "web").stdout
    cluster.witness.await_holders("address")
    cluster.witness.await_holders("application")
    for node in cluster.lab.nodes:
        node.poweroff()
    for node in cluster.lab.nodes:
        node.boot()
    cluster.await_told(cluster.node1, "web off off an order says that it is to be stopped")
    cluster.await_no_alarm(cluster.node1)
    assert cluster.witness.now("address") == frozenset()
    assert "an order says that it is to be stopped" in cluster.why(cluster.node1)


def test_an_order_is_good_on_either_node_and_an_impossible_one_is_refused(cluster: Cluster) -> None:
    cluster.servha(cluster.node2, "tree", "move", "web", "node2")
    cluster.await_running_on(cluster.node2)
    unknown = cluster.refused(cluster.node2, "tree", "move", "web", "node3", status=6)
    assert "there is no node node3; there are: " in unknown and "node1" in unknown
    unknown = cluster.refused(cluster.node2, "tree", "move", "wbe", "node1", status=6)
    assert "there is no resource tree wbe; there are: web" in unknown
    cluster.node1.poweroff()
    cluster.await_alarm(cluster.node2, "node1 is silent on every link")
    pid = cluster.application(cluster.node2)
    said = cluster.refused(cluster.node2, "tree", "move", "web", "node1", "--timeout", "3", status=5)
    assert "node1" in said
    assert cluster.application(cluster.node2) == pid, (
        "nothing was stopped for an order that cannot be carried out"
    )


def test_a_virtual_address_that_somebody_else_uses_blocks_the_start(cluster: Cluster) -> None:
    cluster.servha(cluster.node1, "tree", "stop", "web")
    cluster.witness.await_holders("address")
    mac = clients_mac(cluster)
    assert cluster.lab.client("ip", "address", "add", "192.0.2.100/24", "dev", "pub0").returncode == 0
    try:
        said = cluster.refused(cluster.node1, "tree", "start", "web", status=1)
        assert mac in said
        assert "192.0.2.100" in said
        cluster.await_alarm(cluster.node1, mac)
        assert mac in cluster.why(cluster.node1)
        assert mac in cluster.why(cluster.node2, "--lang", "zh-CN")
        assert cluster.is_steady(for_s=1.0, holds=lambda: not cluster.witness.now("address"))
        assert not cluster.witness.now("application")
    finally:
        cluster.lab.client("ip", "address", "del", "192.0.2.100/24", "dev", "pub0")
    cluster.servha(cluster.node1, "tree", "start", "web")
    cluster.await_ready(cluster.node1)


def test_a_takeover_keeps_away_from_an_address_that_is_in_use(cluster: Cluster) -> None:
    mac = clients_mac(cluster)
    cluster.node1.poweroff()
    cluster.lab.client("ip", "address", "add", "192.0.2.100/24", "dev", "pub0")
    try:
        cluster.await_alarm(cluster.node2, mac)
        assert cluster.is_steady(for_s=1.0, holds=lambda: not cluster.witness.now("address"))
        assert mac in cluster.why(cluster.node2)
    finally:
        cluster.lab.client("ip", "address", "del", "192.0.2.100/24", "dev", "pub0")
    cluster.await_running_on(cluster.node2)
