"""The nouns: what a cluster is made of, and the words a node has for what it sees.

Values only. Who may run what is decided in rules.py, where it should run in placement.py. A tree is the set of
resources that move together (资源树); a node calls itself "us" and the other one "the peer".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from servha.core.timing import Timing
from servha.core.words import NOTHING_SAID, Text

# --- what the administrator declared -------------------------------------------------------------------------


class Policy(StrEnum):
    """Arbitration policy (仲裁策略, design 03 section 2.9)."""

    NONE = "none"
    REFERENCE = "reference-address"
    DISK = "quorum-disk"
    BOTH = "reference-address-and-quorum-disk"

    @property
    def leased(self) -> bool:
        """Whether trees run under a lease that the quorum disk or the peer renews: only then exclusively."""
        return self in (Policy.DISK, Policy.BOTH)

    @property
    def asks_reference(self) -> bool:
        """Whether reference addresses have a say."""
        return self in (Policy.REFERENCE, Policy.BOTH)


class StartMode(StrEnum):
    """Whether a tree starts by itself (启动模式)."""

    AUTO = "auto"
    MANUAL = "manual"


class SwitchPolicy(StrEnum):
    """Who may take a tree over without being asked (切换策略)."""

    BY_PRIORITY = "by-priority"
    HIGHEST_ONLY = "highest-only"


class Failback(StrEnum):
    """What happens when a more preferred node is back (切回策略)."""

    PREFERRED = "preferred"
    STAY = "stay"
    WINDOW = "window"  # as preferred, but only within a daily time window (reading A24)


class StartFailure(StrEnum):
    """What to do when a tree cannot be started here (启动失败处理方案)."""

    NEXT_HOST = "next-host"
    STAY = "stay"


class StopFailure(StrEnum):
    """What to do when a tree cannot be stopped (停止失败处理方案)."""

    WAIT = "wait"  # for an administrator
    ESCALATE = "escalate"  # step by step, up to the reset of the node (reading A25)


@dataclass(frozen=True, slots=True)
class ResourceSpec:
    """One started thing, as far as the core needs to know it; its kind's settings stay outside."""

    name: str
    kind: str
    after: tuple[str, ...] = ()
    virtual_address: str = ""
    """The address that this resource brings to the wire, if its kind does; asked for before a takeover."""
    mount_point: str = ""
    """Where it mounts a file system, if its kind does; strangers may be in the way of its stop."""
    abnormal_stop_count_max: int = 3
    abnormal_stop_window_s: float = 60.0


@dataclass(frozen=True, slots=True)
class TreeSpec:
    """A resource tree. `hosts` is in order of preference; resources depend on each other through `after`."""

    name: str
    id: int
    hosts: tuple[str, ...]
    resources: tuple[ResourceSpec, ...] = ()
    start_mode: StartMode = StartMode.AUTO
    switch_policy: SwitchPolicy = SwitchPolicy.BY_PRIORITY
    failback: Failback = Failback.PREFERRED
    hold_down_s: float = 60.0
    start_failure: StartFailure = StartFailure.NEXT_HOST
    failback_window: str = ""
    """In the administrator's words, such as "01:00-05:00": whether it is open now, the shell tells."""
    stop_failure: StopFailure = StopFailure.WAIT


@dataclass(frozen=True, slots=True)
class Maintenance:
    """What an administrator works on and ServHA keeps its hands off: a tree, a resource or a node."""

    reason: str
    by: str
    tree: str = ""
    resource: str = ""
    node: str = ""
    orders: tuple[tuple[str, int], ...] = ()
    """The trees that are left as they are, with the number of the order in force then: a newer one is obeyed."""
    forgotten_h: int = 0
    """Hours that it has lasted, as of the last reminder; 0 while it is young or has an end."""
    allowed: tuple[str, ...] = ()
    """What may be otherwise meanwhile without an alarm: stopped, unready, silent."""

    @property
    def what(self) -> str:
        """What is in maintenance: web, web/app or node1."""
        return self.node or (f"{self.tree}/{self.resource}" if self.resource else self.tree)

    @property
    def kind(self) -> str:
        """The noun of the command line for it."""
        return "node" if self.node else "resource" if self.resource else "tree"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything the core knows about the cluster. `peer` is empty while the node is alone in it."""

    us: str
    peer: str
    links: tuple[str, ...]
    timing: Timing
    policy: Policy
    references: tuple[str, ...]
    trees: tuple[TreeSpec, ...]
    generation: int = 0
    digest: str = ""
    """First 16 hexadecimal digits of the configuration's SHA-256."""
    first_node: str = ""
    """Name of the node that initialised the cluster: wins where two wish the same with equal right."""
    maintenance: tuple[Maintenance, ...] = ()
    """What is in maintenance now."""

    def tree(self, name: str) -> TreeSpec | None:
        """Return the tree called `name`, or None."""
        return next((t for t in self.trees if t.name == name), None)


# --- orders ---------------------------------------------------------------------------------------------------


class Goal(StrEnum):
    """What the administrator last asked of a tree."""

    RUN = "run"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Order:
    """The administrator's last word on one tree. The higher number wins on both nodes, also after a reboot."""

    number: int = 0
    goal: Goal = Goal.RUN
    pin: str = ""
    """Node on which a manual start or move placed it (reading A15); empty when placement is free."""
    forced: bool = False
    """Whether an administrator typed the peer's name to say that it is off. Holds on the node it was said to."""


