"""What a tree waits for after a boot, in words: the other node, until when, and what an administrator can do.

The journal tells once that the wait began; what is left of it changes with time, so it is said here, from the present
state. Whether the wait is over is decided by the tables.
"""

from __future__ import annotations

from servha.core.arbitration import Right
from servha.core.model import PeerHealth, Phase, Standing, TreeSpec
from servha.core.placement import Wish
from servha.core.situations import peer_health
from servha.core.state import State
from servha.core.words import NOTHING_SAID, Text, say


def waits_for(state: State, spec: TreeSpec) -> Text:
    """Return for what a tree waits that this node would start, had it heard the other one; nothing at other times."""
    tree, peer = state.tree(spec.name), state.cluster.peer
    if tree is None or tree.phase is not Phase.OFF or tree.wish is not Wish.HERE:
        return NOTHING_SAID
    if peer_health(state) is not PeerHealth.UNHEARD or state.standing is not Standing.JOINING:
        return NOTHING_SAID
    left_s = state.started_s + state.cluster.timing.first_start_s - state.now_s
    if state.right is not Right.PENDING or left_s <= 0:
        return NOTHING_SAID
    return say(
        "it waits for {peer}, for {left_s} s more: the node that was switched off last has to be switched on first, and"
        " if that was {peer}, {peer} knows best what ran where. Switch {peer} on: its first beat ends the wait;"
        " otherwise this node asks then whether it may act alone. Only when {peer} is off and stays off:"
        " `servha tree start {tree} --force --peer-is-off {peer}`",
        peer=peer,
        left_s=max(1, round(left_s)),
        tree=spec.name,
    )
