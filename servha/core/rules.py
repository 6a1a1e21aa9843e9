"""Who may run what, and why: the two tables everything else serves. Start reading here.

STANDING: what this node is entitled to as a whole. TREE: what one tree becomes on this node. Each row says what
it must see, what follows, and the reason that `servha why` shows. The words in a situation come from
arbitration.py (`right`, `permit`), placement.py (`wish`) and trees.py (`work`).

The promises, each a test over every combination of words:
  - a tree starts only with a permit: the peer's consent, or the right to act alone;
  - beats alone never move a tree: silence leads to claiming, and only an answer of the arbiter leads further;
  - a node that has lost the right stops what it holds, whatever was wished or ordered;
  - of two nodes that hold the same tree, the one with the lower ownership number stops.

What is refused here: any clock, any number, any I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

from servha.core.arbitration import Permit, Right
from servha.core.escalation import Ladder
from servha.core.model import Phase, Standing
from servha.core.placement import Wish
from servha.core.table import Row
from servha.core.trees import Work


@dataclass(frozen=True, slots=True)
class NodeSituation:
    """Everything a node's standing depends on."""

    standing: Standing
    right: Right
    holds: bool
    leaving: bool


STANDING: tuple[Row[Standing], ...] = (
    Row(
        "told-to-leave", {"leaving": True, "holds": True}, Standing.YIELDING, "it was told to stop and leave"
    ),
    Row("left", {"leaving": True}, Standing.ISOLATED, "it was told to leave and holds nothing any more"),
    Row("right-lost", {"right": Right.LOST, "holds": True}, Standing.YIELDING, "{right_because}"),
    Row("gave-up", {"right": Right.LOST}, Standing.ISOLATED, "{right_because}"),
    Row("holds", {"holds": True}, Standing.ACTIVE, "it holds {held}"),
    Row(
        "in-contact",
        {"right": Right.CONSENT},
        Standing.STANDBY,
        "{peer} is in contact and nothing is held here",
    ),
    Row(
        "booting", {"standing": Standing.JOINING, "right": Right.PENDING}, Standing.JOINING, "{right_because}"
    ),
    Row("asking", {"right": Right.PENDING}, Standing.CLAIMING, "{right_because}"),
    Row("may-act-alone", {"right": Right.GRANTED}, Standing.CLAIMING, "{right_because}"),
    Row("refused", {"right": Right.REFUSED}, Standing.ISOLATED, "{right_because}"),
)


@dataclass(frozen=True, slots=True)
class TreeSituation:
    """Everything that decides what one tree becomes on this node."""

    phase: Phase
    permit: Permit
    wish: Wish
    work: Work
    rival: bool
    """Whether the peer holds the tree as well, and has the better claim to it."""
    retry: bool
    """Whether an administrator asked for another try after a failed stop."""
    ladder: Ladder
    """What is left to be tried after a failed stop."""
    leaving: bool
    """Whether this node was told to stop everything and leave."""


UP = frozenset({Phase.STARTING, Phase.RUNNING})
NOT_HERE = frozenset({Wish.THERE, Wish.NOWHERE})
DOWN = frozenset({Permit.NO, Permit.MUST_STOP})

TREE: tuple[Row[Phase], ...] = (
    # It may be running here: reasons to stop, the strongest first.
    Row(
        "rival",
        {"phase": UP, "rival": True},
        Phase.STOPPING,
        "{peer} holds it too, with the better claim: {rival}",
    ),
    Row("right-lost", {"phase": UP, "permit": Permit.MUST_STOP}, Phase.STOPPING, "{right_because}"),
    Row("leaving", {"phase": UP, "leaving": True}, Phase.STOPPING, "this node was told to stop and leave"),
    Row("start-failed", {"phase": UP, "work": {Work.FAILED, Work.STUCK}}, Phase.STOPPING, "{failure}"),
    Row("sent-away", {"phase": UP, "wish": NOT_HERE}, Phase.STOPPING, "{wish_because}"),
    # Progress.
    Row("started", {"phase": Phase.STARTING, "work": Work.ALL}, Phase.RUNNING, "every resource is running"),
    Row("starting", {"phase": Phase.STARTING}, Phase.STARTING, "its resources are being started"),
    Row("running", {"phase": Phase.RUNNING}, Phase.RUNNING, "{wish_because}"),
    Row("stopped", {"phase": Phase.STOPPING, "work": Work.NOTHING}, Phase.OFF, "every resource is stopped"),
    Row(
        "cannot-stop",
        {"phase": Phase.STOPPING, "work": Work.STUCK},
        Phase.STOP_FAILED,
        "{failure}; it may still be running here, so nobody else may start it",
        "making sure that it is stopped, then `servha tree stop`, would have freed it",
    ),
    Row("stopping", {"phase": Phase.STOPPING}, Phase.STOPPING, "its resources are being stopped"),
    Row(
        "found-stopped",
        {"phase": Phase.STOP_FAILED, "work": {Work.NOTHING, Work.GOING, Work.ALL, Work.FAILED}},
        Phase.STOPPING,
        "what could not be stopped was found stopped after all",
    ),
    Row(
        "retry-stop",
        {"phase": Phase.STOP_FAILED, "retry": True},
        Phase.STOPPING,
        "an order asks to stop it again",
    ),
    Row(
        "climb",
        {"phase": Phase.STOP_FAILED, "ladder": Ladder.CLIMB},
        Phase.STOPPING,
        "{failure}; its stop failure policy goes on: {next_step}",
        "stop failure policy wait would have left it to an administrator",
    ),
    Row(
        "fence",
        {"phase": Phase.STOP_FAILED, "ladder": Ladder.FENCE},
        Phase.STOP_FAILED,
        "{failure}; everything else was tried, so this node is reset and {peer} takes over",
        "stop failure policy wait would have left it to an administrator",
    ),
    Row(
        "ladder-ends",
        {"phase": Phase.STOP_FAILED, "ladder": Ladder.END},
        Phase.STOP_FAILED,
        "{failure}; everything else was tried, and this node is not reset ({fence_trouble}): an administrator has to"
        " make sure that it is stopped",
        "making sure that it is stopped, then `servha tree stop`, would have freed it",
    ),
    Row("still-stuck", {"phase": Phase.STOP_FAILED}, Phase.STOP_FAILED, "{failure}"),
    # It is off here: the only two ways up, both through a permit.
    Row("leaving-off", {"leaving": True}, Phase.OFF, "this node was told to stop and leave"),
    Row(
        "start", {"wish": Wish.HERE, "permit": Permit.YES}, Phase.STARTING, "{wish_because}; {permit_because}"
    ),
    Row(
        "announce",
        {"wish": Wish.HERE, "permit": Permit.ASK},
        Phase.WANTED,
        "{wish_because}; {permit_because}",
    ),
    Row("not-permitted", {"wish": Wish.HERE, "permit": DOWN | {Permit.WAIT}}, Phase.OFF, "{permit_because}"),
    Row("not-wished", {"wish": NOT_HERE}, Phase.OFF, "{wish_because}"),
)
