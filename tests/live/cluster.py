"""A cluster that is ready: two nodes, tree `web` running on node1, node2 able to take it, a witness outside.

Building one takes a few seconds, so tests share one: whoever gets it finds it in the state above, whatever the
test before did to it. What cannot be brought back (a changed configuration, a failed test) is thrown away. Asking
a daemon goes through its own socket, as the command line does; what a test claims about addresses and processes,
the witness or the client has seen.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from subprocess import CompletedProcess
from typing import Any

from servha.cli.entry import Entry, entries_of
from servha.cli.picture import Picture, picture_of
from servha.lab import demo
from servha.lab.lab import Lab
from servha.lab.node import Node
from servha.lab.trouble import LabError
from servha.management import Client, LateAnswer, NotRunning
from servha.wire.rpc import BadFrame, Refusal
from tests.live.observer import Witness
from tests.live.wait import eventually

TREE = "web"
SLOW_S = 1.0
"""A gap between two answers, none of them failed, that a busy machine may make by itself."""

READY_S = 40.0
"""How long anything may take that must happen: generous, because the machine may be busy."""


def now_s() -> float:
    """The clock of journal entries; both nodes share the kernel and so the clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Cluster:
    """Both nodes, the tree, and who watches them."""

    lab: Lab
    seen: Witness | None = None
    generation: int = 0
    """That of the configuration as it was built; another one means that a test has changed it."""
    began_s: float = field(default_factory=now_s)
    """When the present test got it: what is older is not news."""

    @property
    def witness(self) -> Witness:
        assert self.seen is not None, "nobody watches"
        return self.seen

    @property
    def node1(self) -> Node:
        return self.lab.node1

    @property
    def node2(self) -> Node:
        return self.lab.node2

    def other(self, node: Node) -> Node:
        return self.node2 if node is self.node1 else self.node1

    # --- asking

    def ask(self, node: Node, verb: str, **args: Any) -> Any:
        """Put a question to the node's servhad; None while it does not answer."""
        try:
            with Client(str(node.root / "run/servha/servhad.sock"), answer_within_s=10.0) as client:
                return client.call(verb, **args)
        except (LabError, NotRunning, LateAnswer, Refusal, BadFrame, OSError):
            return None

    def picture(self, node: Node) -> Picture:
        """The cluster as that node sees it; an empty one while it does not answer."""
        return picture_of(self.ask(node, "status") or {})

    def owner(self) -> Node:
        """The node that has the address, by the witness."""
        assert eventually(lambda: len(self.witness.now("address")) == 1), "nobody has the address"
        (name,) = self.witness.now("address")
        return self.lab.node(name)

    def ownership(self, node: Node) -> int:
        """The tree's ownership number as the node knows it."""
        tree = self.picture(node).tree(TREE)
        return tree.on[node.name].ownership if tree else 0

    def entries(self, node: Node, *, since_s: float | None = None) -> list[Entry]:
        """The journal of both nodes as `node` tells it, from `since_s` (the test's begin), oldest first."""
        since_s = self.began_s if since_s is None else since_s
        return [e for e in entries_of(self.ask(node, "why", limit=500)) if e.at_s >= since_s]

    def told(self, node: Node, pattern: str, *, since_s: float | None = None) -> Entry | None:
        """Return the first new entry whose "subject before after because" is found by `pattern`."""
        for entry in self.entries(node, since_s=since_s):
            if re.search(pattern, f"{entry.subject} {entry.before} {entry.after} {entry.because}"):
                return entry
        return None

    def await_told(self, node: Node, pattern: str, *, within_s: float = READY_S) -> Entry:
        """Wait for such an entry and return it."""
        deadline = time.monotonic() + within_s
        while (entry := self.told(node, pattern)) is None:
            if time.monotonic() > deadline:
                lines = [f"{e.subject} {e.before} {e.after} {e.because}" for e in self.entries(node)]
                raise AssertionError(f"{node.name} has not told {pattern!r}, but:\n" + "\n".join(lines))
            time.sleep(0.02)
        return entry

    def alarms(self, node: Node) -> str:
        """Every alarm that stands, one a line."""
        return "\n".join(str(alarm.text) for alarm in self.picture(node).alarms)

    def await_alarm(self, node: Node, pattern: str, *, within_s: float = READY_S) -> None:
        """Wait until an alarm stands that `pattern` finds."""
        found = eventually(lambda: re.search(pattern, self.alarms(node)), within_s=within_s)
        assert found, f"{node.name}: no alarm {pattern!r}, but:\n{self.alarms(node)}"

    def await_no_alarm(self, node: Node, *, within_s: float = READY_S) -> None:
        """Wait until nothing is wrong."""
        found = eventually(lambda: self.picture(node).exists and not self.alarms(node), within_s=within_s)
        assert found, f"{node.name}: still\n{self.alarms(node)}"

    def why(self, node: Node, *words: str, tree: str = TREE) -> str:
        """What `servha why` says to a person, lines joined and columns closed up."""
        said = self.servha(node, "why", *([tree] if tree else []), *words).stdout
        assert said.count("\n") <= 50, f"one screen, not {said.count(chr(10))} lines"
        return " ".join(said.split())

    def servha(self, node: Node, *words: str, status: int | None = 0) -> CompletedProcess[str]:
        """Run a command in a node and return what it said; `status` None accepts any exit status."""
        done = node.run("servha", *words, check=False, within_s=2 * READY_S)
        if status is not None and done.returncode != status:
            raise AssertionError(
                f"{node.name}: servha {' '.join(words)} ended with {done.returncode}, not {status}:\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def refused(self, node: Node, *words: str, status: int) -> str:
        """Run a command that must be refused; return what it told the person, on one line."""
        done = self.servha(node, *words, status=status)
        said = " ".join((done.stderr + " " + done.stdout).split())
        assert "Traceback" not in said, said
        return said

    # --- the application and the daemon

    def application(self, node: Node) -> int:
        """The application's process id inside the node; 0 if there is none."""
        try:
            pid = int((node.root / "run/demo.pid").read_text(encoding="ascii") or 0)
            # Threads have a directory in /proc too: the number alone may be somebody else's by now.
            return pid if b"server.py" in (node.root / f"proc/{pid}/cmdline").read_bytes() else 0
        except (LabError, OSError, ValueError):
            return 0

    def kill_application(self, node: Node) -> float:
        """`kill -9`; returns the moment just before it, by `now_s`."""
        pid = self.application(node)
        assert pid, f"no application runs on {node.name}"
        at_s = now_s()
        node.run("kill", "-9", str(pid))
        return at_s

    def await_new_application(self, node: Node, old: int) -> None:
        """Wait until another process than `old` is the application."""
        assert eventually(lambda: self.application(node) not in {0, old}, within_s=READY_S)

    def await_generation(self, node: Node, least: int) -> None:
        """Wait until the configuration in force on the node is that one or a later one."""
        assert eventually(lambda: self.picture(node).generation >= least, within_s=READY_S)

    def daemon(self, node: Node) -> int:
        """The process id of servhad inside the node; 0 if it does not run."""
        return int(node.service("status", "servhad")["servhad"]["pid"])

    def await_new_daemon(self, node: Node, old: int) -> None:
        """Wait until another servhad than `old` answers and has found its feet again."""

        def answers() -> bool:
            return self.daemon(node) not in {0, old} and self.picture(node).exists

        assert eventually(answers, within_s=READY_S), f"no new servhad on {node.name}"

    def script(self, node: Node, name: str, text: str) -> None:
        """Replace one of the application's scripts on one node."""
        node.run("sh", "-c", f"cat > /opt/demo/{name}", feed=f"#!/bin/sh\n{text}\n")

    # --- waiting

    def await_running_on(
        self, node: Node, *, told_by: tuple[Node, ...] | None = None, within_s: float = READY_S
    ) -> None:
        """Wait until the tree runs on `node`, by the witness and by everybody who has power (or by `told_by`)."""
        self.witness.await_holders("address", node.name, within_s=within_s)
        self.witness.await_holders("application", node.name, within_s=within_s)

        def agreed() -> bool:
            asked = [n for n in self.lab.nodes if n.power == "on"] if told_by is None else told_by
            trees = [self.picture(n).tree(TREE) for n in asked]
            return all(tree is not None and tree.running_on == node.name for tree in trees)

        assert eventually(agreed, within_s=within_s), f"the nodes do not agree that it runs on {node.name}"

    def await_ready(self, owner: Node, *, within_s: float = READY_S) -> None:
        """Wait until `owner` runs the tree, the other could take it, and nothing is wrong."""
        self.await_running_on(owner, within_s=within_s)
        last = ""

        def ready() -> bool:
            nonlocal last
            last = self._against_ready(owner)
            return not last

        assert eventually(ready, within_s=within_s), f"not ready after {within_s} s: {last}"

    def _against_ready(self, owner: Node) -> str:
        """What still speaks against the state that `await_ready` waits for; empty when nothing does."""
        standby = self.other(owner)
        for node in self.lab.nodes:
            seen = self.picture(node)
            tree = seen.tree(TREE)
            if tree is None or tree.on[standby.name].fitness != "fit":
                return f"{node.name}: {standby.name} is not fit"
            if seen.degraded:
                return f"{node.name}: degraded: {self.alarms(node)}"
            if seen.peer_generation != seen.generation:
                return f"{node.name}: configuration {seen.generation}, the peer's {seen.peer_generation}"
            if {n.name: n.standing for n in seen.nodes} != {owner.name: "active", standby.name: "standby"}:
                return f"{node.name}: standings {[(n.name, n.standing) for n in seen.nodes]}"
            if {r.step for r in tree.resources} not in ({"on"}, {"off"}):
                return f"{node.name}: resources {[(r.name, r.step) for r in tree.resources]}"
        return ""

    def is_steady(self, *, for_s: float, holds: Callable[[], object]) -> bool:
        """Whether a condition holds all the time: for claims that nothing happens."""
        return not eventually(lambda: not holds(), within_s=for_s)

    # --- the way back

    def settle(self) -> None:
        """Bring it back to the state in which every test finds it."""
        self.lab.heal()
        for node in self.lab.nodes:
            if node.power == "frozen":
                node.thaw()
            if node.power in {"off", "crashed"}:
                node.boot()
            node.service("start", "servhad")
        assert eventually(lambda: all(self.picture(n).exists for n in self.lab.nodes), within_s=READY_S)
        tree = self.picture(self.node1).tree(TREE)
        if tree is None or tree.running_on != self.node1.name or tree.pin or tree.goal != "run":
            assert eventually(lambda: not self._peer_missing(), within_s=READY_S)
            self.servha(self.node1, "tree", "move", TREE, self.node1.name, "--timeout", str(READY_S))
            self.servha(self.node1, "tree", "release", TREE)
        self.await_ready(self.node1)
        self.began_s = now_s()

    def _peer_missing(self) -> bool:
        seen = (self.picture(node) for node in self.lab.nodes)
        return any(n.health != "alive" for picture in seen for n in picture.nodes)

    def is_as_built(self) -> bool:
        """Whether the configuration is still the one that was built."""
        return all(self.picture(node).generation == self.generation for node in self.lab.nodes)


def build(lab: Lab) -> Cluster:
    """Make the nodes of a new lab a cluster with the tree in it."""
    demo.form_cluster(lab)
    demo.create_tree(lab)
    cluster = Cluster(lab)
    cluster.generation = cluster.picture(lab.node1).generation
    return cluster


def show(what: str, length_s: float) -> None:
    """Print a figure for whoever reads along (`pytest -rP`); what a test asserts of it is generous."""
    print(f"{what}: {length_s * 1000:.0f} ms")
