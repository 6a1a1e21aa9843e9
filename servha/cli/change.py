"""A change to the replicated configuration: get, edit, show the plan in words, ask where it hurts, hand it in.

Decides when a person is asked (only at a terminal, only when something that runs would be touched) and that a
change which lost the race against another one is made anew on top of it, a bounded number of times. Whether a
configuration is valid is decided in servha/config, and again by servhad.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from servha.cli import exits
from servha.cli.order import HOLDS
from servha.cli.picture import Picture, picture_of
from servha.cli.screen import Screen
from servha.config.document import Document, ResourceSection, TreeSection, parse, to_data
from servha.config.edit import Edited, difference
from servha.config.notes import notes
from servha.config.problem import Problem
from servha.core.words import Text, say
from servha.management import Client
from servha.wire import rpc

TRIES_MAX: Final = 3


def no_notes(_edited: Document) -> Sequence[Text]:
    """Return nothing: most changes speak for themselves."""
    return ()


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done to a document, and the command that undoes it, made from the document as it was."""

    edit: Callable[[Document], Edited]
    undo: Callable[[Document], str]
    notes: Callable[[Document], Sequence[Text]] = no_notes
    """What is worth knowing about the document as it will be; told after the plan."""


def arbitration_notes(edited: Document) -> list[Text]:
    """Return what is worth knowing about arbitration in `edited`."""
    return notes(edited.cluster.policy, edited.cluster.quorum_disk, edited.timing)


def document_of(client: Client) -> Document:
    """Return the configuration in force. Raises `Refusal` when there is none or it cannot be read."""
    answer = client.call("config.get")
    data = answer.get("document", answer) if isinstance(answer, dict) else answer
    if not data:
        raise rpc.Refusal(
            rpc.Code.NO_SUCH,
            say(
                "there is no cluster on this node yet; `servha cluster init` makes one, `servha cluster join` joins"
            ),
        )
    document, problems = parse(data)
    if document is None:
        raise bad(problems, say("the configuration of this node cannot be understood by this command"))
    return document


def bad(problems: Sequence[Problem], text: Text) -> rpc.Refusal:
    """Return the refusal that lists `problems`."""
    return rpc.Refusal(rpc.Code.BAD_CONFIGURATION, text, problems)


def carry_out(args: argparse.Namespace, screen: Screen, change: Change) -> int:
    """Make the change; return the exit status. Raises `Refusal` with the reason when it may not be."""
    with Client() as client:
        base = document_of(client)
        for attempt in range(TRIES_MAX):
            outcome = _once(client, args, screen, change, base, last=attempt == TRIES_MAX - 1)
            if isinstance(outcome, int):
                return outcome
            base = outcome
    raise AssertionError("the last try returns or raises")


def _once(
    client: Client, args: argparse.Namespace, screen: Screen, change: Change, base: Document, *, last: bool
) -> int | Document:
    """Try once on `base`. Return the exit status, or the newer document when another change came first."""
    edited = change.edit(base)
    if isinstance(edited, list):
        raise bad(edited, say("nothing was changed; problems: {count}", count=len(edited)))
    plan = difference(base, edited)
    told = change.notes(edited) if plan else ()
    _show_plan(screen, base, plan, told)
    if plan and args.dry_run:
        _refuse_what_would_be_refused(client, base, edited)
    if not plan or args.dry_run:
        return _ended(screen, base, plan, changed=False)
    if not args.yes and not _agreed(client, screen, base, edited):
        screen.line(say("Nothing was changed."))
        return exits.FAILED
    try:
        result: Any = client.call(
            "config.replace",
            base_generation=base.generation,
            document=to_data(edited),
            alone=bool(args.alone),
            within_s=60.0,
        )
    except rpc.Refusal as refusal:
        newer = _newer(client, base) if refusal.code == rpc.Code.TRY_AGAIN and not last else None
        if newer is None:
            raise
        screen.complain(
            say("the configuration was changed by somebody else meanwhile (now {n}):", n=newer.generation)
        )
        for text in difference(base, newer):
            screen.complain(text, indent=2)
        screen.complain(say("trying again on top of that"))
        return newer
    generation = (
        result.get("generation", base.generation + 1) if isinstance(result, dict) else base.generation + 1
    )
    return _ended(screen, base, plan, changed=True, generation=int(generation), undo=change.undo(base))


