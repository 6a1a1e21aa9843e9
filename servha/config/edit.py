"""Single changes to a document, as the command line and the console offer them.

Pure: each returns a new document that has passed every check of `parse`, or the problems that stand against
it. The generation is left alone; `document.successor` counts it on when the change is proposed. Whether
this is a good moment for a change is not decided here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from servha.config.difference import difference
from servha.config.document import Document, MaintenanceSection, parse, to_data
from servha.config.problem import Problem, suggestion
from servha.core.timing import PROFILES
from servha.core.words import say

__all__ = [
    "Edited",
    "add_link",
    "create_resource",
    "create_tree",
    "delete_resource",
    "delete_tree",
    "depend",
    "difference",
    "edit_cluster",
    "edit_link",
    "edit_node",
    "edit_ports",
    "edit_resource",
    "edit_timing",
    "edit_tree",
    "end_maintenance",
    "remove_link",
    "remove_node",
    "reorder_links",
    "set_arbitration",
    "set_maintenance",
    "undepend",
    "use_profile",
]

Edited = Document | list[Problem]
_Data = dict[str, Any]


class _Refused(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def create_tree(base: Document, name: str, **settings: object) -> Edited:
    """Add a tree; without `hosts` every node is one, in the order they joined.

    The id is the next free number.
    """

    def change(data: _Data) -> None:
        if any(tree["name"] == name for tree in data["trees"]):
            raise _exists("trees", say("there is already a tree {name}", name=name))
        hosts = [node["name"] for node in sorted(data["nodes"], key=lambda node: int(node["id"]))]
        # A number is not used again while a higher one exists: beats and memories name trees by it.
        number = max((int(tree["id"]) for tree in data["trees"]), default=0) + 1
        data["trees"].append({"name": name, "id": number, "hosts": hosts, **settings})

    return _edited(base, change)


def edit_tree(base: Document, name: str, /, **settings: object) -> Edited:
    """Change settings of a tree; a new `name` renames it."""
    return _edited(base, lambda data: _tree(data, name).update(settings))


def delete_tree(base: Document, name: str) -> Edited:
    """Remove a tree and its resources."""
    return _edited(base, lambda data: data["trees"].remove(_tree(data, name)))


def create_resource(base: Document, tree: str, name: str, kind: str, **settings: object) -> Edited:
    """Add a resource to a tree."""

    def change(data: _Data) -> None:
        resources = _tree(data, tree)["resources"]
        if any(resource["name"] == name for resource in resources):
            raise _exists(
                f"trees.{tree}", say("there is already a resource {tree}/{name}", tree=tree, name=name)
            )
        resources.append({"name": name, "kind": kind, **settings})

    return _edited(base, change)


def edit_resource(base: Document, tree: str, name: str, /, **settings: object) -> Edited:
    """Change a resource; what is given replaces what was there, `settings` and `per_node` as a whole.

    A new `name` is followed by the resources that come after it.
    """

    def change(data: _Data) -> None:
        _resource(data, tree, name).update(settings)
        new_name = settings.get("name", name)
        for resource in _tree(data, tree)["resources"]:
            resource["after"] = [
                new_name if before == name else before for before in resource.get("after", ())
            ]

    return _edited(base, change)


def delete_resource(base: Document, tree: str, name: str) -> Edited:
    """Remove a resource; refused while others come after it."""

    def change(data: _Data) -> None:
        resource = _resource(data, tree, name)
        waiting = [other["name"] for other in _tree(data, tree)["resources"] if name in other["after"]]
        if waiting:
            raise _Refused(
                Problem(
                    f"trees.{tree}.resources.{name}",
                    say("{others} start after it", others=", ".join(waiting)),
                    say("delete those first, or take the dependency away"),
                )
            )
        _tree(data, tree)["resources"].remove(resource)

    return _edited(base, change)


def depend(base: Document, tree: str, name: str, after: str) -> Edited:
    """Let resource `name` start after resource `after`, and stop before it."""

    def change(data: _Data) -> None:
        resource = _resource(data, tree, name)
        if after not in resource["after"]:
            resource["after"].append(after)

    return _edited(base, change)


def undepend(base: Document, tree: str, name: str, after: str) -> Edited:
    """Take away the dependency of `name` on `after`; one that is not there is a problem."""

    def change(data: _Data) -> None:
        resource = _resource(data, tree, name)
        if after not in resource["after"]:
            raise _Refused(
                Problem(
                    f"trees.{tree}.resources.{name}.after",
                    say("{name} does not start after {after}", name=name, after=after),
                    suggestion(after, resource["after"]),
                )
            )
        resource["after"].remove(after)

    return _edited(base, change)


def set_maintenance(base: Document, section: MaintenanceSection) -> Edited:
    """Put something in maintenance, or change the reason and the end of it."""
    kept = [m for m in base.maintenance if m.what != section.what]
    return _edited(dataclasses.replace(base, maintenance=(*kept, section)), lambda _data: None)


def end_maintenance(base: Document, what: str) -> Edited:
    """End the maintenance of web, web/app or node1; nothing changes where there is none."""
    kept = [m for m in base.maintenance if m.what != what]
    return _edited(dataclasses.replace(base, maintenance=tuple(kept)), lambda _data: None)


def _is_there(document: Document, section: MaintenanceSection) -> bool:
    """Whether there still is what the section is about: the maintenance of a thing goes with it."""
    if section.node:
        return document.node(section.node) is not None
    tree = document.tree(section.tree)
    return tree is not None and (not section.resource or tree.resource(section.resource) is not None)


def add_link(base: Document, link: str, ends: Mapping[str, Mapping[str, str]]) -> Edited:
    """Add a heartbeat link, the least preferred; `ends` maps each node to its {"nic": .., "address": ..}."""

    def change(data: _Data) -> None:
        if link in data["links"]:
            raise _exists(f"links.{link}", say("there is already a heartbeat link {link}", link=link))
        data["links"].append(link)
        _set_ends(data, link, ends)

    return _edited(base, change)


def edit_link(base: Document, link: str, ends: Mapping[str, Mapping[str, str]]) -> Edited:
    """Change the ends of a link on the nodes that `ends` names; the other keeps its own."""

    def change(data: _Data) -> None:
        _known_link(data, link)
        _set_ends(data, link, ends)

    return _edited(base, change)


def remove_link(base: Document, link: str) -> Edited:
    """Remove a heartbeat link; the last one stays."""

    def change(data: _Data) -> None:
        _known_link(data, link)
        data["links"].remove(link)
        for node in data["nodes"]:
            node["links"].pop(link, None)

    return _edited(base, change)


def reorder_links(base: Document, links: Sequence[str]) -> Edited:
    """Put the heartbeat links in this order, the most preferred first; every one must be named."""

    def change(data: _Data) -> None:
        for link in links:
            _known_link(data, link)
        if sorted(links) != sorted(data["links"]):
            raise _Refused(
                Problem(
                    "links",
                    say("the order must name every heartbeat link once"),
                    say("there are: {words}", words=", ".join(data["links"])),
                )
            )
        data["links"] = list(links)

    return _edited(base, change)


def edit_timing(base: Document, **figures: int) -> Edited:
    """Change figures of heartbeat and lease, as `core.timing.Timing` names them."""
    return _edited(base, lambda data: data["timing"].update(figures))


def use_profile(base: Document, profile: str) -> Edited:
    """Take all figures of the heartbeat from a profile."""

    def change(data: _Data) -> None:
        if profile not in PROFILES:
            because = say("there is no profile {profile}", profile=profile)
            raise _Refused(Problem("timing", because, suggestion(profile, PROFILES)))
        data["timing"] = msgspec.to_builtins(PROFILES[profile])

    return _edited(base, change)


def set_arbitration(base: Document, *, policy: str, references: Sequence[str]) -> Edited:
    """Set how a tie is broken, and the reference addresses that are asked."""
    return edit_cluster(base, policy=policy, references=list(references))


def edit_cluster(base: Document, /, **settings: object) -> Edited:
    """Change the cluster's name, policy, references, quorum disk or language."""
    return _edited(base, lambda data: data["cluster"].update(settings))


