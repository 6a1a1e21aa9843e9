"""Mistakes: the message names the field and the next step, the exit status says the kind, nothing is half done."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from servha.lab.lab import Lab
from servha.lab.node import Node
from tests.live.cluster import Cluster
from tests.live.conftest import new_name

LINKS = ("--link=private=priv0", "--link=public=pub0")
PASSWORD = "a long enough password"


# --- changes of a cluster that exists


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        pytest.param(
            ("resource", "create", "web/second", "ipv4", "address=192.0.2.300/24", "nic=pub0"),
            78,
            ("address", "192.0.2.300"),
            id="wrong address",
        ),
        pytest.param(
            ("resource", "create", "web/second", "ipv4", "address=192.0.2.101/24", "nic=eth9"),
            78,
            ("second.settings.nic", "eth9"),
            id="unknown interface",
        ),
        pytest.param(
            ("resource", "create", "web/second", "ipv4", "address=192.0.2.100/24", "nic=pub0"),
            78,
            ("192.0.2.100", "web/vip"),
            id="address used twice",
        ),
        pytest.param(("resource", "depend", "web/vip", "app"), 78, ("vip", "app"), id="cyclic dependency"),
        pytest.param(
            ("resource", "create", "web/second", "custom", "start_script=/opt/demo/nothing"),
            78,
            ("start_script", "/opt/demo/nothing"),
            id="missing script",
        ),
        pytest.param(
            ("resource", "create", "web/second", "custom", "start_script=/tmp/open"),
            78,
            ("second.settings.start_script", "/tmp/open", "chmod go-w"),
            id="script that anybody may write",
        ),
        pytest.param(
            ("resource", "create", "web/vip", "ipv4", "address=192.0.2.101/24", "nic=pub0"),
            7,
            ("web/vip",),
            id="duplicate resource",
        ),
        pytest.param(("tree", "create", "web", "--hosts", "node1,node2"), 7, ("web",), id="duplicate tree"),
        pytest.param(
            ("tree", "create", "db", "--hosts", "node1,node3"),
            78,
            ("trees.db.hosts", "node3", "node2"),
            id="unknown host",
        ),
        pytest.param(
            ("resource", "create", "web/second", "ip4", "address=192.0.2.101/24"),
            78,
            ("ip4", "ipv4"),
            id="unknown kind",
        ),
        pytest.param(
            ("heartbeat", "timing", "--interval-ms", "1000", "--timeout-ms", "900"),
            78,
            ("900 ms", "1000 ms"),
            id="figures that do not fit",
        ),
        pytest.param(
            ("tree", "edit", "web", "--hold-down", "soon"), 2, ("--hold-down", "soon"), id="no number"
        ),
    ],
)
def test_a_mistake_is_refused_with_its_field_and_changes_nothing(
    cluster: Cluster, words: tuple[str, ...], status: int, told: tuple[str, ...]
) -> None:
    for node in cluster.lab.nodes:
        node.run("sh", "-c", "printf '#!/bin/sh\\n' > /tmp/open; chmod 777 /tmp/open")
    before = [node.read("/var/lib/servha/cluster.json") for node in cluster.lab.nodes]
    said = cluster.refused(cluster.node2, *words, status=status)
    for word in told:
        assert word in said, said
    assert said.count(". ") + said.count("; ") + said.count(": ") >= 1, f"a reason and a next step: {said}"
    assert [node.read("/var/lib/servha/cluster.json") for node in cluster.lab.nodes] == before
    chinese = cluster.refused(cluster.node2, *words, "--lang", "zh-CN", status=status)
    assert any("一" <= letter <= "鿿" for letter in chinese), chinese
    assert cluster.picture(cluster.node1).generation == cluster.generation


# --- nodes that cannot become a cluster


def with_password(node: Node, password: str) -> str:
    """Put a password into a file of the node; return the option that names it."""
    node.run("sh", "-c", "umask 077 && cat > /run/password", feed=password + "\n")
    return "--password-file=/run/password"


def init(node: Node, name: str) -> None:
    node.service("start", "servhad")
    secret = with_password(node, PASSWORD)
    node.run(
        *("servha", "cluster", "init", f"--name={name}", f"--node={node.name}", secret, *LINKS),
        *("--profile=fast", "--arbitration=reference-address", "--reference=192.0.2.254"),
    )


def join(node: Node, password: str = PASSWORD, *more: str) -> tuple[int, str]:
    """Try to join node1; return the exit status and what was said."""
    node.service("start", "servhad")
    secret = with_password(node, password)
    arguments = ("servha", "cluster", "join", "192.0.2.1", f"--node={node.name}", secret, *LINKS, *more)
    done = node.run(*arguments, check=False)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done.returncode, " ".join((done.stderr + " " + done.stdout).split())


def is_in_no_cluster(node: Node) -> bool:
    status = node.run("servha", "status", check=False)
    left = node.run("sh", "-c", "ls /var/lib/servha/cluster.json* /etc/servha/cluster.key", check=False)
    return (
        status.returncode == 4
        and "There is no cluster on this node yet." in status.stdout
        and left.stdout == ""
    )


def test_a_wrong_password_opens_nothing_and_leaves_nothing(lab: Lab) -> None:
    init(lab.node1, "demo")
    status, said = join(lab.node2, "quite another password")
    assert status == 77
    assert "wrong password for the cluster of node1" in said
    assert is_in_no_cluster(lab.node2)
    one = lab.node1.run("servha", "node", "list").stdout
    assert "node2" not in one
    told = lab.node1.run("servha", "events").stdout
    assert "192.0.2.2" in told, "the owner of the cluster learns that somebody tried"
    assert join(lab.node2)[0] == 0, "and the right one is good at once"


def test_a_node_of_another_cluster_is_refused_and_stays_in_its_own(lab: Lab) -> None:
    init(lab.node1, "demo")
    init(lab.node2, "foreign")
    status, said = join(lab.node2)
    assert status == 7
    assert "this node is already in cluster foreign" in said
    assert "servha cluster wipe" in said
    for node, name in ((lab.node1, "demo"), (lab.node2, "foreign")):
        shown = node.run("servha", "status", check=False).stdout
        assert f"Cluster {name}, seen from {node.name}" in shown
        assert lab.nodes[2 - node.layout.number].name not in shown, "neither takes the other for its peer"


def test_beats_of_a_foreign_cluster_are_counted_and_believed_by_nobody(cluster: Cluster) -> None:
    """node2's key is another one, as after a wrong restore: to node1 it is silent, and it is told so."""
    node = cluster.node2
    key = node.read("/etc/servha/cluster.key")
    node.service("stop", "servhad")
    try:
        other_key = key.translate(str.maketrans("0123456789abcdef", "123456789abcdef0"))
        node.run("sh", "-c", "cat > /etc/servha/cluster.key", feed=other_key)
        node.service("start", "servhad")
        cluster.await_alarm(cluster.node1, "node2")
        metrics = cluster.servha(cluster.node1, "metrics").stdout
        assert re.search(r'servha_heartbeat_datagrams_total{result="seal"} [1-9]', metrics), metrics
        assert cluster.is_steady(for_s=1.0, holds=lambda: cluster.witness.now("address") == {"node1"})
    finally:
        node.service("stop", "servhad")
        node.run("sh", "-c", "cat > /etc/servha/cluster.key", feed=key)
        node.service("start", "servhad")
    cluster.await_ready(cluster.node1)


