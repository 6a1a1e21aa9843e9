"""The hardware of one node, as a process beside it: it starts the node, and what ends the node from inside ends here.

`python -m servha.lab.machine NAME NODE`, started by `boot`, stays as long as the node has power. The node reaches
it through two files that it sees as /proc/sysrq-trigger and /dev/watchdog; the process outlives the node's init to
take the carriers away, because a kernel that is shared would go on answering for a node that has crashed.

A reset (sysrq b, a watchdog that was not fed, reboot(2)) boots the node again; everything else leaves it off.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from enum import Enum, auto
from pathlib import Path
from typing import NoReturn

from servha.lab import cgroup, kernel, node_root, power, power_switch, switch
from servha.lab.layout import NETNS, Layout, NodeLayout
from servha.lab.watchdog import Watchdog

RESET_S = 1.0  # what a firmware needs between a reset and the boot loader


class Ending(Enum):
    """Why a life of the node ended."""

    OFF = auto()
    RESET = auto()


def environment() -> dict[str, str]:
    """What every program of a node finds in its environment: nothing of whoever built the lab."""
    search = f"{sys.prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": search, "HOME": "/root", "LANG": "C.UTF-8", "container": "servha-lab"}


def start(node: NodeLayout) -> subprocess.Popen[bytes]:
    """Start a node's machine; its standard output says `booted`, or ends without."""
    node.machine_cgroup.mkdir(exist_ok=True)
    node.log.mkdir(parents=True, exist_ok=True)
    with (node.log / "console.log").open("ab") as console:
        return subprocess.Popen(
            [sys.executable, "-m", __name__, node.lab.name, node.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=console,
            start_new_session=True,
            cwd="/",
        )


def prepare(node: NodeLayout) -> None:
    """Do what a power supply and a firmware do: disk, network cards, power."""
    for place in (node.run, node.root, node.disk):
        place.mkdir(parents=True, exist_ok=True)
    switch.plug_in(node)
    power_switch.turn(node, on=True)
    switch.settle(node.lab)
    switch.await_links(node.lab)
    node.cgroup.mkdir()
    if not node.sysrq.exists():
        os.mkfifo(node.sysrq, 0o600)


def _first_process(node: NodeLayout, said: int, control: socket.socket) -> NoReturn:
    """Become the node's init. Runs in the child that already is process 1 of its own kind."""
    log = os.open(node.log, os.O_RDONLY | os.O_DIRECTORY)
    cgroup.join(node.cgroup)
    (node.cgroup / "init.scope").mkdir()
    with (NETNS / node.namespace).open(encoding="ascii") as network:
        kernel.setns(network.fileno(), kernel.CLONE_NEWNET)
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWCGROUP)
    cgroup.join(node.cgroup / "init.scope")
    socket.sethostname(node.name)
    services = json.loads(node.lab.record.read_text(encoding="utf-8"))["services"]
    node_root.build(node)
    for descriptor in (said, log, control.fileno()):
        os.set_inheritable(descriptor, True)  # noqa: FBT003  it takes no keyword
    orders = {"said": said, "log": log, "control": control.fileno(), "services": services}
    os.execve(sys.executable, [sys.executable, "-m", "servha.lab.init", json.dumps(orders)], environment())  # noqa: S606  this is how a process becomes init


def _bear(node: NodeLayout, said: int) -> int:
    """Start the node's first process and return its pid."""
    node.control.unlink(missing_ok=True)
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control,
        Path("/proc/self/ns/pid").open() as ours,
    ):
        control.bind(str(node.control))
        control.listen()
        kernel.unshare(kernel.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            try:
                _first_process(node, said, control)
            except BaseException as error:  # noqa: BLE001  whatever it was: the console must say it, and nothing may go on
                print(
                    f"{node.name} does not boot: {type(error).__name__}: {error}", file=sys.stderr, flush=True
                )
            os._exit(70)
        # Our next child, after a reset, must not be born into the old one's namespace.
        kernel.setns(ours.fileno(), kernel.CLONE_NEWPID)
    return pid


def _live(node: NodeLayout, said: int) -> Ending:
    """Run the node until it ends; what it can do to its hardware meanwhile is read here."""
    prepare(node)
    sysrq = os.open(node.sysrq, os.O_RDWR | os.O_NONBLOCK)
    with Watchdog(node.watchdog) as watchdog:
        pid = _bear(node, said)
        os.close(said)
        end = os.pidfd_open(pid)
        try:
            while True:
                ready, _, _ = select.select([end, sysrq, *watchdog.descriptors()], [], [], watchdog.left_s())
                if end in ready:
                    return _why(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), node)
                keys = os.read(sysrq, 64) if sysrq in ready else b""
                watchdog.serve()
                if keys and (ending := _sysrq(keys, node)):
                    return ending
                if watchdog.fires():
                    _tell(node, "the watchdog was not fed")
                    return Ending.RESET
        finally:
            os.close(end)
            os.close(sysrq)


def _sysrq(keys: bytes, node: NodeLayout) -> Ending | None:
    _tell(node, f"sysrq {keys!r}")
    if any(key in keys for key in b"bc"):
        return Ending.RESET
    return Ending.OFF if b"o" in keys else None


def _why(status: int, node: NodeLayout) -> Ending:
    """Read reboot(2) from the way process 1 ended: the kernel of a pid namespace signals it so."""
    match status:
        case -1:
            _tell(node, "reboots")
            return Ending.RESET
        case 0 | -2:
            _tell(node, "powers off")
        case _:
            _tell(node, f"init ended with {status}")
    return Ending.OFF


def _tell(node: NodeLayout, what: str) -> None:
    print(f"[{time.monotonic():.3f}] {node.name}: {what}", file=sys.stderr, flush=True)


def main() -> int:
    """Keep one node running until it is off."""
    node = Layout(sys.argv[1]).node(sys.argv[2])
    cgroup.join(node.machine_cgroup)
    said = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    while True:
        _tell(node, "power on")
        ending = _live(node, said)
        power.cut(node, keep_machine=True)
        if ending is Ending.OFF:
            return 0
        time.sleep(RESET_S)
        said = os.open(os.devnull, os.O_WRONLY)


if __name__ == "__main__":
    sys.exit(main())
