"""Random faults on real nodes with a quorum disk, while a witness watches: a seed makes the faults, and is printed.

    FAULTS=200 SEED=7 .venv/bin/python -m pytest -s tests/live/test_campaign.py

Two promises. Safety, at every moment: never both nodes have the address, the application or the disk, what stands on
the shared disk was never written by two, and no slot shows a tree held twice under one number, or without a watchdog.
Liveness, after every ten faults: everything is mended, and exactly one
node answers before the deadline. What a seed cannot repeat is the machine's own timing.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from servha.lab import probe
from servha.lab.node import Node
from servha.lab.node_disk import MOUNT_POINT
from servha.lab.probe import Probe
from servha.lab.trouble import LabError
from tests.live import quorum
from tests.live.cluster import TREE
from tests.live.conftest import LabMaker
from tests.live.observer import watching
from tests.live.quorum import DAEMONS, LINKS, QuorumCluster
from tests.live.wait import eventually

FAULTS = int(os.environ.get("FAULTS", "20"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
SPELL = 10
"""Faults between two rests."""
SPELLS_MAX = 2
"""Spells in one lab: then comes a new one."""
REST_S = 90.0
"""How long a mended cluster may take until one node answers and the other could take over."""
LOOKS_EVERY_S = 0.012
WAITS_S = (0.0, 0.05, 0.2, 0.4, 0.5, 1.0, 1.0, 2.0, 3.0, 5.0)
TROUBLES = ("error", "error-write", "hang", "slow 300", "slow 1500")

Fault = Callable[[], None]


@dataclass
class Campaign:
    """One lab, and what is done to it."""

    cluster: QuorumCluster
    chance: random.Random
    began_s: float = field(default_factory=time.monotonic)
    story: list[str] = field(default_factory=list)
    stopped: list[tuple[Node, str]] = field(default_factory=list)
    cut: bool = False
    hurt: bool = False

    def tell(self, what: str) -> None:
        """Print what happens, for the reader of a failing run."""
        self.story.append(f"{time.monotonic() - self.began_s:7.2f} s  {what}")
        print(self.story[-1], flush=True)

    def strike(self) -> None:
        """Do one thing that can be done now, and wait a moment."""
        faults = self._faults()
        _, what, act = self.chance.choices(faults, [weight for weight, _, _ in faults])[0]
        try:
            act()
        except (LabError, OSError) as error:
            what += f" (not now: {error})"  # it is just being reset, or off
        self.tell(what)
        time.sleep(self.chance.choice(WAITS_S))

    def rest(self, client: Probe) -> None:
        """Mend everything; exactly one node answers and the other is ready, within the deadline."""
        cluster, since_s = self.cluster, time.monotonic()
        self.tell("everything is mended")
        cluster.mend()
        self.stopped.clear()
        self.cut = self.hurt = False
        assert eventually(lambda: all(cluster.picture(n).exists for n in cluster.lab.nodes), within_s=REST_S)
        if eventually(cluster.failed, within_s=2.0):
            self.tell("a tree that failed waits for an order, and gets it")
            cluster.servha(cluster.node1, "tree", "release", TREE)
        client.wait_answer(after_s=since_s, within_s=REST_S)
        # Whoever answers now may have lost its right before everything was mended, and be about to stop.
        assert eventually(self._agreed, within_s=REST_S), "the nodes do not agree where it runs"
        owner = cluster.owner()
        cluster.await_ready(owner, within_s=REST_S)
        client.wait_answer(who=owner.name, after_s=time.monotonic(), within_s=REST_S)
        self.tell(f"{owner.name} answers under number {cluster.ownership(owner)}")

    def _agreed(self) -> bool:
        """Both nodes say of the same one that it runs there and nothing is wrong, and the witness sees it there."""
        pictures = [self.cluster.picture(node) for node in self.cluster.lab.nodes]
        trees = [picture.tree(TREE) for picture in pictures]
        told = {tree.running_on if tree else "" for tree in trees}
        return told == set(self.cluster.witness.now("address")) and not any(one.degraded for one in pictures)

    def _faults(self) -> list[tuple[int, str, Fault]]:
        """Return what can be done, each with its weight and its words."""
        cluster, chance = self.cluster, self.chance
        node, name, link = chance.choice(cluster.lab.nodes), chance.choice(DAEMONS), chance.choice(LINKS)
        direction, words = chance.choice(("in", "out")), chance.choice(TROUBLES)
        off = [n for n in cluster.lab.nodes if n.power == "off"]
        found: list[tuple[int, str, Fault]] = [
            (3, "nothing passes between the nodes", self._cutting(cluster.part)),
            (2, f"{node.name}: every cable is pulled", self._cutting(lambda: cluster.isolate(node))),
            (
                2,
                f"{node.name}: every cable works one way only, {direction} is cut",
                self._cutting(lambda: cluster.isolate(node, direction=direction)),
            ),
            (1, f"{node.name}: {link} is pulled", self._cutting(lambda: cluster.lab.cut(link, node.name))),
            (2, f"both disks: {words}", lambda: self._trouble(words, *cluster.lab.nodes)),
            (3, f"{node.name}: disk {words}", lambda: self._trouble(words, node)),
            (2, f"{node.name}: SIGSTOP {name}", lambda: self._stop(node, name)),
            (2, f"{node.name}: kill -9 {name}", lambda: cluster.kill_daemon(node, name)),
            (1, f"{node.name}: kill -9 of both daemons", lambda: cluster.kill_by_pid(node, *DAEMONS)),
            (1, f"{node.name}: kill -9 of the application", lambda: self._kill_application(node)),
            (1, f"{node.name}: somebody's shell stays on the disk", lambda: self._sit_on_disk(node)),
            (2, f"{node.name}: power-off", lambda: self._poweroff(node)),
        ]
        found += [(4, f"{n.name}: boot", n.boot) for n in off]
        if self.cut:
            found.append((4, "every cable is mended", self._heal))
        if self.hurt:
            found.append((4, "both disks are well", lambda: self._trouble("", *cluster.lab.nodes)))
        for node, name in self.stopped:
            found.append((4, f"{node.name}: SIGCONT {name}", partial(self._continue, node, name)))
        return found

    def _cutting(self, cut: Fault) -> Fault:
        def act() -> None:
            self.cut = True
            cut()

        return act

    def _heal(self) -> None:
        self.cut = False
        self.cluster.heal()

    def _stop(self, node: Node, name: str) -> None:
        self.cluster.stop_daemon(node, name)
        self.stopped.append((node, name))

    def _continue(self, node: Node, name: str) -> None:
        self.stopped.remove((node, name))
        self.cluster.continue_daemon(node, name)

    def _kill_application(self, node: Node) -> None:
        if self.cluster.application(node):
            self.cluster.kill_application(node)

    def _sit_on_disk(self, node: Node) -> None:
        """Keep the file system from being unmounted for some seconds: what has to stop meanwhile cannot."""
        node.run("sh", "-c", f"cd {MOUNT_POINT} && (sleep 8 >/dev/null 2>&1 </dev/null &)", check=False)

    def _poweroff(self, node: Node) -> None:
        node.poweroff()

    def _trouble(self, words: str, *nodes: Node) -> None:
        self.hurt = bool(words)
        for node in nodes:
            if node.power != "off":
                self.cluster.trouble(words, node)


def campaigns() -> list[int]:
    """Return how many faults each lab gets."""
    most = SPELL * SPELLS_MAX
    labs = max(2, -(-FAULTS // most))
    return [len(range(FAULTS)[lab::labs]) for lab in range(labs)]


@pytest.mark.timeout(SPELLS_MAX * (SPELL * 8 + 3 * REST_S))
@pytest.mark.parametrize(("lab_number", "count"), list(enumerate(campaigns())))
def test_random_faults_never_make_two_holders_and_one_answers_in_the_end(
    make_lab: LabMaker, lab_number: int, count: int
) -> None:
    profile, build = (("fast", quorum.build), ("fast", quorum.build_unhurried))[lab_number % 2]
    print(f"FAULTS={FAULTS} SEED={SEED}, lab {lab_number} ({build.__name__}, {count} faults)")
    cluster = build(make_lab(daemons=True, profile=profile))
    campaign = Campaign(cluster, random.Random(f"{SEED} {lab_number}"))  # noqa: S311
    checks = (cluster.against_the_slots,)
    with (
        watching(cluster.lab, records=cluster.records, checks=checks, every_s=LOOKS_EVERY_S) as cluster.seen,
        probe.running(cluster.lab, every_s=0.05) as client,
    ):
        cluster.await_ready(cluster.node1)
        for number in range(1, count + 1):
            campaign.strike()
            if number % SPELL == 0 or number == count:
                campaign.rest(client)
    lives = cluster.records.lives()
    print(f"{len(lives)} lives wrote {len(cluster.records.seen)} records; {client.answered_by()}")
