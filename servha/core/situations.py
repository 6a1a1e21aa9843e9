"""Turns what a node remembers into the words the tables ask for, and into the facts shown beside a decision.

All numbers end here: what leaves this module is words, and sentences for people. Nothing is decided.
"""

from __future__ import annotations

from servha.core.arbitration import (
    REFERENCE_MISS_COUNT,
    Answer,
    Granted,
    Hearing,
    Petition,
    Probe,
    There,
)
from servha.core.guarded import (
    GUARD_GRACE_S,
    disk_is_out,
    disk_trouble,
    granted,
    guarded,
    held_on_disk,
    peer_reaches_by_disk,
)
from servha.core.maintenance import hands_off, not_here
from servha.core.membership import LinkHealth
from servha.core.model import (
    Fact,
    Failback,
    Fitness,
    Order,
    Parked,
    PeerHealth,
    Phase,
    Report,
    Standing,
    TreeReport,
    TreeSpec,
)
from servha.core.placement import Holder, Pin, Question, Side
from servha.core.state import State, TreeState
from servha.core.trees import recent
from servha.core.words import NOTHING_SAID, Text, Value, say

PROBE_FRESH_S = 10.0
"""What was asked on the wire longer ago than this says nothing any more."""

REFERENCE_DWELL_S = 10.0
"""How long the peer must have been fit before a lost reference address alone moves a tree to it."""

SWITCH_PAUSE_S = 60.0
"""Least time between two moves that no order asked for and no failure forced."""

CONTACT = (PeerHealth.ALIVE, PeerHealth.SUSPECT)
SILENCE = (PeerHealth.LOST, PeerHealth.UNHEARD)


def peer_health(state: State) -> PeerHealth:
    """Return the word for the peer now."""
    return state.membership.peer(state.now_s, state.cluster.timing, exists=bool(state.cluster.peer))


def asked_since_s(state: State) -> float:
    """Return the moment before which nothing asked on the wire counts."""
    since_s = state.silent_since_s if state.silent_since_s != float("inf") else float("-inf")
    return max(since_s, state.now_s - PROBE_FRESH_S)


def silence_since_s(state: State) -> float:
    """Return the moment before which an unanswered probe proves nothing: we may have been the one cut off."""
    return max(asked_since_s(state), state.cut_off_until_s)


def real_references(state: State) -> tuple[str, ...]:
    """Return the reference addresses that can tell something; 127.0.0.1 always answers (reading A04)."""
    return tuple(a for a in state.cluster.references if not a.startswith("127.") and a != "::1")


def reference_answer(state: State) -> Answer:
    """Fold all reference addresses into one word: any that answers is enough (reading A05)."""
    addresses = real_references(state)
    if not addresses:
        return Answer.NOBODY_TO_ASK
    known = dict(state.references)
    words = [
        known.get(a, Probe()).word(since_s=asked_since_s(state), silent_count_min=REFERENCE_MISS_COUNT)
        for a in addresses
    ]
    if Answer.ANSWERS in words:
        return Answer.ANSWERS
    return Answer.SILENT if all(w is Answer.SILENT for w in words) else Answer.UNKNOWN


def hearing(state: State) -> Hearing:
    """Return what this node's right depends on."""
    return Hearing(
        policy=state.cluster.policy,
        guard=guarded(state),
        peer=peer_health(state),
        boot_wait_over=state.now_s - state.started_s >= state.cluster.timing.first_start_s,
        holds=bool(state.holds),
        reference=reference_answer(state),
        peer_host=state.peer_host.word(since_s=silence_since_s(state)),
    )


def _is_first(state: State, spec: TreeSpec) -> bool:
    """Return whether this node stands before the peer in the tree's hosts."""
    ranks = {name: rank for rank, name in enumerate(spec.hosts)}
    return ranks.get(state.cluster.us, len(ranks)) < ranks.get(state.cluster.peer, len(ranks) + 1)


