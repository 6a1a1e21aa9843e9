"""The journal lines that are told about events themselves: links, the peer, orders, starts and stops.

Why a node or a tree changed is told by the engine from its tables; nothing is decided here.
"""

from __future__ import annotations

from servha.core import maintenance
from servha.core.escalation import fence_trouble, next_step
from servha.core.events import ActionFinished, ReadinessTold, ResourceReported
from servha.core.lease import Lease
from servha.core.membership import LinkHealth
from servha.core.model import (
    Action,
    Fact,
    Fitness,
    Goal,
    JournalEntry,
    PeerHealth,
    Phase,
    ResourceState,
    Step,
    TreeSpec,
)
from servha.core.register import Entry
from servha.core.situations import facts, their_side, values, worn_resource
from servha.core.state import State, TreeState
from servha.core.trees import recent
from servha.core.value import replace
from servha.core.words import NOTHING_SAID, Text, Value, say

LinkWords = tuple[tuple[str, LinkHealth], ...]

ERRORS = frozenset({"rival", "right-lost", "start-failed", "cannot-stop", "not-permitted"})


def severity_of(rule: str) -> str:
    """Return the severity with which a tree's change by `rule` is journalled."""
    return "error" if rule in ERRORS else "info"


def tree_values(state: State, spec: TreeSpec, tree: TreeState, against: Text) -> dict[str, Value]:
    """Return what the sentences of the tables about a tree may name; `against`: why its failover is no use."""
    said = values(state)
    worn = worn_resource(state, spec, tree)
    limits = next((r for r in spec.resources if r.name == worn), None)
    said["tree"] = spec.name
    if state.view is not None:
        entry = state.view.entry(spec.id)
        asking = say("the quorum disk is being asked")  # its last answer was given to another question
        answered = (tree.phase is Phase.WANTED and entry.entry is not Entry.NONE) or entry.otherwise.template
        said["entry_because"] = entry.because if answered else asking
        said["entry_otherwise"] = entry.otherwise if tree.phase is Phase.WANTED else NOTHING_SAID
        said["entry_ownership"] = entry.ownership
    else:
        said["entry_because"] = said["entry_otherwise"] = NOTHING_SAID
    said["failure"] = against if against.template else tree.failure
    said["held_by"] = tree.addresses.answered_by
    said["maintenance"] = maintenance.reason(state, spec)
    said["hold_down_s"] = round(spec.hold_down_s)
    said["window"] = spec.failback_window
    stuck = tree.phase is Phase.STOP_FAILED
    said["next_step"] = next_step(spec, tree) if stuck else NOTHING_SAID
    said["fence_trouble"] = fence_trouble(state, spec, tree) if stuck else NOTHING_SAID
    on_disk = state.view.peer_entry(spec.id).ownership if state.view else 0
    said["rival"] = max(on_disk, their_side(state, spec).ownership)
    said["limit"] = limits.abnormal_stop_count_max if limits else 0
    said["window_s"] = round(limits.abnormal_stop_window_s) if limits else 0
    return said


