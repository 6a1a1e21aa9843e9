"""What an observer outside both machines sees: who really runs what, and the promises that nobody may break.

S1  no tree runs on two nodes: counted everywhere.
S3  an ownership number belongs to one node, every new one is higher than all before it, and nothing is started under
    an older one. (What was held may stand on the disk longer than it runs: a release may also come by beat.)
S4  nothing is started for which the guard declares nothing.
S5  the watchdog counts whenever the guard writes that it wants or holds something.

All of them are errors where the policy promises it: a quorum disk, a watchdog, and no machine that stood still
without knowing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from servha.core.model import TreeSpec
from servha.core.register import Entry, Slot
from servha.sim.machine import Machine, Power

Owners = list[tuple[float, frozenset[str]]]


@dataclass
class Witness:
    """Sees everything and tells nobody in the simulated world."""

    machines: dict[str, Machine]
    now_s: float = 0.0
    exclusive: bool = False
    """Whether the configuration promises all this."""
    ever_dual: list[tuple[float, str]] = field(default_factory=list)
    broken: list[tuple[float, str]] = field(default_factory=list)
    owners: dict[str, Owners] = field(default_factory=dict)
    _holders: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By tree: the highest ownership number ever held, and which node held it."""
    _held: set[tuple[int, int, int]] = field(default_factory=set)
    """Tree, node and number of every holding so far."""

    def look(self, now_s: float) -> None:
        """Note who really runs each tree."""
        self.now_s = now_s
        names = {tree for m in self.machines.values() for tree, _ in m.running} | set(self.owners)
        for name in names:
            now = frozenset(
                node
                for node, m in self.machines.items()
                if m.power is Power.ON and any(t == name for t, _ in m.running)
            )
            history = self.owners.setdefault(name, [(0.0, frozenset())])
            if history[-1][1] == now:
                continue
            history.append((now_s, now))
            if len(now) > 1:
                self.ever_dual.append((now_s, name))
                self._breaks(f"S1: {name} runs on two nodes")

    def writes(self, machine: Machine, slot: Slot, now_s: float) -> None:
        """See a guard write its slot."""
        self.now_s = now_s
        for tree in slot.trees:
            if tree.entry in (Entry.WANT, Entry.HELD, Entry.STOP_FAILED):
                dog = machine.watchdog
                if dog.present and not dog.armed:
                    self._breaks(f"S5: {machine.us} declares {tree.entry} without its watchdog")
            if tree.entry is Entry.HELD:
                highest, holder = self._holders.get(tree.id, (0, -1))
                if tree.ownership == highest and holder != slot.node:
                    self._breaks(f"S3: number {highest} of tree {tree.id} belongs to both nodes")
                elif tree.ownership < highest and (tree.id, slot.node, tree.ownership) not in self._held:
                    self._breaks(
                        f"S3: {machine.us} holds tree {tree.id} with {tree.ownership} after {highest}"
                    )
                elif tree.ownership > highest:
                    self._holders[tree.id] = (tree.ownership, slot.node)
                self._held.add((tree.id, slot.node, tree.ownership))

    def starts(self, machine: Machine, tree: TreeSpec, ownership: int, *, held: bool, now_s: float) -> None:
        """See servhad start something of a tree for which the guard declares that it holds it, or does not."""
        self.now_s = now_s
        if not held:
            self._breaks(f"S4: {machine.us} starts {tree.name} without holding it")
        highest, _ = self._holders.get(tree.id, (0, -1))
        if ownership < highest:
            self._breaks(f"S3: {machine.us} starts {tree.name} under {ownership} after {highest}")

    def _breaks(self, what: str) -> None:
        if self.exclusive and (not self.broken or self.broken[-1][1] != what):
            self.broken.append((self.now_s, what))
