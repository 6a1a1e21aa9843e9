"""Reads from a status answer why a tree had better not go to the other node now.

Decides for drills and planned moves only, which can wait; a takeover after a failure is servhad's own decision.
What the answer does not tell counts against it.
"""

from __future__ import annotations

from typing import Any


def words(text: Any) -> str:
    """Return a sentence as `servha status -o json` has it, in English."""
    if not isinstance(text, dict):
        return str(text)
    params = {name: words(value) for name, value in (text.get("params") or {}).items()}
    return str(text.get("template", "")).format_map(params)


def tree_of(status: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return the tree of that name, or None."""
    return next((tree for tree in status.get("trees", []) if tree.get("name") == name), None)


def standby_of(tree: dict[str, Any]) -> str:
    """Return the node that would take the tree over, or an empty text."""
    others = [host for host in tree.get("hosts", []) if host != tree.get("running_on")]
    return str(others[0]) if tree.get("running_on") and others else ""


def reasons_against(status: dict[str, Any], name: str, node: str) -> list[str]:
    """Return every reason why the tree `name` had better not go to `node` now; none if nothing speaks against it."""
    tree = tree_of(status, name)
    if tree is None:
        return [f"there is no tree {name}; `servha tree list` shows them"]
    if not tree.get("running_on"):
        return [f"{name} runs nowhere; `servha why {name}` tells why"]
    if not node or node not in tree.get("hosts", []):
        return [f"{name} is not bound to a second node; `servha tree edit {name}` binds it"]
    return [*_of_the_cluster(status, name, node), *_of_the_node(tree, node)]


def _of_the_cluster(status: dict[str, Any], name: str, node: str) -> list[str]:
    reasons = [
        f"{seen['name']} is {seen.get('health') or 'unknown'}: {words(seen.get('health_because', ''))}"
        for seen in status.get("nodes", [])
        if not seen.get("us") and seen.get("health") != "alive"
    ]
    known = [seen.get("name") for seen in status.get("nodes", [])]
    if node not in known:
        reasons.append(f"nothing is known of {node}")
    config = status.get("config", {})
    if config.get("generation") != config.get("peer_generation"):
        reasons.append("the nodes do not have the same configuration; `servha status` shows both generations")
    reasons += [
        f"{seen['what']} is in maintenance: {seen.get('reason') or 'no reason given'}"
        for seen in status.get("maintenance", [])
        if seen.get("what", "").partition("/")[0] in (name, *known)
    ]
    lease = status.get("arbitration", {}).get("lease")
    if lease and lease["disk"]["device"] and lease["disk"]["works"] is not True:
        reasons.append("the quorum disk does not work; `servha quorum show` tells why")
    return reasons


def _of_the_node(tree: dict[str, Any], node: str) -> list[str]:
    side = tree.get("phase_by_node", {}).get(node, {})
    reasons = []
    if side.get("fitness") != "fit":
        reasons.append(f"{node} is {side.get('fitness') or 'unknown'}: {words(side.get('against', ''))}")
    if side.get("parked") != "no":
        reasons.append(
            f"{node} has given up on {tree['name']}; `servha tree start {tree['name']}` lets it try again"
        )
    for check in side.get("checks", []):
        where = f"{node}, {check.get('resource') or 'the node'}"
        reasons += [f"{where}: {words(problem)}" for problem in check.get("problems", [])]
    return reasons
