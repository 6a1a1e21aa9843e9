"""The lab keeps its own promises: what a node loses, what it keeps, what it cannot do to this machine."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from servha.lab import attempts, cgroup, disk, namespace, probe
from servha.lab.attempts import Attempt
from servha.lab.lab import Lab
from servha.lab.layout import DISKS, NETNS, RUN, VIRTUAL_ADDRESS, Layout
from servha.lab.node import Node
from servha.lab.trouble import Exit, LabError
from tests.live.conftest import LabMaker, new_name
from tests.live.observer import HeldTwice, watching


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


def eventually(condition: Callable[[], object], *, within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


# --- building and removing


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


def test_a_name_is_taken_once_and_an_unknown_one_is_said(bare_lab: Lab) -> None:
    with pytest.raises(LabError) as taken:
        Lab.up(bare_lab.name, services=[])
    with pytest.raises(LabError) as unknown:
        Lab.find("nobody-made-this")
    assert (taken.value.code, unknown.value.code) == (Exit.EXISTS, Exit.NO_SUCH)
    assert bare_lab.node1.power == "on", "the refusal did not harm the one that is there"


# --- power


def frames_while(lab: Lab, sources: set[bytes], during: Callable[[], float]) -> tuple[float, list[float]]:
    """Listen at the whole switch while `during` runs; return its answer and the times of frames from `sources`."""
    with namespace.inside(lab.layout.namespace("switch")):
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    so_rcvbufforce = 33
    so_timestampns = 35  # the kernel's own clock reading at arrival, in CLOCK_REALTIME
    ear.setsockopt(socket.SOL_SOCKET, so_timestampns, 1)
    ear.setsockopt(socket.SOL_SOCKET, so_rcvbufforce, 64 << 20)
    ear.settimeout(0.3)
    offset_s = time.clock_gettime(time.CLOCK_REALTIME) - time.monotonic()
    heard: list[float] = []
    ended = threading.Event()

    def listen() -> None:
        while True:
            try:
                frame, control, _, _ = ear.recvmsg(64, 128)
            except TimeoutError:
                if ended.is_set():
                    return
                continue
            if frame[6:12] in sources:
                seconds, nanoseconds = struct.unpack("qq", control[0][2])
                heard.append(seconds + nanoseconds / 1e9 - offset_s)

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        dark_at_s = during()
    finally:
        ended.set()
        listener.join()
        ear.close()
    return dark_at_s, heard


def test_after_a_power_off_not_one_frame_leaves_the_node(bare_lab: Lab) -> None:
    node = bare_lab.node1
    flood = (
        "import socket\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "while True:\n"
        "    s.sendto(b'x' * 100, ('192.0.2.2', 9)); s.sendto(b'x' * 100, ('198.51.100.2', 9))\n"
    )
    node.run("/opt/demo/start")
    sources = {bytes.fromhex(node.layout.mac(link).replace(":", "")) for link in ("public", "private")}
    with namespace.inside(bare_lab.layout.namespace("client")):
        # An open connection: a process that dies of a signal would send its end.
        connection = socket.create_connection(("192.0.2.1", 80), timeout=5)

    def power_off() -> float:
        with node.popen("python3", "-c", flood) as sender:
            rows = bare_lab.node2.root.parent / "net" / "snmp"
            assert eventually(lambda: udp_datagrams(rows) > 1000), "the flood arrives at the other node"
            dark_at_s = node.poweroff().dark_at_s
            sender.wait(5)
        return dark_at_s

    dark_at_s, heard = frames_while(bare_lab, sources, power_off)
    connection.close()
    assert len(heard) > 1000, "the ear hears"
    assert [at_s - dark_at_s for at_s in heard if at_s > dark_at_s] == []


def udp_datagrams(table: Path) -> int:
    """NoPorts: nobody listens on the discard port, so every datagram of the flood counts there."""
    rows = [line.split() for line in table.read_text().splitlines() if line.startswith("Udp:")]
    return int(dict(zip(*rows, strict=True))["NoPorts"])


def test_a_power_off_keeps_what_was_synced_and_loses_the_rest(bare_lab: Lab) -> None:
    node = bare_lab.node1
    node.run("sh", "-c", "mkdir /mnt/data && mount /dev/servha/data /mnt/data")
    for place in ("/var/lib/servha", "/mnt/data"):
        node.run("sh", "-c", f"cd {place} && echo kept >kept && sync kept . && echo lost >lost")
    node.run("sh", "-c", "echo lost >/run/lost; echo lost >/tmp/lost")
    node.poweroff()
    assert node.read("/var/lib/servha/kept") == "kept\n", "the disk can be read while it is off"
    listing = bare_lab.node2.run(
        "sh", "-c", "mkdir /mnt/data && mount /dev/servha/data /mnt/data && ls /mnt/data"
    )
    assert listing.stdout.split() == ["kept", "lost+found"]
    node.boot()
    assert node.run("ls", "/var/lib/servha").stdout.split() == ["kept"]
    assert node.run("sh", "-c", "ls /run/lost /tmp/lost", check=False).returncode != 0


def test_a_boot_is_a_new_life_of_the_same_machine(bare_lab: Lab) -> None:
    node = bare_lab.node1
    node.run("ip", "addr", "add", f"{VIRTUAL_ADDRESS}/24", "dev", "pub0")
    node.run("nft", "add", "table", "inet", "left")
    constant = "cat /etc/machine-id /sys/class/net/pub0/address /sys/class/net/priv0/address; hostname"
    boot_id, same = (
        node.run("cat", "/proc/sys/kernel/random/boot_id").stdout,
        node.run("sh", "-c", constant).stdout,
    )
    assert boot_id != Path("/proc/sys/kernel/random/boot_id").read_text()
    node.poweroff()
    node.boot()
    assert node.run("cat", "/proc/sys/kernel/random/boot_id").stdout != boot_id
    assert node.run("sh", "-c", constant).stdout == same
    assert VIRTUAL_ADDRESS not in node.run("ip", "addr").stdout
    assert node.run("nft", "list", "ruleset").stdout == ""


def test_a_power_off_takes_the_carrier_of_the_direct_cable_at_the_peer(bare_lab: Lab) -> None:
    def carrier(link: str) -> str:
        return bare_lab.node2.run("cat", f"/sys/class/net/{link}/carrier").stdout.strip()

    assert (carrier("pub0"), carrier("priv0")) == ("1", "1")
    bare_lab.node1.poweroff()
    assert (carrier("pub0"), carrier("priv0")) == ("1", "0")
    bare_lab.node1.boot()
    assert (carrier("pub0"), carrier("priv0")) == ("1", "1")


@pytest.mark.parametrize(
    "order",
    [
        "echo b >/proc/sysrq-trigger 2>/dev/null || echo b >/dev/sysrq-trigger",
        "python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x01234567)'",
    ],
    ids=["sysrq", "reboot"],
)
def test_a_node_that_resets_itself_goes_dark_and_boots_again_alone(bare_lab: Lab, order: str) -> None:
    before = Path("/proc/sys/kernel/random/boot_id").read_text()
    boot_id = bare_lab.node1.run("cat", "/proc/sys/kernel/random/boot_id").stdout
    bare_lab.node1.run("sh", "-c", order, check=False)
    assert eventually(lambda: bare_lab.node1.power == "off")
    assert bare_lab.client("ping", "-c1", "-W1", "192.0.2.1").returncode != 0
    assert eventually(lambda: bare_lab.node1.power == "on" and answers(bare_lab))
    assert bare_lab.node1.run("cat", "/proc/sys/kernel/random/boot_id").stdout != boot_id
    assert Path("/proc/sys/kernel/random/boot_id").read_text() == before, "this machine is the same"
    assert bare_lab.node2.power == "on"


def answers(lab: Lab) -> bool:
    return lab.client("ping", "-c1", "-W1", "192.0.2.1").returncode == 0


def test_a_node_whose_init_dies_goes_dark_and_stays_off(bare_lab: Lab) -> None:
    pid = bare_lab.node1.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: bare_lab.node1.power == "off")
    assert bare_lab.client("ping", "-c1", "-W1", "192.0.2.1").returncode != 0
    bare_lab.node1.boot()
    assert answers(bare_lab)


def test_a_watchdog_that_is_not_fed_ends_the_node_and_one_that_is_disarmed_does_not(bare_lab: Lab) -> None:
    program = (
        "import socket, sys, time\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('/dev/watchdog')\n"
        "s.send(b'timeout 0.3'); assert s.recv(64) == b'0.3'\n"
        "for _ in range(10): s.send(b'pet'); s.recv(64); time.sleep(0.1)\n"
        "if sys.argv[1] == 'disarm': s.send(b'V'); s.recv(64)\n"
        "print('fed for a second')\n"
    )
    said = bare_lab.node1.run("python3", "-c", program, "disarm").stdout
    assert said == "fed for a second\n"
    time.sleep(0.5)  # longer than the watchdog would have waited
    assert bare_lab.node1.power == "on"
    bare_lab.node1.run("python3", "-c", program, "die", check=False)
    assert eventually(lambda: bare_lab.node1.power == "off", within_s=2)


def test_a_node_cannot_change_the_kernel_it_shares(bare_lab: Lab) -> None:
    run = bare_lab.node1.run
    assert run("sh", "-c", "echo 1 >/proc/sys/vm/panic_on_oom", check=False).returncode != 0
    assert run("sh", "-c", "echo 0 >/sys/block/loop0/queue/nr_requests", check=False).returncode != 0
    assert run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward").returncode == 0, "its own network it may"
    assert Path("/proc/sys/kernel/hostname").read_text() != "node1\n"
    assert "watchdog" in run("ls", "/dev").stdout
    assert not set(run("sh", "-c", "ls -d /dev/sd* /dev/vd* /dev/nvme*", check=False).stdout.split())


# --- links


@pytest.mark.parametrize(("direction", "heard_by_peer"), [("in", True), ("out", False)])
def test_a_one_way_cut_stops_one_way_and_keeps_the_carrier(
    bare_lab: Lab, direction: str, *, heard_by_peer: bool
) -> None:
    one, two = bare_lab.nodes
    for node, peer in ((one, two), (two, one)):
        # Without a fixed entry the question for the address would have to come through both ways.
        node.run("ip", "neigh", "replace", peer.layout.address("private"), "lladdr", peer.layout.mac("private"),
                 "dev", "priv0", "nud", "permanent")  # fmt: skip
    bare_lab.cut("private", "node1", direction=direction)
    assert arrives(one, two) is heard_by_peer
    assert arrives(two, one) is not heard_by_peer
    assert one.run("cat", "/sys/class/net/priv0/carrier").stdout == "1\n"
    bare_lab.heal()
    assert arrives(one, two)
    assert arrives(two, one)


def arrives(sender: Node, receiver: Node) -> bool:
    """Whether datagrams on the direct cable arrive; both ends are sockets of this process in the nodes' namespaces."""
    with namespace.inside(receiver.namespace):
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with namespace.inside(sender.namespace):
        mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with ear, mouth:
        ear.bind((receiver.layout.address("private"), 5000))
        ear.settimeout(0.3)
        mouth.sendto(b"hear me", (receiver.layout.address("private"), 5000))
        try:
            return ear.recv(16) == b"hear me"
        except TimeoutError:
            return False