def their_side(state: State, spec: TreeSpec) -> TreeReport:
    """Return the last that the peer said about this tree; off if it never spoke."""
    report = state.membership.report
    return TreeReport(id=spec.id) if report is None else report.tree(spec.id)


def there(state: State, spec: TreeSpec, tree: TreeState) -> There:
    """Return the peer's side of the tree in one word."""
    if state.membership.report is None:
        return There.UNTOLD
    told = their_side(state, spec)
    if told.phase.holds:
        return There.HOLDS
    if told.phase is Phase.WANTED:
        we_want = tree.phase is Phase.WANTED
        return There.WANTS_AFTER_US if we_want and _is_first(state, spec) else There.WANTS_BEFORE_US
    if tree.phase is Phase.WANTED and told.ownership >= tree.ownership:
        return There.CONSENTS
    return There.RESIGNED if _has_resigned(state) else There.OFF


def _has_resigned(state: State) -> bool:
    """Return whether the peer, heard now, says of itself that it may start nothing (it hears nobody)."""
    report = state.membership.report
    alive = peer_health(state) is PeerHealth.ALIVE
    return alive and report is not None and report.standing is Standing.ISOLATED and not report.hears


def petition(state: State, spec: TreeSpec, tree: TreeState) -> Petition:
    """Return what the permit for this tree depends on."""
    has_addresses = any(r.virtual_address for r in spec.resources)
    addresses = tree.addresses.word(since_s=silence_since_s(state)) if has_addresses else Answer.NOBODY_TO_ASK
    if not state.cluster.peer or peer_health(state) is PeerHealth.LEFT:
        addresses = (
            Answer.NOBODY_TO_ASK
        )  # nobody else can be running it; starting an address asks once more anyway
    return Petition(
        right=state.right,
        there=there(state, spec, tree),
        addresses=addresses,
        granted=granted(state, spec),
        forced=forced(state, tree),
    )


def forced(state: State, tree: TreeState) -> bool:
    """Return whether an administrator's word that the silent peer is off stands in for arbitration."""
    return tree.order.forced and peer_health(state) in SILENCE


def worn_resource(state: State, spec: TreeSpec, tree: TreeState) -> str:
    """Return the resource that stopped more often than its window allows, or nothing (reading A06)."""
    if not tree.stops_s:
        return ""  # nearly always, and asked of every tree at every event
    stops = dict(tree.stops_s)
    for resource in spec.resources:
        counted = recent(stops.get(resource.name, ()), state.now_s, resource.abnormal_stop_window_s)
        if len(counted) > resource.abnormal_stop_count_max:
            return resource.name
    return ""


def parked(tree: TreeState) -> Parked:
    """Return whether the tree failed here under the order in force."""
    if tree.parked_by < tree.order.number:
        return Parked.NO
    return Parked.ALONE if tree.parked_alone else Parked.YES


def _reference_says_go(state: State, tree: TreeState) -> bool:
    """Return whether we have lost the reference while a peer that reaches it could take the tree.

    What runs here is given up for that only after a while, and not twice in a short time.
    """
    report = state.membership.report
    if not state.cluster.policy.asks_reference or reference_answer(state) is not Answer.SILENT:
        return False
    if tree.phase.holds and peer_reaches_by_disk(state):
        return True
    if report is None or not report.reference_ok:
        return False
    if peer_health(state) is not PeerHealth.ALIVE:
        return False
    return not tree.phase.holds or (
        tree.there_fit_since_s is not None
        and state.now_s - tree.there_fit_since_s >= REFERENCE_DWELL_S
        and state.now_s - tree.moved_s >= SWITCH_PAUSE_S
    )


