"""What cannot be stopped: a process of the application hangs in the kernel, where no signal reaches it (state D)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servha.lab.node import Node
from servha.lab.node_disk import MOUNT_POINT
from tests.live.cluster import READY_S, TREE
from tests.live.quorum import QuorumCluster
from tests.live.wait import eventually

SCRIPT = Path(__file__).with_name("stuck.py")


@contextmanager
def hanging(cluster: QuorumCluster, node: Node) -> Iterator[None]:
    """Let a process of the application hang in the kernel until the end of the block, or of the node."""
    pid = cluster.application(node)
    groups = node.run("cat", f"/proc/{pid}/cgroup").stdout
    group = next(line[3:] for line in groups.splitlines() if line.startswith("0::"))
    node.run("sh", "-c", "cat > /run/stuck.py", feed=SCRIPT.read_text(encoding="utf-8"))
    words = ("python3", "-I", "-S", "/run/stuck.py", f"/sys/fs/cgroup{group}", str(MOUNT_POINT))
    with node.popen(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "stuck\n"
        try:
            yield
        finally:
            holder.stdin.close()


def test_what_hangs_in_the_kernel_waits_for_the_administrator_or_ends_with_the_node(
    quorum_disk: QuorumCluster,
) -> None:
    cluster = quorum_disk
    one, two = cluster.node1, cluster.node2
    cluster.servha(one, "resource", "edit", f"{TREE}/app", "--stop-timeout", "1", "--yes")

    # Policy wait: nobody else may have it, until what hung is seen to be gone.
    with hanging(cluster, one):
        cluster.servha(one, "tree", "move", TREE, "node2", "--no-wait", "--yes")
        cluster.await_told(one, rf"^{TREE} stopping stop-failed")
        cluster.await_alarm(one, "could not be stopped")
        assert cluster.is_steady(for_s=1.0, holds=lambda: not cluster.application(two))
    cluster.await_running_on(two)

    # Policy escalate: every step is tried and told, and at last the node is reset.
    cluster.servha(one, "tree", "edit", TREE, "--stop-failure", "escalate", "--yes")
    assert eventually(
        lambda: cluster.picture(two).generation == cluster.picture(one).generation, within_s=READY_S
    )
    before, boot = cluster.ownership(two), cluster.boot(two)
    resets = cluster.console(two).count("sysrq")
    with hanging(cluster, two):
        cluster.servha(one, "tree", "move", TREE, "node1", "--no-wait", "--yes")
        cluster.await_running_on(one, told_by=(one,), within_s=2 * READY_S)
    assert cluster.ownership(one) > before
    assert eventually(lambda: cluster.boot(two) not in {"", boot}, within_s=READY_S), "node2 was reset"
    assert cluster.console(two).count("sysrq") == resets + 1
    said = (two.log / "journal.jsonl").read_text(encoding="utf-8")
    for step in ("it is stopped once more", "everything in its control group is killed"):
        assert step in said
