"""What a node's journal says about when: read from its disk, on the clock of this machine. Asks no daemon."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from servha.lab.node import Node

JOURNAL = "/var/log/servha/journal.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal, `at_s` on CLOCK_MONOTONIC."""

    at_s: float
    node: str
    subject: str
    before: str
    after: str
    rule: str
    took_s: float


def boottime_ahead_s() -> float:
    """How far CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC: the time this machine has slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


def parse(lines: Iterable[str], *, ahead_s: float) -> list[Entry]:
    """Read the lines of a journal; one that is torn is passed over.

    >>> parse(['{"at_s": 5.5, "node": "a", "subject": "web", "before": "off", "after": "on"}', '{"at_s'],
    ...       ahead_s=0.5)
    [Entry(at_s=5.0, node='a', subject='web', before='off', after='on', rule='', took_s=0.0)]
    """
    entries = []
    for line in lines:
        with suppress(ValueError, KeyError):
            told = json.loads(line)
            at_s, node, subject = float(told["at_s"]) - ahead_s, str(told["node"]), str(told["subject"])
            change = str(told["before"]), str(told["after"])
            entries.append(
                Entry(at_s, node, subject, *change, str(told.get("rule", "")), float(told.get("took_s", 0.0)))
            )
    return entries


def since(nodes: Iterable[Node], since_s: float) -> list[Entry]:
    """Return what those nodes that are on wrote since then, oldest first."""
    found: list[Entry] = []
    for node in nodes:
        if node.pid is not None:
            with suppress(OSError):
                found += parse(node.read(JOURNAL).splitlines(), ahead_s=boottime_ahead_s())
    return sorted((one for one in found if one.at_s >= since_s), key=lambda one: one.at_s)


def first(
    entries: Iterable[Entry], *, subject: str | None = None, prefix: str = "", after: str | None = None
) -> Entry | None:
    """Return the first entry about `subject` (or one that begins with `prefix`) that went over to `after`."""
    for one in entries:
        if subject not in {None, one.subject} or not one.subject.startswith(prefix):
            continue
        if after in {None, one.after}:
            return one
    return None
