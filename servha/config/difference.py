"""What changes from one document to the next, a sentence each: the plan an administrator agrees to.

Values are shown as they stand in the file. Passwords and certificates are named and never shown. Whether a
change interrupts something that runs is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from servha.config.document import Document, to_data
from servha.core.words import Text, say

_NOT_SHOWN = ("password", "certificate", "certificate_sha256")
_NOT_COUNTED = ("generation", "parent_digest")
_LENGTH_MAX = 200


def difference(old: Document, new: Document) -> list[Text]:
    """Return what is different in `new`; empty when both mean the same, whatever their generation."""
    before, after = to_data(old), to_data(new)
    found = [
        *_nodes(before["nodes"], after["nodes"]),
        *_links(before["links"], after["links"]),
        *_trees(before["trees"], after["trees"]),
        *_maintenance(old, new),
        *_tokens(old, new),
        *_fields("cluster", before["cluster"], after["cluster"]),
        *_fields("timing", before["timing"], after["timing"]),
        *_fields("ports", before["ports"], after["ports"]),
    ]
    plain = (key for key in after if not isinstance(after[key], dict | list) and key not in _NOT_COUNTED)
    for key in sorted({*plain, "password"}):
        found += _value(key, before.get(key), after.get(key))
    return found


def _nodes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[Text]:
    old, new = _by_name(before), _by_name(after)
    for name, node in new.items():
        was = old.get(name)
        if was is None:
            yield say("node {node} is added", node=name)
            continue
        for link in sorted(node["links"].keys() & was["links"].keys()):
            yield from _fields(f"nodes.{name}.links.{link}", was["links"][link], node["links"][link])
        yield from _fields(f"nodes.{name}", _without(was, "links"), _without(node, "links"))
    for name in old:
        if name not in new:
            yield say("node {node} is removed", node=name)


def _maintenance(old: Document, new: Document) -> Iterator[Text]:
    was, now = ({m.what: m for m in document.maintenance} for document in (old, new))
    for what, one in now.items():
        if was.get(what) != one:
            yield say("{what} is in maintenance from now on: {reason}", what=what, reason=one.reason)
    for what in was:
        if what not in now:
            yield say("the maintenance of {what} ends", what=what)


def _tokens(old: Document, new: Document) -> Iterator[Text]:
    was, now = ({t.name: t for t in document.tokens} for document in (old, new))
    for name, one in now.items():
        if was.get(name) != one:
            yield say("token {name} is good for: {scope}", name=name, scope=one.scope)
    for name in was:
        if name not in now:
            yield say("token {name} is removed", name=name)


def _links(before: list[str], after: list[str]) -> Iterator[Text]:
    for link in after:
        if link not in before:
            yield say("heartbeat link {link} is added", link=link)
    for link in before:
        if link not in after:
            yield say("heartbeat link {link} is removed", link=link)
    if before != after and sorted(before) == sorted(after):
        yield say("heartbeat links are preferred in this order: {links}", links=", ".join(after))


def _trees(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[Text]:
    old, new = _by_name(before), _by_name(after)
    for name, tree in new.items():
        if name not in old:
            yield say("tree {tree} is created, to run on {hosts}", tree=name, hosts=", ".join(tree["hosts"]))
        was = old.get(name, {"resources": []})
        yield from _resources(name, was["resources"], tree["resources"])
        if name in old:
            yield from _fields(f"trees.{name}", _without(was, "resources"), _without(tree, "resources"))
    for name in old:
        if name not in new:
            yield say("tree {tree} is deleted with everything in it", tree=name)


def _resources(tree: str, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[Text]:
    old, new = _by_name(before), _by_name(after)
    for name, resource in new.items():
        was = old.get(name)
        if was is None:
            yield say(
                "resource {tree}/{name} of kind {kind} is created",
                tree=tree,
                name=name,
                kind=resource["kind"],
            )
            continue
        path = f"trees.{tree}.resources.{name}"
        yield from _fields(f"{path}.settings", was["settings"], resource["settings"])
        for node in sorted(was["per_node"].keys() | resource["per_node"].keys()):
            yield from _fields(
                f"{path}.per_node.{node}", was["per_node"].get(node, {}), resource["per_node"].get(node, {})
            )
        if was["after"] != resource["after"]:
            yield from _dependencies(f"{tree}/{name}", resource["after"])
        rest = ("settings", "per_node", "after")
        yield from _fields(path, _without(was, *rest), _without(resource, *rest))
    for name in old:
        if name not in new:
            yield say("resource {tree}/{name} is deleted", tree=tree, name=name)


def _dependencies(resource: str, after: list[str]) -> Iterator[Text]:
    if after:
        yield say("{resource} depends on {after}", resource=resource, after=", ".join(after))
    else:
        yield say("{resource} depends on nothing", resource=resource)


def _fields(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Text]:
    for key in (*before, *(key for key in after if key not in before)):
        yield from _value(f"{path}.{key}", before.get(key), after.get(key))


def _value(path: str, before: object, after: object) -> Iterator[Text]:
    if before == after:
        return
    if path.rpartition(".")[2] in _NOT_SHOWN:
        yield say("{path} changes", path=path)
    elif before is None:
        yield say("{path} is set to {after}", path=path, after=_shown(after))
    elif after is None:
        yield say("{path} is no longer set; it was {before}", path=path, before=_shown(before))
    else:
        yield say(
            "{path} changes from {before} to {after}", path=path, before=_shown(before), after=_shown(after)
        )


def _shown(value: object) -> str:
    if isinstance(value, list) and value and all(isinstance(one, str) and one for one in value):
        text = ", ".join(value)
    else:
        text = value if isinstance(value, str) and value else msgspec.json.encode(value).decode()
    return text if len(text) <= _LENGTH_MAX else text[: _LENGTH_MAX - 3] + "..."


def _by_name(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in items}


def _without(item: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in keys}
