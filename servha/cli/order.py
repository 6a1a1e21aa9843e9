"""Gives an order about a tree and waits for what becomes of it, telling each step with its duration.

Decides when an order has been fulfilled, has failed, or takes too long, from the status answers alone. The order
itself is the daemon's business: it goes on whether or not anybody waits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from servha.cli import entry, exits, states
from servha.cli.picture import PhaseSeen, Picture, TreeSeen, picture_of
from servha.cli.screen import Screen
from servha.core.words import NOTHING_SAID, Text, say
from servha.management import Client

LOOK_EVERY_S: Final = 0.05
TIMEOUT_S: Final = 300.0
HOLDS: Final = ("starting", "running", "stopping", "stop-failed")
NEWEST: Final = 100
QUIET_S: Final = 2.0
"""After so long without news, the reason is told why nothing happens."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked: the verb, the tree, the node (empty where placement is free)."""

    verb: str
    tree: str
    node: str = ""
    peer_is_off: str = ""
    """The silent other node, by the word of an administrator: the start is forced."""


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

    newest_id: dict[str, int]
    """Of each node, the newest journal entry already told."""
    phases: dict[str, str] = field(default_factory=dict)
    last_failure: entry.Entry | None = None
    began_s: float = field(default_factory=time.monotonic)
    spoke_s: float = field(default_factory=time.monotonic)
    reasons: set[tuple[str, str]] = field(default_factory=set)
    """(node, why the tree is as it is there) already told while nothing else happened."""


def carry_out(
    client: Client, screen: Screen, wanted: Wanted, *, wait: bool, timeout_s: float = TIMEOUT_S
) -> Outcome:
    """Give the order; wait for its outcome unless `wait` is False. Raises `Refusal` where the daemon refuses."""
    progress = Progress(newest_id=_newest_ids(client, wanted.tree))
    tree = picture_of(client.call("status")).tree(wanted.tree)
    if tree is not None:
        progress.phases = {node: seen.phase for node, seen in tree.on.items()}
    force: dict[str, Any] = {"forced": True, "peer_is_off": wanted.peer_is_off} if wanted.peer_is_off else {}
    given = client.call("order", tree=wanted.tree, verb=wanted.verb, node=wanted.node, **force)
    if not wait or wanted.verb == "release":
        return Outcome(exits.OK, say("The order is given."))
    number = given.get("number") if isinstance(given, Mapping) else None
    least = int(number) if isinstance(number, int) else (tree.order + 1 if tree else 0)
    while True:
        picture = picture_of(client.call("status"))
        _tell(screen, wanted, progress, picture, _news_here(client, picture, progress))
        seen = picture.tree(wanted.tree)
        outcome = None if seen is None else judged(wanted, seen, least)
        if outcome is not None:
            _tell(screen, wanted, progress, picture, entry.entries_of(client.call("why", tree=wanted.tree)))
            return _with_reason(outcome, progress)
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


def judged(wanted: Wanted, tree: TreeSeen, least: int) -> Outcome | None:
    """Return how the order ended, or None while it is under way. `least`: the order's number."""
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
            return _failed(say("{tree}: cannot be stopped on {node}", tree=wanted.tree, node=node), seen)
    if wanted.verb == "stop":
        if all(seen.phase not in HOLDS for seen in tree.on.values()):
            return Outcome(exits.OK, say("{tree}: stopped", tree=wanted.tree))
        return None
    for node, seen in tree.on.items():
        if seen.phase == "running" and wanted.node in ("", node):
            return Outcome(exits.OK, say("{tree}: runs on {node}", tree=wanted.tree, node=node))
    return _given_up(wanted, tree)


def _given_up(wanted: Wanted, tree: TreeSeen) -> Outcome | None:
    """A start has failed when no node that could have it will try again by itself."""
    if any(phase.phase in ("starting", "stopping", "wanted") for phase in tree.on.values()):
        return None
    asked = [wanted.node] if wanted.node else list(tree.hosts)
    seen = {node: tree.on[node] for node in asked if node in tree.on}
    parked = {node: phase for node, phase in seen.items() if phase.parked != "no"}
    if not parked or (len(parked) < len(seen) and not tree.stays_after_failure):
        return None
    node, phase = next(iter(parked.items()))
    return _failed(say("{tree}: could not be started on {node}", tree=wanted.tree, node=node), phase)


