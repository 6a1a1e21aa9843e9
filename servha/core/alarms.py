"""Which conditions last now: one function from the node's state to the alarms that stand.

Raising and clearing is the difference between two answers, so an alarm cannot be forgotten. Where alarms travel
is not decided here.
"""

from __future__ import annotations

from servha.core import maintenance
from servha.core.arbitration import Answer, Guarded, Right
from servha.core.guarded import guarded
from servha.core.lease import Lease, Sources
from servha.core.membership import LinkHealth
from servha.core.model import Goal, PeerHealth, Phase, Standing, TreeSpec
from servha.core.obligations import LEASE_ALARM_S
from servha.core.placement import Side, Wish
from servha.core.situations import (
    not_ready,
    peer_health,
    real_references,
    reference_answer,
    side_here,
    side_there,
)
from servha.core.state import State, TreeState, problems_of
from servha.core.trees import Work
from servha.core.words import Text, say

Alarms = dict[str, tuple[str, Text]]


def conditions(state: State) -> Alarms:
    """Return every standing alarm: key -> (severity, sentence). Severities are those of reading A08."""
    found = _about_the_peer(state) | _about_arbitration(state) | maintenance.conditions(state)
    for spec in state.cluster.trees:
        tree = state.tree(spec.name)
        if tree is not None:
            found |= _about_a_tree(state, spec, tree)
    if state.cluster.maintenance:
        quiet = maintenance.expected(state)
        return {key: alarm for key, alarm in found.items() if key not in quiet}
    return found


def _about_the_peer(state: State) -> Alarms:
    found: Alarms = {}
    cluster = state.cluster
    for view in state.membership.links if cluster.peer else ():
        health = view.health(state.now_s, cluster.timing)
        if health is LinkHealth.DEAD:
            found[f"link/{view.name}"] = ("warning", say("link {link} is silent", link=view.name))
        elif health is LinkHealth.UP and not view.they_hear_us:
            found[f"link/{view.name}"] = (
                "warning",
                say(
                    "link {link} works in one direction only: {peer} does not hear us",
                    link=view.name,
                    peer=cluster.peer,
                ),
            )
    peer = peer_health(state)
    if peer is PeerHealth.LOST:
        found["peer"] = (
            "error",
            say("{peer} is silent on every link: there is no redundancy", peer=cluster.peer),
        )
    elif peer is PeerHealth.LEFT:
        found["peer"] = ("warning", say("{peer} was shut down: there is no redundancy", peer=cluster.peer))
    return found


def _about_arbitration(state: State) -> Alarms:
    found: Alarms = {}
    if state.cluster.policy.leased:
        found |= _about_the_lease(state)
    if state.cluster.policy.asks_reference:
        if not real_references(state):
            found["reference"] = (
                "warning",
                say("no usable reference address: if every link breaks, nothing is taken over automatically"),
            )
        elif reference_answer(state) is Answer.SILENT:
            addresses = ", ".join(state.cluster.references)
            found["reference"] = (
                "warning",
                say("no reference address answers: {references}", references=addresses),
            )
    if state.standing is Standing.ISOLATED and state.right in (Right.REFUSED, Right.LOST):
        found["isolated"] = ("error", state.right_because)
    return found


