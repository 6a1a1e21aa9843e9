"""servhad itself dies, hangs, is restarted or sent away: the client notices nothing, and what runs is adopted."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from servha.lab import probe
from servha.lab.node import Node
from tests.live.cluster import SLOW_S, Cluster
from tests.live.wait import eventually

Death = Callable[[Node], object]


@contextmanager
def untouched(cluster: Cluster, node: Node) -> Iterator[None]:
    """Whatever happens in the block: no request is lost, the same process runs, nothing was taken over."""
    before = cluster.application(node), cluster.ownership(node), cluster.owner()
    with probe.load(cluster.lab) as client:
        client.wait_answer(who=node.name)
        yield
        client.wait_answer(who=node.name)
    assert client.results()["lost"] == 0, client.results()
    assert client.blackouts(patience_s=SLOW_S) == []
    assert set(client.answered_by()) == {node.name}
    assert (cluster.application(node), cluster.ownership(node), cluster.owner()) == before
    assert {who for _, who in cluster.witness.changes["address"]} == {frozenset({node.name})}


@pytest.mark.parametrize(
    "death",
    [
        pytest.param(lambda node: node.service("kill", "servhad", signal=signal.SIGKILL), id="killed"),
        pytest.param(lambda node: node.service("restart", "servhad"), id="restarted"),
    ],
)
def test_a_servhad_that_comes_back_adopts_what_runs(cluster: Cluster, death: Death) -> None:
    node = cluster.node1
    old = cluster.daemon(node)
    with untouched(cluster, node):
        death(node)
        cluster.await_new_daemon(node, old)
        cluster.await_ready(node)
    assert cluster.told(node, "web/.* (starting|stopping)") is None, "no resource was started or stopped"
    # It watches again what it did not start itself.
    cluster.kill_application(node)
    cluster.await_told(node, "web/app on broken .*(signal 9|ended by itself)")
    cluster.await_ready(node)
    cluster.node1.run("ip", "address", "del", "192.0.2.100/24", "dev", "pub0")
    cluster.await_told(node, "192.0.2.100/24 was removed from pub0")
    cluster.await_ready(node)


def test_servhad_of_the_standby_may_die_as_well(cluster: Cluster) -> None:
    old = cluster.daemon(cluster.node2)
    with untouched(cluster, cluster.node1):
        cluster.node2.service("kill", "servhad", signal=signal.SIGKILL)
        cluster.await_new_daemon(cluster.node2, old)
        cluster.await_ready(cluster.node1)


def test_an_application_that_dies_while_servhad_is_away_is_found_dead(cluster: Cluster) -> None:
    node = cluster.node1
    cluster.servha(node, "daemon", "detach", status=None)
    node.service("stop", "servhad")
    cluster.kill_application(node)
    assert eventually(lambda: not cluster.application(node))
    node.service("start", "servhad")
    cluster.await_ready(node)
    assert cluster.application(node), "and started again"


def test_a_hanging_servhad_is_not_taken_for_a_dead_node(cluster: Cluster) -> None:
    """SIGSTOP: no beats, but the host still answers, and so does the application. The watchdog ends it."""
    node = cluster.node1
    old = cluster.daemon(node)
    with untouched(cluster, node):
        node.service("kill", "servhad", signal=signal.SIGSTOP)
        cluster.await_alarm(cluster.node2, "node1 is silent on every link")
        cluster.await_told(cluster.node2, "no beat comes from node1, but its host answers at")
        said = cluster.why(cluster.node2, tree="")
        assert "its host answers at" in said
        cluster.await_new_daemon(node, old)
        cluster.await_ready(node)


def test_detach_leaves_everything_running_and_the_peer_takes_nothing(cluster: Cluster) -> None:
    node = cluster.node1
    with untouched(cluster, node):
        cluster.servha(node, "daemon", "detach")
        assert eventually(lambda: not cluster.daemon(node)), "detached, it stays away until it is started"
        cluster.await_alarm(cluster.node2, "node1")
        assert cluster.is_steady(for_s=2.0, holds=lambda: not cluster.daemon(node))
        node.service("start", "servhad")
        cluster.await_ready(node)


def test_a_frozen_node_that_is_thawed_after_a_moment_goes_on(cluster: Cluster) -> None:
    """All of the node stands still while its kernel answers pings: nobody may take over from it."""
    cluster.node1.freeze()
    try:
        cluster.await_told(cluster.node2, "no beat comes from node1, but its host answers at")
        assert cluster.is_steady(for_s=1.0, holds=lambda: cluster.witness.now("address") == {"node1"})
    finally:
        cluster.node1.thaw()
    cluster.await_ready(cluster.node1)