def test_a_cut_survives_the_reboot_of_the_node_and_heal_mends_it(bare_lab: Lab) -> None:
    bare_lab.cut("public", "node1")
    bare_lab.cut("private", "node1", direction="in")
    assert bare_lab.node1.run("cat", "/sys/class/net/pub0/carrier").stdout == "0\n"
    bare_lab.node1.poweroff()
    bare_lab.node1.boot()
    assert bare_lab.node1.run("cat", "/sys/class/net/pub0/carrier").stdout == "0\n"
    assert not arrives(bare_lab.node2, bare_lab.node1)
    bare_lab.heal()
    assert bare_lab.node1.run("cat", "/sys/class/net/pub0/carrier").stdout == "1\n"
    assert eventually(lambda: arrives(bare_lab.node2, bare_lab.node1)), "after ARP has tried again"


def test_a_lossy_link_loses_about_what_it_should(bare_lab: Lab) -> None:
    bare_lab.cut("public", "node1", direction="in", loss_percent=30)
    said = bare_lab.client("ping", "-q", "-i", "0.002", "-c", "500", "-W", "1", "192.0.2.1").stdout
    lost = float(said.partition("% packet loss")[0].rpartition(" ")[2])
    assert 20 < lost < 40


# --- freezing


def test_a_frozen_node_does_nothing_and_runs_on_when_thawed(bare_lab: Lab) -> None:
    bare_lab.node1.run("/opt/demo/start")
    with probe.running(bare_lab, url="http://192.0.2.1/who") as p:
        p.wait_answer()
        bare_lab.node1.freeze()
        frozen_at_s = time.monotonic()
        assert bare_lab.node1.power == "frozen"
        with pytest.raises(LabError):
            bare_lab.node1.run("true")
        assert eventually(lambda: any(b.start_s < time.monotonic() - 0.3 for b in p.blackouts()))
        assert not [a for a in p.attempts() if a.good and a.start_s > frozen_at_s]
        bare_lab.node1.thaw()
        p.wait_answer(who="node1")