def heard_changes(state: State, links: LinkWords, peer: PeerHealth) -> list[JournalEntry]:
    """Return what there is to tell about links and peer, compared with the words in `state`."""
    entries: list[JournalEntry] = []
    known = dict(state.link_words)
    silent_s = {v.name: round(v.silent_s(state.now_s) or 0.0, 2) for v in state.membership.links}
    name = state.cluster.peer
    for link, word in links:
        was = known.get(link, LinkHealth.UNKNOWN)
        if was is word or not name:
            continue
        told = {
            LinkHealth.WARNED: (
                "warning",
                say("nothing heard from {peer} for {silent_s} s", peer=name, silent_s=silent_s[link]),
            ),
            LinkHealth.DEAD: (
                "warning",
                say(
                    "nothing heard from {peer} for {silent_s} s: the link counts as dead",
                    peer=name,
                    silent_s=silent_s[link],
                ),
            ),
            LinkHealth.UP: ("cleared", say("{peer} is heard", peer=name)),
        }.get(word)
        if told is None or (word is LinkHealth.UP and was is LinkHealth.LATE):
            continue
        entries.append(_entry(state, f"link {link}", was, word, f"link/{word}", told[1], severity=told[0]))
    if peer is not state.peer_word:
        told_peer: dict[PeerHealth, tuple[str, Text]] = {
            PeerHealth.LOST: (
                "error",
                say(
                    "{peer} is lost: all {count} links are silent, the last beat came {silent_s} s ago",
                    peer=name,
                    count=len(links),
                    silent_s=round(state.membership.silent_s(state.now_s), 2),
                ),
            ),
            PeerHealth.ALIVE: ("cleared", say("{peer} is heard", peer=name)),
            PeerHealth.LEFT: ("warning", say("{peer} said goodbye, having stopped everything", peer=name)),
        }
        told = told_peer.get(peer)
        if told is not None and not (peer is PeerHealth.ALIVE and state.peer_word is PeerHealth.SUSPECT):
            facts_now = facts(state) if peer is PeerHealth.LOST else ()
            entries.append(
                _entry(
                    state, f"peer {name}", state.peer_word, peer, f"peer/{peer}", told[1], told[0], facts_now
                )
            )
    return entries


def lease_changes(before: State, after: State) -> list[JournalEntry]:
    """Return what there is to tell about the arbitration guard and the node's lease."""
    was, now = before.view, after.view
    if now is None:
        if was is None:
            return []
        text = say(
            "servha-guardd does not answer; its watchdog ends this node unless a new one takes over in time"
        )
        return [_entry(after, "lease", was.lease, "unknown", "lease/unguarded", text, "warning")]
    entries = []
    held = {Lease.LEASED, Lease.DEGRADED}
    if was is None or (was.lease is not now.lease and not (was.lease in held and now.lease in held)):
        told = {Lease.ENDING: "error", Lease.RESET: "error"}.get(now.lease, "info")
        entry = _entry(after, "lease", was.lease if was else "unknown", now.lease, "lease", now.because, told)
        entries.append(replace(entry, otherwise=now.otherwise))
    if was is not None and was.disk_ok is not now.disk_ok:
        text = say("the quorum disk works") if now.disk_ok else now.disk_trouble
        word = "works" if now.disk_ok else "trouble"
        severity = "cleared" if now.disk_ok else "warning"
        entries.append(
            _entry(after, "quorum disk", "works" if was.disk_ok else "trouble", word, "disk", text, severity)
        )
    return entries


def readiness_changes(before: State, after: State, event: ReadinessTold) -> list[JournalEntry]:
    """Return what there is to tell about a precondition check of this node: another first problem, or none left."""
    was, now = before.tree(event.tree), after.tree(event.tree)
    if event.node != after.cluster.us or was is None or now is None or was.unready[:1] == now.unready[:1]:
        return []
    words = (Fitness.UNFIT if was.unready else Fitness.FIT, Fitness.UNFIT if now.unready else Fitness.FIT)
    subject = f"{event.tree}/{event.resource}" if event.resource else event.tree
    if now.unready:
        resource, reason = now.unready[0]
        subject = f"{event.tree}/{resource}" if resource else event.tree
        return [_entry(after, subject, *words, "readiness", reason, "warning")]
    text = say("every precondition is met again")
    return [_entry(after, subject, *words, "readiness", text, "cleared")]


def order_entry(state: State, tree: TreeState, by: str) -> JournalEntry:
    """Return the line that tells of an administrator's order."""
    order = tree.order
    if order.goal is Goal.STOP:
        what = say("{by} ordered it to be stopped", by=by)
    elif order.forced:
        what = say(
            "{by} confirmed that {peer} is off, and ordered it to run on {node}",
            by=by,
            peer=state.cluster.peer,
            node=order.pin,
        )
    elif order.pin:
        what = say("{by} ordered it to run on {node}", by=by, node=order.pin)
    else:
        what = say("{by} ordered it to run wherever the rules place it", by=by)
    severity = "warning" if order.forced else "info"
    return _entry(state, tree.name, tree.phase, tree.phase, f"order/{order.number}", what, severity)


