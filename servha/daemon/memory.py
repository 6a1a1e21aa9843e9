"""What a node keeps over its own restarts: two small files, one that survives a reboot and one that must not.

ownership.json (stable): the highest ownership number and the last order of each tree. phases.json (/run, gone with
a reboot): what each tree was doing, so that a restarted daemon adopts what runs instead of touching it.
Which of the two wins, and whether to adopt, is decided in adoption.py.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from servha.core.model import Goal, Order, Phase

log = logging.getLogger("servha.memory")


@dataclass(frozen=True, slots=True)
class Owned:
    """The stable part: what must not go backwards."""

    ownership: int = 0
    order: Order = Order()


class OwnershipFile:
    """Ownership numbers and orders on stable storage.

    A write is in the file when `keep` returns and on the platter soon after: the flush runs in a thread, because
    the start of an application must not wait for a busy disk. A power cut in between can lose a number only on
    this node; the peer has heard it in a beat, and the higher of the two counts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Owned] = {}
        self._dirty = threading.Event()
        threading.Thread(target=self._flush, name="ownership", daemon=True).start()

    def load(self) -> dict[str, Owned]:
        """Return what was kept; a damaged file counts as empty and is said so in the log."""
        try:
            data = json.loads(self._path.read_text())
            self._known = {
                name: Owned(
                    int(entry["ownership"]),
                    Order(int(entry["order"]), Goal(entry["goal"]), str(entry["pin"])),
                )
                for name, entry in data.items()
            }
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            log.warning(
                "%s cannot be read (%s); ownership numbers are learned from the peer", self._path, problem
            )
        return dict(self._known)

    def keep(self, tree: str, owned: Owned) -> None:
        """Remember this from now on."""
        self._known[tree] = owned
        content = {
            name: {
                "ownership": o.ownership,
                "order": o.order.number,
                "goal": str(o.order.goal),
                "pin": o.order.pin,
            }
            for name, o in self._known.items()
        }
        write_atomically(self._path, json.dumps(content), sync=False)
        self._dirty.set()

    def _flush(self) -> None:
        while True:
            self._dirty.wait()
            self._dirty.clear()
            try:
                for path, flags in (
                    (self._path, os.O_RDONLY),
                    (self._path.parent, os.O_RDONLY | os.O_DIRECTORY),
                ):
                    descriptor = os.open(path, flags)
                    try:
                        os.fsync(descriptor)
                    finally:
                        os.close(descriptor)
            except OSError as problem:
                log.warning("%s cannot be flushed: %s", self._path, problem)


@dataclass(frozen=True, slots=True)
class Doing:
    """The volatile part of one tree."""

    phase: Phase
    ownership: int
    forced: bool = False
    """Whether it is here because an administrator said that the peer is off: no truth of another boot."""


class PhasesFile:
    """What each tree was doing, in /run, together with the boot it belongs to."""

    def __init__(self, path: Path, *, boot_id: str) -> None:
        self._path = path
        self._boot_id = boot_id
        self._written = ""

    def load(self) -> dict[str, Doing]:
        """Return what the trees were doing when the daemon last wrote; empty after a reboot."""
        try:
            data = json.loads(self._path.read_text())
            if data["boot_id"] != self._boot_id:
                return {}
            return {
                n: Doing(Phase(d["phase"]), int(d["ownership"]), d.get("forced") is True)
                for n, d in data["trees"].items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            log.warning("%s cannot be read (%s); what runs is found by looking", self._path, problem)
            return {}

    def keep(self, trees: dict[str, Doing]) -> None:
        """Write, if anything changed."""
        content = json.dumps(
            {
                "boot_id": self._boot_id,
                "trees": {
                    n: {"phase": str(d.phase), "ownership": d.ownership, "forced": d.forced}
                    for n, d in trees.items()
                },
            }
        )
        if content != self._written:
            write_atomically(self._path, content, sync=False)
            self._written = content


def write_atomically(path: Path, content: str, *, sync: bool) -> None:
    """Replace the file so that a reader sees the old or the new content, never a part. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    fresh.replace(path)
