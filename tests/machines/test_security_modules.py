"""Roles selinux, kysec and apparmor on a booted machine.

The kernel has neither SELinux nor KYSEC, and a machine of the tests no AppArmor. Their commands are stood in for by
scripts that keep a state and print what the real ones print.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.machines.controller import Controller, Played
from tests.machines.machine import Machine
from tests.machines.rack import Rack

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

CONFIG = "# Kept by the administrator\nSELINUX=enforcing\nSELINUXTYPE=targeted\n"
COMMANDS = {
    "/usr/sbin/getenforce": "cat /run/enforce",
    "/usr/sbin/setenforce": 'test "$1" = 0 && echo Permissive >/run/enforce',
    "/usr/sbin/getstatus": 'echo "KySec status: $(cat /run/kysec)"; echo; echo "exec control: on"',
    "/usr/sbin/setstatus": 'test "$*" = "softmode -p" && echo softmode >/run/kysec',
    "/usr/sbin/apparmor_parser": 'echo "$*" >>/run/parsed',
}
MYSQL = {"profile": "usr.sbin.mysqld", "path": "/data/mysql"}
STATES = "cat /run/enforce /run/kysec; touch /run/parsed; cat /run/parsed"


class Confined:
    def __init__(self, controller: Controller, machine: Machine) -> None:
        self.controller = controller
        self.machine = machine

    def play(self, *options: str, **selinux: str) -> Played:
        roles: list[dict[str, Any]] = [
            {"role": "selinux", **selinux},
            {"role": "kysec"},
            {"role": "apparmor", "apparmor_paths": [MYSQL, {**MYSQL, "path": "/data/logs"}]},
        ]
        inventory = {"servha": {"hosts": {"node1": self.controller.host(self.machine)}}}
        return self.controller.roles(roles, inventory, *options)

    @property
    def states(self) -> list[str]:
        return self.machine.run(["sh", "-c", STATES]).stdout.split()


@pytest.fixture(scope="module")
def confined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Confined]:
    folder: Path = tmp_path_factory.mktemp("confined")
    with Rack(links=("private", "public")) as rack:
        controller = Controller(rack, folder, link="public")
        machine = rack.add("node1")
        controller.welcome(machine)
        machine.put("/etc/selinux/config", CONFIG)
        machine.put("/etc/apparmor.d/usr.sbin.mysqld", "# a profile\n")
        for command, script in COMMANDS.items():
            machine.put(command, f"#!/bin/sh\n{script}\n", mode=0o755)
        machine.power_on()
        machine.run(["sh", "-c", "echo Enforcing >/run/enforce; echo enabled >/run/kysec"])
        yield Confined(controller, machine)


def test_selinux_stays_where_the_inventory_says_so(confined: Confined) -> None:
    played = confined.play("--check", selinux_state="unchanged")
    assert played.status == 0, played.said
    assert confined.states == ["Enforcing", "enabled"], "a check changes nothing"
    assert confined.machine.read("/etc/selinux/config") == CONFIG


def test_all_three_give_way_now_and_at_every_boot_and_only_once(confined: Confined) -> None:
    played = confined.play()
    assert played.status == 0, played.said
    assert confined.states == ["Permissive", "softmode", "-r", "/etc/apparmor.d/usr.sbin.mysqld"]
    config = confined.machine.read("/etc/selinux/config")
    assert config == CONFIG.replace("=enforcing", "=permissive"), "only that line"
    allowed = confined.machine.read("/etc/apparmor.d/local/usr.sbin.mysqld").splitlines()
    assert {"/data/mysql/ r,", "/data/mysql/** rwk,", "/data/logs/ r,", "/data/logs/** rwk,"} <= set(allowed)
    assert confined.play().changed == {"node1": 0}
    assert "SELINUX=disabled" not in confined.machine.read("/etc/selinux/config")


def test_selinux_may_be_disabled_from_the_next_boot_on_as_the_manual_has_it(confined: Confined) -> None:
    assert confined.play(selinux_state="disabled").changed == {"node1": 1}
    assert "SELINUX=disabled" in confined.machine.read("/etc/selinux/config")
    assert confined.states[0] == "Permissive", "a running kernel cannot be told otherwise"
