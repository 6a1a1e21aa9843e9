from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from servha.cli import block_device
from servha.core.timing import PROFILES
from servha.wire import sector
from servha.wire.sector import Header
from tests.cli.quorum_bench import CLUSTER, KEY, OTHER_CLUSTER, Bench, make_node


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


def test_a_dry_run_and_a_plan_nobody_agreed_to_write_nothing(bench: Bench) -> None:
    before = bench.content()
    assert bench.on("node1", "label", bench.devices[0], "--dry-run").status == 0
    ran = bench.on("node1", "label", bench.devices[0])
    assert ran.status == 2
    assert "--yes" in ran.err
    assert bench.content() == before


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


@pytest.mark.parametrize(("made", "counted"), [(gpt(2), "partitions: 2"), (msdos(1), "partitions: 1")])
def test_a_partitioned_disk_is_refused(bench: Bench, made: bytes, counted: str) -> None:
    bench.put(0, made)
    ran = bench.on("node1", "label", bench.devices[0], "--yes")
    assert ran.status == 5
    assert counted in ran.err


@pytest.mark.parametrize("maker", [["mkfs.ext4", "-q", "-L", "precious"], ["mkswap", "-L", "precious"]])
def test_a_disk_with_a_file_system_is_refused_and_named(bench: Bench, maker: list[str]) -> None:
    subprocess.run([*maker, bench.devices[0]], check=True, capture_output=True)
    before = bench.content()
    for more in ((), ("--force", "demo")):
        ran = bench.on("node1", "label", bench.devices[0], "--yes", *more)
        assert ran.status == 5
        assert "precious" in ran.err
    assert bench.content() == before


def test_bytes_of_unknown_origin_are_refused(bench: Bench) -> None:
    bench.put(sector.SLOTS_AT + 5, b"raw")
    ran = bench.on("node1", "label", bench.devices[0], "--yes")
    assert ran.status == 5
    assert f"at byte {sector.SLOTS_AT}" in ran.err


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


def test_a_line_in_fstab_is_a_use(bench: Bench, tmp_path: Path) -> None:
    fstab = tmp_path / "fstab"
    fstab.write_text(f"# a comment\n/dev/nowhere / ext4\n{bench.devices[0]} /data ext4 noauto 0 0\n")
    device = block_device.block_device(bench.devices[0])
    found = [str(text) for text in block_device.uses(device, fstab=fstab)]
    assert found == [f"/etc/fstab mounts {device.kernel_name} on /data"]


def test_a_disk_of_another_cluster_needs_the_typed_name(bench: Bench) -> None:
    limits = PROFILES["manual"].limits
    block = sector.encode_header(Header(OTHER_CLUSTER, ("1" * 32, "2" * 32), 1, limits), bytes(32))
    bench.put(sector.HEADERS_AT, block + block)
    before = bench.content()
    ran = bench.on("node1", "label", bench.devices[0], "--yes")
    assert ran.status == 5
    assert OTHER_CLUSTER in ran.err
    assert "--force demo" in ran.err
    assert bench.on("node1", "label", bench.devices[0], "--yes", "--force", "dmeo").status == 2
    assert bench.content() == before
    taken = bench.on("node1", "label", bench.devices[0], "--yes", "--force", "demo")
    assert taken.status == 0, taken.err
    assert f"from cluster {OTHER_CLUSTER}" in taken.out
    assert bench.on("node2", "show").status == 0


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
