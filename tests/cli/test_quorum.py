"""The three verbs on real loop devices: two devices over one image are two nodes on one disk."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from servha.arbiters.quorum_disk import QuorumDisk
from servha.cli import block_device, cluster_wipe
from servha.cli.quorum_latency import Latency, inequalities, latency, least_lease_ms
from servha.config.document import parse
from servha.core.register import Claim, Entry, Flags, Slot, TreeEntry
from servha.core.timing import PROFILES
from servha.daemon.identity import Identity
from servha.daemon.shelf import Shelf, Version
from servha.lab import disk as lab_disk
from servha.wire import sector
from servha.wire.keys import disk_key
from servha.wire.sector import Header
from tests.cli import recorded
from tests.cli.conftest import FakeDaemon, Ran, Run
from tests.cli.documents import document

SECRET = bytes(range(32))
KEY = disk_key(SECRET)
CLUSTER = "0123456789abcdef" * 2
OTHER = "ab" * 16

root = pytest.mark.skipif(os.getuid() != 0, reason="needs loop devices: run as root")


@dataclass
class Bench:
    """A disk, and the command as it runs on either node."""

    image: Path
    devices: list[str]
    run: Run
    be: Callable[[str], None]

    def on(self, node: str, *words: str) -> Ran:
        self.be(node)
        return self.run("quorum", *words)

    def put(self, at: int, block: bytes) -> None:
        with self.image.open("r+b") as file:
            file.seek(at)
            file.write(block)
            os.fsync(file.fileno())

    def content(self) -> bytes:
        return self.image.read_bytes()

    def labelled(self) -> None:
        ran = self.on("node1", "label", self.devices[0], "--yes")
        assert ran.status == 0, ran.err

    @contextmanager
    def guard(self, node: int) -> Iterator[None]:
        """Something that writes the slot of a node as its guard does, until the end of the block."""
        ended, wrote = threading.Event(), threading.Event()
        disk = QuorumDisk(self.devices[node], CLUSTER, node, KEY)

        def rounds() -> None:
            number = 0
            while not ended.wait(0.05):
                number += 1
                assert disk.round(a_slot(node, number)).read
                wrote.set()

        thread = threading.Thread(target=rounds)
        thread.start()
        try:
            assert wrote.wait(10)
            yield
        finally:
            ended.set()
            thread.join()
            disk.close()


def a_slot(node: int, number: int) -> Slot:
    return Slot(
        node=node,
        generation=3,
        number=number,
        boot_id=f"{node + 1:032x}",
        limits=PROFILES["manual"].limits,
        claim=Claim(3, 5, 7) if node else Claim(),
        flags=Flags(watchdog_armed=True),
        trees=(TreeEntry(1, Entry.WANT if node else Entry.HELD, 7), TreeEntry(9, Entry.STOP_FAILED, 2)),
        host=f"host{node + 1}",
        version="0.1.0",
        written_at=1_780_000_000_000_000_000,
    )


def make_node(files: Path, name: str, quorum_disk: str = "") -> None:
    data = document()
    data["cluster"]["quorum_disk"] = quorum_disk
    for node in data["nodes"]:
        node["certificate"] = f"certificate of {node['name']}"
    made, problems = parse(data)
    assert made, problems
    (files / "state").mkdir(parents=True)
    Identity(files / "etc").write_cluster_key(SECRET)
    (files / "etc/node.crt").write_text(f"certificate of {name}\n")
    shelf = Shelf(files / "state")
    shelf.stage(Version.of(made))
    shelf.commit(Version.of(made))


@pytest.fixture
def be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make this process that node's, as far as files go."""
    monkeypatch.setenv("SERVHA_SOCKET", str(tmp_path / "nobody.sock"))

    def be_node(name: str) -> None:
        files = tmp_path / name
        here = cluster_wipe.Places(files / "etc", files / "state", files / "run")
        monkeypatch.setattr("servha.cli.quorum_reading.places", lambda: here)

    return be_node


@pytest.fixture
def bench(tmp_path: Path, run: Run, be: Callable[[str], None]) -> Iterator[Bench]:
    image = Path(f"/var/tmp/servha-quorum-cli-{os.getpid()}.img")
    lab_disk.make_image(image, 16)
    devices: list[str] = []
    try:
        devices += [str(lab_disk.attach(image)) for _ in range(2)]
        for place, name in enumerate(("node1", "node2")):
            make_node(tmp_path / name, name, devices[place])
        yield Bench(image, devices, run, be)
    finally:
        subprocess.run(["losetup", "--detach", *devices], check=True)
        image.unlink()


# --- label ------------------------------------------------------------------------------------------------------


