"""With a quorum disk: cables are cut and disks fail, one kind or both kinds; who stops, who starts, in which order."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from servha.lab import probe
from servha.lab.node import Node
from tests.live.cluster import show
from tests.live.quorum import BEYOND_S, LIMITS, QuorumCluster
from tests.live.wait import eventually

SOAK = bool(os.environ.get("SERVHA_SOAK"))
LONG_S = 600.0 if SOAK else 20.0
"""How long every link stays cut: ten minutes in `make soak`."""


@contextmanager
def unmoved(cluster: QuorumCluster) -> Iterator[None]:
    """Whatever happens in the block: no request is lost, the same processes run on node1 under the same number."""
    before = cluster.application(cluster.node1), cluster.ownership(cluster.node1), cluster.boot(cluster.node1)
    with probe.load(cluster.lab, connections=4) as load, probe.running(cluster.lab) as single:
        load.wait_answer(who="node1")
        single.wait_answer(who="node1")
        yield
        load.wait_answer(who="node1")
        single.wait_answer(who="node1")
    assert load.results()["lost"] == 0, load.results()
    assert set(single.results()) == {"200"}, single.results()
    after = cluster.application(cluster.node1), cluster.ownership(cluster.node1), cluster.boot(cluster.node1)
    assert after == before
    for thing in ("address", "application", "disk"):
        assert {who for _, who in cluster.witness.changes[thing]} == {frozenset({"node1"})}, thing


def watch_claims(cluster: QuorumCluster, *, for_s: float) -> None:
    """See from outside that node2 claims nothing for a while."""
    until_s, numbers = time.monotonic() + for_s, set()
    while time.monotonic() < until_s:
        assert not cluster.claims(cluster.node2), cluster.slot(cluster.node2)
        numbers.add(cluster.slot(cluster.node2).number)
        time.sleep(0.02)
    assert len(numbers) > for_s / LIMITS.round_s / 3, "and all the time it was there"


@pytest.mark.timeout(LONG_S + 120)
def test_with_every_link_cut_for_long_the_owner_serves_and_the_standby_never_claims(
    quorum_disk: QuorumCluster,
) -> None:
    cluster = quorum_disk
    with unmoved(cluster):
        cluster.part()
        cluster.await_alarm(cluster.node2, "node1 is silent on every link")
        watch_claims(cluster, for_s=LONG_S)
        said = cluster.why(cluster.node2)
        assert "the slot of node1 on the quorum disk still changes" in said, said
        assert "node1 is alive there" in said
        cluster.heal()
        cluster.await_ready(cluster.node1)


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("end", ["node1", "node2"])
def test_links_that_work_in_one_direction_only_move_nothing(
    quorum_disk: QuorumCluster, end: str, direction: str
) -> None:
    cluster = quorum_disk
    number, pid = cluster.ownership(cluster.node1), cluster.application(cluster.node1)
    node = cluster.lab.node(end)
    cluster.isolate(node, direction=direction)
    deaf = node if direction == "in" else cluster.other(node)
    cluster.await_alarm(deaf, f"{cluster.other(deaf).name} is silent on every link")
    watch_claims(cluster, for_s=BEYOND_S)
    assert cluster.witness.now("address") == cluster.witness.now("disk") == {"node1"}
    cluster.heal()
    cluster.await_ready(cluster.node1)
    assert (cluster.ownership(cluster.node1), cluster.application(cluster.node1)) == (number, pid)


LOST = [
    (where, words) for where in ("owner", "standby", "both") for words in ("error", "error-write", "hang")
]
LOST_SOON = [
    ("owner", "error-write"),
    ("owner", "hang"),
    ("standby", "error"),
    ("both", "error"),
    ("both", "hang"),
]


@pytest.mark.parametrize(("where", "words"), LOST if SOAK else LOST_SOON)
def test_a_lost_disk_is_told_and_stops_nothing(quorum_disk: QuorumCluster, where: str, words: str) -> None:
    cluster = quorum_disk
    hurt = {"owner": [cluster.node1], "standby": [cluster.node2], "both": list(cluster.lab.nodes)}[where]
    with unmoved(cluster):
        cluster.trouble(words, *hurt)
        named = "does not answer" if words == "hang" else "/dev/servha/quorum could not be (read|written)"
        for node in hurt:
            cluster.await_alarm(node, f"arbitration partly failed: .*{named}")
        assert cluster.is_steady(
            for_s=BEYOND_S, holds=lambda: all("arbitration" in cluster.alarms(node) for node in hurt)
        )
        assert "arbitration partly failed" in cluster.servha(hurt[0], "status", status=None).stdout
        if cluster.node2 in hurt:
            cluster.await_alarm(cluster.node2, "node2 cannot take web: the quorum disk cannot be used here")
        cluster.trouble("", *hurt)
        for node in cluster.lab.nodes:
            cluster.await_no_alarm(node)
        cluster.await_ready(cluster.node1)


@pytest.mark.parametrize("milliseconds", [200, 1500])
def test_a_slow_disk_stops_nothing(quorum_disk: QuorumCluster, milliseconds: int) -> None:
    cluster = quorum_disk
    with unmoved(cluster):
        cluster.trouble(f"slow {milliseconds}")
        assert cluster.is_steady(for_s=2 * BEYOND_S, holds=lambda: cluster.application(cluster.node1))
        cluster.trouble("")
        for node in cluster.lab.nodes:
            cluster.await_no_alarm(node)
        cluster.await_ready(cluster.node1)


def cut_off(cluster: QuorumCluster, node: Node) -> float:
    """Take every link to the peer and the disk from a node, not its clients; return when."""
    at_s = time.monotonic()
    cluster.part()
    cluster.trouble("error", node)
    return at_s


def test_an_owner_without_disk_and_links_stops_before_the_standby_starts(quorum_disk: QuorumCluster) -> None:
    cluster = quorum_disk
    boot, number = cluster.boot(cluster.node1), cluster.ownership(cluster.node1)
    at_s = cut_off(cluster, cluster.node1)
    cluster.await_running_on(cluster.node2, told_by=(cluster.node2,))
    gone_s, come_s = cluster.order(at_s)
    assert gone_s < come_s
    assert gone_s - at_s < LIMITS.lease_s, "stopped within the lease"
    assert cluster.boot(cluster.node1) == boot, "stopping was enough"
    assert cluster.ownership(cluster.node2) > number
    said = cluster.why(cluster.node1)
    assert "neither the quorum disk nor node2" in said, said
    cluster.mend()
    cluster.await_ready(cluster.node2)


def test_an_owner_that_cannot_stop_is_reset_before_the_standby_starts(quorum_disk: QuorumCluster) -> None:
    """Somebody's shell on the disk: it belongs to no tree, so nobody kills it, and the file system stays."""
    cluster = quorum_disk
    boot = cluster.boot(cluster.node1)
    shell = cluster.node1.popen(
        "sh", "-c", "cd /srv/web && echo in && exec sleep 1000", stdout=subprocess.PIPE
    )
    assert shell.stdout is not None
    assert shell.stdout.readline() == b"in\n"
    at_s = cut_off(cluster, cluster.node1)
    cluster.await_running_on(cluster.node2, told_by=(cluster.node2,))
    gone_s, come_s = cluster.order(at_s)
    assert gone_s < come_s
    assert gone_s - at_s < LIMITS.lease_s + LIMITS.round_s, "reset within the lease"
    assert eventually(lambda: cluster.boot(cluster.node1) not in ("", boot), within_s=20.0)
    assert "sysrq" in cluster.console(cluster.node1) or "watchdog" in cluster.console(cluster.node1)
    shell.communicate()
    cluster.mend()
    cluster.await_ready(cluster.node2)


