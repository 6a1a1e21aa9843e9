"""The collection and the offline installer together: installed by site.yml, upgraded under load, uninstalled."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.machines.bundles import NEXT, NOW, difference, every_file, installer
from tests.machines.conftest import NewRack
from tests.machines.controller import Controller
from tests.machines.rack import Rack
from tests.machines.test_site import ADDRESS, UNIT, WITHIN_S, as_told, inventory, runs_on
from tests.machines.wait import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


class Client:
    """Asks the application ten times a second, and notes the longest time without an answer."""

    def __init__(self, rack: Rack) -> None:
        self._rack = rack
        self._ended = threading.Event()
        self.answers = 0
        self.longest_s = 0.0

    @contextmanager
    def asking(self) -> Iterator[None]:
        thread = threading.Thread(target=self._ask)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _ask(self) -> None:
        answered_s = time.monotonic()
        while not self._ended.is_set():
            with suppress(subprocess.CalledProcessError):  # no answer is a measurement
                self._rack.run(
                    ["curl", "-sf", "-o", "/dev/null", "--max-time", "1", f"http://{ADDRESS}:8080/"]
                )
                self.answers += 1
                answered_s = time.monotonic()
            self._ended.wait(0.1)
            self.longest_s = max(self.longest_s, time.monotonic() - answered_s)


def test_installed_upgraded_under_load_and_taken_off_to_the_last_file(
    new_rack: NewRack, tmp_path: Path
) -> None:
    rack = new_rack("private", "public")
    controller = Controller(rack, tmp_path, link="public")
    machines = [rack.add("node1"), rack.add("node2")]
    for machine in machines:
        machine.put("/etc/systemd/system/app.service", UNIT)
        controller.welcome(machine)
        machine.power_on()
    one, two = machines
    before = [every_file(machine) for machine in machines]
    whole = inventory(controller, machines)
    given = whole["servha"]["vars"]

    given["runtime_bundle"] = str(installer(NOW))
    played = controller.play("site", whole)
    assert played.status == 0, played.said
    wait_for(lambda: runs_on(two) == ["node1"], within_s=WITHIN_S, what="both know that it runs on node1")

    # The standby first; what runs is not moved, and nobody who uses it notices.
    given["runtime_bundle"] = str(installer(NEXT))
    pid = one.unit("app.service", "MainPID")
    client = Client(rack)
    with client.asking():
        played = controller.play("upgrade", whole)
    assert played.status == 0, played.said
    assert played.said.index("changed: [node2]") < played.said.index("changed: [node1]"), played.said
    assert [machine.run(["servha", "--version"]).stdout for machine in machines] == [f"servha {NEXT}\n"] * 2
    assert one.unit("app.service", "MainPID") == pid
    assert client.answers > 10
    assert client.longest_s < 1.5, "a request may be slow on a busy machine; an outage is longer"
    played = controller.play("upgrade", whole)
    assert (played.status, played.changed) == (0, {"node1": 0, "node2": 0}), played.said

    # A node that is not well ends it before anything is changed.
    two.run(["systemctl", "stop", "servhad.service"])
    played = controller.play("upgrade", whole)
    assert played.status != 0
    assert "The cluster is not healthy" in as_told(played)
    assert sum(played.changed.values()) == 0
    two.run(["systemctl", "start", "servhad.service"])

    # Nothing is taken off without a word, or beside what runs.
    played = controller.play("uninstall", whole)
    assert "uninstall_confirmed=yes" in as_told(played)
    played = controller.play("uninstall", whole, "-e", "uninstall_confirmed=yes")
    assert "Resource trees may be running on node1: web" in as_told(played)
    assert sum(played.changed.values()) == 0
    one.run(["servha", "tree", "stop", "web", "--yes"])
    played = controller.play("uninstall", whole, "-e", "uninstall_confirmed=yes")
    assert (played.status, played.changed) == (0, {"node1": 1, "node2": 1}), played.said
    for machine, as_it_was in zip(machines, before, strict=True):
        left = difference(as_it_was, every_file(machine))
        assert not [path for path in left if not path.startswith("/root/.ansible")], left
