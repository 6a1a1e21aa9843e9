"""Power: what a node loses and keeps, how silent it is, and what it cannot do to the machine it runs on."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from servha.lab import namespace
from servha.lab.lab import Lab
from servha.lab.layout import VIRTUAL_ADDRESS
from tests.live.wait import eventually


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


def test_after_a_power_off_nothing_is_written_to_a_shared_disk(bare_lab: Lab) -> None:
    """The writer stamps the time at which it asked; a write may be on its way, but none begins after the dark."""
    writer = (
        "import mmap, os, struct, time\n"
        "disk = os.open('/dev/servha/quorum', os.O_WRONLY | os.O_DIRECT | os.O_DSYNC)\n"
        "block = mmap.mmap(-1, 4096)\n"
        "while True:\n"
        "    block[:8] = struct.pack('d', time.monotonic()); os.pwrite(disk, block, 0)\n"
    )
    node = bare_lab.node1

    def stamp_s() -> float:
        with bare_lab.layout.lun("quorum").open("rb") as image:
            return float(struct.unpack("d", image.read(8))[0])

    with node.popen("python3", "-c", writer):
        assert eventually(lambda: stamp_s() > 0)
        dark_at_s = node.poweroff().dark_at_s
    assert dark_at_s - 1 < stamp_s() < dark_at_s


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


def test_the_reference_address_answers_the_survivor_without_a_break(bare_lab: Lab) -> None:
    """It did not: the bridge took another hardware address when the node's port went, for half a minute."""
    count = ["ping", "-q", "-i", "0.01", "-c", "60", "-W", "1", "192.0.2.254"]
    with bare_lab.node2.popen(*count, stdout=subprocess.PIPE, text=True) as pings:
        bare_lab.node1.poweroff()
        said, _ = pings.communicate()
    assert "60 received" in said


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
