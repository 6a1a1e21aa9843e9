"""What this node shows of itself: the core's state as plain data for the command line, the console and the peer.

Every state comes with its reason and its age. Nothing is decided and nothing is asked here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import servha
from servha.config.document import Document
from servha.core.membership import LinkView
from servha.core.model import Fitness, Parked, Phase, Ready, TreeSpec
from servha.core.placement import Side
from servha.core.situations import parked, peer_health, side_here, their_side
from servha.core.state import State
from servha.core.words import Text, as_dict, say
from servha.daemon.alarms import StandingAlarms
from servha.daemon.arbitration_picture import arbitration, promised
from servha.daemon.maintenance import maintained
from servha.daemon.quality import Hour

SCHEMA_VERSION = 1
LINK_WORDS = {"unknown": "unknown", "up": "up", "late": "late", "warned": "late", "dead": "dead"}

Shown = dict[str, Any]


def picture(
    document: Document,
    state: State,
    alarms: StandingAlarms,
    *,
    started_s: float,
    events_missed: int,
    links: Mapping[str, Hour],
    disk: Hour | None,
) -> Shown:
    """Return everything `servha status` shows, from this node's point of view."""
    cluster, now_s = state.cluster, state.now_s
    report = state.membership.report
    return {
        "schema_version": SCHEMA_VERSION,
        "node": cluster.us,
        "cluster": {
            "name": document.cluster.name,
            "id": document.cluster.id,
            "generation": document.generation,
            "policy": str(cluster.policy),
            "guarantee": promised(state),
        },
        "standing": str(state.standing),
        "standing_because": as_dict(state.standing_because),
        "nodes": [_us(document, state, links), *([_peer(document, state)] if cluster.peer else [])],
        "arbitration": arbitration(document, state, disk),
        "trees": [_tree(state, spec) for spec in cluster.trees],
        "maintenance": maintained(document),
        "alarms": [
            {
                "key": key,
                "severity": a.severity,
                "text": as_dict(a.text),
                "since_s": round(now_s - a.since_s, 1),
            }
            for key, a in alarms.standing.items()
        ],
        "config": {
            "generation": document.generation,
            "digest": cluster.digest,
            "peer_generation": report.generation if report is not None else None,
        },
        "daemon": {
            "pid": os.getpid(),
            "up_s": round(now_s - started_s, 1),
            "version": servha.__version__,
            "events_missed": events_missed,
        },
    }


def _us(document: Document, state: State, links: Mapping[str, Hour]) -> Shown:
    node = document.node(state.cluster.us)
    return {
        "name": state.cluster.us,
        "us": True,
        "health": "alive",
        "health_because": as_dict(say("this node")),
        "standing": str(state.standing),
        "version": servha.__version__,
        "links": [
            {
                "name": view.name,
                "nic": node.links[view.name].nic if node and view.name in node.links else "",
                "address": node.links[view.name].ip if node and view.name in node.links else "",
                "state": LINK_WORDS[view.health(state.now_s, state.cluster.timing)]
                if state.cluster.peer
                else "unknown",
                "silent_s": _age(view, state) if state.cluster.peer else None,
                "carrier": view.carrier,
                **_quality(links.get(view.name), view, state),
            }
            for view in state.membership.links
        ],
    }


def _state_of(view: LinkView, state: State) -> str:
    """Return the word for a link; where there is no other node to hear, nothing is known of it."""
    return LINK_WORDS[view.health(state.now_s, state.cluster.timing)] if state.cluster.peer else "unknown"


def _age(view: LinkView, state: State) -> float | None:
    silent_s = view.silent_s(state.now_s)
    return None if silent_s is None or not state.cluster.peer else round(silent_s, 3)


def _quality(link: Hour | None, view: LinkView, state: State) -> Shown:
    """Return round trip and loss of a link on which something is heard; of another one there is nothing to say."""
    heard = link is not None and view.health(state.now_s, state.cluster.timing) in ("up", "late", "warned")
    took_s, loss = (link.took_s, link.loss(state.now_s)) if link is not None and heard else (None, None)
    return {
        "rtt_ms": None if took_s is None else round(took_s * 1000, 3),
        "loss": None if loss is None else round(loss, 4),
    }


