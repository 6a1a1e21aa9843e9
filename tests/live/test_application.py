"""The application dies, its address is taken away, it does not start or stop: what the node does about it."""

from __future__ import annotations

import re

from servha.lab import probe
from tests.live.cluster import Cluster, now_s, show

NOTICED_S = 0.5
"""Limit on a busy machine; the bench holds it to 20 ms."""
START_FAILS = "echo 'the licence has run out' >&2; exit 3"


def test_a_killed_application_is_noticed_at_once_and_started_again(cluster: Cluster) -> None:
    pid = cluster.application(cluster.node1)
    with probe.running(cluster.lab) as client:
        client.wait_answer(who="node1")
        killed_s = cluster.kill_application(cluster.node1)
        died = cluster.await_told(cluster.node1, rf"web/app on broken .*process {pid} .*ended by signal 9")
        client.wait_answer(who="node1", after_s=client.attempts()[-1].end_s)
        cluster.await_ready(cluster.node1)
    show("kill -9 of the application until it is noticed", died.at_s - killed_s)
    show("kill -9 of the application, blackout", max((b.length_s for b in client.blackouts()), default=0.0))
    assert died.at_s - killed_s < NOTICED_S
    assert set(client.answered_by()) == {"node1"}, "it was not moved for one death"
    assert cluster.application(cluster.node1) not in {0, pid}
    assert "ended by signal 9" in cluster.why(cluster.node1), "the newest thing that happened is explained"


def test_the_fourth_death_within_a_minute_moves_the_tree(own_cluster: Cluster) -> None:
    cluster = own_cluster
    number = cluster.ownership(cluster.node1)
    for death in range(1, 5):
        old = cluster.application(cluster.node1)
        cluster.kill_application(cluster.node1)
        if death < 4:
            cluster.await_new_application(cluster.node1, old)
            cluster.await_ready(cluster.node1)
            assert cluster.ownership(cluster.node1) == number, f"death {death} moves nothing"
    cluster.await_running_on(cluster.node2)
    assert cluster.ownership(cluster.node2) > number
    moved = cluster.await_told(cluster.node2, r"web running stopping .*app")
    print(moved.because, "|", moved.otherwise)
    assert "3 abnormal stops or fewer within 60" in str(moved.otherwise)
    assert str(moved.because) in cluster.why(cluster.node2), "on one screen, from both nodes"


def test_a_removed_virtual_address_is_put_back(cluster: Cluster) -> None:
    pid = cluster.application(cluster.node1)
    with probe.running(cluster.lab) as client:
        client.wait_answer(who="node1")
        cluster.node1.run("ip", "address", "del", "192.0.2.100/24", "dev", "pub0")
        back = cluster.await_told(
            cluster.node1, r"web/vip .*192.0.2.100/24 was removed from pub0 by .*put back"
        )
        client.wait_answer(who="node1")
    took_ms = re.search(r"put back after ([0-9.]+) ms", str(back.because))
    assert took_ms
    show("ip address del of the virtual address until it is back", float(took_ms[1]) / 1000)
    assert float(took_ms[1]) < 500
    cluster.await_ready(cluster.node1)
    assert cluster.application(cluster.node1) == pid, "the application was not touched for it"
    assert set(client.answered_by()) == {"node1"}
    assert "was removed from pub0 by somebody" in cluster.why(cluster.node1)


def test_what_does_not_start_on_the_preferred_node_runs_on_the_other(cluster: Cluster) -> None:
    cluster.servha(cluster.node1, "tree", "stop", "web")
    cluster.witness.await_holders("address")
    start = cluster.node1.read("/opt/demo/start")
    try:
        cluster.script(cluster.node1, "start", START_FAILS)
        cluster.servha(cluster.node1, "tree", "start", "web")
        cluster.await_running_on(cluster.node2)
        failed = cluster.await_told(cluster.node2, r"web/app .*the licence has run out")
        assert "3" in str(failed.because), "with which status the script ended"
        assert "the licence has run out" in cluster.why(cluster.node1)
        assert "the licence has run out" in cluster.alarms(cluster.node1)
    finally:
        cluster.node1.run("sh", "-c", "cat > /opt/demo/start", feed=start)


def test_what_starts_on_no_node_is_tried_once_on_each_and_then_left_alone(cluster: Cluster) -> None:
    cluster.servha(cluster.node1, "tree", "stop", "web")
    cluster.witness.await_holders("address")
    start = cluster.node1.read("/opt/demo/start")
    try:
        for node in cluster.lab.nodes:
            cluster.script(node, "start", START_FAILS)
        failed = cluster.refused(cluster.node1, "tree", "start", "web", status=1)
        assert "web: could not be started" in failed
        assert "the licence has run out" in failed
        for node in cluster.lab.nodes:
            cluster.await_alarm(node, "web runs nowhere: .*the licence has run out")
        tries = [
            e.node for e in cluster.entries(cluster.node1) if e.subject == "web/app" and e.severity == "error"
        ]
        assert sorted(tries) == ["node1", "node2"]
        cluster.witness.await_holders("address")
        quiet_s = now_s()
        assert cluster.is_steady(for_s=1.5, holds=lambda: not cluster.witness.now("address"))
        assert cluster.told(cluster.node1, "web .*starting", since_s=quiet_s) is None, "nothing flaps"
        assert "the licence has run out" in cluster.why(cluster.node2)
        assert "an order to start it would try again" in cluster.why(cluster.node1)
    finally:
        for node in cluster.lab.nodes:
            node.run("sh", "-c", "cat > /opt/demo/start", feed=start)
    cluster.servha(cluster.node1, "tree", "start", "web")
    cluster.await_ready(cluster.node1)


def test_a_stop_script_that_fails_does_not_keep_the_application_running(cluster: Cluster) -> None:
    stop = cluster.node1.read("/opt/demo/stop")
    try:
        cluster.script(cluster.node1, "stop", "echo 'no connection to the database' >&2; exit 1")
        cluster.servha(cluster.node1, "tree", "move", "web", "node2", status=None)
        cluster.await_running_on(cluster.node2)
        assert cluster.application(cluster.node1) == 0, "its control group was emptied"
        assert cluster.told(cluster.node2, r"web/app .*no connection to the database"), (
            "and the failure is told"
        )
    finally:
        cluster.node1.run("sh", "-c", "cat > /opt/demo/stop", feed=stop)


def test_a_stop_script_that_hangs_is_ended_when_its_time_is_over(own_cluster: Cluster) -> None:
    cluster = own_cluster
    cluster.servha(cluster.node1, "resource", "edit", "web/app", "--stop-timeout", "2")
    cluster.script(cluster.node1, "stop", "sleep 1000")
    cluster.servha(cluster.node1, "tree", "move", "web", "node2", status=None)
    cluster.await_running_on(cluster.node2)
    assert cluster.application(cluster.node1) == 0
    assert cluster.told(cluster.node2, r"web/app .*2.* s")
