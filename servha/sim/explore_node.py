"""One node of the exploration: its guard, its servhad, its way to the disk, its watchdog; and all it may do next.

What is free here, and so tried in every way: how long each process is not scheduled, when a write takes effect, when
it is acknowledged and the read behind it happens, when an order is carried out, how long a promise travels or whether
it is lost, what servhad thinks of its links (C1), how long stopping takes, the loss of power. What is not free: the
watchdog resets the node by the end of its period, and commands of a dead node take effect within `in_flight` ticks.

A pause between a look at the clock and what follows from it is explored where something can go wrong in it: before
feeding and before arming the watchdog. Everything else that a guard orders may be late by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple

from servha.core import guard_model as gm
from servha.core.lease import Asked
from servha.core.timing import Limits
from servha.sim.explore_guard import CHANGED, FAILED, NOW, SAME, Content, LocalGuards, Outcome, peer_slot


class Round(IntEnum):
    """How far the round under way is."""

    NONE = 0
    ISSUED = 1  # the write has not taken effect
    WRITTEN = 2  # it has; the read has not happened
    SEEN = 3  # the read has happened; the guard does not know yet


class Power(IntEnum):
    """What the machine does."""

    ON = 0
    FROZEN = 1  # a paused virtual machine: its clocks and its watchdog stand still too
    OFF = 2


class Touch(StrEnum):
    """What a step of one node does to the other."""

    NONE = ""
    WROTE = "wrote"
    PROMISED = "promised"


class Node(NamedTuple):
    """One node. Ages are ticks; -1 where there is nothing."""

    local: int
    """The guard's state, by its number among `LocalGuards`."""
    slot: Content = Content()
    """What its slot on the disk says now."""
    known: bool = True
    """Whether the peer's slot is still as the guard last read it."""
    round: Round = Round.NONE
    seen: Content = Content()
    seen_same: bool = True
    """Whether what the read showed is what the guard knew before."""
    seen_new: bool = True
    """Whether what the read showed is still there."""
    promise: int = -1
    """Age of the ping whose promise is on its way here."""
    fed: int = -1
    """Ticks since the watchdog was fed; -1 unarmed."""
    feeding: bool = False
    """Whether the guard is about to feed or arm it and does nothing else before."""
    may: bool = False
    """Whether servhad was told that it may start the tree and has not been told otherwise."""
    wish: bool = True
    """Whether servhad wants the tree here."""
    active: bool = False
    stopper: int = 0
    """0 nothing ordered; 1 everything is being stopped; 2 nothing was left when it was looked for."""
    power: Power = Power.ON
    late: int = 0
    """Ticks during which commands of a dead node may still take effect."""


@dataclass(frozen=True)
class Rules:
    """Which world is explored. `broken` names a deliberate fault of it."""

    limits: Limits
    silences: tuple[tuple[bool, ...], ...] = ((True, False), (True, False))
    """What servhad of each node may say of the links: that the peer is silent, or not, or both at any time."""
    again: tuple[bool, bool] = (True, True)
    """Whether the node wants the tree again after its lease ended."""
    moves: tuple[bool, bool] = (False, False)
    """Whether an operator may have the tree stopped here."""
    promises: tuple[bool, bool] = (True, True)
    """Whether promises of the peer reach the node."""
    lasting: tuple[bool, bool] = (False, False)
    """Whether the node's own lease and watchdog are left out: it is then never stopped, so it can only do more."""
    failures: bool = False
    """Whether rounds on the disk may fail."""
    crashes: bool = True
    broken: str = ""

    @property
    def in_flight(self) -> int:
        """Ticks for which commands of a dead node may still take effect."""
        return self.limits.in_flight_ms // 1000

    @property
    def watchdog(self) -> int:
        """Ticks after which an unfed watchdog has reset the node."""
        return self.limits.watchdog_ms // 1000


Step = tuple[str, Node, Touch]


