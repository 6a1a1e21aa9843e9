"""servhad under a real systemd: it says that it is ready, it is watched, and the application outlives it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable

import pytest

from tests.machines.conftest import NewRack
from tests.machines.machine import Machine
from tests.machines.wait import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

SERVHAD = "servhad.service"
WITHIN_S = 30.0
# Every start leaves a line, so an application that was started twice cannot look untouched.
APPLICATION = {
    "start": "#!/bin/sh\ndate +%s.%N >>/var/application.starts\nsetsid sleep 100000 </dev/null >/dev/null 2>&1 &\n"
    "echo $! >/run/application.pid\n",
    "stop": '#!/bin/sh\nkill "$(cat /run/application.pid)"\n',
    "test": '#!/bin/sh\nkill -0 "$(cat /run/application.pid)"\n',
}


@pytest.fixture
def node(new_rack: NewRack) -> Machine:
    """One machine with ServHA installed and its daemon enabled and started, as after an installation."""
    machine = new_rack("private").add("node1")
    machine.install_servha()
    machine.power_on()
    machine.run(["systemctl", "enable", "--now", SERVHAD])
    return machine


@pytest.fixture
def application(node: Machine) -> Callable[[], str]:
    """A cluster of this one node that runs an application. Call it for the life of the application's process."""
    for name, script in APPLICATION.items():
        node.write(f"/opt/application/{name}", script, mode=0o755)
    scripts = " ".join(f"{name}_script=/opt/application/{name}" for name in APPLICATION)
    servha(node, "cluster init --name one --node node1 --link private=private --profile fast")
    servha(node, "tree create web --hosts node1 --yes")
    servha(node, f"resource create web/app custom {scripts} --yes")
    wait_for(lambda: is_running(node), within_s=WITHIN_S, what="the application is started")
    return lambda: life_of_the_application(node)


def servha(node: Machine, command: str) -> str:
    return node.run(["/usr/share/servha/bin/servha", *shlex.split(command)]).stdout


def is_running(node: Machine) -> bool:
    shown = node.run(["/usr/share/servha/bin/servha", "tree", "show", "web", "-o", "json"], check=False)
    if shown.returncode != 0:
        return False
    return '"running"' in json.dumps(json.loads(shown.stdout))


def life_of_the_application(node: Machine) -> str:
    """Which process it is, since when, and how often it was started: from the machine, not from servhad."""
    pid = node.read("/run/application.pid").strip()
    began = node.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[19]
    return f"process {pid} since {began}, starts: {node.read('/var/application.starts').count(chr(10))}"


def restarts(node: Machine) -> int:
    return int(node.unit(SERVHAD, "NRestarts")["NRestarts"])


def main_process(node: Machine) -> str:
    return node.unit(SERVHAD, "MainPID")["MainPID"]


def is_active_again(node: Machine, *, instead_of: str) -> bool:
    shown = node.unit(SERVHAD, "ActiveState", "MainPID")
    return shown["ActiveState"] == "active" and shown["MainPID"] not in ("0", instead_of)


def test_the_daemon_says_that_it_is_ready_and_what_it_does(node: Machine) -> None:
    shown = node.unit(SERVHAD, "ActiveState", "SubState", "StatusText", "NRestarts")
    assert (shown["ActiveState"], shown["SubState"], shown["NRestarts"]) == ("active", "running", "0")
    assert shown["StatusText"]


def test_the_daemon_comes_back_after_a_power_cut(node: Machine) -> None:
    node.power_cut()
    node.power_on()
    wait_for(lambda: is_active_again(node, instead_of="0"), within_s=WITHIN_S, what="servhad is active")


def test_a_daemon_that_hangs_is_ended_and_replaced(node: Machine) -> None:
    hung = main_process(node)
    node.run(["kill", "-STOP", hung])
    wait_for(lambda: restarts(node) >= 1, within_s=WITHIN_S, what="systemd's watchdog has restarted servhad")
    wait_for(
        lambda: is_active_again(node, instead_of=hung), within_s=WITHIN_S, what="servhad is active again"
    )


@pytest.mark.parametrize("way", ["systemctl restart servhad", "kill -KILL {pid}", "kill -STOP {pid}"])
def test_the_application_outlives_the_daemon(node: Machine, application: Callable[[], str], way: str) -> None:
    before, daemon = application(), main_process(node)
    node.run(shlex.split(way.format(pid=daemon)))
    wait_for(
        lambda: is_active_again(node, instead_of=daemon), within_s=WITHIN_S, what="servhad is active again"
    )
    wait_for(lambda: is_running(node), within_s=WITHIN_S, what="the new servhad has adopted the application")
    assert application() == before


def test_an_orderly_shutdown_stops_the_application(node: Machine, application: Callable[[], str]) -> None:
    node.write(
        "/opt/application/stop", APPLICATION["stop"] + "date >>/var/application.stops; sync\n", mode=0o755
    )
    assert "starts: 1" in application()
    node.shutdown()
    node.power_on()
    assert node.read("/var/application.stops").count("\n") == 1
