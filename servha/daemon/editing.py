"""What whoever edits needs: the configuration, the kinds and their fields, a plan, the change, and maintenance.

Decides what a plan says of a document that was made from an older one: what has changed meanwhile, never a merge;
and that what the password was made into is shown to root on this machine alone.
Refuses to put a document in force: that is replicate.py's.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from servha.config import edit, schema
from servha.config.document import Document, MaintenanceSection
from servha.config.kinds import DETECTORS, RESOURCES
from servha.core.words import Text, as_dict, say
from servha.daemon.api import Verb, for_configurers, for_operators, for_readers
from servha.daemon.arguments import needed_word, number, part, word, yes
from servha.daemon.caller import BY_TOKEN, Caller, DoorKind
from servha.daemon.configuration import SECRET, Configuration
from servha.daemon.maintenance import WallClock, wall_clock_s
from servha.daemon.replicate import Outcome, Replicator
from servha.daemon.shelf import Version
from servha.wire.rpc import Args, Code, Json, Refusal

LASTS_S_MAX: Final = 366 * 86400
SCOPES: Final = ("tree", "resource", "node")


class EditingDesk:
    """The verbs config.get, config.plan, config.replace, kinds, maintenance.begin and maintenance.end."""

    def __init__(
        self, configuration: Configuration, replicator: Replicator, now_s: WallClock = wall_clock_s
    ) -> None:
        self._configuration = configuration
        self._replicator = replicator
        self._now_s = now_s

    def verbs(self) -> Mapping[str, Verb]:
        """The rows for the table of verbs."""
        return {
            "config.get": for_readers(self.get),
            "config.plan": for_configurers(self.plan),
            "config.replace": for_configurers(self.replace),
            "kinds": for_readers(self.kinds),
            "maintenance.begin": for_operators(self.begin),
            "maintenance.end": for_operators(self.end),
        }

    async def get(self, _args: Args, caller: Caller) -> Json:
        """config.get {}: the configuration in force; its secret sections are for root here alone."""
        current = self._configuration.must_have()
        hidden = () if caller.door is DoorKind.LOCAL else SECRET
        shown = {name: value for name, value in current.data.items() if name not in hidden}
        return {**told_of(current), "document": shown}

    async def replace(self, args: Args, caller: Caller) -> Json:
        """config.replace {base_generation, document, alone}: see `Replicator.propose`."""
        self._refuse_what_is_made_elsewhere(args, caller)
        return told_of_outcome(
            await self._replicator.propose(
                part(args, "document"),
                base_generation=number(args, "base_generation"),
                alone=yes(args, "alone"),
            )
        )

    async def plan(self, args: Args, caller: Caller) -> Json:
        """config.plan {base_generation, document}: say what `config.replace` would change, and change nothing.

        Answers {changes, generation, meanwhile}: `meanwhile` is None, or what others have changed since
        `base_generation`; there are no `changes` then, for they would undo theirs. Raises `Refusal`
        (bad-configuration) with every problem in the document.
        """
        self._refuse_what_is_made_elsewhere(args, caller)
        current, base = self._configuration.must_have(), number(args, "base_generation")
        if base != current.generation:
            earlier = await asyncio.to_thread(self._configuration.shelf.earlier, base)
            found = [] if earlier is None else edit.difference(earlier, current.document)
            unknown = say(
                "the configuration is generation {now} now; what differs from {base} is not known any more",
                now=current.generation,
                base=base,
            )
            return {"changes": [], "generation": current.generation, "meanwhile": _told(found or [unknown])}
        version = await self._configuration.read_successor(part(args, "document"))
        changes = edit.difference(current.document, version.document)
        return {"changes": _told(changes), "generation": current.generation, "meanwhile": None}

    async def kinds(self, _args: Args, _: Caller) -> Json:
        """kinds {}: each kind of resource and of detector, what it is, and its fields for a form."""
        return await asyncio.to_thread(
            lambda: {"resources": _described(RESOURCES), "detectors": _described(DETECTORS)}
        )

    async def begin(self, args: Args, _: Caller) -> Json:
        """maintenance.begin {scope, name, reason, by, for_s, orders}: hands off; `for_s` 0: until it is ended.

        `orders` maps the trees that are left as they are to the order in force, as `servha status` shows it.
        """
        scope, name, lasts_s = _scope(args), needed_word(args, "name"), number(args, "for_s")
        if not 0 <= lasts_s <= LASTS_S_MAX:
            text = say("a maintenance lasts from 1 s to {days} days, or 0: until it is ended", days=366)
            raise Refusal(Code.USAGE, text)
        if not word(args, "reason").strip():
            raise Refusal(Code.USAGE, say("a reason is needed: everybody who looks at it reads it"))
        tree, _slash, resource = name.partition("/")
        now = int(self._now_s())
        section = MaintenanceSection(
            reason=word(args, "reason").strip(),
            by=needed_word(args, "by"),
            since_unix_s=now,
            until_unix_s=now + lasts_s if lasts_s else 0,
            tree="" if scope == "node" else tree,
            resource=resource if scope == "resource" else "",
            node=name if scope == "node" else "",
            orders={k: v for k, v in part(args, "orders").items() if isinstance(v, int)},
        )

        def change(base: Document) -> edit.Edited:
            if not _is_there(base, scope, name):
                raise Refusal(Code.NO_SUCH, _absent(scope, name))
            return edit.set_maintenance(base, section)

        return await self._amend(change)

    async def end(self, args: Args, _: Caller) -> Json:
        """maintenance.end {scope, name}: it is looked after again."""
        scope, name = _scope(args), needed_word(args, "name")

        def change(base: Document) -> edit.Edited:
            if not any(m.what == name and _scope_of(m) == scope for m in base.maintenance):
                raise Refusal(Code.NO_SUCH, say("{what} is not in maintenance.", what=name))
            return edit.end_maintenance(base, name)

        return await self._amend(change)

    def _refuse_what_is_made_elsewhere(self, args: Args, caller: Caller) -> None:
        """Passwords and tokens have verbs and rules of their own; only root here writes what they become.

        And a token gives its scope for its time: nobody makes a node's proof of it.
        """
        wished = part(args, "document")
        if caller.door is not DoorKind.LOCAL and any(name in wished for name in SECRET):
            text = say(
                "passwords and tokens are not changed with the rest of the configuration: "
                "`servha cluster password` and `servha token` do that, and the console"
            )
            raise Refusal(Code.NOT_PERMITTED, text)
        if caller.right not in BY_TOKEN:
            return
        known = _proofs(self._configuration.must_have().data)
        if any(proof not in known for proof in _proofs(wished)):
            text = say("passwords, tokens and certificates are not changed with a token: log in for that")
            raise Refusal(Code.NOT_PERMITTED, text)

    async def _amend(self, change: Callable[[Document], edit.Edited]) -> Json:
        def changed(base: Document) -> Document:
            edited = change(base)
            if isinstance(edited, list):
                text = say("nothing was changed; problems: {count}", count=len(edited))
                raise Refusal(Code.BAD_CONFIGURATION, text, edited)
            return edited

        outcome = await self._replicator.amend(changed)
        return {"generation": outcome.version.generation, "on_both": outcome.on_both}


def told_of(version: Version) -> dict[str, Json]:
    """Return what every answer about a version begins with."""
    return {
        "generation": version.generation,
        "digest": version.digest,
        "cluster": version.document.cluster.name,
    }


def told_of_outcome(outcome: Outcome) -> dict[str, Json]:
    """Return the answer to a change: the version, and whether the other node has it too."""
    return {**told_of(outcome.version), "on_both": outcome.on_both}


def _proofs(data: Mapping[str, Any]) -> list[tuple[object, object, object]]:
    """Return by what each node is known: name, certificate and fingerprint."""
    nodes = data.get("nodes")
    return [
        (node.get("name"), node.get("certificate"), node.get("certificate_sha256"))
        for node in (nodes if isinstance(nodes, list | tuple) else ())
        if isinstance(node, Mapping)
    ]


def _scope(args: Args) -> str:
    scope = needed_word(args, "scope")
    if scope not in SCOPES:
        raise Refusal(Code.USAGE, say("scope is tree, resource or node, not {scope}", scope=scope))
    return scope


def _scope_of(section: MaintenanceSection) -> str:
    return "node" if section.node else "resource" if section.resource else "tree"


def _is_there(document: Document, scope: str, name: str) -> bool:
    if scope == "node":
        return document.node(name) is not None
    tree, _, resource = name.partition("/")
    found = document.tree(tree)
    if found is None or (scope == "resource") != bool(resource):
        return False
    return not resource or found.resource(resource) is not None


def _absent(scope: str, name: str) -> Text:
    if scope == "node":
        return say("there is no node {node}", node=name)
    tree, _, resource = name.partition("/")
    if scope == "resource":
        return say("there is no resource {tree}/{name}", tree=tree, name=resource)
    return say("there is no tree {tree}", tree=name)


def _told(texts: Sequence[Text]) -> list[Json]:
    return [as_dict(text) for text in texts]


def _described(kinds: Mapping[str, type[Any]]) -> dict[str, Json]:
    return {
        name: {
            "about": as_dict(
                Text(" ".join((kind.__doc__ or "").strip().split("\n\n", maxsplit=1)[0].split()))
            ),
            "fields": [
                {**dataclasses.asdict(field), "description": as_dict(Text(field.description))}
                for field in schema.form(kind)
            ],
        }
        for name, kind in kinds.items()
    }
