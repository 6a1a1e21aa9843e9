"""An outside witness: which node has the address, the application, the disk; it asks the kernel, never a daemon.

Several hundred times a second it looks at each node from this machine: the routing table behind /proc/PID/net, the
listening sockets there, and the ext4 file systems the kernel has open. A node without power has nothing.

    with watching(lab) as seen:
        lab.node1.poweroff()
        ...
    seen.holders("address", time.monotonic())

Leaving the block raises `HeldTwice` if both nodes ever had the same thing at the same time, if what stands on the
shared disk shows two writers (records.py), or if one of the `checks` ever found something.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from servha.lab import cuts, disk, power_switch
from servha.lab.lab import Lab
from servha.lab.layout import VIRTUAL_ADDRESS
from servha.lab.node import Node
from tests.live.records import Records

EVERY_S = 0.003
RECORDS_EVERY_S = 1.0
THINGS = ("address", "application", "disk")

Holders = frozenset[str]


class HeldTwice(AssertionError):
    """Both nodes had the same thing."""


@dataclass
class Witness:
    """What was seen, as a list of changes for each thing."""

    lab: Lab
    address: str
    port: int
    records: Records | None = None
    checks: tuple[Callable[[], str], ...] = ()
    """Each says what is wrong at this moment, or nothing."""
    changes: dict[str, list[tuple[float, Holders]]] = field(default_factory=lambda: {t: [] for t in THINGS})
    twice: list[tuple[str, float]] = field(default_factory=list)
    wrong: list[tuple[str, float]] = field(default_factory=list)
    looks: int = 0
    _read_at_s: float = 0.0

    def holders(self, thing: str, at_s: float) -> Holders:
        """Return the nodes that had `thing` at a moment of CLOCK_MONOTONIC."""
        changes = self.changes[thing]
        at = bisect_right(changes, at_s, key=lambda change: change[0])
        return changes[at - 1][1] if at else frozenset()

    def now(self, thing: str) -> Holders:
        """Return the nodes that had `thing` when last looked at."""
        return self.changes[thing][-1][1] if self.changes[thing] else frozenset()

    def await_holders(self, thing: str, *names: str, within_s: float = 30.0) -> None:
        """Wait until exactly these nodes have `thing`."""
        deadline = time.monotonic() + within_s
        while self.now(thing) != frozenset(names):
            assert time.monotonic() < deadline, (
                f"{thing} is with {set(self.now(thing))}, not with {set(names)}"
            )
            time.sleep(EVERY_S)

    def story(self) -> str:
        """Everything seen, for a failing test's output."""
        lines = [
            f"{at_s:.3f} {thing}: {', '.join(sorted(who)) or 'nobody'}"
            for thing, changes in self.changes.items()
            for at_s, who in changes
        ]
        return "\n".join(sorted(lines))

    def look(self) -> None:
        """Look once at everything."""
        for thing in THINGS:
            who = self._who_has(thing)
            # One node is looked at before the other. Only if the first still has it has it been with both.
            if (
                len(who) > 1
                and len(who := self._who_has(thing)) > 1
                and not self._is_behind_a_pulled_plug(thing)
            ):
                self.twice.append((thing, time.monotonic()))
            if who != self.now(thing):
                self.changes[thing].append((time.monotonic(), who))
        self.looks += 1
        self.wrong += [(found, time.monotonic()) for check in self.checks if (found := check())]
        if self.records and time.monotonic() - self._read_at_s > RECORDS_EVERY_S:
            self._read_at_s = time.monotonic()
            self.records.look()

    def _who_has(self, thing: str) -> Holders:
        return frozenset(node.name for node in self.lab.nodes if self._has(node, thing))

    def _is_behind_a_pulled_plug(self, thing: str) -> bool:
        """An address that one of the two has on an interface without a carrier answers nobody."""
        return thing == "address" and any(
            cut.link == "public" and cut.takes_carrier for cut in cuts.read(self.lab.layout)
        )

    def _has(self, node: Node, thing: str) -> bool:
        pid = node.pid
        if pid is None or not power_switch.is_on(node.layout):
            return False
        try:
            match thing:
                case "address":
                    return self._has_address(Path(f"/proc/{pid}/net/fib_trie").read_text(encoding="ascii"))
                case "application":
                    return self._listens(Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii"))
                case _:
                    loops = disk.devices(self.lab.layout.lun("data"))
                    return Path("/proc/fs/ext4", loops[node.layout.number - 1].name).exists()
        except OSError:
            return False  # it ended under our eyes

    def _has_address(self, table: str) -> bool:
        _, found, after = table.partition(f"|-- {self.address}\n")
        return bool(found) and "host LOCAL" in after.partition("|--")[0]

    def _listens(self, table: str) -> bool:
        rows = (line.split() for line in table.splitlines()[1:])
        return any(row[1].endswith(f":{self.port:04X}") and row[3] == "0A" for row in rows)


@contextmanager
def watching(
    lab: Lab,
    *,
    address: str = VIRTUAL_ADDRESS,
    port: int = 80,
    records: Records | None = None,
    checks: tuple[Callable[[], str], ...] = (),
    every_s: float = EVERY_S,
) -> Iterator[Witness]:
    """Watch while the block runs; raise if anything was held twice, or written by two."""
    witness = Witness(lab, address, port, records, checks)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(every_s):
            witness.look()

    thread = threading.Thread(target=watch, name="witness", daemon=True)
    thread.start()
    try:
        yield witness
    finally:
        ended.set()
        thread.join()
    witness.look()
    if witness.twice:
        what, at_s = witness.twice[0]
        raise HeldTwice(f"both nodes had the {what} at {at_s:.3f}\n{witness.story()}")
    if witness.wrong:
        what, at_s = witness.wrong[0]
        raise HeldTwice(f"{what} at {at_s:.3f}\n{witness.story()}")
    if records:
        records.look()
        problems = records.problems()
        if problems:
            raise HeldTwice("\n".join([*problems[:10], witness.story()]))