@root
def test_a_label_is_written_once_and_found_by_both_nodes(bench: Bench) -> None:
    bench.put(0, b"boot code" + bytes(501) + b"\x55\xaa")
    before = bench.content()
    ran = bench.on("node1", "label", bench.devices[0], "--yes")
    assert ran.status == 0, ran.err
    assert "Plan for cluster demo" in ran.out
    assert "17 MB" in ran.out
    after = bench.content()
    assert after[: sector.BASE_AT] == before[: sector.BASE_AT]
    assert after[sector.BASE_AT + (1 << 20) :] == before[sector.BASE_AT + (1 << 20) :]
    label = sector.decode_headers(after[sector.HEADERS_AT :][: sector.HEADERS_BYTES], CLUSTER, KEY)
    nodes = (sector.node_mark(CLUSTER, "node1"), sector.node_mark(CLUSTER, "node2"))
    assert label == Header(CLUSTER, nodes, 7, PROFILES["manual"].limits, 7400)
    again = bench.on("node2", "label", bench.devices[1])
    assert again.status == 0
    assert "Nothing to change" in again.out
    assert bench.content() == after


@root
def test_a_dry_run_and_a_plan_nobody_agreed_to_write_nothing(bench: Bench) -> None:
    before = bench.content()
    assert bench.on("node1", "label", bench.devices[0], "--dry-run").status == 0
    ran = bench.on("node1", "label", bench.devices[0])
    assert ran.status == 2
    assert "--yes" in ran.err
    assert bench.content() == before


@root
def test_the_label_as_json(bench: Bench) -> None:
    told = json.loads(bench.on("node1", "label", bench.devices[0], "--yes", "-o", "json").out)
    assert (told["schema_version"], told["changed"], told["cluster_id"]) == (1, True, CLUSTER)
    assert json.loads(bench.on("node1", "label", bench.devices[0], "-o", "json").out)["changed"] is False


def gpt(partitions: int) -> bytes:
    first = bytearray(1 << 20)
    first[510:512], first[450] = b"\x55\xaa", 0xEE
    first[512:520] = b"EFI PART"
    first[584:592], first[592:596] = (2).to_bytes(8, "little"), (128).to_bytes(4, "little")
    first[596:600] = (128).to_bytes(4, "little")
    for place in range(partitions):
        first[1024 + 128 * place : 1040 + 128 * place] = bytes(range(1, 17))
    return bytes(first)


def msdos(partitions: int) -> bytes:
    first = bytearray(1 << 20)
    first[510:512] = b"\x55\xaa"
    for place in range(partitions):
        first[450 + 16 * place] = 0x83
    return bytes(first)


@pytest.mark.parametrize("made", [gpt, msdos])
def test_partitions_are_counted(made: Callable[[int], bytes]) -> None:
    assert [block_device.partition_count(made(count)) for count in (0, 1, 3)] == [0, 1, 3]
    assert block_device.partition_count(made(2)[:510]) == 0


@root
@pytest.mark.parametrize(("made", "counted"), [(gpt(2), "2 partitions"), (msdos(1), "1 partitions")])
def test_a_partitioned_disk_is_refused(bench: Bench, made: bytes, counted: str) -> None:
    bench.put(0, made)
    ran = bench.on("node1", "label", bench.devices[0], "--yes")
    assert ran.status == 5
    assert counted in ran.err


@root
@pytest.mark.parametrize("maker", [["mkfs.ext4", "-q", "-L", "precious"], ["mkswap", "-L", "precious"]])
def test_a_disk_with_a_file_system_is_refused_and_named(bench: Bench, maker: list[str]) -> None:
    subprocess.run([*maker, bench.devices[0]], check=True, capture_output=True)
    before = bench.content()
    for more in ((), ("--force", "demo")):
        ran = bench.on("node1", "label", bench.devices[0], "--yes", *more)
        assert ran.status == 5
        assert "precious" in ran.err
    assert bench.content() == before


@root
def test_bytes_of_unknown_origin_are_refused(bench: Bench) -> None:
    bench.put(sector.SLOTS_AT + 5, b"raw")
    ran = bench.on("node1", "label", bench.devices[0], "--yes")
    assert ran.status == 5
    assert f"at byte {sector.SLOTS_AT}" in ran.err