# --- the probing client


def test_the_probe_measures_a_known_blackout(bare_lab: Lab) -> None:
    bare_lab.node1.run("/opt/demo/start")
    with (
        probe.running(bare_lab, url="http://192.0.2.1/who") as http,
        probe.running(bare_lab, icmp="192.0.2.1") as icmp,
    ):
        http.wait_answer()
        icmp.wait_answer()
        before_s = time.monotonic()
        bare_lab.cut("public", "node1", direction="in")
        cut_s = time.monotonic()
        time.sleep(0.4)
        heal_s = time.monotonic()
        bare_lab.heal()
        healed_s = time.monotonic()
        http.wait_answer()
        icmp.wait_answer()
    for seen, every_s in ((http, probe.HTTP_EVERY_S), (icmp, probe.ICMP_EVERY_S)):
        (blackout,) = seen.blackouts()
        assert blackout.length_s >= heal_s - cut_s
        # Half of a busy machine's scheduling delay may fall on either end.
        assert blackout.length_s <= healed_s - before_s + 2 * every_s + 0.1


def test_answers_without_a_pause_are_no_blackout(bare_lab: Lab) -> None:
    bare_lab.node2.run("/opt/demo/start")
    with probe.running(bare_lab, url="http://192.0.2.2/who") as p:
        p.wait_answer()
        assert eventually(lambda: len(p.attempts()) > 100)
    assert p.blackouts() == []
    assert set(p.answered_by()) == {"node2"}


