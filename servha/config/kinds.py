"""A resource's settings against the fields of its kind, on every node it may run on.

What a kind's fields are and what else must hold between them is the kind's own business (`problems`); here
it is only looked up, converted, and asked. The daemon gets its ready-made kinds here too, so that nothing
runs that has not gone through the same check.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from servha.config.problem import Problem, suggestion
from servha.config.reading import Reading, fields_of, is_required, join
from servha.config.shape import ResourceSection, TreeSection, settings_on
from servha.core.words import say
from servha.detectors import DETECTOR_KINDS
from servha.resources import RESOURCE_KINDS

RESOURCES: Mapping[str, type[Any]] = {kind.name: kind for kind in RESOURCE_KINDS}
DETECTORS: Mapping[str, type[Any]] = {kind.name: kind for kind in DETECTOR_KINDS}


def kind_on(resource: ResourceSection, node: str) -> Any:
    """Return the resource's kind with its settings on `node`; only for documents that `parse` accepted."""
    return _make(RESOURCES[resource.kind], settings_on(resource, node))


def detectors_on(resource: ResourceSection) -> tuple[Any, ...]:
    """Return the resource's detectors; only for documents that `parse` accepted."""
    return tuple(
        _make(DETECTORS[str(settings["kind"])], {key: settings[key] for key in settings if key != "kind"})
        for settings in resource.detectors
    )


def settings_problems(tree: TreeSection, resource: ResourceSection, path: str) -> list[Problem]:
    """Return everything that is wrong with the settings and detectors of one resource."""
    reading = Reading()
    kind = RESOURCES.get(resource.kind)
    if kind is None:
        reading.complain(
            join(path, "kind"),
            say("there is no resource kind {kind}", kind=resource.kind),
            suggestion(resource.kind, RESOURCES),
        )
    else:
        _check_nodes(reading, kind, tree, resource, path)
    for place, settings in enumerate(resource.detectors):
        _check_detector(reading, settings, f"{path}.detectors[{place}]")
    return reading.problems


def _check_nodes(
    reading: Reading, kind: type[Any], tree: TreeSection, resource: ResourceSection, path: str
) -> None:
    """Look at the common settings and at each node's own, then at what each node gets in the end."""
    fine = _check_values(reading, kind, resource.settings, join(path, "settings"))
    for node, settings in resource.per_node.items():
        at = join(path, f"per_node.{node}")
        if node not in tree.hosts:
            reading.complain(
                at, say("{node} is not a host of this tree", node=node), suggestion(node, tree.hosts)
            )
        fine = _check_values(reading, kind, settings, at) and fine
    if not fine:
        return
    seen: list[Mapping[str, object]] = []
    for node in tree.hosts:
        whole = settings_on(resource, node)
        if whole not in seen:
            seen.append(whole)
            own = join(path, f"per_node.{node}")
            paths = {name: join(own, name) for name in resource.per_node.get(node, {})}
            _check_whole(reading, kind, whole, paths=paths, path=join(path, "settings"), node=node)


def _check_detector(reading: Reading, settings: Mapping[str, object], path: str) -> None:
    word = settings.get("kind")
    kind = DETECTORS.get(word) if isinstance(word, str) else None
    if kind is None:
        reading.complain(
            join(path, "kind"),
            say("there is no detector kind {kind}", kind=str(word)),
            suggestion(str(word), DETECTORS),
        )
        return
    own = {key: value for key, value in settings.items() if key != "kind"}
    if _check_values(reading, kind, own, path):
        _check_whole(reading, kind, own, paths={}, path=path, node="")


def _check_values(reading: Reading, kind: type[Any], settings: Mapping[str, object], path: str) -> bool:
    """Complain of unknown settings and of values that do not fit their field; return whether all is well."""
    before = len(reading.problems)
    hints, _ = fields_of(kind)
    reading.unknown(settings, hints, path)
    for key, raw in settings.items():
        if key in hints:
            reading.value(raw, hints[key], join(path, key))
    return len(reading.problems) == before


def _check_whole(
    reading: Reading,
    kind: type[Any],
    settings: Mapping[str, object],
    *,
    paths: Mapping[str, str],
    path: str,
    node: str,
) -> None:
    """Complain of what is missing, else of what the kind itself finds wrong with its settings on `node`.

    A field's path is the one in `paths`, if there is one, else it is inside `path`.
    """
    missing = [name for name in required_fields(kind) if name not in settings]
    for name in missing:
        if node:
            reading.complain(
                join(path, name),
                say("is missing on {node}", node=node),
                say("give it a value for all nodes, or as {name}@{node}", name=name, node=node),
            )
        else:
            reading.complain(join(path, name), say("is missing"), say("give it a value"))
    if missing:
        return
    for found in _make(kind, settings).problems():
        problem = Problem(paths.get(found.field, join(path, found.field)), found.because)
        if problem not in reading.problems:
            reading.problems.append(problem)


def required_fields(kind: type[Any]) -> list[str]:
    """Return the names of the fields without a default."""
    _, fields = fields_of(kind)
    return [f.name for f in fields if is_required(f)]


def _make(kind: type[Any], settings: Mapping[str, object]) -> Any:
    hints, _ = fields_of(kind)
    return kind(**{name: msgspec.convert(raw, hints[name]) for name, raw in settings.items()})