def side_here(state: State, spec: TreeSpec, tree: TreeState) -> tuple[Side, Text]:
    """Return what this node is good for, and what stands against it."""
    if state.cluster.us not in spec.hosts:
        return Side.NO_HOST, say("this node is not among its hosts")
    word = parked(tree)
    if word is not Parked.NO:
        return (Side.PARKED_ALONE if word is Parked.ALONE else Side.PARKED), tree.failure
    worn = worn_resource(state, spec, tree)
    if tree.phase.holds and worn:
        resource = next(r for r in spec.resources if r.name == worn)
        stops = recent(dict(tree.stops_s)[worn], state.now_s, resource.abnormal_stop_window_s)
        return Side.WORN, say(
            "{resource} stopped by itself {count} times within {window_s} s",
            resource=worn,
            count=len(stops),
            window_s=round(resource.abnormal_stop_window_s),
        )
    if not tree.phase.holds and not forced(state, tree) and disk_is_out(state):
        return Side.UNFIT, say(
            "the quorum disk cannot be used here: {disk_trouble}", disk_trouble=disk_trouble(state)
        )
    if tree.fitness is Fitness.UNFIT:
        name, finding = next((n, f) for n, f in tree.findings if f.state.value in ("running", "failed"))
        return Side.UNFIT, say(
            "{resource} is not as it must be on a standby: {finding}", resource=name, finding=finding.because
        )
    if not tree.phase.holds and (m := not_here(state, state.cluster.us, tree.order.pin)):
        return Side.UNFIT, say("this node is in maintenance: {reason}", reason=m.reason)
    if tree.unready:
        return Side.UNFIT, not_ready(*tree.unready[0])
    if _reference_says_go(state, tree):
        return Side.UNFIT, say(
            "no reference address answers here, and {peer} reaches one", peer=state.cluster.peer
        )
    return Side.FIT, Text("")


def not_ready(resource: str, reason: Text) -> Text:
    """Return the sentence for one precondition that is not met; `resource` is empty for the tree as a whole."""
    return say("{resource}: {reason}", resource=resource, reason=reason) if resource else reason


def side_there(state: State, spec: TreeSpec) -> Side:
    """Return what the peer is good for, by its own last report."""
    if state.cluster.peer not in spec.hosts:
        return Side.NO_HOST
    if peer_health(state) not in CONTACT:
        reaches = peer_reaches_by_disk(state) and reference_answer(state) is Answer.SILENT
        return Side.FIT if reaches else Side.GONE
    if _has_resigned(state) or not_here(state, state.cluster.peer, _order_of(state, spec).pin):
        return Side.UNFIT
    told = their_side(state, spec)
    if told.parked is not Parked.NO and told.order.number == _order_of(state, spec).number:
        return Side.PARKED if told.parked is Parked.YES else Side.PARKED_ALONE
    return Side.UNFIT if told.fitness is Fitness.UNFIT else Side.FIT


def _order_of(state: State, spec: TreeSpec) -> Order:
    tree = state.tree(spec.name)
    return tree.order if tree else Order()


def settled(state: State, spec: TreeSpec, tree: TreeState) -> bool:
    """Return whether failback has waited long enough, and its window is open where it has one (reading A24)."""
    return (
        (spec.failback is not Failback.WINDOW or tree.window_open)
        and tree.there_fit_since_s is not None
        and state.now_s - tree.there_fit_since_s >= spec.hold_down_s
        and state.now_s - tree.moved_s >= spec.hold_down_s
    )


def question(state: State, spec: TreeSpec, tree: TreeState) -> tuple[Question, Text]:
    """Return what placement depends on, and what stands against this node, in words."""
    here, against = side_here(state, spec, tree)
    if tree.phase.holds:
        holder = Holder.US
    elif their_side(state, spec).phase.holds and peer_health(state) is not PeerHealth.LEFT:
        holder = Holder.PEER
    elif held_on_disk(state, spec):
        holder = Holder.PEER  # the quorum disk remembers it, also over our own reboot
    else:
        holder = Holder.NOBODY
    pin = Pin.FREE
    if tree.order.pin:
        pin = Pin.HERE if tree.order.pin == state.cluster.us else Pin.THERE
    return (
        Question(
            empty=not spec.resources,
            goal=tree.order.goal,
            pin=pin,
            holder=holder,
            here=here,
            there=side_there(state, spec),
            first=_is_first(state, spec),
            start_mode=spec.start_mode,
            switch_policy=spec.switch_policy,
            failback=spec.failback,
            start_failure=spec.start_failure,
            settled=settled(state, spec, tree),
            hands_off=hands_off(state, spec, tree),
        ),
        against,
    )


