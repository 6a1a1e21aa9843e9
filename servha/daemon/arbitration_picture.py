"""What this node shows of its arbitration: right, references, guarantee, and what its guard said about the lease.

Values only, each with its reason and its age. Nothing is decided and nothing is asked here.
"""

from __future__ import annotations

from typing import Any

from servha.config.document import Document
from servha.core.arbitration import Guarded, Probe, guarantee
from servha.core.guard_model import View
from servha.core.guarded import guarded
from servha.core.lease import Sources
from servha.core.model import TreeSpec
from servha.core.situations import real_references
from servha.core.state import State
from servha.core.words import NOTHING_SAID, Text, as_dict, say
from servha.daemon.quality import Hour

Shown = dict[str, Any]

SILENT_GUARD: dict[Guarded, Text] = {
    Guarded.UNKNOWN: say("servha-guardd has not answered yet"),
    Guarded.ABSENT: say("servha-guardd does not answer"),
}


def promised(state: State) -> Shown:
    """Return what policy, guard and watchdog together can promise, as far as it is known now."""
    view = state.view
    found = guarantee(state.cluster.policy, view.watchdog if view else "", guarded=view is not None)
    return {"level": found.level, "text": as_dict(found.text)}


def arbitration(document: Document, state: State, disk: Hour | None) -> Shown:
    """Return the section `arbitration` of the status."""
    cluster = state.cluster
    return {
        "policy": str(cluster.policy),
        "references": [_reference(state, address) for address in cluster.references],
        "right": str(state.right),
        "because": as_dict(state.right_because),
        "otherwise": as_dict(state.right_otherwise),
        "lease": _lease(document, state, disk) if cluster.policy.leased else None,
    }


def _reference(state: State, address: str) -> Shown:
    probe = dict(state.references).get(address, Probe())
    if address not in real_references(state) or probe.asked_s is None:
        return {"address": address, "answers": None, "age_s": None}
    return {
        "address": address,
        "answers": bool(probe.answered_by),
        "age_s": round(max(0.0, state.now_s - probe.asked_s), 2),
    }


def _lease(document: Document, state: State, disk: Hour | None) -> Shown:
    """Return the lease as the guard told it last; without a guard nothing is known, and the reason says so."""
    view, limits = state.view, state.cluster.timing.limits
    known = view if view is not None else View()
    silent = SILENT_GUARD.get(guarded(state), NOTHING_SAID)
    since_s = state.lease_since_s if view is not None else max(state.guard_lost_s, state.started_s)
    return {
        "guard": str(guarded(state)),
        "word": str(view.lease) if view is not None else "unknown",
        "because": as_dict(known.because if view is not None else silent),
        "otherwise": as_dict(known.otherwise),
        "since_s": round(state.now_s - since_s, 1),
        "sources": str(known.sources) if view is not None else str(Sources.NONE),
        "disk": {
            "device": document.cluster.quorum_disk,
            "works": view.disk_ok if view is not None else None,
            "trouble": as_dict(known.disk_trouble),
            "round_ms": round(disk.took_s * 1000, 3)
            if disk is not None and disk.took_s is not None
            else None,
        },
        "watchdog": known.watchdog,
        "generation": known.generation,
        "peer_moves": view.peer_moves if view is not None else None,
        "peer_reference_ok": view.peer_reference_ok if view is not None else None,
        "limits_differ": known.limits_differ,
        "lease_ms": limits.lease_ms,
        "keep_ms": round(limits.keep_s() * 1000),
        "take_ms": round(limits.take_s * 1000),
        "trees": [_entries(known, spec) for spec in state.cluster.trees] if view is not None else [],
    }


def _entries(view: View, spec: TreeSpec) -> Shown:
    """Return what both nodes declare about one tree on the quorum disk."""
    ours, theirs = view.entry(spec.id), view.peer_entry(spec.id)
    return {
        "tree": spec.name,
        "entry": str(ours.entry),
        "ownership": ours.ownership,
        "granted": ours.granted,
        "because": as_dict(ours.because),
        "otherwise": as_dict(ours.otherwise),
        "peer_entry": str(theirs.entry),
        "peer_ownership": theirs.ownership,
    }
