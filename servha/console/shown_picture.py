"""What the console's interface answers about the cluster as it is, and about the ways between the nodes, as types.

The rest is in shown.py, which also says what these types are for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from servha.core.words import say


@dataclass
class Sentence:
    template: Annotated[str, say("the English template, which is the same in every language")]
    params: Annotated[
        dict[str, Any], say("what stands in its placeholders; a value may be a sentence itself")
    ]
    text: Annotated[str, say("the sentence in the language that was asked for")]


@dataclass
class Guarantee:
    level: Annotated[int, say("0: none, 1: best effort, 2 and 3: never both, as the sentence says")]
    text: Sentence


@dataclass
class ClusterShown:
    name: str
    id: str
    generation: int
    policy: str
    guarantee: Guarantee


@dataclass
class LinkShown:
    name: str
    nic: str
    address: str
    state: Literal["unknown", "up", "late", "dead"]
    silent_s: Annotated[float | None, say("seconds since the last beat; null: unknown")]
    carrier: Annotated[bool | None, say("whether the cable is in; null: unknown")]
    rtt_ms: Annotated[float | None, say("milliseconds to the other node and back; null: unknown")]
    loss: Annotated[
        float | None, say("part of the other node's datagrams that was lost, 0 to 1; null: unknown")
    ]


@dataclass
class NodeShown:
    name: str
    us: Annotated[bool, say("whether this is the node that answers")]
    health: str
    health_because: Sentence
    standing: Annotated[str, say("active, standby, joining, claiming, yielding, isolated; empty: unknown")]
    version: Annotated[str, say("the release of ServHA on it; empty: unknown")]
    links: list[LinkShown]


@dataclass
class CheckShown:
    resource: Annotated[str, say("empty: the tree as a whole")]
    ready: bool
    problems: list[Sentence]
    remarks: list[Sentence]


@dataclass
class SideShown:
    phase: Annotated[str, say("off, wanted, starting, running, stopping, stop-failed or unknown")]
    ownership: Annotated[int, say("ownership number: grows with every takeover")]
    fitness: Literal["fit", "unfit", "unknown"]
    parked: str
    because: Sentence
    against: Sentence
    checks: Annotated[list[CheckShown], say("what the precondition checks found where it does not run")]


@dataclass
class OrderShown:
    number: int
    goal: Literal["run", "stop"]
    pin: Annotated[str, say("node on which an order placed it; empty: placement is free")]
    forced: bool


@dataclass
class ResourceShown:
    name: str
    kind: str
    after: Annotated[list[str], say("the resources that it depends on")]
    step: str
    state: Literal["running", "stopped", "failed", "unknown"]
    because: Sentence
    since_s: float


@dataclass
class TreeShown:
    name: str
    id: int
    order: OrderShown
    hosts: Annotated[list[str], say("the preferred host first")]
    start_failure: str
    phase_by_node: dict[str, SideShown]
    running_on: Annotated[str, say("empty: nowhere")]
    since_s: float
    resources: list[ResourceShown]


@dataclass
class ReferenceShown:
    address: str
    answers: Annotated[bool | None, say("null: not asked yet")]
    age_s: float | None


@dataclass
class ArbitrationShown:
    policy: str
    references: list[ReferenceShown]
    right: str
    because: Sentence
    otherwise: Sentence
    lease: Annotated[dict[str, Any] | None, say("what the guard says of the lease on the quorum disk")]
    peer_lease: dict[str, Any] | None = None


@dataclass
class MaintenanceShown:
    what: str
    reason: str
    by: str
    allowed: list[str]
    since_s: float
    left_s: Annotated[float | None, say("null: until somebody ends it")]


@dataclass
class AlarmShown:
    key: str
    severity: Literal["error", "warning", "info"]
    text: Sentence
    since_s: float


@dataclass
class GenerationShown:
    generation: int
    digest: str
    peer_generation: int | None


@dataclass
class DaemonShown:
    pid: int
    up_s: float
    version: str
    events_missed: int


@dataclass
class Picture:
    schema_version: int
    node: str
    cluster: ClusterShown
    standing: str
    standing_because: Sentence
    nodes: list[NodeShown]
    arbitration: ArbitrationShown
    trees: list[TreeShown]
    maintenance: list[MaintenanceShown]
    alarms: list[AlarmShown]
    config: GenerationShown
    daemon: DaemonShown


# --- the ways between the nodes -------------------------------------------------------------------------------


@dataclass
class MinuteShown:
    ago_min: Annotated[int, say("minutes ago; 0 is the minute under way")]
    good: Annotated[int, say("datagrams that came, or rounds that were completed")]
    lost: Annotated[int, say("datagrams that did not come, or rounds that failed")]
    least_ms: float | None
    mean_ms: float | None
    most_ms: float | None


@dataclass
class HourShown:
    links: Annotated[
        dict[str, list[MinuteShown]],
        say(
            "by link, the oldest minute first; one in which nothing came and nothing is known to be lost is left out"
        ),
    ]
    disk: Annotated[list[MinuteShown] | None, say("rounds on the quorum disk; null: there is none")]


@dataclass
class QualityAnswer:
    schema_version: int
    minutes: Annotated[int, say("how far back it goes")]
    nodes: Annotated[dict[str, HourShown], say("by node: what each saw; without a node that does not answer")]