def test_a_client_that_slept_itself_saw_no_blackout() -> None:
    seen = [Attempt(t, t + 0.001, "200", "node1") for t in (0.0, 0.01, 0.02, 5.0, 5.01)]
    assert attempts.blackouts(seen) == []


def test_a_blackout_without_an_end_is_endless() -> None:
    seen = [Attempt(0.0, 0.01, "200", "node1"), Attempt(0.01, 0.51, "timeout", "")]
    (blackout,) = attempts.blackouts(seen)
    assert blackout.end_s is None
    assert blackout.length_s == float("inf")


# --- the witness


def test_the_witness_sees_an_address_that_is_on_both_nodes(bare_lab: Lab) -> None:
    def add(node: str) -> None:
        bare_lab.node(node).run("ip", "addr", "add", f"{VIRTUAL_ADDRESS}/24", "dev", "pub0")

    def both_in_turn() -> None:
        with watching(bare_lab) as seen:
            add("node1")
            seen.await_holders("address", "node1")
            add("node2")
            seen.await_holders("address", "node1", "node2")

    with pytest.raises(HeldTwice, match="address"):
        both_in_turn()


def test_the_witness_follows_address_application_and_disk(bare_lab: Lab) -> None:
    one, two = bare_lab.nodes
    then_s = 0.0
    with watching(bare_lab) as seen:
        for node in (one, two):
            node.run("ip", "addr", "add", f"{VIRTUAL_ADDRESS}/24", "dev", "pub0")
            node.run("sh", "-c", "mkdir -p /mnt/data && mount /dev/servha/data /mnt/data && /opt/demo/start")
            for thing in ("address", "application", "disk"):
                seen.await_holders(thing, node.name)
            if node is one:
                then_s = time.monotonic()
                node.poweroff()
                for thing in ("address", "application", "disk"):
                    seen.await_holders(thing)
    assert seen.holders("disk", then_s) == {"node1"}
    assert seen.holders("disk", time.monotonic()) == {"node2"}
