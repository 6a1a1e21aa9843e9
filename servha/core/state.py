"""What one node remembers: the single value that the engine replaces with every event.

Because it is one frozen value, the console may read it at any moment, a journal of events replays it exactly, and
tests compare it. Nothing is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from servha.core.arbitration import Probe, Right
from servha.core.guard_model import Asking, View
from servha.core.membership import LinkHealth, Membership
from servha.core.model import (
    Cluster,
    Fitness,
    Order,
    PeerHealth,
    Phase,
    Ready,
    Report,
    ResourceState,
    Standing,
    Step,
)
from servha.core.placement import Wish
from servha.core.trees import Work, work
from servha.core.words import NOTHING_SAID, Text


@dataclass(frozen=True, slots=True)
class Finding:
    """The last answer about one resource."""

    state: ResourceState = ResourceState.UNKNOWN
    because: Text = NOTHING_SAID
    since_s: float = 0.0


def problems_of(readiness: tuple[tuple[str, Ready], ...]) -> tuple[tuple[str, Text], ...]:
    """Return every (resource, reason) that stands against a start."""
    return tuple((name, problem) for name, ready in readiness for problem in ready.problems)


@dataclass(frozen=True, slots=True)
class TreeState:
    """One tree on this node."""

    name: str
    phase: Phase = Phase.OFF
    ownership: int = 0
    """The number held or wanted here, else the highest seen anywhere."""
    order: Order = Order()
    parked_by: int = -1
    """Number of the order under which it failed here; a newer order lifts it. -1: not parked."""
    parked_alone: bool = False
    failure: Text = NOTHING_SAID
    """What failed last here; kept until the next order."""
    stuck_by: int = -1
    """Number of the order in force when stopping failed; a newer one asks for another try."""
    stop_failures: tuple[tuple[str, int], ...] = ()
    """How often stopping each resource has failed since the tree was last up, or since an order to try again."""
    steps: tuple[tuple[str, Step], ...] = ()
    proven: frozenset[str] = frozenset()
    """Resources that have been on since the tree was last started; one that was added later has to prove itself."""
    findings: tuple[tuple[str, Finding], ...] = ()
    stops_s: tuple[tuple[str, tuple[float, ...]], ...] = ()
    """Abnormal stops per resource, newest last."""
    addresses: Probe = Probe()
    since_s: float = 0.0
    because: Text = NOTHING_SAID
    rule: str = ""
    wish: Wish = Wish.NOWHERE
    """Where it should run by the last answer of the placement table."""
    asked_off: int = 0
    """Number of the last word to the guard in which the tree was off: a grant given before it is worth nothing."""
    moved_s: float = float("-inf")
    """When this node last started or released it: failback waits the hold-down from then on."""
    there_fit_since_s: float | None = None
    window_open: bool = False
    """Whether the shell said last that its failback window is open; closed until it says so."""

    readiness: tuple[tuple[str, Ready], ...] = ()
    """Per resource whether it could be started here, as last measured while it was off; empty: not measured yet."""
    readiness_there: tuple[tuple[str, Ready], ...] = ()
    """The same of the other node, by its own word."""

    def step(self, resource: str) -> Step:
        """Return the step of `resource`; one never touched is off."""
        return dict(self.steps).get(resource, Step.OFF)

    def finding(self, resource: str) -> Finding:
        """Return the last answer about `resource`; unknown before the first."""
        return dict(self.findings).get(resource, Finding())

    @property
    def work(self) -> Work:
        """How far the resources have come. In a running tree, one that never ran cannot take the others down."""
        steps = {
            name: Step.OFF if self._is_unproven_failure(name, step) else step for name, step in self.steps
        }
        return work(steps)

    def _is_unproven_failure(self, name: str, step: Step) -> bool:
        return self.phase is Phase.RUNNING and step is Step.START_FAILED and name not in self.proven

    @property
    def unready(self) -> tuple[tuple[str, Text], ...]:
        """Every (resource, reason) that keeps this node from starting it; none while it is held here."""
        return () if self.phase.holds else problems_of(self.readiness)

    @property
    def fitness(self) -> Fitness:
        """Whether this node could run the tree, from the last answers about its resources while it is off here."""
        if self.phase.holds:
            return Fitness.FIT
        states = {f.state for _, f in self.findings}
        if states & {ResourceState.RUNNING, ResourceState.FAILED}:
            return Fitness.UNFIT
        return Fitness.UNKNOWN if ResourceState.UNKNOWN in states else Fitness.FIT


@dataclass(frozen=True, slots=True)
class State:
    """Everything this node knows."""

    cluster: Cluster
    incarnation: str
    started_s: float
    now_s: float
    membership: Membership
    standing: Standing = Standing.JOINING
    standing_because: Text = NOTHING_SAID
    standing_since_s: float = 0.0
    right: Right = Right.PENDING
    right_because: Text = NOTHING_SAID
    right_otherwise: Text = NOTHING_SAID
    right_rule: str = ""
    references: tuple[tuple[str, Probe], ...] = ()
    peer_host: Probe = Probe()
    silent_since_s: float = float("inf")
    """Since when every link has been late; what was asked on the wire before that says nothing."""
    cut_off_until_s: float = float("-inf")
    """Last moment at which no reference address answered: silence heard before that may have been our own."""
    probed_s: float = float("-inf")
    trees: tuple[TreeState, ...] = ()
    view: View | None = None
    """What the arbitration guard told last; None while it is not connected."""
    guard_lost_s: float = float("-inf")
    """Since when the guard is not connected."""
    lease_since_s: float = float("-inf")
    """Since when the lease is what it is."""
    asked: Asking | None = None
    leaving: bool = False
    """The daemon is going away."""
    stopping: bool = False
    """... and stops what it holds first."""
    farewell: bool = False
    beat_due_s: float = float("-inf")
    beat_number: int = 0
    link_words: tuple[tuple[str, LinkHealth], ...] = ()
    peer_word: PeerHealth = PeerHealth.UNHEARD
    sent: Report | None = None
    alarms: tuple[tuple[str, tuple[str, Text]], ...] = field(default=())

    def tree(self, name: str) -> TreeState | None:
        """Return the state of tree `name`, or None if there is no such tree."""
        return next((t for t in self.trees if t.name == name), None)

    @property
    def holds(self) -> tuple[str, ...]:
        """Names of the trees that may be running here."""
        return tuple(t.name for t in self.trees if t.phase.holds)
