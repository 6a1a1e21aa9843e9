"""Moves and drills ordered by a playbook: refused while the standby is not ready, measured where the users are."""

from __future__ import annotations

import copy
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.machines.conftest import NewRack
from tests.machines.controller import Controller
from tests.machines.site import ADDRESS, booted, inventory, runs_on, status
from tests.machines.wait import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

WITHIN_S = 60.0
URL = f"http://{ADDRESS}:8080/"
OUTAGE = re.compile(r"(\w+) -> (\w+), no answer for (\d+) ms")


def test_a_drill_is_refused_until_the_standby_is_ready_and_tells_how_long_users_had_no_answer(
    new_rack: NewRack, tmp_path: Path
) -> None:
    rack = new_rack("private", "public")
    controller = Controller(rack, tmp_path, link="public")
    machines = booted(rack, controller)
    one, two = machines
    whole = inventory(controller, machines)
    whole["servha"]["vars"]["cluster_profile"] = "fast"
    assert controller.play("site", whole).status == 0
    wait_for(lambda: runs_on(two) == ["node1"], within_s=WITHIN_S, what="both know that it runs on node1")
    wait_for(
        lambda: controller.play("switch", whole, "--check", "-e", "switch_tree=web").status == 0,
        within_s=WITHIN_S,
        what="the standby is ready",
    )
    assert runs_on(one) == ["node1"], "with --check nothing moves"

    played = controller.play("switch", whole, "-e", "switch_tree=web", "-e", "switch_node=node2")
    assert (played.status, sum(played.changed.values())) == (0, 1), played.said
    assert runs_on(two) == ["node2"]
    played = controller.play("switch", whole, "-e", "switch_tree=web", "-e", "switch_node=node2")
    assert (played.status, sum(played.changed.values())) == (0, 0), played.said

    # In maintenance the standby is not ready: the drill names it and moves nothing.
    two.run(
        ["/usr/share/servha/bin/servha", "node", "maintenance", "node1", "on", "--reason", "new disk", "-y"]
    )
    drill = ("-e", "drill_tree=web", "-e", f"drill_url={URL}")
    played = controller.play("drill", whole, *drill)
    assert played.status != 0
    assert "node1 is in maintenance: new disk" in played.words, played.said
    assert runs_on(two) == ["node2"]
    two.run(["/usr/share/servha/bin/servha", "node", "maintenance", "node1", "off", "-y"])

    # A planned move, which is what a drill is unless something else is asked for.
    played = controller.play("drill", whole, *drill, "-e", "drill_within_s=20")
    assert played.status == 0, played.said
    report = OUTAGE.search(played.words)
    assert report is not None, played.said
    assert (report[1], report[2]) == ("node2", "node1")
    assert int(report[3]) < 10_000
    assert runs_on(one) == ["node1"]

    # The power of a server is taken only by somebody who names the cluster.
    poweroff = (*drill, "-e", "drill_kind=poweroff")
    played = controller.play("drill", whole, *poweroff)
    assert played.status != 0
    assert "-e drill_confirm=clinic" in played.words, played.said
    assert runs_on(one) == ["node1"]

    # Bad input stops before anything is changed: another password than the cluster's, and what the daemon refuses.
    before = status(one)["config"]["generation"]
    wrong = copy.deepcopy(whole)
    wrong["servha"]["vars"]["cluster_password"] = "wrong horse"
    played = controller.play("site", wrong)
    assert played.status != 0
    assert "cluster_password is not the password of the cluster" in played.words
    assert sum(played.changed.values()) == 0, played.said
    wrong = copy.deepcopy(whole)
    wrong["servha"]["vars"]["trees_declared"][0]["resources"][0]["settings"]["nic"] = "eth77"
    played = controller.play("site", wrong)
    assert played.status != 0
    assert "eth77" in played.words
    assert sum(played.changed.values()) == 0, played.said
    assert status(one)["config"]["generation"] == before
    assert runs_on(one) == ["node1"]

    # What is off answers nobody: a machine that has switched itself off still has its wires, which a server has not.
    with ThreadPoolExecutor(1) as beside:
        playing = beside.submit(
            controller.play,
            "drill",
            whole,
            *poweroff,
            "-e",
            "drill_confirm=clinic",
            "-e",
            "drill_within_s=90",
        )
        wait_for(lambda: playing.done() or not one.is_on, within_s=WITHIN_S, what="node1 is off")
        one.power_cut()
        played = playing.result()
    assert played.status == 0, played.said
    report = OUTAGE.search(played.words)
    assert report is not None, played.said
    assert (report[1], report[2]) == ("node1", "node2")
    assert 100 <= int(report[3]) <= 30_000
    assert runs_on(two) == ["node2"]
