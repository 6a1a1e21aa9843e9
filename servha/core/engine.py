"""One node's decisions: remember -> classify -> decide -> oblige.

`Engine.handle(event)` replaces the state and returns what the world is asked to do, in order. The tables decide
(rules.py, arbitration.py, placement.py); this module only walks them until nothing changes. What the state then
obliges us to do is in obligations.py. It reads no clock: time comes with each event.
"""

from __future__ import annotations

from servha.core import maintenance
from servha.core.alarms import conditions
from servha.core.arbitration import PERMITS, RIGHTS, Answer, Permit, Right
from servha.core.effects import Clear, Effect, Farewell, Raise, Record, Remember
from servha.core.escalation import ladder
from servha.core.events import (
    ActionFinished,
    BeatReceived,
    ConfigChanged,
    Event,
    GuardTold,
    Leaving,
    OrderGiven,
    ReadinessTold,
    Remembered,
    ResourceReported,
    Tick,
)
from servha.core.membership import membership_for
from servha.core.model import Cluster, JournalEntry, PeerHealth, Phase, TreeSpec
from servha.core.narrative import (
    heard_changes,
    lease_changes,
    order_entry,
    outcome_entry,
    readiness_changes,
    severity_of,
    tree_values,
)
from servha.core.obligations import (
    ROUNDING_S,
    SLOW_PROBE_S,
    ask_guard,
    beat,
    lease_moments,
    next_questions_s,
    questions,
    tree_work,
)
from servha.core.placement import PLACEMENT, Side
from servha.core.remember import configured, remember, with_tree
from servha.core.rules import STANDING, TREE, NodeSituation, TreeSituation
from servha.core.situations import (
    facts,
    hearing,
    peer_health,
    petition,
    question,
    reference_answer,
    rival,
    side_there,
    values,
    worn_resource,
)
from servha.core.state import State
from servha.core.table import fill, first_match
from servha.core.transitions import entered
from servha.core.value import replace
from servha.core.words import NOTHING_SAID

TOLD = frozenset({"fence", "ladder-ends", "waits-to-go-home", "waits-for-window"})
"""Rows that are told although the tree is what it was."""

SETTLE_COUNT_MAX = 8
"""How often the tables are walked for one event; each walk follows from a change made by the one before."""


