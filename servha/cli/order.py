"""Gives an order about a tree and waits for what becomes of it, telling each step with its duration.

Decides when an order has been fulfilled, has failed, or takes too long, from the status answers alone. The order
itself is the daemon's business: it goes on whether or not anybody waits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from servha.cli import entry, exits, states
from servha.cli.client import Client
from servha.cli.picture import PhaseSeen, Picture, TreeSeen, picture_of
from servha.cli.screen import Screen
from servha.core.words import NOTHING_SAID, Text, say

LOOK_EVERY_S: Final = 0.05
TIMEOUT_S: Final = 300.0
HOLDS: Final = ("starting", "running", "stopping", "stop-failed")
NEWEST: Final = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked: the verb, the tree, the node (empty where placement is free)."""

    verb: str
    tree: str
    node: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an order ended: the exit status, in words, and what would have allowed it."""

    status: int
    text: Text
    because: Text = NOTHING_SAID
    otherwise: Text = NOTHING_SAID


@dataclass(slots=True)
class Progress:
    """What has been told already, so that every step is told once."""

    newest_id: int = 0
    phases: dict[str, str] = field(default_factory=dict)
    last_failure: entry.Entry | None = None
    began_s: float = field(default_factory=time.monotonic)


def carry_out(
    client: Client, screen: Screen, wanted: Wanted, *, force: bool, wait: bool, timeout_s: float = TIMEOUT_S
) -> Outcome:
    """Give the order; wait for its outcome unless `wait` is False. Raises `Refusal` where the daemon refuses."""
    progress = Progress(newest_id=_newest_id(client))
    before = picture_of(client.call("status"))
    tree = before.tree(wanted.tree)
    if tree is not None:
        progress.phases = {node: seen.phase for node, seen in tree.on.items()}
    given = client.call(
        "order",
        tree=wanted.tree,
        verb=wanted.verb,
        node=wanted.node,
        force=force,
        within_s=max(30.0, timeout_s),
    )
    number = given.get("number") if isinstance(given, Mapping) else None
    if not wait or wanted.verb == "release":
        return Outcome(exits.OK, say("The order is given."))
    least = int(number) if isinstance(number, int) else (tree.order + 1 if tree else 0)
    while True:
        picture = picture_of(client.call("status"))
        _tell(client, screen, wanted, progress, picture)
        seen = picture.tree(wanted.tree)
        outcome = None if seen is None else judged(wanted, seen, least, progress)
        if outcome is not None:
            return outcome
        if time.monotonic() - progress.began_s > timeout_s:
            return Outcome(
                exits.TIMED_OUT,
                say(
                    "{tree}: not finished after {time}; it goes on",
                    tree=wanted.tree,
                    time=states.for_how_long(timeout_s),
                ),
                otherwise=say("`servha why {tree}` shows what it waits for", tree=wanted.tree),
            )
        time.sleep(LOOK_EVERY_S)


def judged(wanted: Wanted, tree: TreeSeen, least: int, progress: Progress) -> Outcome | None:
    """Return how the order ended, or None while it is under way."""
    if tree.order < least:
        return None  # the answer is older than the order
    if tree.order > least:
        return Outcome(
            exits.FAILED,
            say("{tree}: somebody gave a newer order meanwhile", tree=wanted.tree),
            otherwise=say("`servha why {tree}` shows it", tree=wanted.tree),
        )
    for node, seen in tree.on.items():
        if seen.phase == "stop-failed":
            return _failed(
                say("{tree}: cannot be stopped on {node}", tree=wanted.tree, node=node), seen, progress
            )
    if wanted.verb == "stop":
        if all(seen.phase not in HOLDS for seen in tree.on.values()):
            return Outcome(exits.OK, say("{tree}: stopped", tree=wanted.tree))
        return None
    if any(seen.phase == "running" and wanted.node in ("", node) for node, seen in tree.on.items()):
        where = wanted.node or next(node for node, seen in tree.on.items() if seen.phase == "running")
        return Outcome(exits.OK, say("{tree}: runs on {node}", tree=wanted.tree, node=where))
    return _given_up(wanted, tree, progress)


def _given_up(wanted: Wanted, tree: TreeSeen, progress: Progress) -> Outcome | None:
    """A start has failed when it was tried and no node that could have it still goes on."""
    asked = [wanted.node] if wanted.node else list(tree.hosts)
    seen = {node: tree.on[node] for node in asked if node in tree.on}
    if any(phase.phase in ("starting", "stopping", "wanted") for phase in tree.on.values()):
        return None
    if seen and all(phase.parked != "no" for phase in seen.values()):
        node, phase = next(iter(seen.items()))
        return _failed(
            say("{tree}: could not be started on {node}", tree=wanted.tree, node=node), phase, progress
        )
    return None


def _failed(text: Text, seen: PhaseSeen, progress: Progress) -> Outcome:
    last = progress.last_failure
    because = last.because if last is not None and last.because.template else seen.because
    return Outcome(exits.FAILED, text, because, last.otherwise if last is not None else NOTHING_SAID)


def _newest_id(client: Client) -> int:
    found = entry.entries_of(client.call("journal", limit=1))
    return max((e.id for e in found), default=0)


def _tell(client: Client, screen: Screen, wanted: Wanted, progress: Progress, picture: Picture) -> None:
    """Write what is new: the steps in our own journal, and what the status says of the other node."""
    result: Any = client.call("journal", since=progress.newest_id, limit=NEWEST)
    told_nodes = set()
    for one in entry.entries_of(result):
        progress.newest_id = max(progress.newest_id, one.id)
        if not one.is_about(wanted.tree) or one.before == one.after:
            continue
        told_nodes.add(one.node)
        if one.severity == "error":
            progress.last_failure = one
        took = states.for_how_long(one.took_s) if one.took_s > 0 else NOTHING_SAID
        why = one.because if one.severity in ("warning", "error") else NOTHING_SAID
        _step(screen, progress, one.node, [one.subject, entry.change_words(one, screen), took, why])
    tree = picture.tree(wanted.tree)
    for node, seen in tree.on.items() if tree is not None else ():
        if progress.phases.get(node) == seen.phase:
            continue
        progress.phases[node] = seen.phase
        if node != picture.node and node not in told_nodes:
            _step(screen, progress, node, [wanted.tree, entry.state_word(screen, seen.phase)])


def _step(screen: Screen, progress: Progress, node: str, parts: list[Text | str]) -> None:
    """Write one line: seconds since the order, the node, what happened."""
    if screen.json:
        return
    since = screen.paint(f"{time.monotonic() - progress.began_s:7.2f} s", "quiet")
    words = [screen.words(part) if isinstance(part, Text) else part for part in parts]
    print("  ".join([since, node, *(word for word in words if word)]), file=screen.out, flush=True)
