"""The standby measures whether it could run the tree: the reason is told on both nodes, and a move there is refused."""

from __future__ import annotations

from tests.live.cluster import TREE, Cluster


def test_a_script_that_may_not_be_executed_makes_the_standby_unready(cluster: Cluster) -> None:
    start = "/opt/demo/start"
    pid = cluster.application(cluster.node1)
    cluster.node2.run("chmod", "-x", start)
    try:
        for node in cluster.lab.nodes:
            cluster.await_alarm(
                node,
                rf"no redundancy: node2 cannot run web: app: {start} is not executable: chmod 755",
                within_s=15.0,
            )
            tree = cluster.picture(node).tree(TREE)
            assert tree is not None
            assert tree.on["node2"].fitness == "unfit"
            assert "(A)" in cluster.servha(node, "status", status=3).stdout
            shown = cluster.servha(node, "tree", "show", TREE).stdout
            assert "node2: vip" in shown, "every check is listed"
            assert "node2: app" in shown
            refused = cluster.refused(node, "tree", "move", TREE, "node2", status=5)
            assert "is not executable" in refused
        assert cluster.witness.now("address") == {"node1"}
        assert cluster.application(cluster.node1) == pid, "what runs is left alone"
    finally:
        cluster.node2.run("chmod", "755", start)
    for node in cluster.lab.nodes:
        cluster.await_no_alarm(node)
    cluster.await_ready(cluster.node1)