def test_without_disk_and_links_on_both_nobody_runs_it_until_something_is_back(
    quorum_disk: QuorumCluster,
) -> None:
    cluster = quorum_disk
    at_s = time.monotonic()
    cluster.part()
    cluster.trouble("error")
    for thing in ("address", "application", "disk"):
        cluster.witness.await_holders(thing)
    show("both lost on both: stopped after", time.monotonic() - at_s)
    assert cluster.is_steady(for_s=BEYOND_S, holds=lambda: not cluster.witness.now("address"))
    for node in cluster.lab.nodes:
        said = cluster.why(node)
        assert "/dev/servha/quorum" in said, said
        assert "the quorum disk cannot be used here" in said, said
    cluster.mend()
    assert eventually(lambda: len(cluster.witness.now("application")) == 1, within_s=40.0), "heals by itself"
    cluster.await_ready(cluster.owner())


@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_planned_move_through_the_disk_loses_no_accepted_request(
    quorum_disk: QuorumCluster, *, keep_alive: bool
) -> None:
    cluster = quorum_disk
    before = cluster.ownership(cluster.node1)
    with probe.load(cluster.lab, keep_alive=keep_alive) as load, probe.running(cluster.lab) as single:
        for target in (cluster.node2, cluster.node1):
            load.wait_answer(who=cluster.other(target).name)
            cluster.servha(cluster.node1, "tree", "move", "web", target.name)
            load.wait_answer(who=target.name)
            single.wait_answer(who=target.name)
            cluster.await_ready(target)
    assert load.results()["lost"] == 0, load.results()
    assert load.results()["200"] > 100
    for blackout in single.blackouts():
        show("planned move with shared disk, blackout", blackout.length_s)
    assert cluster.ownership(cluster.node1) >= before + 2
    cluster.servha(cluster.node1, "tree", "release", "web")
