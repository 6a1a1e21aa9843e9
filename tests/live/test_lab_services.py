"""The node's init keeps a service running the way systemd would."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from servha.lab import cgroup
from servha.lab.lab import Lab
from servha.lab.node import Node
from servha.lab.service import Unit
from servha.lab.trouble import Exit, LabError
from tests.live.conftest import LabMaker
from tests.live.wait import eventually

# Says it is ready, starts a child in a control group of its own, feeds its watchdog until /run/starve exists.
STAND_IN = """
import os, socket, subprocess, time
def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
own = "/sys/fs/cgroup" + open("/proc/self/cgroup").read().rpartition("::")[2].strip()
if not os.path.exists(own + "/child"):
    os.mkdir(own + "/child")
    child = subprocess.Popen(["sleep", "1000"])
    open(own + "/child/cgroup.procs", "w").write(str(child.pid))
print("hello from", os.getpid(), flush=True)
say("READY=1\\nSTATUS=working")
while True:
    if not os.path.exists("/run/starve"):
        say("WATCHDOG=1")
    time.sleep(0.05)
"""


@pytest.fixture
def lab_with_service(make_lab: LabMaker) -> Lab:
    lab = make_lab([Unit("standin", ["python3", "-c", STAND_IN], watchdog_s=0.5)])
    for node in lab.nodes:
        node.service("start", "standin")
    return lab


def shown(node: Node) -> dict[str, Any]:
    its: dict[str, Any] = node.service("status", "standin")["standin"]
    return its


def child_of(node: Node) -> list[int]:
    return cgroup.members(node.layout.cgroup / "system.slice" / "standin.service" / "child")


def test_a_service_that_said_it_is_ready_is_active(lab_with_service: Lab) -> None:
    its = shown(lab_with_service.node1)
    assert (its["state"], its["status"], its["restarts"]) == ("active", "working", 0)


def test_a_killed_service_is_back_at_once_and_its_child_never_noticed(lab_with_service: Lab) -> None:
    node = lab_with_service.node1
    before, child = shown(node), child_of(node)
    assert len(child) == 1
    node.run("kill", "-KILL", str(before["pid"]))
    assert eventually(lambda: shown(node)["state"] == "active" and shown(node)["restarts"] == 1, within_s=3)
    assert shown(node)["pid"] != before["pid"]
    assert shown(node)["last_result"] == "signal SIGKILL"
    assert child_of(node) == child


def test_stopping_leaves_the_child_and_starting_adopts_the_group(lab_with_service: Lab) -> None:
    node = lab_with_service.node1
    child = child_of(node)
    assert node.service("stop", "standin")["standin"]["state"] == "inactive"
    time.sleep(0.3)  # longer than the restart delay: it must not come back by itself
    assert shown(node)["state"] == "inactive"
    assert child_of(node) == child
    assert node.service("start", "standin")["standin"]["state"] == "active"
    assert child_of(node) == child


def test_restart_answers_when_the_new_one_is_ready(lab_with_service: Lab) -> None:
    node = lab_with_service.node1
    before = shown(node)["pid"]
    after = node.service("restart", "standin")["standin"]
    assert (after["state"], after["pid"] != before, after["restarts"]) == ("active", True, 0)


def test_a_service_that_does_not_feed_its_watchdog_is_aborted_and_started_anew(lab_with_service: Lab) -> None:
    node = lab_with_service.node1
    node.run("touch", "/run/starve")
    assert eventually(lambda: shown(node)["last_result"] == "signal SIGABRT", within_s=3)
    node.run("rm", "/run/starve")
    assert eventually(lambda: shown(node)["state"] == "active" and shown(node)["pid"])
    assert lab_with_service.node2.service("status", "standin")["standin"]["last_result"] == ""


def test_a_service_that_is_never_ready_does_not_count_as_started(bare_lab: Lab) -> None:
    unit = {"argv": ["sleep", "1000"], "start_limit_s": 0.3}
    with pytest.raises(LabError) as late:
        bare_lab.node1.service("add", "mute", unit=unit, within_s=1.0)
    assert late.value.code is Exit.TIMED_OUT
    assert eventually(
        lambda: bare_lab.node1.service("status", "mute")["mute"]["last_result"] == "signal SIGTERM"
    )


def test_a_service_starts_again_after_a_reboot(lab_with_service: Lab) -> None:
    node = lab_with_service.node1
    node.poweroff()
    node.boot()
    assert node.service("start", "standin")["standin"]["state"] == "active"


def test_a_stored_file_comes_back_to_the_next_life(bare_lab: Lab) -> None:
    program = (
        "import array, os, socket, time\n"
        "note = b'first life' if 'LISTEN_FDS' not in os.environ else os.pread(3, 64, 0)\n"
        "print(os.environ.get('LISTEN_FDNAMES'), note.decode(), flush=True)\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ['NOTIFY_SOCKET'])\n"
        "if note == b'first life':\n"
        "    file = os.memfd_create('note'); os.write(file, b'second life')\n"
        "    s.sendmsg([b'FDSTORE=1\\nFDNAME=note'], [(1, 1, array.array('i', [file]))])\n"
        "s.send(b'READY=1'); time.sleep(1000)\n"
    )
    node = bare_lab.node1
    node.service("add", "keeper", unit={"argv": ["python3", "-c", program]})
    node.service("kill", "keeper", signal=9)
    log = node.log / "keeper.log"
    assert eventually(lambda: log.read_text().splitlines() == ["None first life", "note second life"])


def test_an_unknown_service_is_said(bare_lab: Lab) -> None:
    with pytest.raises(LabError) as unknown:
        bare_lab.node1.service("restart", "nobody")
    assert unknown.value.code is Exit.NO_SUCH


def test_what_programs_log_becomes_lines_that_survive_a_power_off(bare_lab: Lab) -> None:
    node = bare_lab.node1
    native = (
        "import socket\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "s.sendto('MESSAGE=接管\\nSERVHA_TREE=web\\n'.encode(), '/run/systemd/journal/socket')\n"
    )
    node.run("python3", "-c", native)
    node.run("python3", "-c", "import syslog; syslog.openlog('old'); syslog.syslog(3, 'style')")

    def entries() -> list[dict[str, str]]:
        return [
            json.loads(line) for line in (node.log / "journal.jsonl").read_text(encoding="utf-8").splitlines()
        ]

    assert eventually(lambda: len(entries()) >= 3)
    node.poweroff()
    by_text = {entry["MESSAGE"]: entry for entry in entries()}
    assert by_text["接管"]["SERVHA_TREE"] == "web"
    assert (by_text["style"]["SYSLOG_IDENTIFIER"], by_text["style"]["PRIORITY"]) == ("old", "3")


def test_an_orderly_shutdown_stops_services_and_leaves_the_node_off(lab_with_service: Lab) -> None:
    node = lab_with_service.node1
    node.run("sh", "-c", "echo not-synced >/var/lib/servha/note")
    node.run("kill", "-TERM", "1", check=False)  # this shell ends with the rest
    assert eventually(lambda: node.power == "off")
    assert node.read("/var/lib/servha/note") == "not-synced\n", "an orderly end writes everything"
    assert "signal SIGTERM" in (node.log / "journal.jsonl").read_text()


def test_a_process_of_a_node_lives_in_the_node_only(bare_lab: Lab) -> None:
    """A power-off has to reach everything, so everything is below the node's control group from its first moment."""
    node = bare_lab.node1
    said = node.run("sh", "-c", "cat /proc/self/cgroup; ps -e -o pid= | wc -l").stdout
    assert "0::/user.slice\n" in said
    assert int(said.split()[-1]) < 10
    assert cgroup.members(node.layout.cgroup) == [], "all are further below"
