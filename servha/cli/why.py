"""`servha why`: the newest decision about a tree, explained on one screen, and the timeline of both nodes around it.

Decides which entry of the journal is "the decision": the newest one that a rule made, that changed the tree
itself (not one of its resources), and that did not only carry on with an earlier one; else the newest of all.
Every word in the explanation comes from the journal.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from servha.cli import entry, exits, states
from servha.cli.entry import Entry
from servha.cli.grammar import Place
from servha.cli.screen import Cell, Screen
from servha.core.words import say
from servha.language import sentence
from servha.management import Client
from servha.wire.rpc import Code, Refusal

AROUND = 14
ASKED = 200
RESTING = ("running", "off", "stop-failed")
PROGRESS = ("started", "starting", "running", "stopped", "stopping", "found-stopped", "still-stuck")
"""Rules that only carry on with what an earlier row decided."""


LEFT_TO_THE_OTHER = ("theirs", "second", "ordered-there", "no-host-here", "we-cannot")
"""Rows of the placement table that leave a tree to the other node, which says for itself what becomes of it."""


def add(place: Place) -> None:
    """Declare `servha why`."""
    verb = place.verb(
        "why",
        run,
        say("explain the last decision about a resource tree"),
        example=("servha why", "servha why web", "servha why web --last 2"),
        codes=(exits.OK, exits.NOT_RUNNING, exits.NO_SUCH),
        more=say(
            "When, who, what was seen (and how old it was), the rule, what was done and how long each step took,"
            " and what would have changed the decision."
        ),
    )
    verb.output()
    verb.what("tree", say("resource tree; without it, whatever was decided last"), metavar="TREE", nargs="?")
    verb.option(
        "--last", metavar="N", type=int, default=1, text=say("the Nth newest decision; 1 is the newest (1)")
    )


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Fetch the merged journal and explain."""
    asked = {"limit": ASKED, **({"tree": args.tree} if args.tree else {})}
    with Client() as client:
        result = client.call("why", **asked)
    if screen.json:
        screen.answer(result)
        return exits.OK
    entries = sorted(entry.entries_of(result), key=lambda e: (e.at, e.at_s, e.id))
    decisions = decisions_of(entries, args.tree or "")
    if not decisions:
        screen.line(say("Nothing has been decided yet."))
        return exits.OK
    number = max(1, args.last)
    if number > len(decisions):
        raise Refusal(
            Code.NO_SUCH,
            say(
                "there are only {count} decisions in the journal; ask for --last 1 to {count}",
                count=len(decisions),
            ),
        )
    missing = result.get("peer_missing") if isinstance(result, dict) else None
    explain(decisions[-number], entries, screen, alone=bool(missing))
    for tree, text in (result.get("waits") or {}).items() if isinstance(result, dict) else ():
        if args.tree in (None, tree):
            screen.line()
            screen.line(say("{tree} now: {waits}", tree=tree, waits=sentence(text)), mood="strong")
    return exits.OK


def decisions_of(entries: Sequence[Entry], tree: str) -> list[Entry]:
    """Return what counts as a decision, oldest first: a change of the tree itself that a rule made.

    A resource that stopped by itself, or was put back, counts as well: what was done about it was decided too.
    """
    about = [e for e in entries if not tree or e.is_about(tree)]
    newest = {(e.node, e.subject): e for e in about}
    changes = [
        e
        for e in about
        if happened_by_itself(e)
        or ((stays_down(e) or waits_for_window(e)) and newest.get((e.node, e.subject)) is e)
        or (e.rule and not is_progress(e) and "/" not in e.subject and e.before != e.after)
    ]
    if not tree:
        changes = [e for e in changes if not e.subject.startswith("link ")] or changes
    return changes or about


def happened_by_itself(one: Entry) -> bool:
    """Whether the entry tells of a resource that nobody asked anything of."""
    return "/" in one.subject and one.severity == "warning" and one.rule.startswith("resource/")