def rival(state: State, spec: TreeSpec, tree: TreeState) -> bool:
    """Return whether the peer holds the tree as well and has the better claim: in contact, or on the quorum disk."""
    told = their_side(state, spec)
    if state.view is not None and tree.phase.holds and granted(state, spec) is Granted.NO:
        return state.view.peer_entry(spec.id).entry.holds
    if peer_health(state) not in CONTACT or not told.phase.holds or not tree.phase.holds:
        return False
    if told.ownership != tree.ownership:
        return told.ownership > tree.ownership
    return state.cluster.first_node == state.cluster.peer


def values(state: State) -> dict[str, Value]:
    """Return the values that sentences about the whole node may mention."""
    answering = [a for a, p in state.references if p.answered_by]
    return {
        "peer": state.cluster.peer,
        "references": ", ".join(state.cluster.references),
        "reference": answering[0] if answering else "",
        "peer_host": state.peer_host.answered_by,
        "first_start_s": round(state.cluster.timing.first_start_s, 3),
        "held": ", ".join(state.holds),
        "right_because": state.right_because,
        "guard_grace_s": round(GUARD_GRACE_S),
        "lease_because": state.view.because if state.view else NOTHING_SAID,
        "lease_otherwise": state.view.otherwise if state.view else NOTHING_SAID,
    }


def facts(state: State, tree: TreeState | None = None) -> tuple[Fact, ...]:
    """Return what a decision taken now rests on: every link, every answer, with source and age."""
    now_s = state.now_s
    found: list[Fact] = []
    for view in state.membership.links if state.cluster.peer else ():
        silent_s = view.silent_s(now_s)
        if silent_s is None:
            found.append(Fact(say("nothing was ever heard on link {link}", link=view.name), "heartbeat"))
        else:
            found.append(
                Fact(say("last beat on link {link}", link=view.name), "heartbeat", round(silent_s, 3))
            )
    if peer_health(state) in SILENCE:
        probes = [(say("reference address {address}", address=a), p) for a, p in state.references]
        probes.append((say("host {peer}", peer=state.cluster.peer), state.peer_host))
        if tree is not None and tree.addresses.asked_s is not None:
            probes.append((say("addresses of {tree}", tree=tree.name), tree.addresses))
        for what, probe in probes:
            if probe.asked_s is None:
                continue
            if probe.answered_by:
                text = say("{what}: {who} answered", what=what, who=probe.answered_by)
            else:
                text = say("{what}: no answer to {count} probes", what=what, count=len(probe.silent_asked_s))
            found.append(Fact(text, "probe", round(max(0.0, now_s - probe.asked_s), 3)))
    return tuple(found)


def report(state: State) -> Report:
    """Return what this node tells its peer now; the shell sends it on every link."""
    return Report(
        node=state.cluster.us,
        incarnation=state.incarnation,
        standing=state.standing,
        reference_ok=reference_answer(state) in (Answer.ANSWERS, Answer.NOBODY_TO_ASK),
        number=state.beat_number,
        leaving=state.leaving,
        hears=tuple(
            v.name
            for v in state.membership.links
            if v.health(state.now_s, state.cluster.timing) not in (LinkHealth.UNKNOWN, LinkHealth.DEAD)
        ),
        generation=state.cluster.generation,
        config_digest=state.cluster.digest,
        trees=tuple(
            TreeReport(
                id=spec.id,
                phase=tree.phase,
                ownership=tree.ownership,
                fitness=Fitness.UNFIT if side_here(state, spec, tree)[0] is Side.UNFIT else tree.fitness,
                parked=parked(tree),
                order=tree.order,
            )
            for spec in state.cluster.trees
            if (tree := state.tree(spec.name)) is not None
        ),
    )
