"""Answers as the daemon gives them, in the shapes of servha/daemon/picture.py and journal.py."""

from __future__ import annotations

import copy
from typing import Any

from servha.core.words import as_dict, say


def said(template: str, **params: Any) -> dict[str, Any]:
    return as_dict(say(template, **params))


NOTHING: dict[str, Any] = {"template": "", "params": {}}


def link(
    name: str,
    nic: str,
    address: str,
    state: str = "up",
    silent_s: float | None = 0.043,
    *,
    loss: float | None = 0.0,
) -> dict[str, Any]:
    return {
        "name": name,
        "nic": nic,
        "address": address,
        "state": state,
        "silent_s": silent_s,
        "carrier": True,
        "rtt_ms": 0.214 if state == "up" else None,
        "loss": loss,
    }


def side(phase: str, because: dict[str, Any], *, fitness: str = "fit", parked: str = "no") -> dict[str, Any]:
    return {
        "phase": phase,
        "ownership": 3,
        "fitness": fitness,
        "parked": parked,
        "because": because,
        "against": NOTHING,
    }


STATUS: dict[str, Any] = {
    "schema_version": 1,
    "node": "node1",
    "cluster": {
        "name": "demo",
        "id": "0" * 32,
        "generation": 7,
        "policy": "reference-address",
        "guarantee": {
            "level": 1,
            "text": said(
                "level 1: best effort; both nodes may run the trees when they reach the reference address and no"
                " address of each other"
            ),
        },
    },
    "standing": "active",
    "standing_because": said("it holds {held}", held="web"),
    "nodes": [
        {
            "name": "node1",
            "us": True,
            "health": "alive",
            "health_because": said("this node"),
            "standing": "active",
            "version": "0.1.0",
            "links": [
                link("private", "priv0", "198.51.100.1"),
                link("public", "pub0", "192.0.2.1", silent_s=0.051),
            ],
        },
        {
            "name": "node2",
            "us": False,
            "health": "alive",
            "health_because": NOTHING,
            "standing": "standby",
            "version": "0.1.0",
            "links": [
                link("private", "priv0", "198.51.100.2", silent_s=0.04),
                link("public", "pub0", "192.0.2.2", silent_s=0.09),
            ],
        },
    ],
    "arbitration": {
        "policy": "reference-address",
        "references": [{"address": "192.0.2.254", "answers": True, "age_s": 0.6}],
        "right": "consent",
        "because": said("{peer} is in contact: whatever starts here starts with its consent", peer="node2"),
        "otherwise": NOTHING,
    },
    "trees": [
        {
            "name": "web",
            "id": 1,
            "order": {"number": 4, "goal": "run", "pin": ""},
            "hosts": ["node1", "node2"],
            "phase_by_node": {
                "node1": side("running", said("every resource is running")),
                "node2": side("off", said("{peer} holds it", peer="node1")),
            },
            "running_on": "node1",
            "since_s": 372.0,
            "resources": [
                {
                    "name": "vip",
                    "kind": "ipv4",
                    "after": [],
                    "step": "on",
                    "state": "running",
                    "because": NOTHING,
                    "since_s": 372.4,
                },
                {
                    "name": "app",
                    "kind": "custom",
                    "after": ["vip"],
                    "step": "on",
                    "state": "running",
                    "because": NOTHING,
                    "since_s": 371.9,
                },
            ],
        }
    ],
    "alarms": [],
    "config": {"generation": 7, "digest": "ab" * 32, "peer_generation": 7},
    "daemon": {"pid": 4711, "up_s": 4000.0, "version": "0.1.0", "events_missed": 0},
}


def status() -> dict[str, Any]:
    """A healthy cluster; the caller may alter his copy."""
    return copy.deepcopy(STATUS)


