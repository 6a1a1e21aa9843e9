"""An OCF agent of Debian's resource-agents, unchanged, as a resource of the tree."""

from __future__ import annotations

from tests.live.cluster import READY_S, Cluster
from tests.live.wait import eventually

STATE = "run/resource-agents/Dummy-web@dummy.state"


def test_a_failed_monitor_of_an_agent_is_acted_on(cluster: Cluster) -> None:
    """Dummy is nothing but a state file: where that is removed, monitor says 7, and it is started in place."""
    wrong = cluster.refused(
        cluster.node1, "resource", "create", "web/dummy", "ocf", "agent=ocf:heartbeat:Dummy",
        "parameters=sate=/run/x", "--yes", status=78,
    )  # fmt: skip
    assert "has no parameter sate; it knows fake, state" in wrong
    cluster.servha(
        cluster.node1, "resource", "create", "web/dummy", "ocf", "agent=ocf:heartbeat:Dummy",
        "parameters='fake=of a test'", "--check-interval", "1", "--yes",
    )  # fmt: skip
    state = cluster.node1.root / STATE
    assert eventually(state.exists, within_s=READY_S), "it was not started"
    cluster.await_ready(cluster.node1)
    assert not (cluster.node2.root / STATE).exists(), "it runs on one node only"
    cluster.node1.run("rm", f"/{STATE}")
    cluster.await_told(
        cluster.node1, r"web/dummy .*ocf:heartbeat:Dummy answered monitor with 7: it is not running"
    )
    assert eventually(state.exists, within_s=READY_S), "it was not started again"
    cluster.await_ready(cluster.node1)
    assert "answered monitor with 7" in cluster.why(cluster.node1)
