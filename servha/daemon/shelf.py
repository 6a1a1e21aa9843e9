"""Where this node keeps the configuration, as far as replication and joining need to know.

Says what one version of the configuration is and what a place for them can do; the place itself is
config/store.py. Everything on a `Shelf` is blocking and small: the daemon calls it in a thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from servha.wire.rpc import Json, Problem


@dataclass(frozen=True, slots=True)
class Version:
    """One complete configuration.

    `digest` is that of `data`; `parent_digest` that of the version it was made from.
    """

    generation: int
    digest: str
    parent_digest: str
    data: Mapping[str, Json]

    @property
    def short(self) -> str:
        """The beginning of the digest, for people."""
        return self.digest[:12]


class Shelf(Protocol):
    """At most one version in force, at most one staged; each step is on disk when the call returns."""

    def current(self) -> Version | None:
        """Return the version in force; None when this node is in no cluster."""
        ...

    def staged(self) -> Version | None:
        """Return the version that is ready to be put in force; None when there is none."""
        ...

    def read(self, data: Mapping[str, Json]) -> tuple[Version | None, Sequence[Problem]]:
        """Check `data` completely; return it as a version, or everything that is wrong with it."""
        ...

    def stage(self, version: Version) -> None:
        """Keep this version ready, in place of any other staged one."""
        ...

    def commit(self, generation: int, digest: str) -> Version:
        """Put exactly this staged version in force. Raises `LookupError` when it is not the staged one."""
        ...

    def discard(self) -> None:
        """Forget the staged version, if any."""
        ...

    def ancestors(self) -> Sequence[str]:
        """Return the digests of the versions that were in force here, newest (the current one) first."""
        ...


def nodes_of(version: Version) -> list[Mapping[str, Json]]:
    """Return the nodes that stand in a version."""
    nodes = version.data.get("nodes")
    return [n for n in nodes if isinstance(n, Mapping)] if isinstance(nodes, list | tuple) else []


def node_named(version: Version, name: str) -> Mapping[str, Json] | None:
    """Return the node called `name`, or None."""
    return next((n for n in nodes_of(version) if n.get("name") == name), None)


def peer_of(version: Version | None, us: str) -> Mapping[str, Json] | None:
    """Return the node that is not us; None while we are alone in the configuration."""
    return next((n for n in nodes_of(version) if n.get("name") != us), None) if version is not None else None


def word(where: Mapping[str, Json], name: str) -> str:
    """Return the text called `name`; empty when there is none."""
    value = where.get(name)
    return value if isinstance(value, str) else ""


def part(where: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """Return the object called `name`; empty when there is none."""
    value = where.get(name)
    return value if isinstance(value, Mapping) else {}
