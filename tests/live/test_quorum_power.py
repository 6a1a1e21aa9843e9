"""With a quorum disk: a node loses its power, or boots; who runs the tree then, how soon, under which number."""

from __future__ import annotations

import time

import pytest

from servha.core.timing import PROFILES
from servha.lab import probe
from tests.live.cluster import SLOW_S, show
from tests.live.conftest import QuorumMaker
from tests.live.observer import watching
from tests.live.quorum import BEYOND_S, LIMITS, QuorumCluster


@pytest.mark.parametrize(("profile", "limit_s"), [("fast", 5.0), ("manual", 12.0)])
def test_the_standby_takes_over_within_the_bound(
    make_quorum: QuorumMaker, profile: str, limit_s: float
) -> None:
    cluster = make_quorum(profile)
    with (
        watching(cluster.lab, records=cluster.records) as cluster.seen,
        probe.running(cluster.lab) as client,
    ):
        cluster.await_ready(cluster.node1)
        before = cluster.ownership(cluster.node1)
        client.wait_answer(who="node1")
        dark_at_s = cluster.node1.poweroff().dark_at_s
        answer = client.wait_answer(who="node2", after_s=dark_at_s)
        cluster.await_running_on(cluster.node2)
        cluster.witness.await_holders("disk", "node2")
        cluster.await_writer(cluster.node2, before + 1)
        came_s = next(at for at, who in cluster.witness.changes["address"] if at > dark_at_s and who)
    show(f"power-off with a quorum disk, profile {profile}: address", came_s - dark_at_s)
    show(f"power-off with a quorum disk, profile {profile}: HTTP", answer.end_s - dark_at_s)
    limits = PROFILES[profile].limits
    assert came_s - dark_at_s >= limits.take_s - limits.round_s - 0.1, "the lease was waited for"
    assert answer.end_s - dark_at_s < limit_s
    assert cluster.ownership(cluster.node2) == before + 1
    said = cluster.why(cluster.node2)
    assert "node1, which held it, is gone" in said
    assert f"on the quorum disk under ownership number {before + 1}" in said


def test_the_former_owner_comes_back_as_the_standby(quorum_disk: QuorumCluster) -> None:
    cluster = quorum_disk
    cluster.node1.poweroff()
    cluster.await_running_on(cluster.node2)
    pid, number = cluster.application(cluster.node2), cluster.ownership(cluster.node2)
    with probe.load(cluster.lab) as client:
        client.wait_answer(who="node2")
        cluster.node1.boot()
        cluster.await_ready(cluster.node2)
        client.wait_answer(who="node2")
    assert client.results()["lost"] == 0
    assert client.blackouts(patience_s=SLOW_S) == []
    assert (cluster.application(cluster.node2), cluster.ownership(cluster.node2)) == (pid, number)


def test_the_owner_runs_on_when_the_standby_loses_its_power(quorum_disk: QuorumCluster) -> None:
    cluster = quorum_disk
    pid, number = cluster.application(cluster.node1), cluster.ownership(cluster.node1)
    with probe.load(cluster.lab) as client:
        client.wait_answer(who="node1")
        cluster.node2.poweroff()
        cluster.await_alarm(cluster.node1, "node2 is silent on every link: there is no redundancy")
        assert cluster.is_steady(for_s=BEYOND_S, holds=lambda: cluster.witness.now("address") == {"node1"})
        cluster.node2.boot()
        cluster.await_ready(cluster.node1)
        client.wait_answer(who="node1")
    assert client.results()["lost"] == 0
    assert client.blackouts(patience_s=SLOW_S) == []
    assert (cluster.application(cluster.node1), cluster.ownership(cluster.node1)) == (pid, number)


def test_after_both_lost_their_power_exactly_one_runs_it(quorum_disk: QuorumCluster) -> None:
    cluster = quorum_disk
    before = cluster.ownership(cluster.node1)
    for node in cluster.lab.nodes:
        node.poweroff()
    cluster.witness.await_holders("address")
    for node in cluster.lab.nodes:
        node.begin_boot()
    for node in cluster.lab.nodes:
        node.await_boot()
    cluster.await_ready(cluster.node1)
    assert cluster.ownership(cluster.node1) > before


def test_the_standby_alone_starts_it_after_both_lost_their_power(quorum_disk: QuorumCluster) -> None:
    """The disk still says that node1 holds it: its lease has to be waited for, inside the first start's wait."""
    cluster = quorum_disk
    before = cluster.ownership(cluster.node1)
    for node in cluster.lab.nodes:
        node.poweroff()
    cluster.witness.await_holders("address")
    booting_s = time.monotonic()
    cluster.node2.boot()
    cluster.await_running_on(cluster.node2)
    came_s = next(at for at, who in cluster.witness.changes["address"] if at > booting_s and who == {"node2"})
    show("cold start of the standby alone", came_s - booting_s)
    assert came_s - booting_s > LIMITS.take_s
    assert cluster.ownership(cluster.node2) > before


def test_the_owner_alone_starts_it_again_after_both_lost_their_power(quorum_disk: QuorumCluster) -> None:
    cluster = quorum_disk
    before = cluster.ownership(cluster.node1)
    for node in cluster.lab.nodes:
        node.poweroff()
    cluster.witness.await_holders("address")
    cluster.node1.boot()
    cluster.await_running_on(cluster.node1)
    assert cluster.ownership(cluster.node1) > before
