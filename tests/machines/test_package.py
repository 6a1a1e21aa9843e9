"""The Debian package, by dpkg on a booted machine: installs, replaces itself under a running daemon, leaves nothing."""

from __future__ import annotations

import pytest

from tests.machines.bundles import NOW, bring, difference, every_file, package
from tests.machines.conftest import NewRack

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


def written_by_dpkg(path: str) -> bool:
    """Its own log, lists and caches."""
    return path.startswith(
        ("/var/lib/dpkg", "/var/log/dpkg.log", "/var/log/alternatives.log", "/etc/ld.so.cache")
    )


def test_installs_upgrades_and_purges_to_the_last_file(new_rack: NewRack) -> None:
    machine = new_rack("private").add("node1")
    machine.power_on()
    bring(machine, package(NOW), to="/tmp")
    before = every_file(machine)

    machine.run(["dpkg", "--force-unsafe-io", "--install", f"/tmp/{package(NOW).name}"], timeout_s=120)
    machine.run(
        ["servha", "cluster", "init", "--name", "one", "--node", "node1", "--link", "private=private"]
    )
    key = machine.read("/etc/servha/cluster.key")
    guard = machine.unit("servha-guardd.service", "MainPID", "ActiveState")
    assert guard["ActiveState"] == "active"
    page = machine.run(["curl", "-sk", "--max-time", "20", "https://127.0.0.1:7700/"]).stdout
    assert "importmap" in page, "the console shows its pages"

    # The same once more: dpkg replaces it under the running daemons, as with another version.
    machine.run(["dpkg", "--force-unsafe-io", "--install", f"/tmp/{package(NOW).name}"], timeout_s=120)
    assert machine.run(["servha", "--version"]).stdout == f"servha {NOW}\n"
    for unit in ("servhad.service", "servha-guardd.service", "servwebd.service"):
        assert machine.unit(unit, "ActiveState", "UnitFileState") == {
            "ActiveState": "active",
            "UnitFileState": "enabled",
        }
    assert machine.read("/etc/servha/cluster.key") == key

    machine.run(["dpkg", "--remove", "servha"], timeout_s=120)
    assert machine.read("/etc/servha/cluster.key") == key
    machine.run(["dpkg", "--purge", "servha"], timeout_s=120)
    left = {
        path: said
        for path, said in difference(before, every_file(machine)).items()
        if not written_by_dpkg(path)
    }
    assert not left
    assert machine.run(["systemctl", "is-system-running"]).stdout == "running\n"
