"""What the arbitration guard's last view means to servhad: words for its tables. Nothing is decided here."""

from __future__ import annotations

from servha.core.arbitration import Granted, Guarded
from servha.core.lease import Lease
from servha.core.model import PeerHealth, TreeSpec
from servha.core.state import State
from servha.core.words import NOTHING_SAID, Text

GUARD_GRACE_S = 3.0
"""How long servha-guardd may be away: a new one has adopted what runs by then, or its watchdog has ended the node."""

SILENCE = (PeerHealth.LOST, PeerHealth.UNHEARD)


def guarded(state: State) -> Guarded:
    """Return what the arbitration guard says of the node's lease."""
    if not state.cluster.policy.leased:
        return Guarded.NOT_NEEDED
    if state.view is None:
        lost_s = max(state.guard_lost_s, state.started_s)
        return Guarded.ABSENT if state.now_s - lost_s >= GUARD_GRACE_S else Guarded.UNKNOWN
    return Guarded.ENDED if state.view.lease in (Lease.ENDING, Lease.RESET) else Guarded.LIVES


def granted(state: State, spec: TreeSpec) -> Granted:
    """Return whether the arbitration guard lets the tree start here."""
    if not state.cluster.policy.leased:
        return Granted.NOT_NEEDED
    tree, view = state.tree(spec.name), state.view
    if tree is None or view is None or not view.entry(spec.id).granted:
        return Granted.NO
    return Granted.YES if view.answers > tree.asked_off else Granted.NO


def peer_reaches_by_disk(state: State) -> bool:
    """Return whether the peer, silent on every link, lives on the quorum disk and reaches a reference address."""
    view = state.view
    return view is not None and state.peer_word in SILENCE and view.peer_moves and view.peer_reference_ok


def held_on_disk(state: State, spec: TreeSpec) -> bool:
    """Return whether the quorum disk says that the peer, which says nothing itself, holds the tree."""
    silent = state.peer_word in SILENCE
    return silent and state.view is not None and state.view.peer_entry(spec.id).entry.holds


def disk_is_out(state: State) -> bool:
    """Return whether the guard is at work and cannot use the quorum disk."""
    view = state.view
    at_work = guarded(state) is Guarded.LIVES and view is not None and view.lease is not Lease.BOOTING
    return at_work and view is not None and not view.disk_ok


def disk_trouble(state: State) -> Text:
    """Return what is wrong with the quorum disk."""
    return state.view.disk_trouble if state.view else NOTHING_SAID
