"""One machine: a real systemd, booted by systemd-nspawn, with a power switch.

Its file system is the shared base with a layer of its own on top, mounted in a mount namespace that dies with
the machine; what it wrote survives a power cut, as on a disk. Its network exists while it has power.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from tests.machines import cgroups, network
from tests.machines.install import install
from tests.machines.wait import wait_for

BOOT_WITHIN_S = 60.0
# Joins the control groups given first, mounts the file system, and becomes the machine. It runs as the first
# process of a process namespace of its own: killing systemd-nspawn leaves the machine running, but nothing outlives
# the first process. systemd-nspawn keeps its notes below /run/systemd/nspawn; a folder put over it keeps them off
# this computer.
POWER_ON = """
while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 90; shift; done
mount -t overlay overlay -o "lowerdir=$2,upperdir=$3/upper,workdir=$3/work" "$3/root" || exit 91
mkdir -p /run/systemd/nspawn && mount -t tmpfs tmpfs /run/systemd/nspawn || exit 92
shift 3
exec "$@"
"""


class Machine:
    def __init__(
        self, *, name: str, folder: Path, base: Path, group: str, switch: str, addresses: Mapping[str, str]
    ) -> None:
        self.name = name
        self.addresses = dict(addresses)
        self.binds: dict[str, str] = {}
        """What of this computer the machine has, from the next power-on: our path to its path."""
        self._folder = folder
        self._base = base
        self._group = group
        self._switch = switch
        self._space = f"{switch}-{name}"
        self._power: subprocess.Popen[bytes] | None = None
        self._leader = 0
        for layer in ("upper", "work", "root"):
            (folder / layer).mkdir(parents=True)

    def install_servha(self) -> None:
        """Put this checkout on the disk of the machine, which is off."""
        assert self._power is None, f"{self.name} is on"
        install(self._folder / "upper")

    def put(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file to the disk of the machine, which is off."""
        assert self._power is None, f"{self.name} is on"
        file = self._folder / "upper" / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)

    def wipe(self) -> None:
        """Give the machine, which is off, an empty disk: another computer with the same name and addresses."""
        assert self._power is None, f"{self.name} is on"
        for layer in ("upper", "work"):
            shutil.rmtree(self._folder / layer)
            (self._folder / layer).mkdir()

    def power_on(self) -> None:
        """Boot, and return when systemd says that everything is up."""
        assert self._power is None, f"{self.name} is on already"
        network.plug_in(self._space, switch=self._switch, station=self.name, addresses=self.addresses)
        groups = [str(folder) for folder in cgroups.make(self._group)]
        nspawn = [
            "systemd-nspawn", "--quiet", f"--directory={self._folder}/root", "--boot", f"--machine={self.name}",
            f"--hostname={self.name}", "--register=no", "--keep-unit", "--console=pipe",
            f"--network-namespace-path=/run/netns/{self._space}", "--resolv-conf=off", "--timezone=off",
            "--link-journal=no", "--capability=CAP_NET_ADMIN,CAP_NET_RAW,CAP_SYS_NICE,CAP_IPC_LOCK",
            *(f"--bind={ours}:{inside}" for ours, inside in self.binds.items()),
        ]  # fmt: skip
        with (self._folder / "console.log").open("ab") as console:
            self._power = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--"]
                + [
                    "unshare",
                    "--mount",
                    "--propagation",
                    "private",
                    "--pid",
                    "--fork",
                    "--kill-child",
                    "--mount-proc",
                    "--",
                ]
                + [
                    "sh",
                    "-c",
                    POWER_ON,
                    "power-on",
                    *groups,
                    "--",
                    str(self._base),
                    str(self._folder),
                    *nspawn,
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        try:
            self._leader = wait_for(
                self._find_leader, within_s=BOOT_WITHIN_S, what=f"{self.name}: first process"
            )
            wait_for(self._is_up, within_s=BOOT_WITHIN_S, what=f"{self.name}: systemd has started everything")
        except (TimeoutError, ChildProcessError) as problem:
            problem.add_note(self.console())
            self.power_cut()
            raise

    def power_cut(self) -> None:
        """Everything ends at once and nothing is written any more, as when the plug is pulled."""
        if self._power is not None:
            self._power.kill()
            self._off()

    def shutdown(self, *, within_s: float = 60) -> None:
        """The power button: systemd stops what it started."""
        assert self._power is not None, f"{self.name} is off"
        os.kill(self._leader, signal.SIGRTMIN + 4)
        self._power.wait(timeout=within_s)
        self._off()

    @property
    def is_on(self) -> bool:
        return self._power is not None and self._power.poll() is None

    def run(
        self, argv: Sequence[str], *, timeout_s: float = 30, text: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a program inside, as root, with `text` as its input."""
        assert self._power is not None, f"{self.name} is off"
        done = subprocess.run(
            ["nsenter", "--target", str(self._leader), "--all", "--"]
            + ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "LANG=C.UTF-8", *argv],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        if check and done.returncode != 0:
            raise ChildProcessError(
                f"{self.name}: {shlex.join(argv)} ended with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done

    def feed(self, argv: Sequence[str], content: IO[bytes]) -> None:
        """Run a program inside, as root, with a file of this computer as its input."""
        subprocess.run(
            ["nsenter", "--target", str(self._leader), "--all", "--", *argv],
            stdin=content, capture_output=True, check=True, timeout=60,
        )  # fmt: skip

    def read(self, path: str) -> str:
        return self.run(["cat", path]).stdout

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        self.run(["sh", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"', "-", path, f"{mode:o}"],
                 text=text)  # fmt: skip

    def may(self, capability: int) -> bool:
        """Whether programs in it can have this capability, by its number: a container has less than a computer."""
        bounding = re.search(r"CapBnd:\s*([0-9a-f]+)", self.read("/proc/1/status"))
        assert bounding is not None
        return bool(int(bounding[1], 16) >> capability & 1)

    def unit(self, unit: str, *properties: str) -> dict[str, str]:
        """What `systemctl show` says about a unit."""
        shown = self.run(["systemctl", "show", unit, "-p", ",".join(properties)]).stdout
        return dict(line.split("=", 1) for line in shown.splitlines())

    def journal(self) -> str:
        """The journal of the current life of the machine, for a person to read."""
        if not self.is_on:
            return f"{self.name} is off; its console said:\n{self.console()}"
        return self.run(["journalctl", "-b", "--no-pager", "-o", "short-precise"], check=False).stdout

    def console(self) -> str:
        return (self._folder / "console.log").read_text(encoding="utf-8", errors="replace")

    def _off(self) -> None:
        assert self._power is not None
        self._power.wait(timeout=30)
        self._power = None
        self._leader = 0
        network.unplug(self._space, switch=self._switch, station=self.name, links=self.addresses)
        cgroups.remove(self._group)

    def _find_leader(self) -> int:
        """The process that is number 1 inside, or 0 while there is none."""
        assert self._power is not None
        if self._power.poll() is not None:
            raise ChildProcessError(f"{self.name} ended with {self._power.returncode} before it had started")
        # One level down is systemd-nspawn, number 1 of its own namespace; the machine is the level below.
        level = len(numbers_of("self")) + 2
        for pid in cgroups.processes(self._group):
            numbers = numbers_of(str(pid))
            if len(numbers) == level and numbers[-1] == "1":
                return pid
        return 0

    def _is_up(self) -> bool:
        self._find_leader()
        answer = self.run(["systemctl", "is-system-running"], check=False).stdout.strip()
        return answer in ("running", "degraded")


def numbers_of(pid: str) -> list[str]:
    """The numbers a process has, from our process namespace down to its own. Empty when it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("NSpid:"):
                return line.split()[1:]
    return []