def edit_ports(base: Document, **ports: int) -> Edited:
    """Change ports the daemons use."""
    return _edited(base, lambda data: data["ports"].update(ports))


def edit_node(base: Document, name: str, /, **settings: object) -> Edited:
    """Change what is said of a node, such as its description."""
    return _edited(base, lambda data: _node(data, name).update(settings))


def remove_node(base: Document, name: str) -> Edited:
    """Remove a node; trees lose it as a host. A tree that could run only there stands in the way."""

    def change(data: _Data) -> None:
        data["nodes"].remove(_node(data, name))
        # The node that stays is the first one from now on, as if it had initialised the cluster.
        for node in data["nodes"]:
            node["id"] = 0
        for tree in data["trees"]:
            tree["hosts"] = [host for host in tree["hosts"] if host != name]
            for resource in tree["resources"]:
                resource["per_node"].pop(name, None)

    return _edited(base, change)


def _edited(base: Document, change: Callable[[_Data], None]) -> Edited:
    data = to_data(base)
    try:
        change(data)
    except _Refused as refused:
        return [refused.problem]
    document, problems = parse(msgspec.to_builtins(data))
    if document is None:
        return problems
    kept = tuple(m for m in document.maintenance if _is_there(document, m))
    return document if kept == document.maintenance else dataclasses.replace(document, maintenance=kept)


def _exists(path: str, because: Any) -> _Refused:
    return _Refused(Problem(path, because, say("choose another name, or edit the one there is")))


def _node(data: _Data, name: str) -> _Data:
    return _named(data["nodes"], name, "nodes", say("there is no node {node}", node=name))


def _tree(data: _Data, name: str) -> _Data:
    return _named(data["trees"], name, "trees", say("there is no tree {tree}", tree=name))


def _resource(data: _Data, tree: str, name: str) -> _Data:
    because = say("there is no resource {name} in tree {tree}", name=name, tree=tree)
    return _named(_tree(data, tree)["resources"], name, f"trees.{tree}.resources", because)


def _named(items: list[_Data], name: str, path: str, because: Any) -> _Data:
    for item in items:
        if item["name"] == name:
            return item
    raise _Refused(Problem(f"{path}.{name}", because, suggestion(name, [item["name"] for item in items])))


def _known_link(data: _Data, link: str) -> None:
    if link not in data["links"]:
        because = say("there is no heartbeat link {link}", link=link)
        raise _Refused(Problem(f"links.{link}", because, suggestion(link, data["links"])))


def _set_ends(data: _Data, link: str, ends: Mapping[str, Mapping[str, str]]) -> None:
    for node, end in ends.items():
        links = _node(data, node)["links"]
        links[link] = {**links.get(link, {}), **end}