class Engine:
    """The core of one node. `now_s` is in seconds of a clock that counts suspend (CLOCK_BOOTTIME)."""

    def __init__(self, cluster: Cluster, *, incarnation: str, now_s: float) -> None:
        empty = replace(cluster, trees=())
        state = State(
            cluster=empty,
            incarnation=incarnation,
            started_s=now_s,
            now_s=now_s,
            membership=membership_for(cluster.links),
            standing_since_s=now_s,
        )
        self.state = configured(state, cluster)
        self._decide_at_s = now_s
        self._thought_s = now_s
        self._oblige_at_s = now_s
        self._awake = False

    def handle(self, event: Event) -> list[Effect]:
        """Fold in `event`; return what is to be done about it, in order."""
        out: list[Effect] = []
        if not self._awake:
            # Until it is told what runs here, a node that spoke would call off what may be running.
            if not isinstance(event, Remembered):
                return out
            self._awake = True
        if self._is_routine(event):
            self._take_note(event)
            if event.now_s < self._oblige_at_s:
                return out
        else:
            self._think(event, out)
            self.state, asked = ask_guard(self.state)
            out.extend(asked)
            self._decide_at_s = self._next_decision_s()
        for obligation in (questions, beat):
            self.state, effects = obligation(self.state)
            out.extend(effects)
        beat_due_s = self.state.beat_due_s if self.state.cluster.peer else float("inf")
        self._oblige_at_s = min(beat_due_s, next_questions_s(self.state)) - ROUNDING_S
        return out

    @property
    def wake_at_s(self) -> float:
        """The moment by which a Tick is due if nothing else happens before."""
        return min(self._decide_at_s, self._oblige_at_s + ROUNDING_S)

    # --- most of the time nothing is to be decided --------------------------------------------------------------

    def _is_routine(self, event: Event) -> bool:
        """Return whether the event only says that time passes and that everything is as it was; most do."""
        state = self.state
        if event.now_s >= self._decide_at_s:
            self._decide_at_s = self._next_decision_s()  # beats heard since have moved it
            if event.now_s >= self._decide_at_s:
                return False
        if isinstance(event, Tick):
            last_s = state.membership.last_event_s
            return last_s is not None and event.now_s - last_s < state.cluster.timing.late_s
        if not isinstance(event, BeatReceived):
            return False
        known = state.membership.report
        if known is None or state.peer_word is not PeerHealth.ALIVE:
            return False
        view = next((v for v in state.membership.links if v.name == event.link), None)
        if view is None or view.heard_s is None:
            return False
        if event.now_s - view.heard_s >= state.cluster.timing.late_s:
            return False
        return replace(event.report, number=known.number) == known

    def _take_note(self, event: Event) -> None:
        """Note time and, for a beat, the link that is alive."""
        state = self.state
        membership = state.membership.passed(event.now_s, state.cluster.timing)
        if isinstance(event, BeatReceived):
            membership = membership.heard(event.link, event.report, event.now_s)
        self.state = replace(state, now_s=max(state.now_s, event.now_s), membership=membership)

    def _next_decision_s(self) -> float:
        """Return the first moment after the last decision at which time alone may change it."""
        state = self.state
        moments = [state.membership.next_change_s(self._thought_s, state.cluster.timing)]
        boot_over_s = state.started_s + state.cluster.timing.first_start_s
        if boot_over_s > self._thought_s:
            moments.append(boot_over_s)
        if state.cluster.policy.leased:
            moments.extend(m for m in lease_moments(state) if m > self._thought_s)
        for spec in state.cluster.trees:
            tree = state.tree(spec.name)
            if tree is None or not tree.phase.holds:
                continue
            if tree.there_fit_since_s is not None:
                settle_s = max(tree.there_fit_since_s, tree.moved_s) + spec.hold_down_s
                if settle_s > self._thought_s:
                    moments.append(settle_s)
            if worn_resource(state, spec, tree):
                moments.append(self._thought_s + SLOW_PROBE_S)
        return min(moments)

    # --- remember, decide, oblige -------------------------------------------------------------------------------

    def _think(self, event: Event, out: list[Effect]) -> None:
        """Remember the event, walk the tables until nothing changes, and say what stands."""
        before = self.state
        self.state = remember(before, event)
        self._thought_s = self.state.now_s
        self._note_event(before, event, out)
        self._note_peer(out)
        about = self._about_one_tree(event)
        for _ in range(SETTLE_COUNT_MAX):
            settled_on = self.state
            self._decide_standing(out)
            if _of_all_trees(self.state) != _of_all_trees(before):
                about = None
            for spec in self.state.cluster.trees:
                if about is None or spec.name == about:
                    self._decide_tree(spec, out)
            if self.state == settled_on:
                break
        self._update_alarms(out)
        if self.state.leaving and not self.state.farewell and not self._still_stopping():
            self.state = replace(self.state, farewell=True)
            self.state, goodbye = beat(self.state)
            out.extend([*goodbye, Farewell()])

    def _about_one_tree(self, event: Event) -> str | None:
        """Return the tree that `event` tells of if nothing else can have changed for the other trees, else None.

        With hundreds of resources nearly every event is such a report, and the others need not be decided again.
        """
        if not isinstance(event, ActionFinished | ResourceReported | ReadinessTold):
            return None
        return event.tree if event.now_s < self._decide_at_s else None

    def _note_event(self, before: State, event: Event, out: list[Effect]) -> None:
        """Journal what the event itself has to tell."""
        if isinstance(event, OrderGiven):
            tree, known = self.state.tree(event.tree), before.tree(event.tree)
            if tree is not None and known is not None and tree.order != known.order:
                out.append(Remember(tree.name, tree.ownership, tree.order))
                out.append(Record(order_entry(self.state, tree, event.by)))
        elif isinstance(event, (ActionFinished, ResourceReported)):
            if (entry := outcome_entry(before, self.state, event)) is not None:
                out.append(Record(entry))
        elif isinstance(event, BeatReceived):
            for tree in self.state.trees:
                known = before.tree(tree.name)
                if known is not None and known.order != tree.order:
                    out.append(Remember(tree.name, tree.ownership, tree.order))
        elif isinstance(event, ReadinessTold):
            out.extend(Record(entry) for entry in readiness_changes(before, self.state, event))
        elif isinstance(event, ConfigChanged | GuardTold):
            told = maintenance.changes(before, self.state) + lease_changes(before, self.state)
            out.extend(Record(entry) for entry in told)
        elif isinstance(event, Leaving):
            self.state = replace(self.state, beat_due_s=self.state.now_s)

    def _note_peer(self, out: list[Effect]) -> None:
        """Journal links and peer that changed their word, and keep since when the peer has been silent."""
        state = self.state
        word = peer_health(state)
        silent_since_s = state.silent_since_s
        if word is PeerHealth.UNHEARD:
            silent_since_s = state.started_s
        elif word is PeerHealth.ALIVE or word is PeerHealth.ABSENT:
            silent_since_s = float("inf")
        elif silent_since_s == float("inf"):
            silent_since_s = state.now_s
        links = tuple((v.name, v.health(state.now_s, state.cluster.timing)) for v in state.membership.links)
        out.extend(Record(entry) for entry in heard_changes(state, links, word))
        trees = []
        for spec in state.cluster.trees:
            tree = state.tree(spec.name)
            assert tree is not None
            fit = word is PeerHealth.ALIVE and side_there(state, spec) is Side.FIT
            if fit and tree.there_fit_since_s is None:
                tree = replace(tree, there_fit_since_s=state.now_s)
            elif not fit and tree.there_fit_since_s is not None:
                tree = replace(tree, there_fit_since_s=None)
            trees.append(tree)
        self.state = replace(
            state, silent_since_s=silent_since_s, link_words=links, peer_word=word, trees=tuple(trees)
        )

    # --- decide ---------------------------------------------------------------------------------------------

    def _decide_standing(self, out: list[Effect]) -> None:
        state = self.state
        if state.cluster.policy.asks_reference and reference_answer(state) is Answer.SILENT:
            state = replace(state, cut_off_until_s=state.now_s)
        row = first_match(RIGHTS, hearing(state))
        said = values(state)
        state = replace(
            state,
            right=row.becomes,
            right_because=row.why(**said),
            right_otherwise=fill(row.otherwise, said),
            right_rule=row.id,
        )
        situation = NodeSituation(
            standing=state.standing,
            right=state.right,
            holds=bool(state.holds),
            leaving=state.leaving and state.stopping,
        )
        standing = first_match(STANDING, situation)
        because = standing.why(**values(state))
        if standing.becomes is not state.standing or because != state.standing_because:
            out.append(
                Record(
                    JournalEntry(
                        at_s=state.now_s,
                        node=state.cluster.us,
                        subject="node",
                        before=state.standing,
                        after=standing.becomes,
                        rule=f"standing/{standing.id} right/{row.id}",
                        because=because,
                        facts=facts(state) if row.becomes is not Right.CONSENT else (),
                        otherwise=state.right_otherwise,
                        severity="error" if row.becomes in (Right.LOST, Right.REFUSED) else "info",
                    )
                )
            )
            state = replace(
                state, standing=standing.becomes, standing_because=because, standing_since_s=state.now_s
            )
        self.state = state

    def _decide_tree(self, spec: TreeSpec, out: list[Effect]) -> None:
        state = self.state
        tree = state.tree(spec.name)
        assert tree is not None
        asked, against = question(state, spec, tree)
        wish = first_match(PLACEMENT, asked)
        permit = first_match(PERMITS, petition(state, spec, tree))
        said = tree_values(state, spec, tree, against)
        situation = TreeSituation(
            phase=tree.phase,
            permit=permit.becomes,
            wish=wish.becomes,
            work=tree.work,
            rival=rival(state, spec, tree),
            retry=tree.order.number > tree.stuck_by >= 0,
            ladder=ladder(state, spec, tree),
            leaving=state.leaving and state.stopping,
        )
        row = first_match(TREE, situation)
        said["wish_because"] = wish.why(**said)
        said["permit_because"] = permit.why(**said)
        because = row.why(**said)
        if row.becomes is not tree.phase or because != tree.because or wish.becomes is not tree.wish:
            told = tree if row.becomes in (Phase.STARTING, Phase.WANTED) else None
            known = (tree.ownership, tree.order)
            tree = entered(state, spec, tree, row, asked.here)
            if (tree.ownership, tree.order) != known:
                out.append(Remember(tree.name, tree.ownership, tree.order))
            tree = replace(tree, because=because, rule=row.id, wish=wish.becomes)
            self.state = with_tree(self.state, tree)
            if (
                row.id not in TOLD
                and (row.id != "running" or wish.id not in TOLD)
                and row.becomes is situation.phase
                and (
                    row.becomes.holds
                    or (row.becomes is Phase.WANTED and said["entry_otherwise"] == NOTHING_SAID)
                )
            ):
                return self._work_on(spec, out)  # nothing to tell but a step on its way
            otherwise = row.otherwise or wish.otherwise or permit.otherwise
            out.append(
                Record(
                    JournalEntry(
                        at_s=state.now_s,
                        node=state.cluster.us,
                        subject=spec.name,
                        before=situation.phase,
                        after=row.becomes,
                        rule=f"tree/{row.id} placement/{wish.id} permit/{permit.id} right/{state.right_rule}",
                        because=because,
                        facts=facts(state, tree) if told is not None or permit.becomes is Permit.NO else (),
                        otherwise=fill(otherwise, said) if otherwise else state.right_otherwise,
                        ownership=tree.ownership,
                        severity="info" if permit.becomes is Permit.WAIT else severity_of(row.id),
                    )
                )
            )
        return self._work_on(spec, out)

    def _work_on(self, spec: TreeSpec, out: list[Effect]) -> None:
        self.state, effects = tree_work(self.state, spec)
        out.extend(effects)

    def _still_stopping(self) -> bool:
        """Return whether something must be stopped before this node may go."""
        held = (t for t in self.state.trees if t.phase.holds and t.phase is not Phase.STOP_FAILED)
        return self.state.stopping and any(held)

    def _update_alarms(self, out: list[Effect]) -> None:
        known = dict(self.state.alarms)
        now = conditions(self.state)
        out.extend(Clear(key) for key in known if key not in now)
        out.extend(Raise(key, *value) for key, value in now.items() if known.get(key) != value)
        self.state = replace(self.state, alarms=tuple(now.items()))


def _of_all_trees(state: State) -> tuple[object, ...]:
    """Return what every tree's decision rests on and a report about one tree may change by way of the node."""
    return state.standing, state.standing_because, state.right, state.right_because, state.holds