def _failed(text: Text, seen: PhaseSeen) -> Outcome:
    return Outcome(exits.FAILED, text, seen.because)


def _with_reason(outcome: Outcome, progress: Progress) -> Outcome:
    """Put the reason of the step that failed in the place of the tree's own, which only repeats it."""
    last = progress.last_failure
    if outcome.status == exits.OK or last is None or not last.because.template:
        return outcome
    because = say("{subject} on {node}: {change}", subject=last.subject, node=last.node, change=last.because)
    return Outcome(outcome.status, outcome.text, because, last.otherwise)


def _newest_ids(client: Client, tree: str) -> dict[str, int]:
    """Return the newest entry of each node before the order."""
    newest: dict[str, int] = {}
    for one in [
        *entry.entries_of(client.call("why", tree=tree)),
        *entry.entries_of(client.call("journal", limit=1)),
    ]:
        newest[one.node] = max(one.id, newest.get(one.node, 0))
    return newest


def _news_here(client: Client, picture: Picture, progress: Progress) -> list[entry.Entry]:
    since = progress.newest_id.get(picture.node, 0)
    return entry.entries_of(client.call("journal", since=since, limit=NEWEST))


def _tell(
    screen: Screen, wanted: Wanted, progress: Progress, picture: Picture, news: Sequence[entry.Entry]
) -> None:
    """Write what is new: steps from the journals, and what the status says of the other node meanwhile."""
    for one in news:
        if one.id <= progress.newest_id.get(one.node, 0):
            continue
        progress.newest_id[one.node] = one.id
        if not one.is_about(wanted.tree) or one.before == one.after:
            continue
        if one.severity == "error" and ("/" in one.subject or progress.last_failure is None):
            progress.last_failure = one  # the step that failed; the tree's own line only repeats it
        if "/" in one.subject or one.node == picture.node:
            _step(screen, progress, one.node, [*_what(one, screen)])
    tree = picture.tree(wanted.tree)
    for node, seen in tree.on.items() if tree is not None else ():
        if progress.phases.get(node) == seen.phase:
            continue
        progress.phases[node] = seen.phase
        if node != picture.node and seen.phase != "unknown":
            _step(screen, progress, node, [wanted.tree, entry.state_word(screen, seen.phase)])
    if tree is not None and time.monotonic() - progress.spoke_s > QUIET_S:
        _tell_reasons(screen, progress, tree)


def _tell_reasons(screen: Screen, progress: Progress, tree: TreeSeen) -> None:
    """Say why the tree is as it is on each node, each reason once."""
    for node, seen in tree.on.items():
        because = screen.words(seen.because)
        if because and (node, because) not in progress.reasons:
            progress.reasons.add((node, because))
            _step(screen, progress, node, [tree.name, entry.state_word(screen, seen.phase), because])


def _what(one: entry.Entry, screen: Screen) -> list[Text | str]:
    """A step as people say it: start vip ... 12 ms; anything else as the change it was."""
    took = states.for_how_long(one.took_s) if one.took_s > 0 else NOTHING_SAID
    why = one.because if one.severity in ("warning", "error") else NOTHING_SAID
    resource = one.subject.partition("/")[2]
    if one.severity == "info" and one.rule == "resource/start":
        return [say("start {resource} ...", resource=resource), took]
    if one.severity == "info" and one.rule == "resource/stop":
        return [say("stop {resource} ...", resource=resource), took]
    return [one.subject, entry.change_words(one, screen), took, why]


def _step(screen: Screen, progress: Progress, node: str, parts: Sequence[Text | str]) -> None:
    """Write one line: seconds since the order, the node, what happened."""
    progress.spoke_s = time.monotonic()
    if screen.json:
        return
    since = screen.paint(f"{time.monotonic() - progress.began_s:7.2f} s", "quiet")
    words = [screen.words(part) if isinstance(part, Text) else part for part in parts]
    print("  ".join([since, node, *(word for word in words if word)]), file=screen.out, flush=True)