def test_a_node_does_not_join_twice(cluster: Cluster) -> None:
    status, said = join(cluster.node2)
    assert status == 7
    assert "this node is already in cluster demo" in said


def test_joining_where_nobody_is_says_what_to_look_at(lab: Lab) -> None:
    status, said = join(lab.node2)
    assert status in {4, 6, 75}
    assert "servha cluster init" in said, "node1 runs but is in no cluster"
    assert "Errno" not in said
    lab.node1.poweroff()
    status, said = join(lab.node2)
    assert status == 75
    assert "192.0.2.1" in said and "servhad" in said and "firewall" in said
    assert is_in_no_cluster(lab.node2)


@pytest.fixture(scope="module")
def nodes_without_cluster() -> Iterator[Lab]:
    with Lab.up(new_name()) as lab:
        lab.node1.service("start", "servhad")
        yield lab


@pytest.mark.parametrize(
    ("more", "status", "told"),
    [
        pytest.param(("--link=private=eth9",), (6, 78), ("eth9", "priv0"), id="unknown interface"),
        pytest.param(
            ("--link=private=priv0:198.51.100.9",),
            (2,),
            ("198.51.100.9", "priv0", "198.51.100.1"),
            id="address",
        ),
        pytest.param((*LINKS, "--interval-ms=10"), (78,), ("10 ms",), id="figure"),
        pytest.param((*LINKS, "--reference=192.0.2.1"), (78,), ("192.0.2.1", "node1"), id="reference"),
        pytest.param(("--link=private",), (2,), ("private", "NIC"), id="no interface"),
    ],
)
def test_a_cluster_with_a_mistake_is_not_made(
    nodes_without_cluster: Lab, more: tuple[str, ...], status: tuple[int, ...], told: tuple[str, ...]
) -> None:
    node = nodes_without_cluster.node1
    secret = with_password(node, PASSWORD)
    done = node.run("servha", "cluster", "init", "--name=demo", "--node=node1", secret, *more, check=False)
    said = " ".join((done.stderr + done.stdout).split())
    assert done.returncode in status, said
    for word in told:
        assert word in said
    assert is_in_no_cluster(node)


def pretend(node: Node, file: str, old: str, new: str) -> None:
    """Let the node, and nobody else, see one of our files with a word changed: a newer version."""
    edit = (
        'set -e; from=$(python3 -c "import servha,os; print(os.path.dirname(servha.__file__))"); '
        'sed "s/$1/$2/" "$from/$0" > /run/newer; ! cmp -s /run/newer "$from/$0"; '
        'mount --bind /run/newer "$from/$0"'
    )
    path = node.run("sh", "-c", "dirname $(readlink -f $(command -v servhad))").stdout.strip()
    node.run("env", f"PATH={path}:/usr/bin:/bin:/usr/sbin:/sbin", "sh", "-c", edit, file, old, new)


def test_a_node_of_another_version_cannot_join_and_is_told_why(lab: Lab) -> None:
    init(lab.node1, "demo")
    pretend(lab.node2, "daemon/proof.py", "^PROTOCOL: Final = 1", "PROTOCOL: Final = 2")
    lab.node2.service("restart", "servhad")
    status, said = join(lab.node2)
    assert status != 0
    assert "install the same version on both nodes" in said
    assert is_in_no_cluster(lab.node2)


def test_a_peer_that_beats_in_another_version_is_named_and_not_replaced(own_cluster: Cluster) -> None:
    cluster = own_cluster
    pretend(cluster.node2, "wire/beat.py", "^VERSION = 1", "VERSION = 2")
    cluster.node2.service("restart", "servhad")
    remedy = "install the same release on both nodes"
    cluster.await_told(cluster.node1, f"heartbeat version 2 and this node version 1: {remedy}")
    cluster.await_told(cluster.node2, f"heartbeat version 1 and this node version 2: {remedy}")
    assert "heartbeat version 2" in cluster.servha(cluster.node1, "events").stdout
    assert cluster.is_steady(for_s=1.0, holds=lambda: cluster.witness.now("address") == {"node1"})