def _peer(document: Document, state: State) -> Shown:
    node = document.node(state.cluster.peer)
    report = state.membership.report
    health = peer_health(state)
    silent_s = state.membership.silent_s(state.now_s)
    if silent_s == float("inf"):
        because: Text = say("nothing was heard of it since this daemon started")
    else:
        because = say("last heard {silent_s} s ago", silent_s=round(silent_s, 2))
    in_contact = report is not None and health in ("alive", "suspect")
    return {
        "name": state.cluster.peer,
        "us": False,
        "health": str(health),
        "health_because": as_dict(because),
        "standing": str(report.standing) if report is not None and in_contact else "",
        "version": "",
        "links": [
            {
                "name": view.name,
                "nic": node.links[view.name].nic if node and view.name in node.links else "",
                "address": node.links[view.name].ip if node and view.name in node.links else "",
                "state": ("up" if view.they_hear_us else "dead") if in_contact else "unknown",
                "silent_s": None,
                "carrier": None,
                "rtt_ms": None,
                "loss": None,
            }
            for view in state.membership.links
        ],
    }


def _tree(state: State, spec: TreeSpec) -> Shown:
    tree = state.tree(spec.name)
    assert tree is not None
    told = their_side(state, spec)
    in_contact = peer_health(state) in ("alive", "suspect")
    side, against = side_here(state, spec, tree)
    sides: dict[str, Shown] = {
        state.cluster.us: {
            "phase": str(tree.phase),
            "ownership": tree.ownership,
            "fitness": str(Fitness.UNFIT if side is Side.UNFIT else tree.fitness),
            "parked": str(parked(tree)),
            "because": as_dict(tree.because),
            "against": as_dict(against),
            "checks": _checks(() if tree.phase.holds else tree.readiness),
        }
    }
    if state.cluster.peer:
        sides[state.cluster.peer] = {
            "phase": str(told.phase) if in_contact else "unknown",
            "ownership": told.ownership,
            "fitness": str(told.fitness) if in_contact else "unknown",
            "parked": str(told.parked if told.order.number == tree.order.number else Parked.NO),
            "because": as_dict(Text("")),
            "against": as_dict(Text("")),
            "checks": _checks(() if told.phase.holds else tree.readiness_there),
        }
    running_on = ""
    if tree.phase is Phase.RUNNING:
        running_on = state.cluster.us
    elif in_contact and told.phase is Phase.RUNNING:
        running_on = state.cluster.peer
    return {
        "name": spec.name,
        "id": spec.id,
        "order": {
            "number": tree.order.number,
            "goal": str(tree.order.goal),
            "pin": tree.order.pin,
            "forced": tree.order.forced,
        },
        "hosts": list(spec.hosts),
        "start_failure": str(spec.start_failure),
        "phase_by_node": sides,
        "running_on": running_on,
        "since_s": round(state.now_s - tree.since_s, 1),
        "resources": [
            {
                "name": r.name,
                "kind": r.kind,
                "after": list(r.after),
                "step": str(tree.step(r.name)),
                "state": str(tree.finding(r.name).state),
                "because": as_dict(tree.finding(r.name).because),
                "since_s": round(state.now_s - tree.finding(r.name).since_s, 1),
            }
            for r in spec.resources
        ],
    }


def _checks(readiness: tuple[tuple[str, Ready], ...]) -> list[Shown]:
    return [
        {
            "resource": name,
            "ready": not ready.problems,
            "problems": [as_dict(text) for text in ready.problems],
            "remarks": [as_dict(text) for text in ready.remarks],
        }
        for name, ready in readiness
    ]


def with_peer(ours: Shown, theirs: Shown | None) -> Shown:
    """Return our picture with what only the peer knows put in: its reasons, and its resources where it runs."""
    if not theirs:
        return ours
    their_trees = {t["name"]: t for t in theirs.get("trees", ())}
    peer = theirs.get("node", "")
    for tree in ours["trees"]:
        known = their_trees.get(tree["name"])
        if known is None or peer not in tree["phase_by_node"]:
            continue
        tree["phase_by_node"][peer] = known["phase_by_node"][peer]
        if tree["running_on"] == peer:
            tree["resources"], tree["since_s"] = known["resources"], known["since_s"]
    their_lease = theirs.get("arbitration", {}).get("lease")
    ours["arbitration"]["peer_lease"] = their_lease
    our_lease = ours["arbitration"]["lease"]
    if our_lease and their_lease and not our_lease["watchdog"] and our_lease["word"] in ("free", "booting"):
        # Nothing is held here and no watchdog was needed yet: what is promised now, the holder's promises.
        ours["cluster"]["guarantee"] = theirs.get("cluster", {}).get(
            "guarantee", ours["cluster"]["guarantee"]
        )
    themselves: Shown = next((n for n in theirs.get("nodes", ()) if n.get("us")), {})
    for node in ours["nodes"]:
        if node["name"] == peer and themselves:
            node["links"] = themselves["links"]
            node["version"] = themselves.get("version", "")
    return ours