def _about_the_lease(state: State) -> Alarms:
    found: Alarms = {}
    view, cluster = state.view, state.cluster
    if guarded(state) is Guarded.ABSENT:
        found["guard"] = (
            "error",
            say("servha-guardd does not answer: nothing can be started or taken over here"),
        )
    if view is None:
        return found
    lasts = state.now_s - state.lease_since_s >= LEASE_ALARM_S
    if not view.disk_ok and (lasts or view.lease is not Lease.BOOTING):
        found["quorum"] = (
            "warning",
            say("arbitration partly failed: {disk_trouble}", disk_trouble=view.disk_trouble),
        )
    contact = peer_health(state) is PeerHealth.ALIVE
    if view.lease is Lease.DEGRADED and lasts and contact and view.sources is Sources.DISK:
        found["lease"] = (
            "warning",
            say("{peer} does not renew this node's lease over the links", peer=cluster.peer),
        )
    if view.limits_differ:
        found["limits"] = (
            "error",
            say(
                "{peer} runs with other lease figures: no takeover until they are the same", peer=cluster.peer
            ),
        )
    if view.lease in (Lease.LEASED, Lease.DEGRADED) and not view.watchdog:
        found["watchdog"] = (
            "warning",
            say("there is no watchdog: nothing ends this node if it hangs while it holds a tree"),
        )
    if view.lease in (Lease.ENDING, Lease.RESET):
        found["lease"] = ("error", view.because)
    return found


def _about_a_tree(state: State, spec: TreeSpec, tree: TreeState) -> Alarms:
    found: Alarms = {}
    key, name = f"tree/{spec.name}", spec.name
    if tree.phase is Phase.STOP_FAILED:
        found[key] = ("error", say("{tree} could not be stopped: {failure}", tree=name, failure=tree.failure))
    elif tree.phase is Phase.RUNNING and (tree.work is not Work.ALL or maintenance.down(state, spec, tree)):
        found[key] = ("warning", say("{tree} runs with a part of it down", tree=name))
    elif _is_missed(state, spec, tree):
        if peer_health(state) in (PeerHealth.LOST, PeerHealth.UNHEARD):
            text = say("{tree} is not started here: {because}", tree=name, because=tree.because)
        else:
            text = say("{tree} runs nowhere: {because}", tree=name, because=tree.because)
        found[key] = ("error", text)
    side, against = side_here(state, spec, tree)
    if side in (Side.PARKED, Side.PARKED_ALONE):
        text = say(
            "{tree} failed on {node} and goes back there only by an order, or when {peer} is lost: {because}",
            tree=name,
            node=state.cluster.us,
            peer=state.cluster.peer,
            because=against,
        )
        found[f"fitness/{name}"] = ("warning", text)
    elif side is Side.UNFIT and tree.unready:
        found[f"fitness/{name}"] = ("warning", _no_redundancy(state.cluster.us, name, against))
    elif side not in (Side.FIT, Side.NO_HOST):
        text = say("{node} cannot take {tree}: {because}", node=state.cluster.us, tree=name, because=against)
        found[f"fitness/{name}"] = ("warning", text)
    there = problems_of(tree.readiness_there)
    if tree.phase.holds and there and side_there(state, spec) is Side.UNFIT:
        text = _no_redundancy(state.cluster.peer, name, not_ready(*there[0]))
        found[f"readiness/{name}"] = ("warning", text)
    remarks = [(r, remark) for r, ready in tree.readiness for remark in ready.remarks]
    if remarks and not tree.phase.holds:
        text = say(
            "{tree} on {node}: {because}",
            tree=name,
            node=state.cluster.us,
            because=not_ready(*remarks[0]),
        )
        found[f"remark/{name}"] = ("warning", text)
    return found


def _no_redundancy(node: str, tree: str, reason: Text) -> Text:
    return say("no redundancy: {node} cannot run {tree}: {reason}", node=node, tree=tree, reason=reason)


def _is_missed(state: State, spec: TreeSpec, tree: TreeState) -> bool:
    """Return whether the tree should run, is not held by anybody in contact, and is not started here."""
    report = state.membership.report
    there = report.tree(spec.id).phase if report is not None else Phase.OFF
    held_there = there.holds and peer_health(state) is not PeerHealth.LOST
    wanted = tree.order.goal is Goal.RUN and tree.wish is not Wish.THERE and bool(spec.resources)
    decided = state.standing is not Standing.JOINING and bool(tree.because.template)
    return tree.phase is Phase.OFF and wanted and decided and not held_there
