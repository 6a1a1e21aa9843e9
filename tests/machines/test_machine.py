"""The machines themselves: what the tests that run on them rely on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machines import cgroups
from tests.machines.conftest import NewRack
from tests.machines.network import ip
from tests.machines.rack import STATE, Rack, sweep
from tests.machines.wait import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

CHECKOUT = Path(__file__).parent.parent.parent


def own_interfaces() -> str:
    return ip("-o", "addr")


def test_two_machines_meet_on_their_wire_and_nothing_of_it_shows_outside(new_rack: NewRack) -> None:
    before = own_interfaces()
    rack = new_rack("private", "public")
    one, two = rack.add("one"), rack.add("two")
    one.power_on()
    two.power_on()
    for link in rack.links:
        one.run(["ping", "-c1", "-W2", two.addresses[link]])
        rack.run(["ping", "-c1", "-W2", one.addresses[link]])
    assert one.run(["hostname"]).stdout.strip() == "one"
    assert one.read("/etc/machine-id") != two.read("/etc/machine-id")
    assert own_interfaces() == before
    assert str(rack.folder) not in Path("/proc/self/mounts").read_text(encoding="utf-8")


def test_the_disk_survives_a_power_cut_and_the_services_notice_an_orderly_one(new_rack: NewRack) -> None:
    rack = new_rack("private")
    one = rack.add("one")
    one.power_on()
    one.write(
        "/etc/systemd/system/witness.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"
        "ExecStop=/bin/sh -c 'date >>/var/stopped'\n[Install]\nWantedBy=multi-user.target\n",
    )
    one.run(["systemctl", "enable", "--now", "witness"])
    one.run(["sync"])
    one.power_cut()
    assert not one.is_on

    one.power_on()
    assert one.unit("witness", "ActiveState") == {"ActiveState": "active"}
    assert one.run(["test", "-e", "/var/stopped"], check=False).returncode == 1, "the cut was not a cut"
    one.shutdown()
    assert not one.is_on

    one.power_on()
    assert one.read("/var/stopped").count("\n") == 1


def test_units_of_one_machine_never_meet_those_of_the_other(new_rack: NewRack) -> None:
    rack = new_rack("private")
    one, two = rack.add("one"), rack.add("two")
    for machine in (one, two):
        machine.power_on()
        machine.run(["systemd-run", "--unit=same-name", "sleep", "1000"])
    one.run(["systemctl", "stop", "same-name"])
    assert two.unit("same-name", "ActiveState") == {"ActiveState": "active"}


def test_a_killed_run_takes_its_machines_with_it_and_is_swept() -> None:
    script = (
        "from tests.machines.rack import Rack\nimport time\n"
        "with Rack() as rack:\n machine = rack.add('one')\n machine.power_on()\n"
        " print(rack.name, machine._leader, flush=True)\n time.sleep(600)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)
    assert run.stdout is not None
    with run.stdout:
        name, leader = run.stdout.readline().split()
        run.kill()
        run.wait()
    wait_for(
        lambda: not Path(f"/proc/{leader}/root/etc").exists(),
        within_s=20,
        what="the machine ends with its owner",
    )
    assert name in sweep()
    assert not (STATE / name).exists()
    assert name not in ip("netns", "list")
    assert not any((hierarchy / name).exists() for hierarchy in cgroups.hierarchies())


def test_a_rack_in_use_is_not_swept() -> None:
    with Rack() as rack:
        assert rack.name not in sweep()
        assert rack.folder.exists()
    assert not rack.folder.exists()


def test_no_machine_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PermissionError):
        Rack()
