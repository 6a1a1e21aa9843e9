"""Answers of a cluster with a quorum disk, in the shapes of servha/daemon/arbitration_picture.py."""

from __future__ import annotations

from typing import Any

from servha.core.words import say
from tests.cli.recorded import NOTHING, said, side, status, status_after_a_loss

DEVICE = "/dev/disk/by-id/wwn-0x60080e50002a3f"


def declared(entry: str, number: int, because: dict[str, Any], *, peer: str = "none") -> dict[str, Any]:
    """What both nodes declare about web on the quorum disk."""
    return {
        "tree": "web",
        "entry": entry,
        "ownership": number,
        "granted": entry == "held",
        "because": because,
        "otherwise": NOTHING,
        "peer_entry": peer,
        "peer_ownership": number if peer != "none" else 0,
    }


def lease(word: str, because: dict[str, Any], entry: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A lease as servha/daemon/arbitration_picture.py shows it; `more` overrides any field."""
    return {
        "guard": "lives",
        "word": word,
        "because": because,
        "otherwise": NOTHING,
        "since_s": 372.5,
        "sources": "both",
        "disk": {"device": DEVICE, "works": True, "trouble": NOTHING, "round_ms": 3.1},
        "watchdog": "Software Watchdog",
        "generation": 12,
        "peer_moves": True,
        "peer_reference_ok": True,
        "limits_differ": False,
        "lease_ms": 6000,
        "keep_ms": 3980,
        "take_ms": 6560,
        "trees": [entry],
        **more,
    }


HELD_HERE = said("it is held here")
NOT_WANTED = said("it is not wanted here")
LEVELS = {
    2: said(
        "level 2: one node at a time as long as both kernels work and servha-guardd is scheduled in time; without a"
        " watchdog nothing ends a node that hangs"
    ),
    3: said(
        "level 3: one node at a time through every crash, pause and stall of programs and disks; the software watchdog"
        " does not end a kernel that hangs with its interrupts off"
    ),
}


def status_on_disk() -> dict[str, Any]:
    """A healthy cluster with a quorum disk, seen from the node that holds web."""
    whole = status()
    whole["cluster"] |= {"policy": "quorum-disk", "guarantee": {"level": 3, "text": LEVELS[3]}}
    whole["arbitration"] |= {
        "policy": "quorum-disk",
        "references": [],
        "lease": lease(
            "leased",
            said("the quorum disk and {peer} renew the lease", peer="node2"),
            declared("held", 5, HELD_HERE),
        ),
        "peer_lease": lease(
            "free", said("nothing is held"), declared("none", 5, NOT_WANTED, peer="held"), watchdog=""
        ),
    }
    return whole


def status_on_disk_standby() -> dict[str, Any]:
    """The same cluster at the same time, seen from the other node."""
    whole = status_on_disk()
    whole["node"] = "node2"
    whole["standing"] = "standby"
    whole["standing_because"] = said("{peer} is in contact and nothing is held here", peer="node1")
    for node in whole["nodes"]:
        node["us"] = node["name"] == "node2"
    section = whole["arbitration"]
    section["because"] = said(
        "{peer} is in contact: whatever starts here starts with its consent", peer="node1"
    )
    section["lease"], section["peer_lease"] = section["peer_lease"], section["lease"]
    return whole


def status_disk_in_trouble() -> dict[str, Any]:
    """node1 holds web and has lost the quorum disk; there is no watchdog, and node2 has other figures."""
    whole = status_on_disk()
    trouble = said("the quorum disk does not answer")
    whole["cluster"]["guarantee"] = {"level": 2, "text": LEVELS[2]}
    whole["arbitration"]["lease"] |= {
        "word": "degraded",
        "because": said(
            "only {peer} renews the lease: {disk_trouble}; no takeover is possible until the disk is back",
            peer="node2",
            disk_trouble=say("the quorum disk does not answer"),
        ),
        "since_s": 14.2,
        "sources": "peer",
        "disk": {"device": DEVICE, "works": False, "trouble": trouble, "round_ms": 3.1},
        "watchdog": "",
        "limits_differ": True,
    }
    whole["alarms"] = [
        {
            "key": "quorum",
            "severity": "warning",
            "text": said(
                "arbitration partly failed: {disk_trouble}",
                disk_trouble=say("the quorum disk does not answer"),
            ),
            "since_s": 14.2,
        }
    ]
    return whole


def status_silent_peer_and_disk() -> dict[str, Any]:
    """node1 was the owner and is silent on every link; node2 cannot read the quorum disk, so nobody runs web."""
    whole = status_after_a_loss()
    trouble = say("the quorum disk does not answer")
    because = said(
        "neither the quorum disk nor {peer} has renewed the lease of this node: {disk_trouble}",
        peer="node1",
        disk_trouble=trouble,
    )
    whole["cluster"] |= {"policy": "quorum-disk", "guarantee": {"level": 2, "text": LEVELS[2]}}
    whole["standing"] = whole["nodes"][1]["standing"] = "claiming"
    whole["arbitration"] |= {
        "policy": "quorum-disk",
        "references": [],
        "because": said("{peer} is silent on every link; the quorum disk decides", peer="node1"),
        "lease": lease(
            "free",
            said("nothing is held"),
            declared("none", 5, because, peer="held"),
            disk={"device": DEVICE, "works": False, "trouble": said(trouble.template), "round_ms": 3.1},
            watchdog="",
            sources="none",
        ),
    }
    whole["standing_because"] = whole["arbitration"]["because"]
    tree = whole["trees"][0]
    tree["running_on"] = ""
    tree["phase_by_node"]["node2"] = side("off", because)
    for resource in tree["resources"]:
        resource |= {"step": "off", "state": "stopped", "since_s": 41.3}
    return whole