def _refuse_what_would_be_refused(client: Client, base: Document, edited: Document) -> None:
    """Raise the `Refusal` that the change itself would end with as things stand now."""
    told = client.call("config.plan", base_generation=base.generation, document=to_data(edited))
    against = told.get("against") if isinstance(told, dict) else None
    if against is not None:
        failure = rpc.failure_from_json(against)
        raise rpc.Refusal(failure.code, failure.text, failure.problems)


def _newer(client: Client, base: Document) -> Document | None:
    """Return the document in force when it is another one than `base`."""
    now = document_of(client)
    return now if now.generation != base.generation else None


def _show_plan(screen: Screen, base: Document, plan: Sequence[Text], told: Sequence[Text]) -> None:
    if screen.json:
        return
    if not plan:
        screen.line(say("Nothing to change: it is so already."))
        return
    screen.line(say("Plan for cluster {cluster}:", cluster=base.cluster.name), mood="strong")
    for text in plan:
        screen.line(text, indent=2)
    for text in told:
        screen.line(say("Note: {note}", note=text), indent=2)


def _ended(
    screen: Screen,
    base: Document,
    plan: Sequence[Text],
    *,
    changed: bool,
    generation: int = 0,
    undo: str = "",
) -> int:
    if screen.json:
        screen.answer(
            {
                "changed": changed,
                "generation": generation or base.generation,
                "plan": [screen.words(text) for text in plan],
                "undo": undo,
            }
        )
    elif changed:
        screen.line(say("Done: configuration {generation}.", generation=generation), mood="good")
        if undo:
            screen.line(say("To undo: {command}", command=undo))
    return exits.OK


def _agreed(client: Client, screen: Screen, base: Document, edited: Document) -> bool:
    """Whether it may go on: nothing running is touched, nobody is there to ask, or the person says yes."""
    if not screen.interactive or screen.json:
        return True
    touched = touches_running(picture_of(client.call("status")), base, edited)
    if not touched:
        return True
    for text in touched:
        screen.line(text, mood="warn")
    return screen.agreed(say("Go on?"))


def touches_running(picture: Picture, base: Document, edited: Document) -> list[Text]:
    """Return, in words, which running trees the change touches."""
    touched = []
    for tree in base.trees:
        seen = picture.tree(tree.name)
        after = edited.tree(tree.name)
        if seen is None or not seen.running_on:
            continue
        if after is None or after.resources != tree.resources or seen.running_on not in after.hosts:
            touched.append(
                say(
                    "{tree} is running on {node} and is touched by this.",
                    tree=tree.name,
                    node=seen.running_on,
                )
            )
    return touched


def refuse_if_held(tree: str) -> None:
    """Raise `Refusal` when something of `tree` may be running on a node."""
    with Client() as client:
        seen = picture_of(client.call("status")).tree(tree)
    held = [node for node, phase in seen.on.items() if phase.phase in HOLDS] if seen is not None else []
    if held:
        raise rpc.Refusal(
            rpc.Code.REFUSED,
            say(
                "{tree} may be running on {nodes}; stop it first: `servha tree stop {tree}`",
                tree=tree,
                nodes=", ".join(held),
            ),
        )


def known_tree(base: Document, name: str) -> TreeSection:
    """Return the tree called `name`. Raises `Refusal` (no such) that lists those there are."""
    tree = base.tree(name)
    if tree is None:
        known = ", ".join(t.name for t in base.trees)
        raise rpc.Refusal(
            rpc.Code.NO_SUCH,
            say("there is no resource tree {tree}; there are: {known}", tree=name, known=known or "-"),
        )
    return tree


def known_resource(base: Document, tree: str, name: str) -> ResourceSection:
    """Return a resource of a tree. Raises `Refusal` (no such) that lists those there are."""
    section = known_tree(base, tree)
    resource = section.resource(name)
    if resource is None:
        known = ", ".join(f"{tree}/{r.name}" for r in section.resources)
        raise rpc.Refusal(
            rpc.Code.NO_SUCH,
            say(
                "there is no resource {resource}; there are: {known}",
                resource=f"{tree}/{name}",
                known=known or "-",
            ),
        )
    return resource


def known_link(base: Document, name: str) -> None:
    """Raise `Refusal` (no such) when there is no heartbeat link `name`."""
    if name not in base.links:
        raise rpc.Refusal(
            rpc.Code.NO_SUCH,
            say("there is no heartbeat {link}; there are: {known}", link=name, known=", ".join(base.links)),
        )


def is_new(name: str, known: Sequence[str]) -> None:
    """Raise `Refusal` (exists) when `name` is taken."""
    if name in known:
        raise rpc.Refusal(
            rpc.Code.EXISTS, say("{name} exists already; choose another name, or edit it", name=name)
        )
