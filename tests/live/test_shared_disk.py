"""The disk goes with its tree: mounted on one node only, what was written is there on the other."""

from __future__ import annotations

from servha.lab import demo
from servha.lab.lab import Lab
from servha.lab.node import Node
from tests.live.conftest import LabMaker
from tests.live.wait import eventually

DISK, PLACE = "/dev/servha/data", "/srv/web"
READY_S = 40.0


def has_it(node: Node) -> bool:
    """Looked at from outside the daemons: the mount itself."""
    return node.power == "on" and f" {PLACE} " in node.run("cat", "/proc/mounts", check=False).stdout


def cluster_with_a_disk(lab: Lab) -> None:
    demo.form_cluster(lab)
    lab.node1.run("mkfs.ext4", "-q", "-F", DISK)
    for node in lab.nodes:
        node.run("mkdir", "-p", PLACE)
    lab.node1.run("servha", "tree", "create", demo.TREE, "--hosts=node1,node2", "--failback=stay")
    disk = ("shared_disk", f"device={DISK}", f"mount_point={PLACE}", "fsck=before-mount")
    lab.node1.run("servha", "resource", "create", f"{demo.TREE}/disk", *disk)
    lab.node1.run("servha", "tree", "start", demo.TREE)
    demo.await_standby(lab, lab.node2, within_s=READY_S)


def write(node: Node, word: str) -> None:
    node.run("sh", "-c", f"echo {word} >>{PLACE}/log && sync {PLACE}/log")


def test_a_disk_moves_with_its_tree_and_survives_the_loss_of_its_node(make_lab: LabMaker) -> None:
    lab = make_lab(daemons=True)
    cluster_with_a_disk(lab)
    assert [has_it(node) for node in lab.nodes] == [True, False]
    write(lab.node1, "one")

    lab.node1.run("servha", "tree", "move", demo.TREE, "node2")
    assert [has_it(node) for node in lab.nodes] == [False, True]
    assert lab.node2.run("cat", f"{PLACE}/log").stdout == "one\n"
    write(lab.node2, "two")

    demo.await_standby(lab, lab.node1, within_s=READY_S)
    lab.node2.poweroff()
    assert eventually(lambda: has_it(lab.node1), within_s=READY_S)
    assert lab.node1.run("cat", f"{PLACE}/log").stdout == "one\ntwo\n"


def test_a_shell_on_the_disk_keeps_the_tree_where_it_is_and_is_named(make_lab: LabMaker) -> None:
    lab = make_lab(daemons=True)
    cluster_with_a_disk(lab)
    shell = f"cd {PLACE} && (setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $!)"
    pid = lab.node1.run("sh", "-c", shell).stdout.strip()
    refused = lab.node1.run("servha", "tree", "move", demo.TREE, "node2", check=False)
    assert refused.returncode != 0
    assert f"{PLACE} is in use by {pid} (sleep)" in refused.stdout + refused.stderr
    assert [has_it(node) for node in lab.nodes] == [True, False]
    assert lab.node1.run("kill", "-0", pid, check=False).returncode == 0, (
        "nobody but the tree's own is killed"
    )

    # By the other policy the shell is ended in the end, and the tree moves.
    lab.node1.run("servha", "tree", "edit", demo.TREE, "--stop-failure", "escalate", "--yes")
    lab.node1.run("servha", "tree", "move", demo.TREE, "node2")
    assert [has_it(node) for node in lab.nodes] == [False, True]
    assert lab.node1.run("kill", "-0", pid, check=False).returncode != 0
    why = lab.node1.run("servha", "events", "--last", "100", "-o", "json").stdout
    assert "whoever uses its file system is killed, and it is unmounted" in why
