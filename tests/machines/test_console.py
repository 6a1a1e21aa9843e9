"""servwebd under a real systemd: as a user of its own, in its sandbox, and still able to do its work."""

from __future__ import annotations

import json
import re

import pytest

from tests.machines.conftest import NewRack
from tests.machines.machine import Machine
from tests.machines.wait import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

WITHIN_S = 60.0
UNIT = "servwebd.service"
PASSWORD = "correct horse"
EXPOSURE_MAX = 2.0
URL = "https://127.0.0.1:7700/api/v1/session"
PSS_MAX_KIB = 40 * 1024


def asked(node: Machine, *words: str) -> dict[str, object]:
    done = node.run(["curl", "-sk", "--max-time", "20", *words, URL], check=False)
    return dict(json.loads(done.stdout)) if done.stdout else {}


def test_the_console_works_inside_its_sandbox(new_rack: NewRack) -> None:
    node = new_rack("private").add("node1")
    node.install_servha()
    node.power_on()
    node.run(["useradd", "--system", "--home-dir", "/var/lib/servha-web", "servha-web"])
    node.write("/run/password", PASSWORD)
    node.run(["systemctl", "enable", "--now", "servhad.service"])
    init = "cluster init --name one --node node1 --link private=private --profile fast --password-file=/run/password"
    node.run(["/usr/share/servha/bin/servha", *init.split()])

    node.run(["systemctl", "start", UNIT])
    wait_for(lambda: "session" in asked(node), within_s=WITHIN_S, what="the console answers")
    login = asked(node, "-H", "Content-Type: application/json", "-d", json.dumps({"password": PASSWORD}))
    assert isinstance(login["session"], dict), login
    assert login["session"]["right"] == "administrator", "it reaches servhad by its socket"

    said = node.run(["systemd-analyze", "security", "--no-pager", UNIT]).stdout
    exposure = re.search(r"Overall exposure level .*: ([0-9.]+)", said)
    assert exposure is not None, said
    assert float(exposure[1]) <= EXPOSURE_MAX, said

    pid = node.unit(UNIT, "MainPID")["MainPID"]
    status = node.run(["cat", f"/proc/{pid}/status"]).stdout
    number = node.run(["id", "-u", "servha-web"]).stdout.strip()
    assert re.search(rf"^Uid:\s+{number}\s+{number}\s", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    pss = re.search(r"^Pss:\s+(\d+) kB", node.run(["cat", f"/proc/{pid}/smaps_rollup"]).stdout, re.MULTILINE)
    assert pss is not None
    print(f"exposure {exposure[1]}, {int(pss[1]) / 1024:.1f} MiB")
    assert int(pss[1]) <= PSS_MAX_KIB

    node.run(["systemctl", "stop", UNIT])
    assert node.unit(UNIT, "Result")["Result"] == "success"