def stays_down(one: Entry) -> bool:
    """Whether the entry tells why a tree that nobody runs is not started: what people ask about most.

    One that is wanted waits for an answer, of the peer or of the arbitration guard, and its reason says for which.
    """
    rule, _, rest = one.rule.partition(" ")
    placement = rest.partition(" ")[0].rpartition("/")[2]
    if "/" in one.subject or one.before != one.after or one.after not in ("off", "wanted"):
        return False
    if one.after == "wanted":
        return bool(one.otherwise.template)
    return rule == "tree/not-permitted" or (rule == "tree/not-wished" and placement not in LEFT_TO_THE_OTHER)


def waits_for_window(one: Entry) -> bool:
    """Whether the entry tells why a tree is away from its preferred host: it may go home only at certain hours."""
    return one.before == one.after and " placement/waits-for-window " in f"{one.rule} "


def is_progress(one: Entry) -> bool:
    """Whether the row that made the entry only carries on. A rule reads "tree/started placement/kept ..."."""
    return one.rule.split(" ")[0].rpartition("/")[2] in PROGRESS


def explain(decision: Entry, entries: Sequence[Entry], screen: Screen, *, alone: bool = False) -> None:
    """Write the explanation and the timeline."""
    screen.line(
        say(
            "{subject} on {node}: {change}",
            subject=decision.subject,
            node=decision.node,
            change=entry.change_words(decision, screen),
        ),
        mood="strong",
    )
    rows: list[list[Cell | str]] = [
        [screen.words(say("when")), decision.when],
        [screen.words(say("because")), Cell(screen.words(decision.because), "strong")],
    ]
    for number, fact in enumerate(decision.facts):
        seen = say(
            "{what} ({source}, {age} old)",
            what=fact.what,
            source=fact.source,
            age=states.for_how_long(fact.age_s),
        )
        rows.append([screen.words(say("seen")) if number == 0 else "", screen.words(seen)])
    rows.append([screen.words(say("rule")), decision.rule])
    if decision.ownership:
        rows.append([screen.words(say("ownership")), str(decision.ownership)])
    if decision.otherwise.template:
        rows.append([screen.words(say("otherwise")), screen.words(decision.otherwise)])
    screen.table(rows)
    _done(decision, entries, screen)
    _timeline(decision, entries, screen)
    if alone:
        screen.line(say("The other node did not answer: this is one node's view."), mood="warn")


def _done(decision: Entry, entries: Sequence[Entry], screen: Screen) -> None:
    """What was done about it on that node until the tree rested again, with durations, then the whole."""
    after = [e for e in entries if (e.at, e.id) > (decision.at, decision.id) and e.node == decision.node]
    rows: list[list[Cell | str]] = []
    for one in after:
        if one.took_s and (one.subject == decision.subject or one.subject.startswith(f"{decision.subject}/")):
            took = screen.words(states.for_how_long(one.took_s))
            rows.append([one.subject, entry.change_words(one, screen), took])
            if one.subject == decision.subject and one.after == "on":
                break
        elif one.subject == decision.subject and one.before != one.after:
            whole = screen.words(states.for_how_long(max(0.0, one.at_s - decision.at_s)))
            rows.append([one.subject, entry.change_words(one, screen), whole])
            if not is_progress(one) or one.after in RESTING:
                break
    if rows:
        screen.line()
        screen.line(say("What was done"), mood="strong")
        screen.table(rows)


def _timeline(decision: Entry, entries: Sequence[Entry], screen: Screen) -> None:
    """The entries of both nodes around the decision, which is marked; mere changes of reason are left out."""
    told = [
        e
        for e in entries
        if e is decision
        or e.before != e.after
        or not e.rule.startswith("tree/")
        or stays_down(e)
        or waits_for_window(e)
    ]
    place = next((i for i, e in enumerate(told) if e is decision), len(told) - 1)
    start = max(0, min(place - AROUND // 2, len(told) - AROUND))
    screen.line()
    screen.line(say("Timeline of both nodes"), mood="strong")
    rows: list[list[Cell | str]] = [
        [Cell(">" if one is decision else " ", "strong"), *entry.row(one, screen)]
        for one in told[start : start + AROUND]
    ]
    screen.table(rows, indent=0)
