"""A lab is built, stands beside others, and goes without a trace, whatever happened to it or its builder."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from servha.lab import cgroup, disk
from servha.lab.lab import Lab
from servha.lab.layout import DISKS, NETNS, RUN, Layout
from servha.lab.trouble import Exit, LabError
from tests.live.conftest import LabMaker, new_name
from tests.live.wait import eventually


def remains(name: str) -> list[str]:
    """Everything on this machine that carries a lab's name."""
    found = [str(place) for top in (RUN, DISKS) if top.exists() for place in top.glob(f"{name}*")]
    found += [str(place) for place in NETNS.glob(f"servha-{name}-*")]
    found += [str(place) for place in cgroup.hierarchy().glob(f"servha-lab-{name}*")]
    found += map(str, disk.devices_of(Layout(name)))
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"/{name}/" in line]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if name.encode() in words:
            found.append(f"{process}: {words!r}")
    return found


def interfaces_here() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def test_two_labs_have_the_same_addresses_and_do_not_meet(make_lab: LabMaker) -> None:
    one, two = make_lab(), make_lab()
    one.node1.run("sh", "-c", "echo one >/etc/which")
    two.node1.run("sh", "-c", "echo two >/etc/which")
    assert one.node1.run("cat", "/etc/which").stdout == "one\n"
    assert not Path("/etc/which").exists()
    one.node1.poweroff()
    assert one.client("ping", "-c1", "-W1", "192.0.2.1").returncode != 0
    assert two.client("ping", "-c1", "-W1", "192.0.2.1").returncode == 0


def test_nothing_is_left_after_down(bare_lab: Lab) -> None:
    assert len(remains(bare_lab.name)) > 15, "the search finds a lab that is there"
    node = bare_lab.node1
    node.run("sh", "-c", "mkdir /mnt/data && mount /dev/servha/data /mnt/data && echo x >/mnt/data/x")
    with node.popen("sh", "-c", "cd /mnt/data && exec sleep 1000") as sleeper:
        assert eventually(lambda: cgroup.members(node.layout.cgroup / "user.slice"))
        bare_lab.cut("public", "node1", direction="in")
        bare_lab.node2.freeze()
        bare_lab.down()
        assert sleeper.wait(5) != 0
    assert remains(bare_lab.name) == []
    assert not {
        name for name in interfaces_here() if name.startswith(("node1-", "node2-", "br-public", "cable"))
    }


@pytest.mark.parametrize("after_ms", [20, 60, 100, 140, 180, 240, 300])
def test_a_lab_whose_builder_died_can_be_removed(after_ms: int) -> None:
    name = new_name()
    code = f"from servha.lab.lab import Lab; Lab.up({name!r}, services=[]); print('up')"
    with subprocess.Popen([sys.executable, "-c", code]) as builder:
        time.sleep(after_ms / 1000)  # where it is by then does not matter: that is the point
        builder.kill()
    Lab(name).down()
    assert remains(name) == []


def test_a_lab_whose_hardware_processes_died_can_be_removed(bare_lab: Lab) -> None:
    for node in bare_lab.nodes:
        cgroup.kill(node.layout.machine_cgroup, within_s=5)
    assert bare_lab.node1.run("hostname").stdout == "node1\n"
    bare_lab.down()
    assert remains(bare_lab.name) == []


ADDED_MEANWHILE = """
import subprocess
from pathlib import Path
from servha.lab import namespace

subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
namespace.add("ours")
subprocess.run(["ip", "netns", "add", "theirs"], check=True)
seen = Path("/proc/self/mountinfo").read_text().count("/run/netns/ours ")
namespace.remove("ours")
left = Path("/proc/self/mountinfo").read_text().count("/run/netns/ours ")
print(seen, left, *(place.name for place in Path("/run/netns").iterdir()))
"""


def test_a_namespace_goes_although_the_first_ip_netns_add_has_hidden_it() -> None:
    inside = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", ADDED_MEANWHILE]
    told = subprocess.run(inside, capture_output=True, text=True, check=True, timeout=30).stdout
    assert told == "2 0 theirs\n", "mounted twice before, not at all afterwards, and the other one stays"


def test_a_name_is_taken_once_and_an_unknown_one_is_said(bare_lab: Lab) -> None:
    with pytest.raises(LabError) as taken:
        Lab.up(bare_lab.name, services=[])
    with pytest.raises(LabError) as unknown:
        Lab.find("nobody-made-this")
    assert (taken.value.code, unknown.value.code) == (Exit.EXISTS, Exit.NO_SUCH)
    assert bare_lab.node1.power == "on", "the refusal did not harm the one that is there"
