"""Everything that can happen to a node. Each event carries `now_s`: seconds of CLOCK_BOOTTIME, from the shell."""

from __future__ import annotations

from dataclasses import dataclass

from servha.core.guard_model import View
from servha.core.model import Action, Cluster, Order, Phase, Ready, Report, ResourceState, Step
from servha.core.words import Text


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: the moment asked for by `Engine.wake_at_s`, or later."""

    now_s: float


@dataclass(frozen=True, slots=True)
class BeatReceived:
    """A beat whose key, session and sequence were found right arrived on `link`."""

    now_s: float
    link: str
    report: Report


@dataclass(frozen=True, slots=True)
class LinkCarrier:
    """The kernel says that the link's interface gained or lost its carrier, or is gone (`up` None)."""

    now_s: float
    link: str
    up: bool | None


@dataclass(frozen=True, slots=True)
class ReferenceProbed:
    """A reference address answered, or did not answer in time, a probe sent at `asked_s`."""

    now_s: float
    address: str
    answered: bool
    asked_s: float


@dataclass(frozen=True, slots=True)
class PeerProbed:
    """All known addresses of the peer's host were asked once, from `asked_s` on; `answered_by` is empty for silence."""

    now_s: float
    answered_by: str
    asked_s: float


@dataclass(frozen=True, slots=True)
class TreeAddressesProbed:
    """The virtual addresses of one tree were asked for on the wire; `held_by` says who answered, empty for nobody."""

    now_s: float
    tree: str
    held_by: str
    asked_s: float


@dataclass(frozen=True, slots=True)
class ResourceReported:
    """A detector or an operating system event says how a resource is, outside its starting and stopping."""

    now_s: float
    tree: str
    resource: str
    state: ResourceState
    because: Text
    source: str


@dataclass(frozen=True, slots=True)
class ActionFinished:
    """A start or stop that an effect asked for has ended."""

    now_s: float
    tree: str
    resource: str
    action: Action
    ok: bool
    because: Text
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class OrderGiven:
    """An administrator asked something of a tree on this node; the order's number is already the highest known."""

    now_s: float
    tree: str
    order: Order
    by: str = ""


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """A new configuration is in force."""

    now_s: float
    cluster: Cluster


@dataclass(frozen=True, slots=True)
class WindowsTold:
    """By the wall clock, which the core does not know, the failback windows of these trees are open and no others."""

    now_s: float
    trees: frozenset[str]


@dataclass(frozen=True, slots=True)
class ReadinessTold:
    """A check whether a node could run a resource that is off there has another answer than before.

    `resource` is empty for what concerns the tree as a whole; `node` is whose answer it is.
    """

    now_s: float
    node: str
    tree: str
    resource: str
    ready: Ready


@dataclass(frozen=True, slots=True)
class TreeMemory:
    """What stable memory and a look at the machine say about one tree.

    `steps` holds what was found running; a daemon that was killed finds its resources running and adopts them.
    """

    tree: str
    phase: Phase
    ownership: int
    order: Order
    steps: tuple[tuple[str, Step], ...] = ()


@dataclass(frozen=True, slots=True)
class Remembered:
    """The first event of a daemon's life: everything it remembers, at once.

    All trees come in one event, so that no beat ever says that a tree is off which is merely not looked at yet.
    """

    now_s: float
    trees: tuple[TreeMemory, ...] = ()


@dataclass(frozen=True, slots=True)
class GuardTold:
    """The arbitration guard told everything again, or (`view` None) its side of the socket is closed."""

    now_s: float
    view: View | None


@dataclass(frozen=True, slots=True)
class Leaving:
    """The daemon is asked to end: `stop_trees` says whether what runs is stopped first or left running (detach)."""

    now_s: float
    stop_trees: bool


Event = (
    Tick
    | BeatReceived
    | LinkCarrier
    | ReferenceProbed
    | PeerProbed
    | TreeAddressesProbed
    | ResourceReported
    | ActionFinished
    | OrderGiven
    | ConfigChanged
    | WindowsTold
    | ReadinessTold
    | Remembered
    | GuardTold
    | Leaving
)
