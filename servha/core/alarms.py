"""Which conditions last now: one function from the node's state to the alarms that stand.

Raising and clearing is the difference between two answers, so an alarm cannot be forgotten. Where alarms travel
is not decided here.
"""

from __future__ import annotations

from servha.core.arbitration import Answer, Right
from servha.core.membership import LinkHealth
from servha.core.model import Goal, PeerHealth, Phase, Policy, Standing
from servha.core.placement import Side, Wish
from servha.core.situations import peer_health, real_references, reference_answer, side_here
from servha.core.state import State
from servha.core.trees import Work, work
from servha.core.words import Text, say

Alarms = dict[str, tuple[str, Text]]


def conditions(state: State) -> Alarms:
    """Return every standing alarm: key -> (severity, sentence). Severities are those of reading A08."""
    found: Alarms = {}
    peer = peer_health(state)
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
    if peer is PeerHealth.LOST:
        found["peer"] = (
            "error",
            say("{peer} is silent on every link: there is no redundancy", peer=cluster.peer),
        )
    elif peer is PeerHealth.LEFT:
        found["peer"] = ("warning", say("{peer} was shut down: there is no redundancy", peer=cluster.peer))
    if cluster.policy is Policy.REFERENCE:
        if not real_references(state):
            found["reference"] = (
                "warning",
                say("no usable reference address: if every link breaks, nothing is taken over automatically"),
            )
        elif reference_answer(state) is Answer.SILENT:
            found["reference"] = (
                "warning",
                say("no reference address answers: {references}", references=", ".join(cluster.references)),
            )
    if state.standing is Standing.ISOLATED and state.right in (Right.REFUSED, Right.LOST):
        found["isolated"] = ("error", state.right_because)
    for spec in cluster.trees:
        tree = state.tree(spec.name)
        if tree is None:
            continue
        key = f"tree/{spec.name}"
        there = state.membership.report.tree(spec.id).phase if state.membership.report else Phase.OFF
        running_there = there.holds and peer is not PeerHealth.LOST
        if tree.phase is Phase.STOP_FAILED:
            found[key] = (
                "error",
                say("{tree} could not be stopped: {failure}", tree=spec.name, failure=tree.failure),
            )
        elif tree.phase is Phase.RUNNING and work(dict(tree.steps)) is not Work.ALL:
            found[key] = ("warning", say("{tree} runs with a part of it down", tree=spec.name))
        elif (
            tree.phase is Phase.OFF
            and tree.order.goal is Goal.RUN
            and not running_there
            and tree.wish is not Wish.THERE
            and state.standing is not Standing.JOINING
            and spec.resources
            and tree.because.template
        ):
            found[key] = (
                "error",
                say("{tree} runs nowhere: {because}", tree=spec.name, because=tree.because),
            )
        side, against = side_here(state, spec, tree)
        if side not in (Side.FIT, Side.NO_HOST):
            found[f"fitness/{spec.name}"] = (
                "warning",
                say("{node} cannot take {tree}: {because}", node=cluster.us, tree=spec.name, because=against),
            )
    return found
