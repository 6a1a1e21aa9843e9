"""Figures for Prometheus, in its text exposition format; one line per state with 0 or 1, as exporters do."""

from __future__ import annotations

import servha
from servha.core.arbitration import Right
from servha.core.model import PeerHealth, Phase, ResourceState, Standing
from servha.core.situations import peer_health
from servha.core.state import State
from servha.daemon.beats import Beats
from servha.daemon.quality import Hour


def exposition(state: State, beats: Beats, disk: Hour | None, events_missed: int) -> str:
    """Return every figure of this node."""
    out = _Lines()
    us, now_s, timing = state.cluster.us, state.now_s, state.cluster.timing
    out.put("servha_up", "gauge", "the daemon answers", 1)
    out.put("servha_build_info", "gauge", "the version that runs", 1, version=servha.__version__)
    out.put(
        "servha_config_epoch", "gauge", "generation of the configuration in force", state.cluster.generation
    )
    for standing in Standing:
        out.put("servha_node_standing", "gauge", "what the node is entitled to", standing is state.standing,
                node=us, state=standing)  # fmt: skip
    for right in Right:
        out.put("servha_node_right", "gauge", "whether the node may act alone", right is state.right,
                node=us, state=right)  # fmt: skip
    for health in PeerHealth:
        out.put(
            "servha_peer_health", "gauge", "belief about the peer", health is peer_health(state), state=health
        )
    for view in state.membership.links:
        health_word = view.health(now_s, timing)
        out.put(
            "servha_heartbeat_link_up",
            "gauge",
            "beats arrive on the link",
            health_word == "up",
            link=view.name,
        )
    for word, count in sorted(beats.counters.items()):
        out.put(
            "servha_heartbeat_datagrams_total",
            "counter",
            "datagrams by what became of them",
            count,
            result=word,
        )
    for link, count in beats.sent.items():
        out.put("servha_heartbeat_sent_total", "counter", "datagrams sent on the link", count, link=link)
    for link, hour in beats.hours.items():
        out.put(
            "servha_heartbeat_lost_total",
            "counter",
            "datagrams of the peer that did not arrive",
            hour.lost,
            link=link,
        )
        if hour.took_s is not None:
            out.put(
                "servha_heartbeat_round_trip_seconds",
                "gauge",
                "to the peer and back, smoothed",
                hour.took_s,
                link=link,
            )
    if disk is not None:
        out.put(
            "servha_quorum_disk_rounds_total",
            "counter",
            "rounds on the quorum disk that were completed",
            disk.good,
        )
        out.put(
            "servha_quorum_disk_failed_total", "counter", "rounds on the quorum disk that failed", disk.lost
        )
        if disk.took_s is not None:
            out.put(
                "servha_quorum_disk_round_seconds",
                "gauge",
                "what a round on the quorum disk takes, smoothed",
                disk.took_s,
            )
    for spec in state.cluster.trees:
        tree = state.tree(spec.name)
        if tree is None:
            continue
        for phase in Phase:
            out.put("servha_tree_state", "gauge", "what the tree does on this node", phase is tree.phase,
                    tree=spec.name, node=us, state=phase)  # fmt: skip
        out.put(
            "servha_tree_ownership",
            "counter",
            "ownership number held or seen",
            tree.ownership,
            tree=spec.name,
        )
        for resource in spec.resources:
            for found in ResourceState:
                out.put("servha_resource_state", "gauge", "the last answer about the resource",
                        found is tree.finding(resource.name).state,
                        tree=spec.name, resource=resource.name, node=us, state=found)  # fmt: skip
    out.put(
        "servha_events_missed_total", "counter", "changes a poll found that no event had told", events_missed
    )
    out.put("servha_alarms", "gauge", "conditions that stand now", len(state.alarms))
    return out.text()


class _Lines:
    def __init__(self) -> None:
        self._families: dict[str, list[str]] = {}

    def put(self, name: str, kind: str, meaning: str, value: float, **labels: str) -> None:
        family = self._families.setdefault(name, [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"])
        inside = ",".join(f'{key}="{_escaped(str(text))}"' for key, text in labels.items())
        family.append(f"{name}{{{inside}}} {value:.12g}" if inside else f"{name} {value:.12g}")

    def text(self) -> str:
        return "".join(f"{line}\n" for lines in self._families.values() for line in lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