def steps(rules: Rules, me: int, node: Node, their: Content, guards: LocalGuards) -> Iterator[Step]:
    """Yield all that node `me` may do now, with words for it; `their` is what the peer's slot says."""
    if node.power is Power.OFF:
        if node.late and node.round is Round.ISSUED:
            yield "a late write takes effect", node._replace(round=Round.NONE, slot=node.seen), Touch.WROTE
        return
    if node.power is Power.FROZEN:
        yield "the machine goes on", node._replace(power=Power.ON), Touch.NONE
        return
    facts = guards.facts[node.local]
    if rules.crashes or facts.reset:
        yield (
            "loses its power" if rules.crashes else "is reset by order",
            dead(rules, node, guards),
            Touch.NONE,
        )
    if rules.broken == "frozen" and me == 0:
        yield "the whole machine is paused", node._replace(power=Power.FROZEN), Touch.NONE
    if node.feeding:
        yield "the guard feeds the watchdog", node._replace(feeding=False, fed=0), Touch.NONE
    else:
        yield from _guard_steps(rules, me, node, guards)
    yield from _disk_steps(rules, node, their, guards)
    yield from _servhad_steps(rules, me, node, guards)


def _guard_steps(rules: Rules, me: int, node: Node, guards: LocalGuards) -> Iterator[Step]:
    facts = guards.facts[node.local]

    def after(words: str, event: gm.GuardEvent, node: Node = node, *, due: bool = False) -> Step:
        outcome = guards.handle(node.local, event, due=due)
        touch = Touch.PROMISED if outcome.promises else Touch.NONE
        return words, told(rules, me, node, outcome, guards), touch

    yield after("the guard looks at its clock", gm.Woken(NOW))
    if not facts.reading:
        yield after("the guard begins a round", gm.Woken(NOW), due=True)
    if node.round is Round.SEEN:
        ended = gm.RoundEnded(
            NOW,
            read=True,
            own=guards.states[node.local].writing,
            peer=peer_slot(1 - me, rules.limits, node.seen),
            peer_mark=SAME if node.seen_same else CHANGED,
        )
        rest = node._replace(
            round=Round.NONE, seen=Content(), seen_same=True, seen_new=True, known=node.seen_new
        )
        yield after(f"the guard learns that its round read {spoken(node.seen)}", ended, rest)
    if rules.failures and node.round is not Round.NONE:
        rest = node._replace(round=Round.NONE, seen=Content(), seen_same=True, seen_new=True)
        yield after(
            "the guard learns that its round failed", gm.RoundEnded(NOW, read=False, trouble=FAILED), rest
        )
    if rules.promises[1 - me]:
        outcome = guards.handle(node.local, gm.PingHeard(NOW, 1, 0))
        if outcome.promises:
            yield after("the guard hears a ping of the peer and promises", gm.PingHeard(NOW, 1, 0))
    if node.promise >= 0:
        heard = gm.PromiseHeard(NOW, 1, NOW.later(-float(node.promise)))
        yield after("the guard hears the peer's promise", heard, node._replace(promise=-1))
    if node.stopper == 2:
        yield after("the guard hears that nothing is left", gm.AllStopped(NOW, 0), node._replace(stopper=0))
    if facts.kills and not node.may:
        yield after("the guard sees servhad dead", gm.DaemonEnded(NOW))
    for wanted in _askings(rules, me, node, facts.ended):
        if wanted != facts.asking:
            words = (
                f"servhad asks: {wanted.trees[0].asked}, peer {'silent' if wanted.peer_silent else 'heard'}"
            )
            yield after(words, gm.AskedBy(NOW, wanted))


def _askings(rules: Rules, me: int, node: Node, ended: bool) -> Iterator[gm.Asking]:  # noqa: FBT001
    still = node.active or node.may
    asked = Asked.RUN if node.wish else Asked.STOP if still else Asked.OFF
    for silent in rules.silences[me]:
        for seen in (False, True) if ended and not node.may else (False,):
            yield gm.Asking(
                (gm.TreeAsked(7, asked, rank=me),), peer_silent=silent, detached=True, seen=int(seen)
            )


