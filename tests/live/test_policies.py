"""What an administrator has chosen for a tree, seen live: who may take it, when it goes home, and when it stays."""

from __future__ import annotations

from datetime import datetime, timedelta

from servha.lab.node import Node
from tests.live.cluster import READY_S, TREE, Cluster, now_s
from tests.live.wait import eventually

START_FAILS = "echo the licence has run out >&2; exit 1"


def edit(cluster: Cluster, node: Node, *options: str) -> None:
    """Change the tree's policies, and wait until both nodes have them."""
    cluster.servha(node, "tree", "edit", TREE, *options, "--yes")
    generation = cluster.picture(node).generation
    for one in cluster.lab.nodes:
        if one.power == "on":
            cluster.await_generation(one, generation)


def window(begin_h: int, end_h: int) -> str:
    """A part of the day by local time, in hours from now."""
    now = datetime.now().astimezone()
    return "-".join((now + timedelta(hours=h)).strftime("%H:%M") for h in (begin_h, end_h))


def test_a_tree_goes_home_within_its_window_and_not_before(own_cluster: Cluster) -> None:
    cluster = own_cluster
    closed = window(6, 8)
    edit(cluster, cluster.node1, "--failback", "window", "--failback-window", closed, "--hold-down", "0.5")
    cluster.node1.poweroff()
    cluster.await_running_on(cluster.node2)
    cluster.node1.boot()
    cluster.await_ready(cluster.node2)
    assert cluster.is_steady(for_s=2.0, holds=lambda: cluster.application(cluster.node2)), (
        "it is not yet time"
    )
    waiting = f"it runs here until its window {closed} opens"
    assert waiting in " ".join(cluster.servha(cluster.node2, "tree", "show", TREE).stdout.split())
    assert waiting in cluster.why(cluster.node2)

    edit(cluster, cluster.node2, "--failback-window", window(-1, 1))
    cluster.await_ready(cluster.node1)
    assert cluster.told(cluster.node2, rf"^{TREE} running stopping node1 is the preferred host")

    # Preferred host: home as soon as it has been fit for long enough.
    edit(cluster, cluster.node1, "--failback", "preferred")
    cluster.node1.poweroff()
    cluster.await_running_on(cluster.node2)
    cluster.node1.boot()
    cluster.await_ready(cluster.node1)


def test_the_highest_host_alone_may_take_it_and_a_manual_start_waits_for_an_order(
    own_cluster: Cluster,
) -> None:
    cluster = own_cluster
    edit(cluster, cluster.node1, "--switch-policy", "highest-only", "--failback", "stay")
    cluster.node1.poweroff()
    assert eventually(lambda: not cluster.witness.now("address"), within_s=READY_S)
    cluster.await_alarm(cluster.node2, "node1 is silent")
    assert cluster.is_steady(for_s=2.0, holds=lambda: not cluster.witness.now("address"))
    assert "highest" in cluster.why(cluster.node2), "why says who alone may have it"
    cluster.node1.boot()
    cluster.await_ready(cluster.node1)

    edit(cluster, cluster.node1, "--switch-policy", "by-priority", "--start-mode", "manual")
    for node in cluster.lab.nodes:
        node.poweroff()
    cluster.witness.await_holders("address")
    for node in cluster.lab.nodes:
        node.begin_boot()
    for node in cluster.lab.nodes:
        node.await_boot()
    assert eventually(lambda: not cluster.picture(cluster.node1).degraded, within_s=READY_S)
    assert cluster.is_steady(for_s=2.0, holds=lambda: not cluster.witness.now("address")), (
        "nobody has ordered it"
    )
    cluster.servha(cluster.node1, "tree", "start", TREE)
    cluster.await_running_on(cluster.node1)


def test_start_failure_stay_leaves_it_where_it_failed(own_cluster: Cluster) -> None:
    cluster = own_cluster
    edit(cluster, cluster.node1, "--start-failure", "stay")
    cluster.servha(cluster.node1, "tree", "stop", TREE)
    start = cluster.node1.read("/opt/demo/start")
    cluster.script(cluster.node1, "start", START_FAILS)
    said = cluster.refused(cluster.node1, "tree", "start", TREE, status=1)
    assert "the licence has run out" in said
    assert eventually(lambda: runs_nowhere(cluster), within_s=READY_S)
    assert cluster.is_steady(for_s=1.5, holds=lambda: not cluster.witness.now("address"))
    assert [e.node for e in cluster.entries(cluster.node1) if e.severity == "error"] == ["node1"] * 2, (
        "one try"
    )
    assert "start failure policy is stay" in cluster.why(cluster.node2)
    cluster.node1.run("sh", "-c", "cat > /opt/demo/start", feed=start)
    cluster.servha(cluster.node1, "tree", "start", TREE)
    cluster.await_running_on(cluster.node1)


def runs_nowhere(cluster: Cluster) -> bool:
    return not cluster.witness.now("address") and not cluster.witness.now("application")


def test_one_bounce_and_then_it_waits_for_an_order_as_it_does_when_an_order_fails(
    own_cluster: Cluster,
) -> None:
    cluster = own_cluster
    one, two = cluster.lab.nodes
    cluster.servha(one, "resource", "edit", f"{TREE}/app", "--abnormal-stops", "0", "--yes")
    cluster.await_generation(two, cluster.picture(one).generation)
    start = two.read("/opt/demo/start")
    for node in cluster.lab.nodes:
        cluster.script(node, "start", f"[ $SERVHA_NODE != node2 ] || {{ {START_FAILS}; }}\n{start}")

    # Worn out on node1 it moves; node2 cannot start it; it does not come back to where it has just failed.
    cluster.kill_application(one)
    cluster.await_told(two, rf"^{TREE}/app .*the licence has run out")
    for node in cluster.lab.nodes:
        cluster.await_alarm(node, f"{TREE} runs nowhere")
    assert eventually(lambda: runs_nowhere(cluster), within_s=READY_S)
    quiet_s = now_s()
    assert cluster.is_steady(for_s=2.0, holds=lambda: runs_nowhere(cluster))
    for node in cluster.lab.nodes:
        assert cluster.told(node, rf"^{TREE} .*starting", since_s=quiet_s) is None
        assert "an order to start it would try again" in cluster.why(node)
    cluster.servha(one, "tree", "start", TREE)
    cluster.await_running_on(one)

    # A move that an administrator ordered fails at its target: nothing is tried elsewhere without another order.
    said = cluster.refused(one, "tree", "move", TREE, "node2", status=1)
    assert "the licence has run out" in said
    assert eventually(lambda: runs_nowhere(cluster), within_s=READY_S)
    assert cluster.is_steady(for_s=2.0, holds=lambda: runs_nowhere(cluster))
    for node in cluster.lab.nodes:
        node.run("sh", "-c", "cat > /opt/demo/start", feed=start)
    cluster.servha(one, "tree", "release", TREE)
    cluster.servha(one, "tree", "start", TREE)
    cluster.await_running_on(one)
