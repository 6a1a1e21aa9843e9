"""What the tests of the collection deploy: two machines, their disks, and a web application behind a virtual address.

The application serves what is on the shared disk, so an answer shows that address, disk and program are together.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from tests.machines.base import BROUGHT, REPOSITORY
from tests.machines.bundles import NOW, installer
from tests.machines.controller import Controller
from tests.machines.guarded import DATA, QUORUM
from tests.machines.machine import Machine
from tests.machines.rack import Rack

WITHIN_S = 60.0
ADDRESS = "10.77.1.100"
URL = f"http://{ADDRESS}:8080/"
MOUNT = "/srv/data"
UNIT = f"""[Service]
ExecStart=/usr/bin/python3 -m http.server 8080 --bind {ADDRESS} --directory {MOUNT}
[Install]
WantedBy=multi-user.target
"""
SOURCES = f"deb [trusted=yes] file:{REPOSITORY} ./\n"
VIP = {"name": "vip", "kind": "ipv4", "settings": {"address": f"{ADDRESS}/24", "nic": "public"}}
DISK = {"name": "disk", "kind": "shared_disk", "settings": {"device": DATA, "mount_point": MOUNT}}


def tree(*more: dict[str, Any]) -> dict[str, Any]:
    """The application behind its virtual address, with more resources below it."""
    below = [VIP, *more]
    after = [resource["name"] for resource in below]
    app = {"name": "app", "kind": "service", "after": after, "settings": {"unit": "app.service"}}
    return {
        "name": "web",
        "hosts": ["node1", "node2"],
        "settings": {"failback": "stay"},
        "running": True,
        "resources": copy.deepcopy([*below, app]),
    }


def furnish(controller: Controller, machine: Machine) -> None:
    """Put the application and the administrator's key on the disk of a machine, which is off."""
    machine.put("/etc/systemd/system/app.service", UNIT)
    machine.put("/etc/apt/sources.list", SOURCES)
    machine.put(f"{MOUNT}/.keep", "")
    controller.welcome(machine)


def booted(rack: Rack, controller: Controller) -> list[Machine]:
    """Two furnished machines, switched on."""
    machines = [rack.add("node1"), rack.add("node2")]
    for machine in machines:
        furnish(controller, machine)
        machine.power_on()
    return machines


def inventory(controller: Controller, machines: list[Machine]) -> dict[str, Any]:
    """The inventory that a reader of examples/inventory.yml would write, without shared disks."""
    links = [{"name": link, "nic": link} for link in ("private", "public")]
    hosts = {m.name: controller.host(m, cluster_node=m.name, cluster_links=links) for m in machines}
    given = {
        "runtime_bundle": str(installer(NOW)),
        "cluster_name": "clinic",
        "cluster_password": "correct horse",
        "cluster_arbitration": "reference-address",
        "cluster_references": ["10.77.1.254"],
        "packages_commands": {"ifconfig": "net-tools", "parted": "parted"},
        "trees_declared": [tree()],
    }
    return {"servha": {"hosts": hosts, "vars": given}}


def with_disks(whole: dict[str, Any]) -> dict[str, Any]:
    """The same with a quorum disk, data on a disk, and a package that has to be installed first."""
    whole["servha"]["vars"] |= {
        "cluster_arbitration": "reference-address-and-quorum-disk",
        "cluster_quorum_disk": QUORUM,
        "data_disk_disks": [{"device": DATA, "filesystem": "ext4"}],
        "packages_commands": {"fuser": BROUGHT, "ifconfig": "net-tools", "parted": "parted"},
        "trees_declared": [tree(DISK)],
    }
    return whole


def status(machine: Machine) -> dict[str, Any]:
    """What `servha status` shows there; nothing where it shows nothing."""
    done = machine.run(["/usr/share/servha/bin/servha", "status", "-o", "json"], check=False)
    return dict(json.loads(done.stdout or "{}"))


def is_installed(machine: Machine) -> bool:
    return machine.run(["test", "-e", "/usr/share/servha"], check=False).returncode == 0


def runs_on(machine: Machine) -> list[str]:
    """Where each tree runs, as this machine knows."""
    return [tree["running_on"] for tree in status(machine).get("trees", [])]
