"""`ansible-playbook site.yml` on two booted machines: a cluster with a tree behind a virtual address, and no more."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.machines.bundles import NOW, installer
from tests.machines.conftest import NewRack
from tests.machines.controller import Controller, Played
from tests.machines.machine import Machine
from tests.machines.rack import Rack
from tests.machines.wait import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

WITHIN_S = 60.0
ADDRESS = "10.77.1.100"
UNIT = f"""[Service]
ExecStart=/usr/bin/python3 -m http.server 8080 --bind {ADDRESS} --directory /srv
[Install]
WantedBy=multi-user.target
"""
TREE: dict[str, Any] = {
    "name": "web",
    "hosts": ["node1", "node2"],
    "settings": {"failback": "stay"},
    "running": True,
    "resources": [
        {"name": "vip", "kind": "ipv4", "settings": {"address": f"{ADDRESS}/24", "nic": "public"}},
        {"name": "app", "kind": "service", "after": ["vip"], "settings": {"unit": "app.service"}},
    ],
}


def status(machine: Machine) -> dict[str, Any]:
    done = machine.run(["/usr/share/servha/bin/servha", "status", "-o", "json"], check=False)
    return dict(json.loads(done.stdout or "{}"))


def is_installed(machine: Machine) -> bool:
    return machine.run(["test", "-e", "/usr/share/servha"], check=False).returncode == 0


def runs_on(machine: Machine) -> list[str]:
    return [tree["running_on"] for tree in status(machine).get("trees", [])]


def inventory(controller: Controller, machines: list[Machine]) -> dict[str, Any]:
    links = [{"name": link, "nic": link} for link in ("private", "public")]
    hosts = {m.name: controller.host(m, cluster_node=m.name, cluster_links=links) for m in machines}
    return {
        "servha": {
            "hosts": hosts,
            "vars": {
                "runtime_bundle": str(installer(NOW)),
                "cluster_name": "clinic",
                "cluster_password": "correct horse",
                "cluster_profile": "fast",
                "cluster_arbitration": "reference-address",
                "cluster_references": ["10.77.1.254"],
                "trees_declared": [TREE],
            },
        }
    }


def as_told(played: Played) -> str:
    return " ".join(played.said.split())


def booted(rack: Rack, controller: Controller) -> list[Machine]:
    machines = [rack.add("node1"), rack.add("node2")]
    for machine in machines:
        machine.put("/etc/systemd/system/app.service", UNIT)
        controller.welcome(machine)
        machine.power_on()
    return machines


def test_one_command_makes_a_running_cluster_and_the_second_changes_nothing(
    new_rack: NewRack, tmp_path: Path
) -> None:
    rack = new_rack("private", "public")
    controller = Controller(rack, tmp_path, link="public")
    machines = booted(rack, controller)
    one, two = machines
    whole = inventory(controller, machines)

    # What is not complete, or cannot be reached, stops before anything is changed.
    lacking = copy.deepcopy(whole)
    del lacking["servha"]["vars"]["cluster_password"]
    played = controller.play("site", lacking)
    assert played.status != 0
    assert "The inventory is not complete for node1" in as_told(played)
    assert sum(played.changed.values()) == 0
    away = copy.deepcopy(whole)
    away["servha"]["hosts"]["node2"]["ansible_host"] = "10.77.1.77"
    played = controller.play("site", away)
    assert played.status != 0
    assert sum(played.changed.values()) == 0, (
        "the first server is not touched while the second cannot be reached"
    )
    assert not is_installed(one)

    # On a fresh machine check mode tells and does nothing.
    played = controller.play("site", whole, "--check", "--diff")
    assert played.status == 0, played.said
    assert not is_installed(one)

    played = controller.play("site", whole)
    assert played.status == 0, played.said
    wait_for(lambda: runs_on(two) == ["node1"], within_s=WITHIN_S, what="both know that it runs on node1")
    assert "<title>" in rack.run(["curl", "-s", "--max-time", "5", f"http://{ADDRESS}:8080/"])

    played = controller.play("site", whole)
    assert (played.status, played.changed) == (0, {"node1": 0, "node2": 0}), played.said

    # One tree changed in the inventory: exactly that is shown, and with --check nothing is done.
    changed = copy.deepcopy(whole)
    changed["servha"]["vars"]["trees_declared"][0]["settings"]["hold_down_s"] = 90
    played = controller.play("site", changed, "--check", "--diff")
    assert (played.status, played.changed) == (0, {"node1": 1, "node2": 0}), played.said
    lines = [line for line in played.said.splitlines() if line.startswith(("+ ", "- "))]
    assert [" ".join(line.split()) for line in lines] == ['- "hold_down_s": 60.0,', '+ "hold_down_s": 90,'], (
        played.said
    )
    before = status(one)["config"]["generation"]
    assert controller.play("site", changed).changed == {"node1": 1, "node2": 0}
    assert status(one)["config"]["generation"] == before + 1

    # What the daemon refuses is told in its words, and nothing is half done.
    wrong = copy.deepcopy(whole)
    wrong["servha"]["vars"]["trees_declared"][0]["resources"][0]["settings"]["nic"] = "eth77"
    played = controller.play("site", wrong)
    assert played.status != 0
    assert "eth77" in as_told(played)
    assert status(one)["config"]["generation"] == before + 1
    assert runs_on(one) == ["node1"]
