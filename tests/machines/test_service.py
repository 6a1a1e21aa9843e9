"""The kind `service` against a real systemd: started, started again after a kill, stopped."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.machines.conftest import NewRack
from tests.machines.machine import Machine
from tests.machines.wait import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

WITHIN_S = 30.0
UNIT = "app.service"
TEXT = "[Service]\nExecStart=/usr/bin/sleep 100000\n[Install]\nWantedBy=multi-user.target\n"


def servha(node: Machine, command: str) -> str:
    return node.run(["/usr/share/servha/bin/servha", *shlex.split(command)]).stdout


def runs(node: Machine, *, instead_of: str = "0") -> bool:
    """Both say so: systemd that a process is there, and ServHA that its tree runs."""
    tree = node.run(["/usr/share/servha/bin/servha", "tree", "show", "web", "-o", "json"], check=False)
    shown = node.unit(UNIT, "ActiveState", "MainPID")
    return (
        tree.returncode == 0
        and '"running"' in json.dumps(json.loads(tree.stdout))
        and shown["ActiveState"] == "active"
        and shown["MainPID"] not in ("0", instead_of)
    )


def test_a_unit_is_started_restarted_after_a_kill_and_stopped(new_rack: NewRack) -> None:
    node = new_rack("private").add("node1")
    node.install_servha()
    node.power_on()
    node.write(f"/etc/systemd/system/{UNIT}", TEXT)
    node.run(["systemctl", "daemon-reload"])
    node.run(["systemctl", "enable", "--now", "servhad.service"])
    servha(node, "cluster init --name one --node node1 --link private=private --profile fast")
    servha(node, "tree create web --hosts node1 --yes")
    # A look every minute only: that it was killed is heard, not found.
    servha(node, f"resource create web/app service unit={UNIT} --check-interval=60 --yes")
    wait_for(lambda: runs(node), within_s=WITHIN_S, what="the unit runs")

    killed = node.unit(UNIT, "MainPID")["MainPID"]
    node.run(["kill", "-KILL", killed])
    wait_for(lambda: runs(node, instead_of=killed), within_s=WITHIN_S, what="the unit was started again")

    servha(node, "tree stop web --yes")
    shown = node.unit(UNIT, "ActiveState", "MainPID")
    assert (shown["ActiveState"], shown["MainPID"]) == ("inactive", "0")
