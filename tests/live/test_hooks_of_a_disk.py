"""Hooks around a disk that a stranger holds, and the ladder that frees it: what each hook learns, and what is told."""

from __future__ import annotations

from servha.lab.node import Node
from servha.lab.node_disk import MOUNT_POINT
from tests.live.cluster import READY_S, TREE
from tests.live.quorum import QuorumCluster
from tests.live.wait import eventually

HOOKS = ("before_start", "after_start", "before_stop", "after_stop", "on_stop_failure")
HOOK = "/opt/demo/hook"
SCRIPT = """
env | grep ^SERVHA_ >/run/told-$SERVHA_HOOK
echo "hook of $SERVHA_RESOURCE on $SERVHA_NODE"
[ $SERVHA_HOOK != after_start ] || exec sleep 1000
"""


def told(node: Node, hook: str) -> dict[str, str]:
    """The environment in which the hook ran last on the node."""
    return dict(line.split("=", 1) for line in node.read(f"/run/told-{hook}").splitlines() if "=" in line)


def test_hooks_run_around_a_disk_whose_holder_is_named_and_then_removed(quorum_disk: QuorumCluster) -> None:
    cluster = quorum_disk
    one, two = cluster.lab.nodes
    for node in cluster.lab.nodes:
        cluster.script(node, "hook", SCRIPT)
        node.run("chmod", "755", HOOK)
    hooks = [f"--hook={name}={HOOK}" for name in HOOKS]
    cluster.servha(one, "tree", "edit", TREE, "--stop-failure", "escalate", "--yes")
    cluster.servha(one, "resource", "edit", f"{TREE}/disk", *hooks, "--hook-timeout", "1", "--yes")
    for node in cluster.lab.nodes:
        cluster.await_generation(node, cluster.picture(one).generation)

    before, boot = cluster.ownership(one), cluster.boot(one)
    stranger = f"setsid sleep 1000 9>{MOUNT_POINT}/held >/dev/null 2>&1 </dev/null & echo $!"
    pid = one.run("sh", "-c", stranger).stdout.strip()
    cluster.servha(one, "tree", "move", TREE, "node2", "--no-wait", "--yes")
    cluster.await_told(one, rf"^{TREE}/disk .*{MOUNT_POINT} is in use by {pid} \(sleep\)")
    cluster.await_told(one, rf"^{TREE} stop-failed stopping .*it is stopped once more")
    cluster.await_told(one, rf"^{TREE} stop-failed stopping .*everything in its control group is killed")
    cluster.await_told(one, rf"^{TREE} stop-failed stopping .*whoever uses its file system is killed")
    cluster.await_running_on(two, within_s=2 * READY_S)
    assert one.run("kill", "-0", pid, check=False).returncode != 0, "the stranger is gone"
    assert cluster.boot(one) == boot, "and the node was not reset for it"

    for node, hook in (*((one, h) for h in HOOKS[2:]), *((two, h) for h in HOOKS[:2])):
        env = told(node, hook)
        assert env["SERVHA_REASON"], (hook, env)
        number = before if node is one else before + 1
        assert env == env | {
            "SERVHA_HOOK": hook,
            "SERVHA_TREE": TREE,
            "SERVHA_RESOURCE": "disk",
            "SERVHA_NODE": node.name,
            "SERVHA_OWNERSHIP": str(number),
        }
    assert f"is in use by {pid} (sleep)" in told(one, "on_stop_failure")["SERVHA_FAILURE"]

    def events(node: Node) -> str:
        return " ".join(cluster.servha(node, "events").stdout.split())

    for node, hook in (
        (one, "before_stop"),
        (one, "on_stop_failure"),
        (one, "after_stop"),
        (two, "before_start"),
    ):
        assert f"hook {hook} ({HOOK}) went well" in events(node), hook
        assert f"hook of disk on {node.name}" in events(node), "what it said"
    # The disk is started although its after_start hangs: the hook is ended when its time is over.
    late = f"hook after_start failed: {HOOK} had not returned after 1"
    assert eventually(lambda: late in events(two), within_s=READY_S)
