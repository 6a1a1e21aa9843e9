"""What speaks against a planned move, read from a status answer; what is not told counts against it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.servha.cluster.plugins.module_utils.servha_readiness import (
    reasons_against,
    standby_of,
)


def side(**other: Any) -> dict[str, Any]:
    return {"phase": "stopped", "fitness": "fit", "parked": "no", "against": "", "checks": [], **other}


READY: dict[str, Any] = {
    "config": {"generation": 7, "peer_generation": 7},
    "arbitration": {"lease": None},
    "maintenance": [],
    "nodes": [
        {"name": "node1", "us": True, "health": "alive"},
        {"name": "node2", "us": False, "health": "alive"},
    ],
    "trees": [
        {
            "name": "web",
            "running_on": "node1",
            "hosts": ["node1", "node2"],
            "phase_by_node": {"node1": side(phase="running"), "node2": side()},
        }
    ],
}


def test_nothing_speaks_against_a_ready_standby() -> None:
    assert standby_of(READY["trees"][0]) == "node2"
    assert reasons_against(READY, "web", "node2") == []


PORT = {"template": "port {port} is taken", "params": {"port": 80}}


@pytest.mark.parametrize(
    ("where", "value", "reason"),
    [
        (("trees", 0, "running_on"), "", "web runs nowhere"),
        (("trees", 0, "hosts"), ["node1"], "not bound to a second node"),
        (("trees", 0, "phase_by_node"), {}, "node2 is unknown"),
        (("trees", 0, "phase_by_node", "node2", "fitness"), "unknown", "node2 is unknown"),
        (("trees", 0, "phase_by_node", "node2", "parked"), "failed", "has given up on web"),
        (
            ("trees", 0, "phase_by_node", "node2", "checks"),
            [{"resource": "app", "problems": [PORT]}],
            "node2, app: port 80 is taken",
        ),
        (("nodes", 1, "health"), "lost", "node2 is lost"),
        (("nodes",), [], "nothing is known of node2"),
        (("config", "peer_generation"), 6, "same configuration"),
        (("maintenance",), [{"what": "web/app", "reason": "update"}], "web/app is in maintenance: update"),
        (("maintenance",), [{"what": "node1"}], "node1 is in maintenance"),
        (
            ("arbitration", "lease"),
            {"disk": {"device": "/dev/sdb", "works": False}},
            "the quorum disk does not work",
        ),
        (
            ("arbitration", "lease"),
            {"disk": {"device": "/dev/sdb", "works": None}},
            "the quorum disk does not work",
        ),
    ],
)
def test_each_reason_is_told(where: tuple[Any, ...], value: Any, reason: str) -> None:
    status = copy.deepcopy(READY)
    place: Any = status
    for step in where[:-1]:
        place = place[step]
    place[where[-1]] = value
    assert reason in "; ".join(reasons_against(status, "web", "node2"))


def test_a_tree_that_is_not_there_is_named() -> None:
    assert reasons_against(READY, "mail", "node2") == ["there is no tree mail; `servha tree list` shows them"]