def status_after_a_loss() -> dict[str, Any]:
    """node1 lost its power; node2 took web over."""
    whole = status()
    whole["node"] = "node2"
    whole["nodes"][0] |= {
        "us": False,
        "health": "lost",
        "health_because": said("last heard {silent_s} s ago", silent_s=42.5),
        "standing": "",
        "links": [
            link("private", "priv0", "198.51.100.1", "unknown", None),
            link("public", "pub0", "192.0.2.1", "unknown", None),
        ],
    }
    whole["nodes"][1] |= {
        "us": True,
        "standing": "active",
        "links": [
            link("private", "priv0", "198.51.100.2", "dead", 42.5),
            link("public", "pub0", "192.0.2.2", "dead", 42.5),
        ],
    }
    whole["arbitration"] |= {
        "right": "granted",
        "because": said(
            "{peer} is silent on every link and at every address, and {reference} answers",
            peer="node1",
            reference="192.0.2.254",
        ),
    }
    whole["alarms"] = [
        {
            "key": "link/private",
            "severity": "warning",
            "text": said("link {link} is silent", link="private"),
            "since_s": 42.3,
        },
        {
            "key": "peer",
            "severity": "error",
            "text": said("{peer} is silent on every link: there is no redundancy", peer="node1"),
            "since_s": 42.1,
        },
    ]
    tree = whole["trees"][0]
    tree |= {"running_on": "node2", "since_s": 41.2}
    tree["phase_by_node"] = {
        "node1": side("unknown", NOTHING, fitness="unknown"),
        "node2": side("running", said("every resource is running")),
    }
    return whole


def entry(number: int, node: str, subject: str, before: str, after: str, **more: Any) -> dict[str, Any]:
    """A journal entry; `more` overrides any field."""
    return {
        "id": number,
        "at": f"2026-03-01T10:00:{number:02d}.250+00:00",
        "at_s": 100.0 + number,
        "node": node,
        "subject": subject,
        "before": before,
        "after": after,
        "rule": "",
        "because": NOTHING,
        "facts": [],
        "otherwise": NOTHING,
        "ownership": 0,
        "took_s": 0.0,
        "severity": "info",
        **more,
    }


JOURNAL: list[dict[str, Any]] = [
    entry(
        1, "node1", "web", "off", "starting", rule="start", because=said("this node is its preferred host")
    ),
    entry(
        2,
        "node2",
        "peer node1",
        "alive",
        "lost",
        rule="peer",
        severity="error",
        because=said(
            "{peer} is lost: all {count} links are silent, the last beat came {silent_s} s ago",
            peer="node1",
            count=2,
            silent_s=0.32,
        ),
    ),
    entry(
        3,
        "node2",
        "web",
        "off",
        "starting",
        rule="start",
        severity="warning",
        ownership=4,
        because=said("{peer}, which held it, is gone", peer="node1"),
        facts=[
            {
                "what": said("last beat on link {link}", link="private"),
                "source": "link private",
                "age_s": 0.33,
            },
            {
                "what": said("{what}: {who} answered", what="192.0.2.254", who="192.0.2.254"),
                "source": "icmp",
                "age_s": 0.02,
            },
        ],
        otherwise=said(
            "an answer from {peer} at any address, or no answer from {references}, would have refused it",
            peer="node1",
            references="192.0.2.254",
        ),
    ),
    entry(4, "node2", "web/vip", "starting", "on", rule="resource/start", took_s=0.012, ownership=4),
    entry(5, "node2", "web/app", "starting", "on", rule="resource/start", took_s=0.087, ownership=4),
    entry(
        6, "node2", "web", "starting", "running", rule="started", because=said("every resource is running")
    ),
]

WHY: dict[str, Any] = {"schema_version": 1, "tree": "web", "entries": JOURNAL, "peer_missing": False}


def minute(ago_min: int, most_ms: float | None = 0.5, *, lost: int = 0) -> dict[str, Any]:
    mean_ms = None if most_ms is None else most_ms / 2
    good = 0 if most_ms is None else 60
    return {
        "ago_min": ago_min,
        "good": good,
        "lost": lost,
        "least_ms": mean_ms,
        "mean_ms": mean_ms,
        "most_ms": most_ms,
    }


QUALITY: dict[str, Any] = {
    "schema_version": 1,
    "minutes": 60,
    "nodes": {
        "node1": {
            "links": {
                "private": [minute(ago) for ago in range(59, -1, -1)],
                "public": [
                    minute(ago, 4.0 if ago == 7 else 0.6, lost=3 * (ago == 7)) for ago in range(20, -1, -1)
                ],
            },
            "disk": [minute(3, None, lost=12), minute(2, 9.0), minute(1, 3.0), minute(0, 3.0)],
        },
        "node2": {"links": {"private": [], "public": [minute(0)]}, "disk": None},
    },
}
