"""Where a node keeps the replicated configuration: a power cut at any moment leaves the old or the new one.

    cluster.json              in force
    cluster.json.staged       agreed to, waiting for the word of the other node
    cluster.json.<number>     the generations before, the last ten

Each file carries the SHA-256 of its document, so a torn or rotten one is seen as such and an older one is
used, with an alarm. Whether a document may follow another is decided by whoever stages it; a file that is
whole but not
understood (written by a newer release) is never replaced by an older one: the node must not act on what was.
Everything here blocks, for as long as a few fsyncs take: the daemon calls it in a thread.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from servha.config.disk import Disk
from servha.config.document import Document, digest, parse, to_json
from servha.config.problem import Problem
from servha.core.words import Text, say

NAME = "cluster.json"
STAGED = "cluster.json.staged"
_NEW = "cluster.json.new"
GENERATIONS_KEPT = 10
_SIZE_MAX = 8 * 1024 * 1024


class NotStaged(Exception):
    """The document to be put in force is not the one that was staged here. `text` says so to people."""

    def __init__(self, text: Text) -> None:
        super().__init__(str(text))
        self.text = text


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was found at start. No document and no problems: this node is in no cluster yet."""

    document: Document | None
    alarms: tuple[Text, ...] = ()
    """What was damaged, and what is used instead."""
    problems: tuple[Problem, ...] = ()
    """Why a file that is whole cannot be used; the daemon must not run without it."""


class _Envelope(msgspec.Struct):
    sha256: str
    document: msgspec.Raw


@dataclass(frozen=True, slots=True)
class _Damaged:
    because: Text


class Store:
    """The configuration files in one directory."""

    def __init__(self, directory: Path, disk: Disk | None = None) -> None:
        self._disk = disk or Disk(directory)

    def load(self) -> Loaded:
        """Return the configuration in force; an older one, with alarms, when that is damaged."""
        alarms: list[Text] = []
        for name in (NAME, *(_kept(number) for number in reversed(self.generations()))):
            found = self._read(name)
            match found:
                case None:
                    if name == NAME and self.generations():
                        alarms.append(say("the configuration file {file} is missing", file=self._path(name)))
                case _Damaged(because):
                    alarms.append(because)
                case Document():
                    if alarms:
                        alarms.append(
                            say(
                                "generation {generation} of the configuration is used instead; take over what was"
                                " changed since from the other node",
                                generation=found.generation,
                            )
                        )
                    return Loaded(found, tuple(alarms))
                case _:
                    return Loaded(None, tuple(alarms), tuple(found))
        return Loaded(None, tuple(alarms))

    def stage(self, document: Document) -> None:
        """Keep `document` ready, surviving a power cut; replaces what was staged before.

        OSError: disk full.
        """
        self._disk.make()
        self._put(STAGED, document)

    def staged(self) -> Document | None:
        """Return the staged document, or None; a damaged one is none."""
        found = self._read(STAGED)
        return found if isinstance(found, Document) else None

    def commit(self, generation: int, wanted_digest: str) -> Document:
        """Put the staged document in force and return it.

        Doing it again is fine. NotStaged when something else, or nothing, is staged here; OSError from the
        disk.
        """
        current = self._read(NAME)
        staged = self.staged()
        if isinstance(current, Document) and (current.generation, digest(current)) == (
            generation,
            wanted_digest,
        ):
            # A crash between putting it in force and cleaning up, or a word that came twice.
            if staged is not None and staged == current:
                self.discard()
            return current
        if staged is None or (staged.generation, digest(staged)) != (generation, wanted_digest):
            raise NotStaged(
                say(
                    "generation {generation} of the configuration is not staged on this node; propose it again",
                    generation=generation,
                )
            )
        if isinstance(current, Document):
            self._disk.link(NAME, _kept(current.generation))
        # The one step that matters: before it the old generation is in force, after it the new one.
        self._disk.rename(STAGED, NAME)
        self._prune()
        return staged

    def discard(self) -> None:
        """Forget what is staged; nothing staged is fine."""
        if STAGED in self._disk.names():
            self._disk.remove(STAGED)

    def save(self, document: Document) -> None:
        """Stage and put in force at once: for a node that has nobody to ask."""
        self.stage(document)
        self.commit(document.generation, digest(document))

    def wipe(self) -> None:
        """Remove every configuration file: this node belongs to no cluster afterwards."""
        for name in self._disk.names():
            if name == NAME or name.startswith(f"{NAME}."):
                self._disk.remove(name)

    def generations(self) -> list[int]:
        """Return the numbers of the earlier generations that are kept, the oldest first."""
        names = [name for name in self._disk.names() if name.startswith(f"{NAME}.")]
        numbers = [name.removeprefix(f"{NAME}.") for name in names]
        return sorted(int(number) for number in numbers if number.isascii() and number.isdigit())

    def earlier(self, generation: int) -> Document | None:
        """Return a kept generation, or None when it is not kept or damaged."""
        found = self._read(_kept(generation))
        return found if isinstance(found, Document) else None

    def ancestry(self) -> tuple[str, ...]:
        """Return the digests of the configuration in force and of those it came from, newest first."""
        documents = [self._read(NAME), *(self.earlier(number) for number in reversed(self.generations()))]
        found = [document for document in documents if isinstance(document, Document)]
        digests = [digest(document) for document in found]
        if found and found[-1].parent_digest:
            digests.append(found[-1].parent_digest)
        return tuple(digests)

    def _put(self, name: str, document: Document) -> None:
        content = to_json(document).rstrip()
        envelope = b'{"sha256":"%s","document":%s}\n' % (
            hashlib.sha256(content).hexdigest().encode(),
            content,
        )
        self._disk.write(_NEW, envelope)
        self._disk.rename(_NEW, name)

    def _read(self, name: str) -> Document | _Damaged | list[Problem] | None:
        try:
            content = self._disk.read(name, _SIZE_MAX)
        except OSError as error:
            reason = error.strerror or str(error)
            return _Damaged(say("{file} cannot be read: {reason}", file=self._path(name), reason=reason))
        if content is None:
            return None
        damaged = _Damaged(say("{file} is damaged: its checksum does not fit", file=self._path(name)))
        try:
            envelope = msgspec.json.decode(content, type=_Envelope)
            if hashlib.sha256(bytes(envelope.document)).hexdigest() != envelope.sha256:
                return damaged
            document, problems = parse(msgspec.json.decode(envelope.document))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return damaged
        return document if document is not None else problems

    def _prune(self) -> None:
        for number in self.generations()[:-GENERATIONS_KEPT]:
            self._disk.remove(_kept(number))

    def _path(self, name: str) -> str:
        return str(self._disk.directory / name)


def _kept(generation: int) -> str:
    return f"{NAME}.{generation}"
