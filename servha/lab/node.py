"""A node as the person at the machine has it: power button, pause, a shell, its services."""

from __future__ import annotations

import select
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from servha.core.words import Text, say
from servha.lab import cgroup, control, disk, machine, power, power_switch, programs, switch
from servha.lab.layout import NETNS, NodeLayout
from servha.lab.power import Darkness
from servha.lab.trouble import Exit, LabError

BOOT_S = 30.0
POWER_IN_WORDS = {
    "on": say("on"),
    "off": say("off"),
    "frozen": say("frozen"),
    "crashed": say("switched on, but nothing runs"),
}


class Node:
    """One node of a lab. Its places and addresses are in `layout`."""

    def __init__(self, layout: NodeLayout) -> None:
        self.layout = layout
        self.name = layout.name
        self.namespace = layout.namespace
        self.log = layout.log
        self._booting: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"Node({self.layout.lab.name}/{self.name})"

    @property
    def pid(self) -> int | None:
        """Its init, as this machine counts processes; None while it is off."""
        return power.init_pid(self.layout)

    @property
    def power(self) -> str:
        """`on`, `off`, `frozen`, or `crashed`: switched on, but nothing runs."""
        if not power_switch.is_on(self.layout):
            return "off"
        if not cgroup.populated(self.layout.cgroup):
            return "crashed"
        return "frozen" if cgroup.frozen(self.layout.cgroup) else "on"

    @property
    def power_in_words(self) -> Text:
        """The same for people."""
        return POWER_IN_WORDS[self.power]

    @property
    def root(self) -> Path:
        """The node's file system as this machine can open it, while the node runs."""
        return Path(f"/proc/{self._must_run(thawed=False)}/root")

    def read(self, path: str) -> str:
        """Return a file of the node; while it is off, what a power-off has left of it on its disk."""
        if self.pid is not None:
            return (self.root / path.lstrip("/")).read_text(encoding="utf-8")
        (device,) = disk.devices(self.layout.image)
        look = 'mount "$0" "$1" && cat "$1/root/upper/$2"'
        place = str(self.layout.disk)
        return programs.run("unshare", "--mount", "sh", "-c", look, str(device), place, path.lstrip("/"))

    def begin_boot(self) -> None:
        """Switch the node on without waiting; `await_boot` waits.

        Raises:
            LabError: it is on already.
        """
        if power_switch.is_on(self.layout):
            problem = say("{node} is on already; servha lab poweroff {node} takes its power", node=self.name)
            raise LabError(problem, Exit.EXISTS)
        if cgroup.populated(self.layout.machine_cgroup):
            raise LabError(say("{node} is just booting again by itself", node=self.name), Exit.TRY_AGAIN)
        self._booting = machine.start(self.layout)

    def await_boot(self) -> None:
        """Wait until init runs and has started the services (not until they are ready).

        Raises:
            LabError: the node did not come up; says where its console is.
        """
        booting, self._booting = self._booting, None
        if booting is None or booting.stdout is None:
            raise AssertionError("await_boot without begin_boot")
        with booting.stdout as said:
            if not select.select([said], [], [], BOOT_S)[0] or not said.readline():
                lines = (self.log / "console.log").read_text(encoding="utf-8", errors="replace").splitlines()
                raise LabError(
                    say(
                        "{node} did not boot: {why}; its console is {console}",
                        node=self.name,
                        why=lines[-1] if lines else "-",
                        console=str(self.log / "console.log"),
                    )
                )
        booting.returncode = 0  # it lives on, beside us; nobody waits for it here

    def boot(self) -> None:
        """Switch the node on and wait until its services are started."""
        self.begin_boot()
        self.await_boot()

    def poweroff(self) -> Darkness:
        """Take the node's power, suddenly.

        Raises:
            LabError: it is off already.
        """
        if not power_switch.is_on(self.layout):
            problem = say("{node} is off already; servha lab boot {node} starts it", node=self.name)
            raise LabError(problem, Exit.EXISTS)
        return power.cut(self.layout)

    def freeze(self) -> None:
        """Stop every process of the node where it is. The kernel goes on answering pings for it."""
        self._must_run(thawed=False)
        cgroup.freeze(self.layout.cgroup, within_s=5.0)

    def thaw(self) -> None:
        """Let it run on as if no time had passed."""
        self._must_run(thawed=False)
        cgroup.thaw(self.layout.cgroup)

    def command(self, *argv: str) -> list[str]:
        """Return the argument list that runs `argv` in the node, for subprocess on this machine.

        It belongs to the node from its first moment: a freeze stops it, a power-off ends it.
        """
        pid = self._must_run(thawed=True)
        group = self.layout.cgroup / "user.slice"
        with suppress(FileExistsError):
            group.mkdir()
        enter = ["nsenter", f"--target={pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        clean = ["env", "-i", *(f"{name}={value}" for name, value in machine.environment().items())]
        return [
            "sh",
            "-c",
            'echo 0 > "$0" && exec "$@"',
            str(group / "cgroup.procs"),
            *enter,
            "--wdns=/",
            *clean,
            *argv,
        ]

    def run(
        self, *argv: str, check: bool = True, within_s: float = 60.0, feed: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the node and return what it said.

        Raises:
            LabError: it failed, unless `check` is False.
        """
        done = subprocess.run(
            self.command(*argv), input=feed, capture_output=True, text=True, check=False, timeout=within_s
        )
        if check and done.returncode:
            raise LabError(
                say(
                    "{node}: {command} ended with {status}: {said}",
                    node=self.name,
                    command=" ".join(argv),
                    status=done.returncode,
                    said=(done.stderr or done.stdout).strip(),
                )
            )
        return done

    def popen(self, *argv: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a program in the node."""
        return subprocess.Popen(self.command(*argv), **options)

    def service(self, verb: str, name: str = "", *, within_s: float = 100.0, **more: Any) -> dict[str, Any]:
        """Start, stop, restart, kill (signal=) or show a service, or `add` one (unit={"argv": [...]})."""
        self._must_run(thawed=True)
        return dict(
            control.order(self.layout, verb=verb, service=name, within_s=within_s, **more)["services"]
        )

    def status(self) -> dict[str, Any]:
        """Everything about the node that its outside shows."""
        layout = self.layout
        on = self.power == "on"
        built = (NETNS / layout.lab.namespace("switch")).exists()
        return {
            "power": self.power,
            "pid": self.pid,
            "namespace": self.namespace,
            "addresses": {link: layout.address(link) for link in ("public", "private")},
            "carrier": switch.carriers(layout) if built else {},
            "state_directory": str(layout.run),
            "log_directory": str(layout.log),
            "cgroup": str(layout.cgroup),
            "disks": {
                name: str(loops[layout.number - 1])
                for name in disk.SIZE_MIB
                if len(loops := disk.devices(layout.lab.lun(name))) == 2
            },
            "services": control.order(layout, verb="status", within_s=2.0)["services"] if on else {},
        }

    def _must_run(self, *, thawed: bool) -> int:
        pid = self.pid
        if pid is None:
            problem = say("{node} is off; servha lab boot {node} starts it", node=self.name)
            raise LabError(problem)
        if thawed and self.power == "frozen":
            raise LabError(say("{node} is frozen; servha lab thaw {node} lets it run on", node=self.name))
        return pid