def told(rules: Rules, me: int, node: Node, outcome: Outcome, guards: LocalGuards) -> Node:
    """Return the node after its guard's effects, all but the feeding carried out."""
    facts = guards.facts[outcome.local]
    lasting = rules.lasting[me]
    starts = facts.granted and node.wish
    return node._replace(
        local=outcome.local,
        feeding=(outcome.feeds or outcome.arms) and not lasting,
        fed=-1 if outcome.disarms else node.fed,
        round=Round.ISSUED if outcome.writes else node.round,
        stopper=1 if outcome.stops else node.stopper,
        may=node.may or starts,
        active=node.active or (starts and not node.may),
    )


def _disk_steps(rules: Rules, node: Node, their: Content, guards: LocalGuards) -> Iterator[Step]:
    said = guards.facts[node.local].declares
    first, second = Round.ISSUED, Round.WRITTEN
    if rules.broken == "read-before-write":
        first, second = second, first
    if node.round is first:
        after = Round.WRITTEN if first is Round.ISSUED else Round.SEEN
        yield f"its slot now says {spoken(said)}", node._replace(round=after, slot=said), Touch.WROTE
    if node.round is second:
        after = Round.SEEN if second is Round.WRITTEN else Round.WRITTEN
        read = node._replace(round=after, seen=their, seen_same=node.known, seen_new=True)
        yield f"it reads {spoken(their)}", read, Touch.NONE


def _servhad_steps(rules: Rules, me: int, node: Node, guards: LocalGuards) -> Iterator[Step]:
    facts = guards.facts[node.local]
    if node.may and not node.active:
        yield "servhad starts the tree", node._replace(active=True), Touch.NONE
    if node.may and facts.ended:
        wish = node.wish and rules.again[me]
        words = "servhad sees that the lease ended, or is killed"
        yield words, node._replace(may=False, wish=wish), Touch.NONE
    if node.stopper == 1:
        yield "everything is killed, nothing is left", node._replace(active=False, stopper=2), Touch.NONE
    if rules.moves[me] and node.wish and facts.granted:
        yield "an operator moves the tree away", node._replace(wish=False, may=False), Touch.NONE
    if not node.wish and node.active:
        yield "servhad has stopped the tree", node._replace(active=False), Touch.NONE
    if not node.wish and rules.moves[me] and not node.active:
        yield "an operator wants the tree back", node._replace(wish=True), Touch.NONE


def touched(node: Node, touch: Touch) -> Node:
    """Return the node after a step of the other one."""
    if touch is Touch.PROMISED:
        return node._replace(promise=0) if node.power is not Power.OFF else node
    return node._replace(known=False, seen_new=False)


def tick(rules: Rules, node: Node, guards: LocalGuards) -> Node:
    """Return the node one tick later; one whose watchdog was not fed in time is reset by then."""
    if node.power is Power.FROZEN:
        return node
    if node.power is Power.OFF:
        late = max(0, node.late - 1)
        return node._replace(late=late) if late else GONE._replace(slot=node.slot)
    if node.fed >= rules.watchdog:
        return dead(rules, node, guards)
    promise = node.promise + 1 if 0 <= node.promise < rules.limits.keep_s() - 1 else -1
    return node._replace(
        local=guards.later(node.local), fed=node.fed + 1 if node.fed >= 0 else -1, promise=promise
    )


def dead(rules: Rules, node: Node, guards: LocalGuards) -> Node:
    """Return what is left of the node without power."""
    late = rules.in_flight
    if not late and not node.active:
        return GONE._replace(slot=node.slot)
    under_way = node.round is Round.ISSUED
    return GONE._replace(
        slot=node.slot,
        late=late,
        active=node.active and bool(late),
        round=Round.ISSUED if under_way else Round.NONE,
        seen=guards.facts[node.local].declares if under_way else Content(),
    )


GONE = Node(0, power=Power.OFF, known=False, wish=False)


def inert(rules: Rules, node: Node) -> bool:
    """Return whether the node can never run the tree again: it has no power, or has stopped and wants it no more."""
    if node.power is Power.OFF:
        return not node.late
    return not (node.wish or node.may or node.active or any(rules.moves))


def spoken(said: Content) -> str:
    """Return a slot's content in words."""
    return f"{said.entry}{' and a claim' if said.claim else ''}"