# --- what a node says of itself -------------------------------------------------------------------------------


class Standing(StrEnum):
    """What a node is entitled to do; the rules are in rules.py."""

    JOINING = "joining"  # has neither heard the peer nor waited out the first start delay: may start nothing
    STANDBY = "standby"  # in contact and holding nothing: may start a tree with the peer's consent
    ACTIVE = "active"  # holds at least one tree
    CLAIMING = "claiming"  # the peer is silent and the arbiter has been asked: may start what is granted
    YIELDING = "yielding"  # has lost the right, or was told to go: stops what it holds
    ISOLATED = "isolated"  # has no right and holds nothing: may start nothing


class Phase(StrEnum):
    """What one tree is doing on this node."""

    OFF = "off"
    WANTED = "wanted"  # announced; starts when the peer consents or the arbiter grants
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOP_FAILED = "stop-failed"  # may still be running: counts as held until somebody makes sure

    @property
    def holds(self) -> bool:
        """Whether something of the tree may be running here."""
        return self in (Phase.STARTING, Phase.RUNNING, Phase.STOPPING, Phase.STOP_FAILED)


class Fitness(StrEnum):
    """Whether a node could run a tree, as far as it can tell (the manual's 决断错误 when unfit)."""

    FIT = "fit"
    UNFIT = "unfit"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Ready:
    """What a precondition check found (the manual's badge A): each sentence names the reason and the fix."""

    problems: tuple[Text, ...] = ()
    """Why it could not be started; empty when it could."""
    remarks: tuple[Text, ...] = ()
    """What should be otherwise and keeps nobody from starting it."""


class Parked(StrEnum):
    """Whether a node refuses to start a tree again by itself, because it failed here."""

    NO = "no"
    YES = "yes"  # failed while the peer could have it
    ALONE = "alone"  # failed although nobody else was there: only an order helps


@dataclass(frozen=True, slots=True)
class TreeReport:
    """What a node tells its peer about one tree, in every beat."""

    id: int
    phase: Phase = Phase.OFF
    ownership: int = 0
    """The ownership number (fencing token) this node holds, wants, or has last seen for the tree."""
    fitness: Fitness = Fitness.UNKNOWN
    parked: Parked = Parked.NO
    order: Order = Order()


@dataclass(frozen=True, slots=True)
class Report:
    """What a node tells its peer about itself, in every beat."""

    node: str
    incarnation: str
    standing: Standing
    reference_ok: bool
    number: int = 0
    """Grows with every report of one incarnation; an older one that arrives late changes nothing."""
    leaving: bool = False
    """True in the last beats of a daemon that goes away and leaves its trees running (detach)."""
    hears: tuple[str, ...] = ()
    """The links on which this node currently hears us."""
    generation: int = 0
    config_digest: str = ""
    trees: tuple[TreeReport, ...] = ()

    def tree(self, tree_id: int) -> TreeReport:
        """Return what is said of tree `tree_id`; a tree the node does not know is reported as off."""
        return next((t for t in self.trees if t.id == tree_id), TreeReport(id=tree_id))


# --- what a node sees -----------------------------------------------------------------------------------------


class PeerHealth(StrEnum):
    """Belief about the peer. Lost is not dead: silence has two causes that look the same from here."""

    ABSENT = "absent"  # no second node in the configuration
    UNHEARD = "unheard"  # nothing heard since our own start
    ALIVE = "alive"
    SUSPECT = "suspect"  # every link late, not yet long enough
    LOST = "lost"  # every link silent for dead_s
    LEFT = "left"  # said goodbye, running nothing


class ResourceState(StrEnum):
    """Answer of a monitor. Unknown is an answer of its own, never a no."""

    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"  # neither running nor cleanly stopped
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What a node does to a resource."""

    START = "start"
    STOP = "stop"


class Force(StrEnum):
    """How a stop is made that has failed before."""

    AGAIN = "again"  # just as before
    KILL = "kill"  # everything in the resource's control group is killed
    FREE = "free"  # whoever uses its file system is killed, then it is unmounted


class Step(StrEnum):
    """Where one resource of a tree stands on this node."""

    OFF = "off"
    STARTING = "starting"
    ON = "on"
    BROKEN = "broken"  # was on, then stopped or failed by itself
    STOPPING = "stopping"
    START_FAILED = "start-failed"
    STOP_FAILED = "stop-failed"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing a decision rested on: what, who said so, how old it was."""

    what: Text
    source: str
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One decision or one outcome, told so that a person who was not there understands it."""

    at_s: float
    node: str
    subject: str
    """What it is about: a tree ("web"), a resource ("web/app"), a link ("link private") or "node"."""
    before: str
    after: str
    rule: str
    because: Text
    facts: tuple[Fact, ...] = ()
    otherwise: Text = NOTHING_SAID
    """What would have changed the decision; empty where there is nothing to add."""
    ownership: int = 0
    took_s: float = field(default=0.0)
    severity: str = "info"
    """info, warning, error or cleared (reading A08)."""
