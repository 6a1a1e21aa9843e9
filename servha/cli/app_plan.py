"""What `servha app add` would do: values typed -> tree, moves, checks, and what stands against it; told in words.

Changes nothing. The first node to add an application moves the data; the second one finds the tree in the
configuration and only makes the links.
"""

from __future__ import annotations

import argparse
import copy
import os
import shlex
from dataclasses import dataclass
from typing import Any

from servha.apps import Application, Proposal
from servha.apps import looks as look
from servha.apps.application import PER_NODE
from servha.apps.looks import Look, Numbers, Verdict
from servha.apps.moving import Move, move_of, refusals
from servha.cli import cluster_file
from servha.cli.change import bad, document_of
from servha.cli.pairs import pairs_of
from servha.cli.picture import picture_of
from servha.cli.screen import Cell, Screen
from servha.config import edit as edits
from servha.config.document import Document
from servha.config.problem import Problem
from servha.config.reading import Reading
from servha.core.words import Text, say
from servha.management import Client
from servha.wire.rpc import Code, Refusal, text_as_json

MOODS = {Verdict.FINE: "good", Verdict.WRONG: "bad", Verdict.UNKNOWN: "warn"}
WORDS = {
    Verdict.FINE: say("fine"),
    Verdict.WRONG: say("wrong"),
    Verdict.UNKNOWN: say("cannot tell"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that is known before anything is done. `edited` is the configuration with the tree."""

    application: Application
    proposal: Proposal
    us: str
    base: Document
    edited: Document
    makes_tree: bool
    moves: tuple[Move, ...]
    looks: tuple[Look, ...]
    numbers: Numbers

    @property
    def against(self) -> tuple[Look, ...]:
        """What has to be put right first."""
        return tuple(one for one in self.looks if one.verdict is Verdict.WRONG)

    @property
    def file(self) -> str:
        """The file of variables that is written on this node; empty: none is needed."""
        return str(self.application.variables_file) if self.proposal.variables else ""


def make(client: Client, kind: type[Application], args: argparse.Namespace) -> Plan:
    """Return the plan. Raises `Refusal` for values that cannot be, and for a tree that is another one."""
    base = document_of(client)
    us = picture_of(client.call("status")).node
    application, per_node = _application(kind, args.pairs, base)
    proposal = application.proposal()
    edited = _with_tree(base, application, proposal, per_node, args.hosts)
    before = base.tree(application.tree_name)
    wanted = edited.tree(application.tree_name)
    assert wanted is not None
    if before is not None and before.resources != wanted.resources:
        raise Refusal(
            Code.EXISTS,
            say(
                "there is a tree {tree} already, and it is another one: choose a name with --set tree=NAME, or give"
                " the same values as on the other node",
                tree=application.tree_name,
            ),
        )
    device = str(per_node.get(us, {}).get("device", application.device))
    moves = tuple(
        move_of(path, application.mount_point, copies=before is None) for path in proposal.directories
    )
    return Plan(
        application=application,
        proposal=proposal,
        us=us,
        base=base,
        edited=edited,
        makes_tree=before is None,
        moves=moves,
        looks=tuple(_looks(proposal, moves, device, _numbers(args.other))),
        numbers=look.numbers_of(proposal.users),
    )


def _application(
    kind: type[Application], words: list[str], base: Document
) -> tuple[Application, dict[str, dict[str, object]]]:
    typed = pairs_of(words, kind)
    reading = Reading()
    made = reading.build(kind, typed.settings, "")
    problems = list(reading.problems)
    for node, own in typed.per_node.items():
        if base.node(node) is None:
            problems.append(Problem(f"@{node}", say("there is no node {node}", node=node)))
        problems += [
            Problem(f"{key}@{node}", say("is the same on both nodes: leave out @{node}", node=node))
            for key in own
            if key not in PER_NODE
        ]
    if made is not None and not problems:
        problems = [Problem(one.field, one.because) for one in made.problems()]
    if made is None or problems:
        text = say(
            "the values of {name} are not complete; `servha app list {name}` explains them", name=kind.name
        )
        raise bad(problems, text)
    return made, typed.per_node


def _with_tree(
    base: Document,
    application: Application,
    proposal: Proposal,
    per_node: dict[str, dict[str, object]],
    hosts: str | None,
) -> Document:
    """Return the configuration with the proposed tree, by hand at first: nothing starts while data are moved."""
    resources = copy.deepcopy(list(proposal.resources))
    for resource in resources:
        own: dict[str, Any] = {}
        for node, values in per_node.items():
            found = {key: value for key, value in values.items() if PER_NODE.get(key) == resource["name"]}
            own |= {node: found} if found else {}
        resource["per_node"] = own
    settings: dict[str, Any] = {"start_mode": "manual", "failback": "stay", "resources": resources}
    if hosts:
        settings["hosts"] = [host.strip() for host in hosts.split(",") if host.strip()]
    without: edits.Edited = base
    if base.tree(application.tree_name) is not None:
        without = edits.delete_tree(base, application.tree_name)
    edited = (
        without
        if isinstance(without, list)
        else edits.create_tree(without, application.tree_name, **settings)
    )
    if isinstance(edited, list):
        raise bad(edited, say("nothing was changed; problems: {count}", count=len(edited)))
    return edited


def _numbers(file: str | None) -> Numbers | None:
    """Return the users' numbers out of the other node's plan; None when none was given."""
    if file is None:
        return None
    data = cluster_file.read(file)
    users = data.get("users") if isinstance(data, dict) else None
    if not isinstance(users, dict) or not all(isinstance(pair, list) for pair in users.values()):
        raise Refusal(
            Code.BAD_CONFIGURATION,
            say("{file} is no plan: make it on the other node with `servha app plan ... -o json`", file=file),
        )
    return users


def _looks(proposal: Proposal, moves: tuple[Move, ...], device: str, other: Numbers | None) -> list[Look]:
    found = look.users(proposal.users, other)
    found += look.units(proposal.units, proposal.boot_units)
    found += look.ports(proposal.ports)
    found += look.programs(
        str(resource["settings"].get(name, ""))
        for resource in proposal.resources
        for name in ("start_script", "stop_script", "test_script")
    )
    for move in moves:
        reasons = refusals(move, device)
        found += [Look(Verdict.WRONG, reason) for reason in reasons]
        if not reasons:
            found.append(Look(Verdict.FINE, say("{path} can be moved", path=move.source)))
    if moves:
        found.append(look.in_use(move.source for move in moves))
    return found


def tell(plan: Plan, screen: Screen) -> None:
    """Show the plan."""
    done = _deeds(plan)
    if screen.json:
        screen.answer(
            {
                "application": plan.application.name,
                "node": plan.us,
                "tree": [screen.words(text) for text in _tree_lines(plan)],
                "resources": list(plan.proposal.resources),
                "here": [screen.words(text) for text in done],
                "checks": [
                    {
                        "verdict": str(one.verdict),
                        "text": text_as_json(one.text),
                        "remedy": text_as_json(one.remedy),
                    }
                    for one in plan.looks
                ],
                "afterwards": [screen.words(text) for text in _afterwards(plan)],
                "users": plan.numbers,
                "allowed": not plan.against,
            }
        )
        return
    screen.line(say("Plan for cluster {cluster}:", cluster=plan.base.cluster.name), mood="strong")
    for text in _tree_lines(plan):
        screen.line(text, indent=2)
    if plan.makes_tree:
        screen.table([[Cell(name, "strong"), words] for name, words in _resources(plan)])
    screen.line(say("On this node ({node}):", node=plan.us), mood="strong")
    for text in done or [say("nothing has to be done")]:
        screen.line(text, indent=2)
    screen.line(say("Checked on this node:"), mood="strong")
    rows: list[list[Cell | str]] = []
    for one in plan.looks:
        said = (
            say("{because}: {remedy}", because=one.text, remedy=one.remedy)
            if one.remedy.template
            else one.text
        )
        rows.append([Cell(screen.words(WORDS[one.verdict]), MOODS[one.verdict]), screen.words(said)])
    screen.table(rows)
    screen.line(say("Afterwards, by hand:"), mood="strong")
    for text in _afterwards(plan):
        screen.line(text, indent=2)


def _tree_lines(plan: Plan) -> list[Text]:
    if not plan.makes_tree:
        return [say("tree {tree} is there already, and as proposed", tree=plan.application.tree_name)]
    return list(edits.difference(plan.base, plan.edited))


def _resources(plan: Plan) -> list[tuple[str, str]]:
    """Return each resource and what is set for it, in the words of `servha resource create`."""
    tree = plan.edited.tree(plan.application.tree_name)
    assert tree is not None
    rows: list[tuple[str, str]] = []
    for resource in tree.resources:
        words = [f"{key}={_value(value)}" for key, value in resource.settings.items() if value != ""]
        words += [
            f"{key}@{node}={_value(value)}"
            for node, own in resource.per_node.items()
            for key, value in own.items()
        ]
        words += [f"--after {','.join(resource.after)}"] if resource.after else []
        for detector in resource.detectors:
            pairs = ",".join(f"{key}={_value(value)}" for key, value in detector.items() if key != "kind")
            words.append(f"--detector {detector['kind']}:{pairs}")
        words.append(
            f"--start-timeout {resource.start_timeout_s:g} --stop-timeout {resource.stop_timeout_s:g}"
        )
        rows.append((f"{resource.name} ({resource.kind})", " ".join(words)))
    return rows


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return shlex.quote(shlex.join(map(str, value)))
    return shlex.quote(str(value))


def _deeds(plan: Plan) -> list[Text]:
    found: list[Text] = []
    for move in plan.moves:
        if move.copies:
            text = say("{path} is copied to {target} and compared", path=move.source, target=move.target)
            found.append(text)
        if move.copies or os.path.lexists(move.source):
            found.append(
                say("{path} is renamed to {original}", path=move.source, original=str(move.original))
            )
        found.append(say("{path} becomes a symbolic link to {target}", path=move.source, target=move.target))
    if plan.file:
        names = ", ".join(plan.proposal.variables)
        found.append(say("{file} is written: {names}", file=plan.file, names=names))
    return found


def _afterwards(plan: Plan) -> list[Text]:
    tree = plan.application.tree_name
    found = list(plan.proposal.notes)
    if plan.makes_tree:
        found += [
            say("on the other node: the same command"),
            say("on this node: `umount {mount_point}`", mount_point=plan.application.mount_point),
        ]
    return [
        *found,
        say("`servha tree start {tree}`, and move it once to each node", tree=tree),
        say("`servha tree edit {tree} --start-mode auto`", tree=tree),
    ]
