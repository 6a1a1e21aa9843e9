"""One version of the configuration, and the place on disk where versions are kept.

Says what is in force and what stood before it, how far back ever needed to tell "older" from "different".
Refuses to decide whether a version may follow another: configuration.py and replicate.py do. Everything on a
`Shelf` blocks for as long as a few fsyncs take: the daemon calls it in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from servha.config.document import Document, NodeSection, digest, parse, to_data
from servha.config.problem import Problem
from servha.config.store import NAME, Loaded, Store
from servha.wire.rpc import Json

ANCESTORS_MAX: Final = 1000
_DIGEST_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class Version:
    """One complete configuration and its digest."""

    document: Document
    digest: str

    @property
    def generation(self) -> int:
        """Its number: one more than that of the version it was made from."""
        return self.document.generation

    @property
    def parent_digest(self) -> str:
        """The digest of the version it was made from; empty for the first."""
        return self.document.parent_digest

    @property
    def data(self) -> dict[str, Json]:
        """The version as it travels and as it stands in the file."""
        return to_data(self.document)

    @classmethod
    def of(cls, document: Document) -> Version:
        """Return the version that `document` is."""
        return cls(document, digest(document))


def peer_of(version: Version | None, us: str) -> NodeSection | None:
    """Return the node that is not us; None while we are alone, or in no cluster."""
    return version.document.peer_of(us) if version is not None else None


class Shelf:
    """At most one version in force, at most one staged; each step is on disk when the call returns."""

    def __init__(self, directory: Path, store: Store | None = None) -> None:
        self._store = store or Store(directory)
        # Its name makes `Store.wipe` remove it together with the versions it lists.
        self._ancestry = directory / f"{NAME}.ancestry"

    def load(self) -> Loaded:
        """Return what is in force, with everything that is to be said about the files."""
        return self._store.load()

    def current(self) -> Version | None:
        """Return the version in force; None when this node is in no cluster."""
        found = self._store.load().document
        return Version.of(found) if found is not None else None

    def staged(self) -> Version | None:
        """Return the version that is ready to be put in force; None when there is none."""
        found = self._store.staged()
        return Version.of(found) if found is not None else None

    def earlier(self, generation: int) -> Document | None:
        """Return a generation that was in force before; None when it is no longer kept."""
        return self._store.earlier(generation)

    def read(self, data: Mapping[str, Json]) -> tuple[Version | None, Sequence[Problem]]:
        """Check `data` completely; return it as a version, or everything that is wrong with it."""
        document, problems = parse(data)
        return (Version.of(document) if document is not None else None), problems

    def stage(self, version: Version) -> None:
        """Keep this version ready, in place of any other staged one. Raises `OSError`."""
        self._store.stage(version.document)

    def commit(self, version: Version) -> None:
        """Put exactly this staged version in force.

        Raises `NotStaged` when it is not staged, or `OSError`.
        """
        known = self.ancestors()
        self._store.commit(version.generation, version.digest)
        # Written after the fact: when the power fails in between, `ancestors` still finds the step in the files.
        self._keep_ancestry([version.digest, *(d for d in known if d != version.digest)])

    def discard(self) -> None:
        """Forget the staged version, if any."""
        self._store.discard()

    def ancestors(self) -> Sequence[str]:
        """Return the digests of the versions that were in force here, newest (the current one) first."""
        recent = self._store.ancestry()
        try:
            lines = self._ancestry.read_text(encoding="ascii").split()
        except (OSError, UnicodeDecodeError):
            lines = []
        older = [line for line in lines[:ANCESTORS_MAX] if len(line) == _DIGEST_LENGTH]
        return list(dict.fromkeys([*recent, *older]))[:ANCESTORS_MAX]

    def wipe(self) -> None:
        """Remove every version: this node is in no cluster afterwards."""
        self._store.wipe()

    def _keep_ancestry(self, digests: Sequence[str]) -> None:
        draft = self._ancestry.with_name(self._ancestry.name + ".new")
        with draft.open("w", encoding="ascii") as file:
            file.write("\n".join(digests[:ANCESTORS_MAX]) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._ancestry)
