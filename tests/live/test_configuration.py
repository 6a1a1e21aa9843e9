"""The configuration is on both nodes or on none, and survives what happens to one of them and to the disk."""

from __future__ import annotations

import json
from typing import Any

from servha.lab.node import Node
from tests.live.cluster import Cluster, now_s, show
from tests.live.wait import eventually

FILE = "/var/lib/servha/cluster.json"


def hold_down(cluster: Cluster, node: Node) -> Any:
    """The setting that these tests change, as the node's daemon has it."""
    whole = cluster.ask(node, "config.get") or {}
    trees = (whole.get("document") or whole).get("trees") or [{}]
    return trees[0].get("hold_down_s")


def change(cluster: Cluster, node: Node, seconds: int, *words: str, status: int = 0) -> str:
    arguments = ("tree", "edit", "web", "--hold-down", str(seconds), *words)
    done = cluster.servha(node, *arguments, status=status)
    return " ".join((done.stderr + done.stdout).split())


def test_a_change_made_on_either_node_is_in_force_on_both_at_once(own_cluster: Cluster) -> None:
    cluster = own_cluster
    pid = cluster.application(cluster.node1)
    for seconds, node in enumerate((cluster.node1, cluster.node2), start=70):
        before = cluster.picture(node).generation
        said = change(cluster, node, seconds)
        assert f"Done: configuration {before + 1}" in said
        for each in cluster.lab.nodes:
            assert hold_down(cluster, each) == seconds
            assert json.loads(each.read(FILE)) == json.loads(cluster.other(each).read(FILE))
    cluster.await_ready(cluster.node1)
    assert cluster.application(cluster.node1) == pid, "what runs is not touched by it"


def test_without_the_peer_a_change_is_refused_and_changes_nothing(own_cluster: Cluster) -> None:
    cluster = own_cluster
    cluster.node2.poweroff()
    cluster.await_alarm(cluster.node1, "node2 is silent")
    before = cluster.node1.read(FILE)
    asked_s = now_s()
    said = change(cluster, cluster.node1, 80, status=75)
    show("a change refused because the peer has no power", now_s() - asked_s)
    assert "node2" in said and "nothing was changed" in said and "--alone" in said
    assert cluster.node1.read(FILE) == before
    # As ordered, it is made here alone, and reaches the peer when that is back.
    asked_s = now_s()
    change(cluster, cluster.node1, 81, "--alone")
    show("a change with --alone while the peer has no power", now_s() - asked_s)
    cluster.node2.boot()
    assert eventually(lambda: hold_down(cluster, cluster.node2) == 81, within_s=30)
    cluster.await_ready(cluster.node1)
    assert json.loads(cluster.node2.read(FILE)) == json.loads(cluster.node1.read(FILE))
    assert cluster.told(cluster.node1, "is in force on node1 alone, as ordered")
    # And the former absentee may go on from there.
    change(cluster, cluster.node2, 82)
    assert hold_down(cluster, cluster.node1) == 82


def test_a_torn_configuration_file_is_replaced_by_the_version_before_it(own_cluster: Cluster) -> None:
    cluster = own_cluster
    node = cluster.node2
    change(cluster, cluster.node1, 90)
    good = node.read(FILE)
    node.service("stop", "servhad")
    node.run("sh", "-c", f"cat > {FILE}", feed=good[: len(good) // 2])
    for link in ("private", "public"):
        cluster.lab.cut(link, "node2")  # else it has caught up before anybody can look
    node.service("start", "servhad")
    cluster.await_alarm(node, f"generation {cluster.generation} of the configuration is used instead")
    assert "cluster.json is damaged" in cluster.servha(node, "status", status=3).stdout
    assert cluster.picture(node).generation == cluster.generation, "the generation before the torn one"
    cluster.lab.heal()
    assert eventually(lambda: hold_down(cluster, node) == 90, within_s=30), "it catches up by itself"
    cluster.await_ready(cluster.node1)
    assert json.loads(node.read(FILE)) == json.loads(good)


def test_with_every_version_torn_the_node_says_so_and_runs_nothing(own_cluster: Cluster) -> None:
    cluster = own_cluster
    node = cluster.node2
    node.service("stop", "servhad")
    node.run("sh", "-c", f"for f in {FILE} {FILE}.[0-9]*; do echo '{{' > $f; done")
    node.service("start", "servhad")
    cluster.await_alarm(cluster.node1, "node2")
    said = cluster.servha(node, "status", status=None)
    assert said.returncode != 0
    assert "cluster.json" in said.stdout + said.stderr
    assert cluster.is_steady(for_s=1.0, holds=lambda: cluster.witness.now("address") == {"node1"})


def test_power_lost_in_the_middle_of_changes_leaves_one_configuration(own_cluster: Cluster) -> None:
    cluster = own_cluster
    for round_ in range(2):
        loop = f"i={100 + 20 * round_}; while :; do servha tree edit web --hold-down $i; i=$((i + 1)); done"
        with cluster.node1.popen("sh", "-c", loop) as changing:
            before = cluster.picture(cluster.node2).generation
            cluster.await_generation(cluster.node2, before + 2)
            cluster.node2.poweroff()
            changing.kill()
        cluster.node2.boot()
        cluster.await_ready(cluster.node1)
        assert json.loads(cluster.node2.read(FILE)) == json.loads(cluster.node1.read(FILE))
