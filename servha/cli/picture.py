"""The daemon's status answer as values: read once, at the edge; what is missing is unknown, never a no.

Decides whether the picture is a healthy one (`degraded`), for the exit status. Shows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from servha.core.words import NOTHING_SAID, Text
from servha.language import sentence

LEASE_LOST: Final = ("ending", "reset", "unknown")
"""Words for a lease under which nothing may start."""


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """One heartbeat link, as one node sees it."""

    name: str
    nic: str
    address: str
    state: str
    silent_s: float | None
    rtt_ms: float | None
    loss: float | None
    """The lost part, 0 to 1."""
    carrier: bool | None


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """One node."""

    name: str
    us: bool
    health: str
    health_because: Text
    standing: str
    version: str
    """Of ServHA; empty: unknown."""
    links: tuple[LinkSeen, ...]


@dataclass(frozen=True, slots=True)
class CheckSeen:
    """What the precondition check of one resource found on one node; no resource: about the tree as a whole."""

    resource: str
    problems: tuple[Text, ...]
    remarks: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class PhaseSeen:
    """What a tree does on one node."""

    phase: str
    ownership: int
    fitness: str
    parked: str
    because: Text
    against: Text
    """Why this node could not run it now; empty when nothing speaks against it."""
    checks: tuple[CheckSeen, ...] = ()
    """What was measured while it is off there."""


@dataclass(frozen=True, slots=True)
class ResourceSeen:
    """One resource, on the node that was asked."""

    name: str
    kind: str
    after: tuple[str, ...]
    step: str
    state: str
    because: Text
    since_s: float | None


@dataclass(frozen=True, slots=True)
class TreeSeen:
    """One resource tree. `since_s`: seconds for which it has been as it is."""

    name: str
    order: int
    goal: str
    pin: str
    hosts: tuple[str, ...]
    on: Mapping[str, PhaseSeen]
    running_on: str
    since_s: float | None
    resources: tuple[ResourceSeen, ...]
    stays_after_failure: bool = False
    """Whether no other host tries after a start that failed."""


@dataclass(frozen=True, slots=True)
class EntrySeen:
    """What both nodes declare about one tree on the quorum disk."""

    tree: str
    entry: str
    ownership: int
    granted: bool
    because: Text
    peer_entry: str
    peer_ownership: int

    @property
    def peer_holds(self) -> bool:
        """Whether the tree may be running on the other node, by what it declared last."""
        return self.peer_entry in ("held", "stop-failed")


@dataclass(frozen=True, slots=True)
class LeaseSeen:
    """The lease of one node. `works` is None while nobody has told how the quorum disk is."""

    word: str
    because: Text
    otherwise: Text
    since_s: float | None
    device: str
    works: bool | None
    trouble: Text
    watchdog: str
    limits_differ: bool
    entries: tuple[EntrySeen, ...]

    @property
    def lives(self) -> bool:
        """Whether trees are held under it now."""
        return self.word in ("leased", "degraded")

    def entry(self, tree: str) -> EntrySeen | None:
        """Return what is declared about `tree`, or None while nothing is known."""
        return next((e for e in self.entries if e.tree == tree), None)


@dataclass(frozen=True, slots=True)
class AlarmSeen:
    """A condition that lasts."""

    severity: str
    text: Text
    since_s: float | None


@dataclass(frozen=True, slots=True)
class MaintenanceSeen:
    """What is in maintenance: `web`, `web/app` or `node1`. `left_s` is None where only a person ends it."""

    what: str
    reason: str
    by: str
    since_s: float | None
    left_s: float | None
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """The cluster as one node sees it."""

    node: str
    cluster: str
    generation: int
    peer_generation: int | None
    policy: str
    guarantee: Text
    standing: str
    standing_because: Text
    right: str
    right_because: Text
    references: tuple[tuple[str, Any, float | None], ...]
    lease: LeaseSeen | None
    """None where the policy needs no lease."""
    peer_lease: LeaseSeen | None
    nodes: tuple[NodeSeen, ...]
    trees: tuple[TreeSeen, ...]
    alarms: tuple[AlarmSeen, ...]
    maintenance: tuple[MaintenanceSeen, ...]
    version: str
    events_missed: int

    @property
    def exists(self) -> bool:
        """Whether there is a cluster at all."""
        return bool(self.cluster)

    @property
    def degraded(self) -> bool:
        """Whether something is wrong although the cluster works."""
        return (
            any(alarm.severity in ("warning", "error") for alarm in self.alarms)
            or any(
                node.health in ("suspect", "lost", "left", "unheard") for node in self.nodes if not node.us
            )
            or any(link.state in ("late", "dead") for node in self.nodes for link in node.links)
            or any(tree.goal == "run" and not tree.running_on for tree in self.trees)
            or (self.lease is not None and (self.lease.works is False or self.lease.word in LEASE_LOST))
        )

    def tree(self, name: str) -> TreeSeen | None:
        """Return the tree called `name`, or None."""
        return next((tree for tree in self.trees if tree.name == name), None)


def picture_of(answer: Any) -> Picture:
    """Read the result of the verb `status`."""
    whole = _object(answer)
    cluster, arbitration = _object(whole.get("cluster")), _object(whole.get("arbitration"))
    config, daemon = _object(whole.get("config")), _object(whole.get("daemon"))
    return Picture(
        node=_word(whole.get("node")),
        cluster=_word(cluster.get("name")),
        generation=int(_number(config.get("generation", cluster.get("generation"))) or 0),
        peer_generation=None if config.get("peer_generation") is None else int(config["peer_generation"]),
        policy=_word(cluster.get("policy") or arbitration.get("policy")),
        guarantee=_guarantee(cluster.get("guarantee")),
        standing=_word(whole.get("standing")),
        standing_because=sentence(whole.get("standing_because")),
        right=_word(arbitration.get("right")),
        right_because=sentence(arbitration.get("because")),
        references=tuple(
            (_word(r.get("address")), r.get("answers"), _number(r.get("age_s")))
            for r in _objects(arbitration.get("references"))
        ),
        lease=_lease(arbitration.get("lease")),
        peer_lease=_lease(arbitration.get("peer_lease")),
        nodes=tuple(_node(n) for n in _objects(whole.get("nodes"))),
        trees=tuple(_tree(t) for t in _objects(whole.get("trees"))),
        alarms=tuple(
            AlarmSeen(_word(a.get("severity")), sentence(a.get("text") or a), _number(a.get("since_s")))
            for a in _objects(whole.get("alarms"))
        ),
        maintenance=tuple(
            MaintenanceSeen(
                what=_word(m.get("what")),
                reason=_word(m.get("reason")),
                by=_word(m.get("by")),
                since_s=_number(m.get("since_s")),
                left_s=_number(m.get("left_s")),
                allowed=tuple(_word(word) for word in m.get("allowed") or ()),
            )
            for m in _objects(whole.get("maintenance"))
        ),
        version=_word(daemon.get("version")),
        events_missed=int(_number(daemon.get("events_missed")) or 0),
    )


def _node(node: Mapping[str, Any]) -> NodeSeen:
    # What a silent node last said of its links is no news of them.
    silent = not node.get("us") and node.get("health") in ("lost", "left", "unheard")
    return NodeSeen(
        name=_word(node.get("name")),
        us=bool(node.get("us")),
        health=_word(node.get("health")),
        health_because=sentence(node.get("health_because")),
        standing=_word(node.get("standing")),
        version=_word(node.get("version")),
        links=tuple(
            LinkSeen(
                name=_word(link.get("name")),
                nic=_word(link.get("nic")),
                address=_word(link.get("address")),
                state="unknown" if silent else _word(link.get("state")) or "unknown",
                silent_s=_number(link.get("silent_s")),
                rtt_ms=_number(link.get("rtt_ms")),
                loss=_number(link.get("loss")),
                carrier=link.get("carrier"),
            )
            for link in _objects(node.get("links"))
        ),
    )


def _tree(tree: Mapping[str, Any]) -> TreeSeen:
    order = _object(tree.get("order"))
    return TreeSeen(
        name=_word(tree.get("name")),
        order=int(_number(order.get("number")) or 0),
        goal=_word(order.get("goal")) or "run",
        pin=_word(order.get("pin")),
        hosts=tuple(_word(h) for h in tree.get("hosts") or ()),
        on={
            str(node): PhaseSeen(
                phase=_word(seen.get("phase")),
                ownership=int(_number(seen.get("ownership")) or 0),
                fitness=_word(seen.get("fitness")) or "unknown",
                parked=_word(seen.get("parked")) or "no",
                because=sentence(seen.get("because")),
                against=sentence(seen.get("against")),
                checks=tuple(
                    CheckSeen(
                        resource=_word(check.get("resource")),
                        problems=tuple(sentence(t) for t in check.get("problems") or ()),
                        remarks=tuple(sentence(t) for t in check.get("remarks") or ()),
                    )
                    for check in _objects(seen.get("checks"))
                ),
            )
            for node, seen in _object(tree.get("phase_by_node")).items()
            if isinstance(seen, Mapping)
        },
        running_on=_word(tree.get("running_on")),
        since_s=_number(tree.get("since_s")),
        resources=tuple(
            ResourceSeen(
                name=_word(r.get("name")),
                kind=_word(r.get("kind")),
                after=tuple(_word(a) for a in r.get("after") or ()),
                step=_word(r.get("step")),
                state=_word(r.get("state")) or "unknown",
                because=sentence(r.get("because")),
                since_s=_number(r.get("since_s")),
            )
            for r in _objects(tree.get("resources"))
        ),
        stays_after_failure=tree.get("start_failure") == "stay",
    )


def _lease(value: Any) -> LeaseSeen | None:
    lease = _object(value)
    if not lease:
        return None
    disk = _object(lease.get("disk"))
    return LeaseSeen(
        word=_word(lease.get("word")) or "unknown",
        because=sentence(lease.get("because")),
        otherwise=sentence(lease.get("otherwise")),
        since_s=_number(lease.get("since_s")),
        device=_word(disk.get("device")),
        works=None if disk.get("works") is None else bool(disk["works"]),
        trouble=sentence(disk.get("trouble")),
        watchdog=_word(lease.get("watchdog")),
        limits_differ=bool(lease.get("limits_differ")),
        entries=tuple(
            EntrySeen(
                tree=_word(e.get("tree")),
                entry=_word(e.get("entry")) or "none",
                ownership=int(_number(e.get("ownership")) or 0),
                granted=bool(e.get("granted")),
                because=sentence(e.get("because")),
                peer_entry=_word(e.get("peer_entry")) or "none",
                peer_ownership=int(_number(e.get("peer_ownership")) or 0),
            )
            for e in _objects(lease.get("trees"))
        ),
    )


def _guarantee(value: Any) -> Text:
    inner = _object(value)
    return sentence(inner.get("text")) if inner else NOTHING_SAID


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def _word(value: Any) -> str:
    return "" if value is None else str(value)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
