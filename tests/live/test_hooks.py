"""Programs of the administrator's around a start and a stop: when they run, what they are told, what they said."""

from __future__ import annotations

from servha.lab.node import Node
from tests.live.cluster import TREE, Cluster

HOOK = "/opt/demo/hook"
LOG = "/run/hooks"
TEXT = f"""#!/bin/sh
echo "$SERVHA_HOOK $SERVHA_TREE/$SERVHA_RESOURCE $SERVHA_NODE $SERVHA_OWNERSHIP: $SERVHA_REASON" >>{LOG}
echo "said by $SERVHA_HOOK"
[ "$SERVHA_HOOK" != "$(cat {LOG}.hangs 2>/dev/null)" ] || sleep 1000
"""


def heard(node: Node) -> list[str]:
    return node.run("sh", "-c", f"cat {LOG} 2>/dev/null; rm -f {LOG}").stdout.splitlines()


def test_hooks_run_around_start_and_stop_and_one_that_hangs_holds_nothing_up(own_cluster: Cluster) -> None:
    cluster = own_cluster
    one, two = cluster.node1, cluster.node2
    for node in cluster.lab.nodes:
        node.run("sh", "-c", f"cat >{HOOK} && chmod 755 {HOOK}", feed=TEXT)
    hooks = [f"--hook={when}={HOOK}" for when in ("before_start", "after_start", "before_stop", "after_stop")]
    cluster.servha(one, "resource", "edit", f"{TREE}/app", *hooks, "--hook-timeout=1", "--yes")
    cluster.await_generation(two, cluster.picture(one).generation)

    number = cluster.ownership(one)
    cluster.servha(one, "tree", "move", TREE, "node2")
    assert [line.partition(" ")[0] for line in heard(one)] == ["before_stop", "after_stop"]
    cluster.await_told(two, "hook after_start .* went well")
    begun, ready = heard(two)
    assert begun.startswith(f"before_start {TREE}/app node2 {number + 1}: ")
    assert ready.startswith("after_start ")
    assert begun.partition(": ")[2], "the reason is told"
    cluster.await_told(two, r"hook before_start .*/opt/demo/hook.* went well .*said by before_start")

    # One that hangs is ended at its limit and told; the stop goes on without it.
    two.run("sh", "-c", f"echo before_stop >{LOG}.hangs")
    cluster.servha(one, "tree", "move", TREE, "node1")
    cluster.await_told(two, r"hook before_stop failed: .*had not returned after 1.* s and was ended")
    assert cluster.application(two) == 0
    assert two.run("pgrep", "-f", "sleep 1000", check=False).returncode != 0, "nothing of it is left"

    # One that fails keeps the application from being started, and says why.
    one.run("sh", "-c", f"printf '#!/bin/sh\\necho no licence server; exit 3\\n' >{HOOK}")
    cluster.servha(one, "tree", "stop", TREE)
    said = cluster.refused(one, "tree", "start", TREE, "--on", "node1", status=1)
    assert "hook before_start failed" in said
    assert "no licence server" in said
    assert cluster.application(one) == 0