@root
def test_a_mounted_disk_is_refused_and_the_place_named(bench: Bench, tmp_path: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", bench.devices[0]], check=True, capture_output=True)
    place = tmp_path / "mounted"
    place.mkdir()
    wanted = f"mount {bench.devices[0]} {place} && exec cat"
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f"{wanted} /proc/self/mountinfo -"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdin is not None
        line = next(line for line in holder.stdout if str(place) in line)
        device = block_device.block_device(bench.devices[0])
        mountinfo = tmp_path / "mountinfo"
        mountinfo.write_text(line)
        found = block_device.uses(device, mountinfo=mountinfo)
        assert [str(text) for text in found] == [f"{device.kernel_name} is mounted on {place}"]
        assert bench.on("node1", "label", bench.devices[0], "--yes").status == 5
        holder.stdin.close()


@root
def test_a_line_in_fstab_is_a_use(bench: Bench, tmp_path: Path) -> None:
    fstab = tmp_path / "fstab"
    fstab.write_text(f"# a comment\n/dev/nowhere / ext4\n{bench.devices[0]} /data ext4 noauto 0 0\n")
    device = block_device.block_device(bench.devices[0])
    found = [str(text) for text in block_device.uses(device, fstab=fstab)]
    assert found == [f"/etc/fstab mounts {device.kernel_name} on /data"]


@root
def test_a_disk_of_another_cluster_needs_the_typed_name(bench: Bench) -> None:
    limits = PROFILES["manual"].limits
    block = sector.encode_header(Header(OTHER, ("1" * 32, "2" * 32), 1, limits), bytes(32))
    bench.put(sector.HEADERS_AT, block + block)
    before = bench.content()
    ran = bench.on("node1", "label", bench.devices[0], "--yes")
    assert ran.status == 5
    assert OTHER in ran.err
    assert "--force demo" in ran.err
    assert bench.on("node1", "label", bench.devices[0], "--yes", "--force", "dmeo").status == 2
    assert bench.content() == before
    taken = bench.on("node1", "label", bench.devices[0], "--yes", "--force", "demo")
    assert taken.status == 0, taken.err
    assert f"from cluster {OTHER}" in taken.out
    assert bench.on("node2", "show").status == 0


@root
@pytest.mark.parametrize("node", [0, 1])
def test_no_force_takes_a_disk_from_a_node_that_writes(bench: Bench, node: int) -> None:
    bench.labelled()
    with bench.guard(node):
        ran = bench.on("node1", "label", bench.devices[0], "--force", "demo", "--yes")
        assert ran.status == 5
        assert ("host2 writes to it" if node else "has it open for itself") in ran.err
        same = bench.on("node1", "label", bench.devices[0])
        assert "Nothing to change" in same.out, "a second run of a playbook changes nothing"
    assert sector.decode_slots(bench.content()[sector.SLOTS_AT :][: sector.SLOTS_BYTES], CLUSTER, KEY)[
        node
    ].slot
    assert bench.on("node1", "label", bench.devices[0], "--force", "demo", "--yes").status == 0


@root
def test_mistakes_are_told(bench: Bench, tmp_path: Path) -> None:
    assert bench.on("node1", "label", "/dev/nosuch", "--yes").status == 6
    assert bench.on("node1", "label", str(bench.image), "--yes").status == 2
    assert bench.on("nowhere", "label", bench.devices[0], "--yes").status == 4
    make_node(tmp_path / "stranger", "node3")
    assert bench.on("stranger", "label", bench.devices[0], "--yes").status == 78
    assert bench.on("stranger", "show").status == 78
    (tmp_path / "node2/etc/cluster.key").write_text("short")
    assert bench.on("node2", "show").status == 78
    os.truncate(bench.image, 8 << 20)
    subprocess.run(["losetup", "--set-capacity", bench.devices[0]], check=True)
    small = bench.on("node1", "label", bench.devices[0], "--yes")
    assert (small.status, "8 MB; a quorum disk needs at least 17 MB" in small.err) == (5, True)


# --- show -------------------------------------------------------------------------------------------------------


@root
def test_show_tells_who_writes_and_what(bench: Bench) -> None:
    bench.labelled()
    with bench.guard(0):
        pass
    with bench.guard(1):
        ran = bench.on("node1", "show")
    assert ran.status == 0, ran.err
    first, second = ran.out.split("Slot 0: ")[1].split("Slot 1: ")
    assert "node1 (this node)" in first
    assert "not written in" in first
    assert "holds it (ownership 7)" in first
    assert "tree web" in first
    assert "tree 9" in first
    assert "watchdog armed" in first
    assert "written " in second
    assert "wants it (ownership 7)" in second
    assert "boot 3 of node1" in second
    chinese = bench.on("node1", "show", "--lang", "zh-CN")
    assert "持有（所有权 7）" in chinese.out


@root
def test_show_as_json_says_the_same(bench: Bench) -> None:
    bench.labelled()
    with bench.guard(1):
        told = json.loads(bench.on("node1", "show", "-o", "json").out)
    mine, theirs = told["slots"]
    assert (mine["node"], mine["blank"], mine["record"], mine["changes"]) == ("node1", True, None, 0)
    assert theirs["changes"] > 2
    assert 0 <= theirs["changed_ago_s"] < 1
    assert theirs["record"]["trees"][0] == {
        "id": 1,
        "entry": "want",
        "ownership": 7,
        "rank": 0,
        "name": "web",
    }
    assert told["label"]["generation"] == 7
    assert told["problems"] == []


@root
def test_show_names_what_is_not_as_it_should_be(bench: Bench) -> None:
    bench.labelled()
    fast = replace(a_slot(1, 2), limits=PROFILES["fast"].limits)
    bench.put(sector.slot_at(1, 2), sector.encode_slot(fast, CLUSTER, KEY))
    bench.put(sector.slot_at(0, 1), b"SHQD" + bytes.fromhex("0000" * 2 + OTHER))
    bench.put(sector.HEADERS_AT + 4096 + 300, b"rot")
    ran = bench.on("node1", "show")
    assert ran.status == 3
    assert "copies of the label is damaged" in ran.out
    assert "node2 runs with other figures than the configuration: lease 2400 ms" in ran.out
    assert "a copy of the slot of node1 is not to be believed: a record of another cluster" in ran.out


@root
def test_show_of_a_disk_that_is_not_ours(bench: Bench) -> None:
    ran = bench.on("node1", "show")
    assert (ran.status, "servha quorum label" in ran.err) == (6, True)
    assert bench.on("node1", "test", "--seconds", "0.1").status == 6


# --- test -------------------------------------------------------------------------------------------------------


@root
def test_writing_is_measured_beside_the_slots(bench: Bench) -> None:
    bench.labelled()
    before = bench.content()
    ran = bench.on("node1", "test", "--write", "--seconds", "0.3")
    assert ran.status == 0, ran.err + ran.out
    assert "write and read" in ran.out
    assert "holds" in ran.out
    assert "limits the timing" in ran.out
    assert bench.content() == before, "nothing is left"


@root
def test_while_the_guard_runs_only_reading_is_measured(bench: Bench) -> None:
    bench.labelled()
    with bench.guard(0), bench.guard(1):
        told = measured(bench, "--write")
    assert (told["measured"], told["in_use_here"], told["same_disk"]) == ("read", True, True)
    assert told["rounds"]["count"] > 20
    assert told["rounds"]["p50_ms"] <= told["rounds"]["p999_ms"] <= told["rounds"]["most_ms"]


@root
def test_two_tests_at_once_see_each_other(bench: Bench) -> None:
    bench.labelled()
    ended = threading.Event()
    theirs = QuorumDisk(bench.devices[1], CLUSTER, 1, KEY)
    io = theirs._io

    def other_test() -> None:
        io.open(bench.devices[1])
        number = 0
        while not ended.wait(0.01):
            number += 1
            block = b"SHQTEST1" + number.to_bytes(8, "little")
            io.write(sector.SCRATCH_AT + 4096, block.ljust(4096, b"\0"))
        io.close()

    thread = threading.Thread(target=other_test)
    thread.start()
    try:
        told = measured(bench)
    finally:
        ended.set()
        thread.join()
    assert told["same_disk"] is True


@root
def test_nobody_seen_is_not_called_the_same_disk(bench: Bench) -> None:
    bench.labelled()
    told = measured(bench)
    assert (told["same_disk"], told["guarantee"]) == (None, {})


@root
def test_the_guarantee_is_the_one_of_status(bench: Bench, daemon: FakeDaemon) -> None:
    bench.labelled()
    daemon.answers["status"] = recorded.STATUS
    assert measured(bench)["guarantee"]["level"] == 1
    assert "level 1" in bench.on("node1", "test", "--seconds", "0.1").out


def measured(bench: Bench, *more: str) -> dict[str, Any]:
    ran = bench.on("node1", "test", "--seconds", "0.3", "-o", "json", *more)
    assert ran.status == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_a_disk_too_slow_for_the_figures_is_told_by_the_inequality_that_breaks_first() -> None:
    slow = Latency(5000, 1.0, 20.0, 60.0, 900.0)
    conditions = inequalities(PROFILES["fast"].limits, slow)
    assert [(one.name, one.spare_ms) for one in conditions] == [("I1", -20.0), ("I3", 340.0)]
    assert least_lease_ms(PROFILES["fast"].limits, slow) == 2000 + 20 + 300 + 120
    assert [one.name for one in inequalities(PROFILES["manual"].limits, slow)] == ["I3", "I1"]
    assert least_lease_ms(PROFILES["manual"].limits, slow) == 8 * 500


def test_the_slowest_of_few_stands_for_one_in_a_thousand() -> None:
    found = latency([0.001] * 99 + [0.5])
    assert (found.p50_ms, found.p99_ms, found.p999_ms, found.most_ms) == (1.0, 1.0, 500.0, 500.0)
