"""With a quorum disk: servha-guardd and servhad stand still, die, or are replaced, alone and together, under load."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from tests.live.cluster import show
from tests.live.quorum import BEYOND_S, DAEMONS, LIMITS, QuorumCluster
from tests.live.test_quorum_links import unmoved
from tests.live.wait import eventually

GUARD, DAEMON = "servha-guardd", "servhad"

Death = Callable[[QuorumCluster, str], object]
DEATHS = {
    "killed": lambda cluster, name: cluster.kill_daemon(cluster.node1, name),
    "restarted": lambda cluster, name: cluster.node1.service("restart", name),
}


def pids(cluster: QuorumCluster) -> dict[str, int]:
    """Return the process of each daemon on node1."""
    told = cluster.node1.service("status")
    return {name: int(told[name]["pid"]) for name in DAEMONS}


def replaced(cluster: QuorumCluster, before: dict[str, int], *names: str) -> bool:
    """Whether these daemons run under another number than before."""
    now = pids(cluster)
    return all(now[name] not in (0, before[name]) for name in names)


@pytest.mark.parametrize("length_s", [0.1, 0.7])
def test_a_guard_that_stands_still_for_a_moment_changes_nothing(
    quorum_disk: QuorumCluster, length_s: float
) -> None:
    assert length_s < LIMITS.watchdog_s
    cluster = quorum_disk
    with unmoved(cluster):
        for _ in range(5):
            cluster.stop_daemon(cluster.node1, GUARD)
            time.sleep(length_s)
            cluster.continue_daemon(cluster.node1, GUARD)
            assert cluster.is_steady(for_s=0.5, holds=lambda: cluster.application(cluster.node1))
        cluster.await_ready(cluster.node1)


def started_again(cluster: QuorumCluster, boot: str, since_s: float) -> None:
    """Wait until node1 lost this life and the tree runs again, here or there: in this order, and nowhere twice.

    A node that is reset is back a second later, maybe before its lease is over for the other one: then it starts the
    tree itself, which is as good.
    """
    assert eventually(lambda: cluster.boot(cluster.node1) not in ("", boot), within_s=30.0)
    assert eventually(lambda: len(cluster.witness.now("application")) == 1, within_s=30.0)
    gone_s, come_s = cluster.order(since_s)
    show("node1 has nothing after", gone_s - since_s)
    show("started again after", come_s - since_s)
    assert gone_s < come_s
    assert gone_s - since_s < LIMITS.lease_s
    assert "the watchdog was not fed" in cluster.console(cluster.node1)
    cluster.mend()
    cluster.await_ready(cluster.owner())


def test_a_guard_that_stands_still_for_long_costs_its_node(quorum_disk: QuorumCluster) -> None:
    cluster = quorum_disk
    boot, number, at_s = cluster.boot(cluster.node1), cluster.ownership(cluster.node1), time.monotonic()
    cluster.stop_daemon(cluster.node1, GUARD)
    started_again(cluster, boot, at_s)
    assert cluster.ownership(cluster.node2) > number


def test_a_servhad_that_stands_still_for_long_moves_nothing(quorum_disk: QuorumCluster) -> None:
    cluster = quorum_disk
    with unmoved(cluster):
        cluster.stop_daemon(cluster.node1, DAEMON)
        assert cluster.is_steady(for_s=5.0, holds=lambda: cluster.application(cluster.node1))
        cluster.continue_daemon(cluster.node1, DAEMON)
        cluster.await_ready(cluster.node1)


@pytest.mark.parametrize("name", DAEMONS)
@pytest.mark.parametrize("death", DEATHS)
def test_a_daemon_that_comes_back_adopts_what_runs(quorum_disk: QuorumCluster, name: str, death: str) -> None:
    cluster = quorum_disk
    with unmoved(cluster):
        for _ in range(2):
            before = pids(cluster)
            DEATHS[death](cluster, name)
            assert eventually(lambda: replaced(cluster, before, name), within_s=20.0)  # noqa: B023
            cluster.await_ready(cluster.node1)
    assert cluster.told(cluster.node1, "web/.* (starting|stopping)") is None, "nothing was started or stopped"


def test_both_daemons_killed_at_once_never_run_it_twice(quorum_disk: QuorumCluster) -> None:
    cluster = quorum_disk
    with unmoved(cluster):
        for _ in range(3):
            before = pids(cluster)
            for name in DAEMONS:
                cluster.kill_daemon(cluster.node1, name)
            assert eventually(lambda: replaced(cluster, before, *DAEMONS), within_s=20.0)  # noqa: B023
            cluster.await_ready(cluster.node1)


def test_an_upgrade_of_everything_is_not_noticed(quorum_disk: QuorumCluster) -> None:
    """As a package does it: the standby first, then the node that runs it, each daemon through the node's init."""
    cluster = quorum_disk
    with unmoved(cluster):
        for node in (cluster.node2, cluster.node1):
            for name in DAEMONS:
                node.service("restart", name)
            cluster.await_ready(cluster.node1)


def test_both_daemons_dead_for_good_cost_the_node(quorum_disk: QuorumCluster) -> None:
    """Init itself is stopped, so nobody starts them again: only the watchdog is left, and it has to be enough."""
    cluster = quorum_disk
    boot, at_s = cluster.boot(cluster.node1), time.monotonic()
    cluster.stop_init(cluster.node1)
    cluster.kill_by_pid(cluster.node1, *DAEMONS)
    started_again(cluster, boot, at_s)


def test_the_standbys_daemons_may_die_and_stand_still(quorum_disk: QuorumCluster) -> None:
    cluster = quorum_disk
    with unmoved(cluster):
        for name in DAEMONS:
            cluster.node2.service("kill", name, signal=signal.SIGKILL)
            cluster.await_ready(cluster.node1)
            cluster.stop_daemon(cluster.node2, name)
            assert cluster.is_steady(for_s=BEYOND_S, holds=lambda: cluster.application(cluster.node1))
            cluster.continue_daemon(cluster.node2, name)
            cluster.await_ready(cluster.node1)
