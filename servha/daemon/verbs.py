"""What an administrator, the console and the peer may ask of a running node: the inside of each verb.

Who may ask is decided in api.py, what follows from an order in the core. Here a request is checked against what is
known, and refused with the reason and the next step.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any

from servha.config.document import Document
from servha.core.model import Goal, Order, PeerHealth
from servha.core.situations import CONTACT, not_ready, peer_health, their_side
from servha.core.state import State, TreeState, problems_of
from servha.core.waiting import waits_for
from servha.core.words import NOTHING_SAID, Text, as_dict, say
from servha.daemon.arguments import needed_word, word, yes
from servha.daemon.caller import BY_TOKEN, Caller
from servha.daemon.following import following
from servha.daemon.journal import Journal, Told
from servha.daemon.loop import boottime_s
from servha.daemon.metrics import exposition
from servha.daemon.node import ClusterNode
from servha.daemon.peer_channel import PeerChannel
from servha.daemon.peer_view import PeerView
from servha.daemon.picture import Shown, picture, with_peer
from servha.daemon.quality import MINUTES, told
from servha.wire.rpc import Args, Code, Json, Refusal

PEER_LOOK_S = 0.4
"""How long status and why wait for the peer's part; without it they show this node's."""

WHY_COUNT_MAX = 500


class Verbs:
    """The verbs about a cluster in being. `node` gives the running node, or None while there is no cluster."""

    def __init__(
        self,
        *,
        node: Callable[[], ClusterNode | None],
        channel: PeerChannel,
        journal: Journal,
        started_s: float,
    ) -> None:
        self._node = node
        self._channel = channel
        self._journal = journal
        self._started_s = started_s
        self._peer_view = PeerView(lambda s: channel.stream("peer.status", {"follow": True}, timeout_s=s))

    async def status(self, args: Args, _caller: Caller) -> Json | AsyncGenerator[Json, None]:
        """status {follow}: everything, from this node's point of view, with the peer's details where it answers.

        With `follow` it is told again whenever something in it has changed but for ages, and every 3 s.
        """
        if yes(args, "follow"):
            self._must_run()
            return self._followed()
        return await self._whole()

    async def _followed(self) -> AsyncGenerator[Json, None]:
        async with self._peer_view.watched():
            pictures = following(
                lambda: self._whole(self._peer_view.now()),
                self._state_seen,
                also=lambda: self._peer_view.number,
            )
            async with contextlib.aclosing(pictures):
                async for shown in pictures:
                    yield shown

    def _state_seen(self) -> State | None:
        node = self._node()
        return node.state if node is not None else None

    async def _whole(self, theirs: Any = None) -> Shown:
        """This node's picture with the peer's part, which is asked for unless it is known."""
        node = self._must_run()
        if peer_health(node.state) not in CONTACT:
            theirs = None
        elif theirs is None:
            theirs = await self._ask_peer("peer.status", {})
        return with_peer(self._picture(node), theirs if isinstance(theirs, dict) else None)

    async def peer_status(self, args: Args, _caller: Caller) -> Json | AsyncGenerator[Json, None]:
        """peer.status {follow}: this node's picture, for the other one's; with `follow` again when it has changed."""

        async def own() -> Shown:
            return self._picture(self._must_run())

        return following(own, self._state_seen) if yes(args, "follow") else await own()

    async def peer_readiness(self, args: Args, _caller: Caller) -> Json:
        """peer.readiness {trees}: what the other node's precondition checks found."""
        return await self._must_run().readiness.told_by_peer(args)

    async def journal(self, args: Args, _caller: Caller) -> Json | AsyncGenerator[Json, None]:
        """journal {since, limit, follow}: entries of this node; with `follow` also those to come."""
        since = args.get("since")
        limit = args.get("limit")
        found = self._journal.last(
            since=since if isinstance(since, int) else 0, limit=limit if isinstance(limit, int) else 200
        )
        if not yes(args, "follow"):
            return {"schema_version": 1, "entries": found}
        return self._follow(found, since if isinstance(since, int) else 0)

    async def _follow(self, found: list[Told], since: int) -> AsyncGenerator[Json, None]:
        newest = found[-1]["id"] if found else since
        yield {"schema_version": 1, "entries": found}
        async for line in self._journal.follow(since=newest):
            yield {"schema_version": 1, "entries": [line]}

    async def why(self, args: Args, _caller: Caller) -> Json:
        """why {tree, limit}: the journals of both nodes in one, oldest first, and what trees wait for now."""
        node = self._must_run()
        tree = word(args, "tree")
        if tree and node.document.tree(tree) is None:
            raise Refusal(Code.NO_SUCH, _no_tree(node.document, tree))
        entries = self._journal.last(limit=WHY_COUNT_MAX)
        theirs: Any = None
        if node.document.peer_of(node.us) is not None:
            theirs = await self._ask_peer("peer.journal", {"limit": WHY_COUNT_MAX})
        missing = not isinstance(theirs, dict)
        if isinstance(theirs, dict):
            entries = sorted(
                [*entries, *theirs.get("entries", ())], key=lambda e: (e["at"], e["node"], e["id"])
            )
        if tree:
            entries = [e for e in entries if _is_about(e["subject"], tree)]
        return {
            "schema_version": 1,
            "tree": tree,
            "entries": entries[-WHY_COUNT_MAX:],
            "peer_missing": missing,
            "waits": {
                spec.name: as_dict(text)
                for spec in node.state.cluster.trees
                if (text := waits_for(node.state, spec)).template
            },
        }

    async def peer_journal(self, args: Args, _caller: Caller) -> Json:
        """peer.journal {limit}: this node's entries, for the other one's `why`."""
        limit = args.get("limit")
        return {"entries": self._journal.last(limit=limit if isinstance(limit, int) else 200)}

    async def order(self, args: Args, caller: Caller) -> Json:
        """order {tree, verb, node, forced, peer_is_off}: start, stop, move or release a tree; its number comes back.

        `forced` starts it here without arbitration, on the word of somebody who has typed the name of the silent
        peer (`peer_is_off`) to say that it is off.
        """
        node = self._must_run()
        name, verb, where = needed_word(args, "tree"), needed_word(args, "verb"), word(args, "node")
        spec, tree = node.document.tree(name), node.state.tree(name)
        if spec is None or tree is None:
            raise Refusal(Code.NO_SUCH, _no_tree(node.document, name))
        if verb not in ("start", "stop", "move", "release"):
            raise Refusal(Code.USAGE, say("orders are start, stop, move and release, not {verb}", verb=verb))
        report = node.state.membership.report
        told = report.tree(spec.id) if report is not None else None
        if verb == "move" and not where:
            holder = (
                node.us
                if tree.phase.holds or told is None or not told.phase.holds
                else node.state.cluster.peer
            )
            where = next((h for h in spec.hosts if h != holder), "")
        forced = yes(args, "forced")
        if forced and caller.right in BY_TOKEN:
            text = say(
                "a forced start is ordered by a person who has seen that the other node is off: log in"
            )
            raise Refusal(Code.NOT_PERMITTED, text)
        if forced:
            where = self._forced_place(node, verb, where, word(args, "peer_is_off"))
        if verb in ("start", "move"):
            self._check_place(node, spec.hosts, where, name, needed=verb == "move")
            if not forced:
                await self._check_ready(node, name, where)
        order = Order(
            max(tree.order.number, told.order.number if told is not None else 0) + 1,
            Goal.STOP if verb == "stop" else Goal.RUN,
            where if verb in ("start", "move") else "",
            forced,
        )
        node.order(name, order, caller.name)
        return {"number": order.number}

    def _forced_place(self, node: ClusterNode, verb: str, where: str, off: str) -> str:
        """Return where a forced start happens: here. Raises `Refusal` unless the peer is silent and was named."""
        peer = node.state.cluster.peer
        health = peer_health(node.state)
        if verb != "start":
            raise Refusal(Code.USAGE, say("only a start can be forced, not {verb}", verb=verb))
        if not peer:
            raise Refusal(Code.REFUSED, say("there is nothing to force: this cluster has only one node"))
        if off != peer:
            text = say(
                "the other node is {peer}, not {name}: nothing was started", peer=peer, name=off or "-"
            )
            raise Refusal(Code.REFUSED, text)
        if health in CONTACT:
            text = say(
                "{peer} is heard, so it is not off: nothing is forced against a node that is there", peer=peer
            )
            raise Refusal(Code.REFUSED, text)
        if health is PeerHealth.LEFT:
            text = say(
                "{peer} said goodbye, having stopped everything: an ordinary start is enough", peer=peer
            )
            raise Refusal(Code.REFUSED, text)
        if where not in ("", node.us):
            text = say(
                "a forced start happens on the node where it is ordered, {us}, not on {node}",
                us=node.us,
                node=where,
            )
            raise Refusal(Code.REFUSED, text)
        return node.us

    def _check_place(
        self, node: ClusterNode, hosts: tuple[str, ...], where: str, tree: str, *, needed: bool
    ) -> None:
        if not where:
            if needed:
                text = say(
                    "{tree} has no other host to move to: its hosts are {hosts}",
                    tree=tree,
                    hosts=", ".join(hosts),
                )
                raise Refusal(Code.REFUSED, text)
            return
        if where not in hosts:
            text = say(
                "{node} is not a host of {tree}; its hosts are {hosts}",
                node=where,
                tree=tree,
                hosts=", ".join(hosts),
            )
            raise Refusal(Code.NO_SUCH, text)
        if where != node.us and peer_health(node.state) not in CONTACT:
            text = say(
                "{node} cannot run {tree} now: nothing is heard of it. `servha status` shows since when",
                node=where,
                tree=tree,
            )
            raise Refusal(Code.REFUSED, text)

    async def _check_ready(self, node: ClusterNode, name: str, where: str) -> None:
        """Refuse a place where a precondition is not met. What is not known there yet is no reason against it."""
        tree = node.state.tree(name)
        assert tree is not None
        places = [where] if where else list(node.document.tree(name).hosts)  # type: ignore[union-attr]
        reasons = {place: _against(node.state, tree, place) for place in places}
        if all(reason is not None for reason in reasons.values()):
            place, reason = next(iter(reasons.items()))
            text = say(
                "{node} cannot run {tree} now: {reason}. `servha tree show {tree}` lists every check",
                node=place,
                tree=name,
                reason=reason or NOTHING_SAID,
            )
            raise Refusal(Code.REFUSED, text)

    async def metrics(self, _args: Args, _caller: Caller) -> Json:
        """metrics {}: figures in Prometheus' text format."""
        node = self._must_run()
        return {"text": exposition(node.state, node.beats, node.disk, node.workers.events_missed)}

    async def quality(self, _args: Args, caller: Caller) -> Json:
        """quality {}: the last hour of links and quorum disk as both nodes saw it, a row a minute."""
        node = self._must_run()
        seen = {node.us: await self.peer_quality({}, caller)}
        if peer_health(node.state) in CONTACT:
            theirs = await self._ask_peer("peer.quality", {})
            if isinstance(theirs, dict):
                seen[node.state.cluster.peer] = theirs
        return {"schema_version": 1, "minutes": MINUTES, "nodes": seen}

    async def peer_quality(self, _args: Args, _caller: Caller) -> Json:
        """peer.quality {}: what this node alone saw of that hour."""
        node = self._must_run()
        return told(node.beats.hours, node.disk, boottime_s())

    def _picture(self, node: ClusterNode) -> Shown:
        return picture(
            node.document,
            node.state,
            node.alarms,
            started_s=self._started_s,
            events_missed=node.workers.events_missed,
            links=node.beats.hours,
            disk=node.disk,
        )

    def _must_run(self) -> ClusterNode:
        node = self._node()
        if node is None:
            raise Refusal(Code.NO_SUCH, _no_cluster())
        return node

    async def _ask_peer(self, verb: str, args: Args) -> Json:
        try:
            return await self._channel.call(verb, args, timeout_s=PEER_LOOK_S)
        except Refusal:
            return None


def _against(state: State, tree: TreeState, node: str) -> Text | None:
    """Return the first precondition that is not met on `node`; None when there is none, and where it runs."""
    if node == state.cluster.us:
        found = tree.unready
    else:
        spec = state.cluster.tree(tree.name)
        held = spec is not None and their_side(state, spec).phase.holds
        found = () if held or peer_health(state) not in CONTACT else problems_of(tree.readiness_there)
    return not_ready(*found[0]) if found else None


def _no_cluster() -> Any:
    return say("this node is in no cluster: run `servha cluster init` or `servha cluster join`")


def _no_tree(document: Document, name: str) -> Any:
    known = ", ".join(t.name for t in document.trees)
    if not known:
        return say("there is no tree {tree}: none has been created yet", tree=name)
    return say("there is no tree {tree}; there are {known}", tree=name, known=known)


def _is_about(subject: str, tree: str) -> bool:
    return subject in (tree, "node", "lease", "quorum disk") or subject.startswith(
        (f"{tree}/", "link ", "peer ")
    )
