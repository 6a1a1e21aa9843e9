"""preflight.yml on two booted machines: every broken precondition told by name, at once, and nothing changed."""

from __future__ import annotations

import copy
import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.machines.conftest import NewRack
from tests.machines.controller import Controller
from tests.machines.guarded import DATA, QUORUM
from tests.machines.shared_disks import shared_disks
from tests.machines.site import furnish, inventory, is_installed, with_disks
from tests.machines.wait import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

SQUATTER = """[Service]
ExecStart=/usr/bin/python3 -m http.server 7700
[Install]
WantedBy=multi-user.target
"""
BROKEN = (
    "operating system, both servers: the operating systems differ:",
    "users, both servers: uid of clinic is 1500 on node1 and 1501 on node2",
    f"disks free, node2: {DATA} is in use: /etc/fstab mounts",
    "ports, node2: port 7700/tcp is taken by python3",
    f"quorum disk, node1: the quorum disk {QUORUM} carries a file system or volume (ext4",
    "services, node2: app.service starts by itself at boot",
    "reference address, node1: the reference address 10.77.1.99 does not answer",
    "networks, both servers: the ends of public are in different networks",
    "shared disks, node1: /dev/no-such-disk is not there",
)


def checksum(image: Path) -> str:
    return hashlib.sha256(image.read_bytes()).hexdigest()


def test_every_broken_precondition_is_told_at_once_and_nothing_is_changed(
    new_rack: NewRack, tmp_path: Path
) -> None:
    rack = new_rack("private", "public")
    controller = Controller(rack, tmp_path, link="private")
    machines = [rack.add("node1"), rack.add("node2")]
    one, two = machines
    with shared_disks(machines, tmp_path) as disks:
        subprocess.run(["mkfs.ext4", "-q", "-F", disks.images[QUORUM]], check=True)
        for machine in machines:
            furnish(controller, machine)
            machine.power_on()
        for machine, number in ((one, 1500), (two, 1501)):
            machine.run(["useradd", "--uid", str(number), "clinic"])
        two.run(["sh", "-c", f"echo '{DATA} /data ext4 defaults 0 2' >>/etc/fstab"])
        two.run(["sed", "-i", 's/VERSION_ID=.*/VERSION_ID="11"/', "/etc/os-release"])
        two.run(["systemctl", "enable", "app.service"])
        two.write("/etc/systemd/system/squatter.service", SQUATTER)
        two.run(["systemctl", "start", "squatter.service"])
        two.run(["ip", "addr", "replace", "10.88.1.2/24", "dev", "public"])
        two.run(["ip", "addr", "del", "10.77.1.2/24", "dev", "public"])
        wait_for(
            lambda: ":7700" in two.run(["ss", "-ltn"]).stdout, within_s=20, what="the squatter has the port"
        )
        before = checksum(disks.images[QUORUM])

        # What is not complete, or cannot be reached, stops before anything is looked at.
        whole = inventory(controller, machines)
        lacking = copy.deepcopy(whole)
        del lacking["servha"]["vars"]["cluster_password"]
        played = controller.play("site", lacking)
        assert played.status != 0
        assert "The inventory is not complete for node1" in played.words
        assert sum(played.changed.values()) == 0
        away = copy.deepcopy(whole)
        away["servha"]["hosts"]["node2"]["ansible_host"] = "10.77.0.77"
        played = controller.play("site", away)
        assert played.status != 0
        assert sum(played.changed.values()) == 0, (
            "one server is not touched while the other cannot be reached"
        )

        whole = with_disks(inventory(controller, machines))
        whole["servha"]["vars"] |= {
            "preflight_users": ["clinic"],
            "preflight_disks": [DATA, "/dev/no-such-disk"],
            "cluster_quorum_disk": QUORUM,
            "cluster_arbitration": "reference-address-and-quorum-disk",
            "cluster_references": ["10.77.1.99"],
        }
        for playbook in ("preflight", "site"):
            played = controller.play(playbook, whole)
            assert played.status != 0
            assert played.changed == {"node1": 0, "node2": 0}, played.said
            missing = [sentence for sentence in BROKEN if sentence not in played.words]
            assert not missing, played.said
        assert checksum(disks.images[QUORUM]) == before
        assert not is_installed(one)
        assert one.run(["getent", "passwd", "servha-web"], check=False).returncode != 0

        chinese = controller.play("preflight", whole, "-e", "preflight_language=zh-CN")
        assert "用户 clinic 的 uid 在 node1 上是 1500，在 node2 上是 1501" in chinese.words
        assert "端口 7700/tcp 被 python3" in chinese.words

        # Mended one by one, until nothing is left to say.
        two.run(["usermod", "--uid", "1500", "clinic"])
        two.run(["groupmod", "--gid", "1500", "clinic"])
        two.run(["sed", "-i", "$d", "/etc/fstab"])
        two.run(["sed", "-i", 's/VERSION_ID=.*/VERSION_ID="12"/', "/etc/os-release"])
        two.run(["systemctl", "disable", "app.service"])
        two.run(["systemctl", "stop", "squatter.service"])
        two.run(["ip", "addr", "replace", "10.77.1.2/24", "dev", "public"])
        two.run(["ip", "addr", "del", "10.88.1.2/24", "dev", "public"])
        serial = subprocess.run(
            ["losetup", "--noheadings", "--output", "BACK-FILE", "--associated", disks.images[QUORUM]],
            capture_output=True, text=True, check=True,
        ).stdout.split()[0]  # fmt: skip
        whole["servha"]["vars"] |= {
            "preflight_disks": [DATA],
            "cluster_references": ["10.77.1.254"],
            "servha_quorum_disk_force": serial,
        }
        played = controller.play("preflight", whole)
        assert (played.status, played.changed) == (0, {"node1": 0, "node2": 0}), played.said
        assert "no problem" in played.words
