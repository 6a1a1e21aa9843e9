"""With a quorum disk: which guarantee is shown, and what an administrator can do when nobody is able to tell."""

from __future__ import annotations

import json
import re

import pytest

from tests.live.conftest import QuorumMaker
from tests.live.observer import watching
from tests.live.quorum import BEYOND_S, QuorumCluster
from tests.live.wait import eventually


def test_status_names_the_guarantee_and_the_lease(quorum_disk: QuorumCluster) -> None:
    cluster = quorum_disk
    for node in cluster.lab.nodes:
        said = " ".join(cluster.servha(node, "status").stdout.split())
        assert "Guarantee: level 4: one node at a time also when a kernel hangs" in said, said
        assert "quorum disk only" in said
    said = " ".join(cluster.servha(cluster.node1, "status").stdout.split())
    assert "the quorum disk and node2 renew the lease; watchdog: ServHA lab watchdog" in said
    slot = cluster.slot(cluster.node1)
    assert slot.flags.watchdog_armed
    assert [(t.entry, t.ownership) for t in slot.trees] == [("held", cluster.ownership(cluster.node1))]
    assert {t.entry for t in cluster.slot(cluster.node2).trees} <= {"none"}, "nothing is held there"


def test_rounds_on_the_disk_are_timed_and_a_failed_one_is_counted(quorum_disk: QuorumCluster) -> None:
    cluster = quorum_disk

    def disk(node: str) -> list[dict[str, float]]:
        told = json.loads(cluster.servha(cluster.node1, "heartbeat", "history", "-o", "json").stdout)
        return list(told["nodes"][node]["disk"])

    def figure(name: str) -> float:
        found = re.search(rf"^{name} (\S+)$", cluster.servha(cluster.node1, "metrics").stdout, re.MULTILINE)
        assert found is not None, name
        return float(found[1])

    for node in cluster.lab.nodes:
        shown = json.loads(cluster.servha(node, "status", "-o", "json").stdout)
        assert 0 < shown["arbitration"]["lease"]["disk"]["round_ms"] < 1000
        assert all(minute["good"] > 0 and minute["most_ms"] > 0 for minute in disk(node.name))
    assert figure("servha_quorum_disk_rounds_total") > 0
    assert 0 < figure("servha_quorum_disk_round_seconds") < 1
    before = figure("servha_quorum_disk_failed_total")
    cluster.trouble("error")
    assert eventually(lambda: figure("servha_quorum_disk_failed_total") > before, within_s=BEYOND_S)
    assert disk("node1")[-1]["lost"] > 0
    cluster.trouble("")
    cluster.await_ready(cluster.node1)


def test_without_a_watchdog_the_guarantee_is_a_lower_one_and_says_so(make_quorum: QuorumMaker) -> None:
    cluster = make_quorum()
    with watching(cluster.lab, records=cluster.records) as cluster.seen:
        cluster.await_ready(cluster.node1)
        cluster.servha(cluster.node1, "tree", "stop", "web")
        cluster.witness.await_holders("application")
        cluster.node1.run("umount", "/dev/watchdog")
        cluster.node1.run("rm", "-f", "/dev/watchdog")
        cluster.servha(cluster.node1, "tree", "start", "web", "--on", "node1")
        cluster.await_running_on(cluster.node1)
        said = " ".join(cluster.servha(cluster.node1, "status", status=None).stdout.split())
        assert "Guarantee: level 2" in said, said
        assert "without a watchdog nothing ends a node that hangs" in said, said
        assert not cluster.slot(cluster.node1).flags.watchdog_armed


@pytest.mark.parametrize("named", [False, True])
def test_when_the_disk_was_lost_before_the_owner_only_an_administrator_can_tell(
    quorum_disk: QuorumCluster, *, named: bool
) -> None:
    cluster = quorum_disk
    number = cluster.ownership(cluster.node1)
    cluster.trouble("error")
    for node in cluster.lab.nodes:
        cluster.await_alarm(node, "arbitration partly failed")
    cluster.node1.poweroff()
    cluster.await_alarm(cluster.node2, "node1 is silent on every link")
    assert cluster.is_steady(for_s=2 * BEYOND_S, holds=lambda: not cluster.witness.now("address"))
    cluster.await_alarm(cluster.node2, "web is not started here: the quorum disk cannot be used here")
    said = cluster.refused(
        cluster.node2, "tree", "start", "web", "--force", "--peer-is-off", "node9", status=5
    )
    assert "node1" in said, said
    assert not cluster.witness.now("address")
    if named:
        cluster.servha(cluster.node2, "tree", "start", "web", "--force", "--peer-is-off", "node1")
        cluster.await_running_on(cluster.node2)
        assert cluster.ownership(cluster.node2) > number
        assert "an administrator" in cluster.why(cluster.node2)
        cluster.trouble("", cluster.node2)
        cluster.node1.boot()
        cluster.await_ready(cluster.node2)
    else:
        cluster.trouble("", cluster.node2)
        cluster.await_running_on(cluster.node2)
