"""Who takes part: how each is set up in a lab, started, moved, and put right again. Measures nothing.

keepalived is Debian's, run as a program in the nodes; its system service is never touched. It comes in two ways:
as it is used (the application runs on both nodes, only the address moves, a script looks every second), and with
notify scripts that start and stop the application, to compare like with like. Its process tracking, which would
notice a death at once, needs the machine's own pid and network namespace and cannot be had in a lab's node.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from bench import decision
from servha.core.timing import PROFILES
from servha.lab import demo
from servha.lab.lab import Lab, daemons
from servha.lab.layout import VIRTUAL_ADDRESS
from servha.lab.node import Node
from servha.lab.node_disk import APPLICATION

APPLICATION_ALONE = "nobody, the application alone"
READY_S = 40.0
KEEPALIVED_CONF = "/etc/keepalived/bench.conf"


@dataclass(frozen=True, slots=True)
class Started:
    """When both daemons were asked to start, and when both were up by what init knows (CLOCK_MONOTONIC)."""

    asked_s: float
    up_s: float


class Contestant(Protocol):
    """One product in one setting."""

    @property
    def name(self) -> str:
        """As it stands in the tables."""

    @property
    def cases(self) -> tuple[str, ...]:
        """What it can take part in."""

    @property
    def beat_s(self) -> float:
        """Between two heartbeats; a case begins at a random moment of it."""

    @property
    def unit_names(self) -> tuple[str, ...]:
        """The services that init runs."""

    def prepare(self, lab: Lab) -> None:
        """Set it up once; both nodes are on, and are switched off afterwards."""

    def start(self, lab: Lab) -> Started:
        """Start it on both nodes, freshly booted."""

    def await_standby(self, lab: Lab, owner: Node) -> None:
        """Wait until the node that is not `owner` could take over."""

    def move(self, lab: Lab, owner: Node) -> None:
        """Move the application away from `owner`, as an administrator would."""

    def mend(self, lab: Lab, case: str, before: Node, now: Node) -> None:
        """Make both nodes able again after a case that began on `before` and ended on `now`."""

    def explain(self, case: str, since_s: float, lab: Lab) -> dict[str, float]:
        """Return what its journal says about a case that began at `since_s`: measures in seconds."""


def other_than(lab: Lab, node: Node) -> Node:
    """Return the other node."""
    return next(one for one in lab.nodes if one is not node)


def on_both(lab: Lab, act: Callable[[Node], Any]) -> None:
    """Do something on both nodes at once."""
    with ThreadPoolExecutor(2) as pool:
        for work in [pool.submit(act, node) for node in lab.nodes]:
            work.result()


def add_unit(lab: Lab, name: str, unit: dict[str, Any]) -> Started:
    """Give both nodes a service and start it."""
    asked_s = time.monotonic()
    on_both(lab, lambda node: node.service("add", name, unit=unit, within_s=READY_S))
    return Started(asked_s, time.monotonic())


@dataclass(frozen=True)
class ServHA:
    """This product, one tree of address and application; with `quorum` also of a file system on a shared disk."""

    profile: str
    cases: tuple[str, ...] = ("cold", "kill", "vip", "move", "power")
    quorum: bool = False
    """Whether a quorum disk and a watchdog decide, and not a reference address."""

    @property
    def name(self) -> str:
        return f"ServHA, {'quorum disk, ' if self.quorum else ''}profile {self.profile}"

    @property
    def beat_s(self) -> float:
        return PROFILES[self.profile].interval_s

    @property
    def unit_names(self) -> tuple[str, ...]:
        return ("servha-guardd", "servhad") if self.quorum else ("servhad",)

    def prepare(self, lab: Lab) -> None:
        self.start(lab)
        demo.form_cluster(lab)
        if self.quorum:
            demo.share_quorum_disk(lab)
        demo.create_tree(lab, on_disk=self.quorum)
        demo.await_standby(lab, lab.node2)

    def start(self, lab: Lab) -> Started:
        asked_s = time.monotonic()
        for name in self.unit_names:
            unit = asdict(next(one for one in daemons() if one.name == name))
            add_unit(lab, unit.pop("name"), unit)
        return Started(asked_s, time.monotonic())

    def await_standby(self, lab: Lab, owner: Node) -> None:
        demo.await_standby(lab, other_than(lab, owner), within_s=READY_S)

    def move(self, lab: Lab, owner: Node) -> None:
        owner.run("servha", "tree", "move", demo.TREE, other_than(lab, owner).name)

    def mend(self, lab: Lab, case: str, before: Node, now: Node) -> None:
        """Nothing to do: it mends itself."""

    def explain(self, case: str, since_s: float, lab: Lab) -> dict[str, float]:
        entries = decision.since(lab.nodes, since_s)
        app, vip = f"{demo.TREE}/app", f"{demo.TREE}/vip"
        found: dict[str, float] = {}
        match case:
            case "power":
                lost = decision.first(entries, prefix="peer ", after="lost")
                _note(found, "power.lost", lost, since_s)
                decided = decision.first(entries, subject=demo.TREE, after="starting")
                _note(found, "power.decision", decided, since_s)
                steps = {"vip start": (vip, "on"), "app start, seen running": (app, "on")}
            case "move":
                steps = {
                    "app stop, seen stopped": (app, "off"),
                    "vip stop": (vip, "off"),
                    "vip start": (vip, "on"),
                    "app start, seen running": (app, "on"),
                }
                gone = decision.first(entries, subject=demo.TREE, after="off")
                come = decision.first(entries, subject=demo.TREE, after="starting")
                if gone and come:
                    found["step.move.one has stopped until the other starts"] = come.at_s - gone.at_s
            case "kill":
                noticed = decision.first(entries, subject=app, after="broken")
                _note(found, "kill.noticed", noticed, since_s)
                steps = {"app clean-up": (app, "off"), "app start, seen running": (app, "on")}
            case _:
                steps = {}
        for words, (subject, after) in steps.items():
            step = decision.first(entries, subject=subject, after=after)
            if step is not None:
                found[f"step.{case}.{words}"] = step.took_s
        return found


def _note(found: dict[str, float], key: str, entry: decision.Entry | None, since_s: float) -> None:
    if entry is not None:
        found[key] = entry.at_s - since_s


@dataclass(frozen=True)
class Keepalived:
    """Debian's keepalived.

    `starts_application`: by notify scripts; else it runs on both nodes. `looks`: with a script that looks at it
    every second, where it runs on both.
    """

    advert_s: float
    starts_application: bool = False
    looks: bool = True

    @property
    def name(self) -> str:
        how = ", notify scripts" if self.starts_application else ""
        return f"keepalived {self.advert_s:g} s{how}"

    @property
    def cases(self) -> tuple[str, ...]:
        # Where nothing looks at the application, its death goes unnoticed; where it is started by notify scripts,
        # it would be told to start anew when the address comes back.
        if self.starts_application:
            return ("cold", "move", "power")
        return ("cold", "kill", "vip", "move", "power") if self.looks else ("cold", "vip", "move", "power")

    @property
    def beat_s(self) -> float:
        return self.advert_s

    def configuration(self, priority: int) -> str:
        """Return its configuration for one node."""
        by_notify = self.starts_application
        script = f'vrrp_script app {{ script "{APPLICATION}/test"\n interval 1\n fall 1\n rise 1\n }}'
        notify = "\n".join(
            f'notify_{word} "{APPLICATION}/{order}"'
            for word, order in (("master", "start"), ("backup", "stop"), ("fault", "stop"), ("stop", "stop"))
        )
        checks = self.looks and not by_notify
        return f"""global_defs {{
 vrrp_version 3
 enable_script_security
 script_user root
}}
{script if checks else ""}
vrrp_instance web {{
 state BACKUP
 nopreempt
 interface pub0
 virtual_router_id 51
 priority {priority}
 advert_int {self.advert_s:g}
 virtual_ipaddress {{ {VIRTUAL_ADDRESS}/24 dev pub0
 }}
 {"track_script { app" + chr(10) + " }" if checks else ""}
 {notify if by_notify else ""}
}}
"""

    @property
    def unit(self) -> dict[str, Any]:
        """Return what a unit file would say."""
        files = [f"--{what}=/run/keepalived-{what}.pid" for what in ("pid", "vrrp_pid")]
        argv = ["/usr/sbin/keepalived", "--dont-fork", "--log-console", "--vrrp", "-f", self._path, *files]
        return {"argv": argv, "notify": False, "stop_limit_s": 10.0}

    def prepare(self, lab: Lab) -> None:
        for number, node in enumerate(lab.nodes):
            # Written through: the nodes lose their power next.
            write = 'umask 077 && mkdir -p "${1%/*}" && cat > "$1" && sync "$1" "${1%/*}"'
            node.run("sh", "-c", write, "sh", self._path, feed=self.configuration(100 - 10 * number))

    def start(self, lab: Lab) -> Started:
        if not self.starts_application:
            on_both(lab, lambda node: node.run(str(APPLICATION / "start")))
        for node in lab.nodes:
            self._log(node).unlink(missing_ok=True)
        return add_unit(lab, self.unit_name, self.unit)

    def await_standby(self, lab: Lab, owner: Node) -> None:
        self._await_state(other_than(lab, owner), "BACKUP")

    def move(self, lab: Lab, owner: Node) -> None:
        owner.service("stop", self.unit_name, within_s=READY_S)

    def mend(self, lab: Lab, case: str, before: Node, now: Node) -> None:
        if case == "kill":
            before.run(str(APPLICATION / "start"))
        if case == "move":
            self._log(before).unlink(missing_ok=True)
            before.service("start", self.unit_name, within_s=READY_S)

    def explain(self, case: str, since_s: float, lab: Lab) -> dict[str, float]:
        return {}

    @property
    def unit_names(self) -> tuple[str, ...]:
        return (self.unit_name,)

    @property
    def unit_name(self) -> str:
        """Its one service."""
        return "keepalived-notify" if self.starts_application else "keepalived"

    @property
    def _path(self) -> str:
        return KEEPALIVED_CONF.replace("bench", f"{self.unit_name}-{self.advert_s:g}")

    def _log(self, node: Node) -> Any:
        return node.log / f"{self.unit_name}.log"

    def _await_state(self, node: Node, word: str) -> None:
        """Wait until the last state its log names is `word`.

        Raises:
            TimeoutError: it did not come to it.
        """
        deadline = time.monotonic() + READY_S
        while True:
            log = self._log(node)
            text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
            states = [line.split("Entering ")[1] for line in text.splitlines() if "Entering " in line]
            if states and states[-1].startswith(word):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{node.name}: keepalived has not become {word}; its log: {text[-500:]}")
            time.sleep(0.02)