def outcome_entry(
    before: State, after: State, event: ActionFinished | ResourceReported
) -> JournalEntry | None:
    """Return the line that tells how a start or stop ended, or that a resource stopped or healed by itself."""
    tree, known = after.tree(event.tree), before.tree(event.tree)
    if tree is None or known is None:
        return None
    subject = f"{event.tree}/{event.resource}"
    was, now = known.step(event.resource), tree.step(event.resource)
    if isinstance(event, ActionFinished):
        if was is now:
            return None
        verb = "start" if event.action is Action.START else "stop"
        return _entry(
            after,
            subject,
            was,
            now,
            f"resource/{verb}",
            event.because,
            "info" if event.ok else "error",
            took_s=event.took_s,
            ownership=tree.ownership,
        )
    if now is Step.BROKEN and was is Step.ON:
        return _broken_entry(after, tree, event)
    healed = event.state is ResourceState.RUNNING and event.source != "poll" and event.because.template
    was_known, is_known = known.finding(event.resource), tree.finding(event.resource)
    if healed and now is Step.ON and was_known.because != is_known.because:
        return _entry(
            after,
            subject,
            was,
            now,
            f"resource/{event.source}",
            event.because,
            "warning",
            ownership=tree.ownership,
        )
    down = (ResourceState.STOPPED, ResourceState.FAILED)
    if event.state in down and was_known.state is not event.state and now is Step.ON:
        because = say("{because}; it is in maintenance and left alone", because=event.because)
        return _entry(after, subject, was, now, "resource/maintenance", because, "warning")
    if (
        event.state is ResourceState.UNKNOWN
        and was_known.state is not ResourceState.UNKNOWN
        and now is Step.ON
    ):
        return _entry(after, subject, was, now, "resource/unknown", event.because, "warning")
    return None


def _broken_entry(after: State, tree: TreeState, event: ResourceReported) -> JournalEntry:
    """Tell that a resource stopped by itself, and how far that is from moving the tree."""
    spec = after.cluster.tree(event.tree)
    limit = next(r for r in spec.resources if r.name == event.resource) if spec is not None else None
    entry = _entry(
        after,
        f"{event.tree}/{event.resource}",
        Step.ON,
        Step.BROKEN,
        f"resource/{event.source}",
        event.because,
        "warning",
        ownership=tree.ownership,
    )
    if limit is None:
        return entry
    window_s = limit.abnormal_stop_window_s
    count = len(recent(dict(tree.stops_s).get(event.resource, ()), after.now_s, window_s))
    counted = say(
        "abnormal stop {count} within {window_s} s; up to {limit} are mended in place",
        count=count,
        window_s=round(window_s),
        limit=limit.abnormal_stop_count_max,
    )
    return replace(
        entry,
        facts=(Fact(counted, "core"),),
        otherwise=say(
            "more than {limit} abnormal stops within {window_s} s would have moved {tree} to another node",
            limit=limit.abnormal_stop_count_max,
            window_s=round(window_s),
            tree=event.tree,
        ),
    )


def _entry(
    state: State,
    subject: str,
    before: str,
    after: str,
    rule: str,
    because: Text,
    severity: str = "info",
    facts_now: tuple[Fact, ...] = (),
    *,
    took_s: float = 0.0,
    ownership: int = 0,
) -> JournalEntry:
    return JournalEntry(
        at_s=state.now_s,
        node=state.cluster.us,
        subject=subject,
        before=before,
        after=after,
        rule=rule,
        because=because,
        facts=facts_now,
        severity=severity,
        took_s=took_s,
        ownership=ownership,
    )
