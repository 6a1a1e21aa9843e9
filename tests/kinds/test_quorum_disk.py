"""Rounds on real loop devices: two devices over one image are two nodes on one disk."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from servha.arbiters.quorum_disk import DirectIo, QuorumDisk, RoundResult
from servha.core.register import Entry, Slot, TreeEntry
from servha.core.timing import PROFILES
from servha.core.words import NOTHING_SAID
from servha.lab import disk as lab_disk
from servha.lab.disk_trouble import TroubledIo, set_trouble
from servha.wire import sector
from servha.wire.keys import disk_key
from servha.wire.sector import Header

CLUSTER = "0123456789abcdef" * 2
OTHER_CLUSTER = "ab" * 16
KEY = disk_key(bytes(range(32)))
LABEL = Header(CLUSTER, ("11" * 16, "22" * 16), 5, PROFILES["manual"].limits)

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.getuid() != 0, reason="needs loop devices: run as root"),
]


@dataclass
class Lun:
    image: Path
    devices: list[str]
    opened: list[QuorumDisk] = field(default_factory=list)

    def disk(self, node: int, *, trouble: Path | None = None, cluster: str = CLUSTER) -> QuorumDisk:
        io = TroubledIo(trouble) if trouble else None
        self.opened.append(QuorumDisk(self.devices[node], cluster, node, KEY, io))
        return self.opened[-1]

    def put(self, at: int, block: bytes) -> None:
        with self.image.open("r+b") as file:
            file.seek(at)
            file.write(block)
            os.fsync(file.fileno())

    def label(self, header: Header = LABEL) -> None:
        self.put(sector.SLOTS_AT, bytes(sector.SLOTS_BYTES))
        block = sector.encode_header(header, KEY)
        self.put(sector.HEADERS_AT, block + block)

    def area(self) -> bytes:
        with self.image.open("rb") as file:
            file.seek(sector.SLOTS_AT)
            return file.read(sector.SLOTS_BYTES)


@pytest.fixture
def lun() -> Iterator[Lun]:
    image = Path(f"/var/tmp/servha-quorum-{os.getpid()}.img")
    lab_disk.make_image(image, 16)
    made = Lun(image, [])
    try:
        made.devices += [str(lab_disk.attach(image)) for _ in range(2)]
        made.label()
        yield made
    finally:
        for one in made.opened:
            one.close()
        subprocess.run(["losetup", "--detach", *made.devices], check=True)
        image.unlink()


def a_slot(node: int, number: int, *trees: TreeEntry, generation: int = 1) -> Slot:
    return Slot(
        node=node,
        generation=generation,
        number=number,
        boot_id=f"{node + 1:032x}",
        limits=PROFILES["manual"].limits,
        trees=trees,
        host="主" * 40,
    )


def trouble_of(result: RoundResult) -> str:
    assert not result.read
    return str(result.trouble)


def test_what_one_node_wrote_the_other_reads_in_its_next_round(lun: Lun) -> None:
    first, second = lun.disk(0), lun.disk(1)
    looked = first.round(None)
    assert (looked.read, looked.own, looked.own_blank, looked.peer, looked.peer_blank) == (
        True,
        None,
        True,
        None,
        True,
    )
    assert not first.round(a_slot(0, 0)).own_blank
    looked = first.round(None)
    held = TreeEntry(1, Entry.HELD, 7)
    marks = [looked.peer_mark]
    for number in range(1, 6):
        ours, theirs = a_slot(0, number, held), a_slot(1, number)
        mine = first.round(ours)
        assert (mine.read, mine.own, mine.trouble) == (True, ours, NOTHING_SAID)
        result = second.round(theirs)
        assert result.own == theirs
        assert result.peer is not None
        assert (result.peer.age, result.peer.tree(1)) == (ours.age, held)
        marks.append(first.round(None).peer_mark)
        assert first.round(None).peer_mark == marks[-1], "nothing was written meanwhile"
    assert len(set(marks)) == 6, "every write shows"


def test_a_round_tells_how_long_the_disk_took(lun: Lun) -> None:
    result = lun.disk(0).round(a_slot(0, 1))
    assert 0 < result.write_s < 5
    assert 0 < result.read_s < 5


@pytest.mark.parametrize(
    ("label", "says"),
    [
        (b"", "carries no label"),
        (sector.encode_header(replace(LABEL, cluster_id=OTHER_CLUSTER), KEY), "another cluster"),
        (sector.encode_header(LABEL, bytes(32)), "another cluster key"),
        (b"\0".join([sector.HEADER_MAGIC] * 2), "another cluster"),
    ],
)
def test_a_disk_without_our_label_is_not_written_to(lun: Lun, label: bytes, says: str) -> None:
    block = label.ljust(sector.BLOCK_BYTES, b"\0")
    lun.put(sector.HEADERS_AT, block + block)
    before = lun.area()
    disk = lun.disk(0)
    for _ in range(2):
        assert says in trouble_of(disk.round(a_slot(0, 1)))
    assert lun.area() == before
    lun.label()
    assert disk.round(a_slot(0, 1)).read, "labelled now: the next round takes it"


def test_a_disk_that_is_not_there_is_told_and_taken_when_it_comes(lun: Lun) -> None:
    place = lun.image.with_suffix(".link")
    disk = QuorumDisk(str(place), CLUSTER, 0, KEY)
    lun.opened.append(disk)
    assert "cannot be opened" in trouble_of(disk.round(a_slot(0, 1)))
    place.symlink_to(lun.devices[0])
    try:
        assert disk.round(a_slot(0, 1)).read
    finally:
        place.unlink()


def test_a_disk_that_is_too_small_is_told(lun: Lun) -> None:
    os.truncate(lun.image, sector.SLOTS_AT + 4096)
    subprocess.run(["losetup", "--set-capacity", lun.devices[0]], check=True)
    assert "bytes of 16384" in trouble_of(lun.disk(0).round(None))


def test_nobody_on_this_node_can_format_the_disk_while_it_is_used(lun: Lun) -> None:
    assert lun.disk(0).round(None).read
    other = subprocess.run(["mkfs.ext4", "-q", lun.devices[0]], capture_output=True, text=True, check=False)
    assert other.returncode != 0
    assert "in use" in other.stderr
    assert "in use by something else" in trouble_of(QuorumDisk(lun.devices[0], CLUSTER, 0, KEY).round(None))


# --- the disk changes under us ----------------------------------------------------------------------------------


def test_a_disk_initialised_anew_under_us_is_given_up(lun: Lun) -> None:
    disk, peer = lun.disk(0), lun.disk(1)
    for number in (1, 2, 3):
        assert disk.round(a_slot(0, number)).read
        assert peer.round(a_slot(1, number)).read
    lun.label()
    for number in (4, 5):
        # The peer's slot is blank now. That must never read as a peer that holds nothing.
        assert "initialised anew" in trouble_of(disk.round(a_slot(0, number)))
    assert sector.decode_slots(lun.area(), CLUSTER, KEY)[1].blank
    disk.close()
    assert "initialised anew" in trouble_of(disk.round(None)), "opening it again is not starting anew"
    assert lun.disk(0).round(None).read


def test_a_disk_taken_by_another_cluster_is_given_up(lun: Lun) -> None:
    disk = lun.disk(0)
    assert disk.round(a_slot(0, 1)).read
    assert disk.round(a_slot(0, 2)).read
    lun.label(replace(LABEL, cluster_id=OTHER_CLUSTER))
    assert OTHER_CLUSTER in trouble_of(disk.round(a_slot(0, 3)))
    after = lun.area()
    assert OTHER_CLUSTER in trouble_of(disk.round(a_slot(0, 4)))
    assert lun.area() == after


def test_a_disk_set_back_to_an_older_state_is_given_up(lun: Lun) -> None:
    disk = lun.disk(0)
    assert disk.round(a_slot(0, 1)).read
    assert disk.round(a_slot(0, 2)).read
    older = lun.area()
    assert disk.round(a_slot(0, 3)).read
    assert disk.round(a_slot(0, 4)).read
    lun.put(sector.SLOTS_AT, older)
    assert "older state" in trouble_of(disk.round(a_slot(0, 5)))


def test_a_second_node_with_our_number_is_shown_to_the_core(lun: Lun) -> None:
    disk = lun.disk(0)
    assert disk.round(a_slot(0, 1)).read
    assert disk.round(a_slot(0, 2)).read
    lun.put(sector.slot_at(0, 9), sector.encode_slot(a_slot(0, 9), CLUSTER, KEY))
    result = disk.round(a_slot(0, 4))
    assert result.read
    assert result.own is not None
    assert result.own.age == (1, 9)


def test_a_damaged_copy_of_ours_is_written_over(lun: Lun) -> None:
    disk = lun.disk(0)
    assert disk.round(a_slot(0, 1)).read
    assert disk.round(a_slot(0, 2)).read
    lun.put(sector.slot_at(0, 1) + 100, b"rot")
    assert disk.round(a_slot(0, 4)).own == a_slot(0, 4)
    assert disk.round(a_slot(0, 5)).own == a_slot(0, 5)
    own = sector.decode_slots(lun.area(), CLUSTER, KEY)[0]
    assert not own.rejects


def test_a_damaged_header_copy_stops_nobody(lun: Lun) -> None:
    lun.put(sector.HEADERS_AT + 200, b"rot")
    assert lun.disk(0).round(a_slot(0, 1)).read


def test_a_peer_that_cannot_be_read_is_neither_blank_nor_there(lun: Lun) -> None:
    disk = lun.disk(0)
    mark = disk.round(None).peer_mark
    for number in (1, 2):
        lun.put(sector.slot_at(1, number), b"SHQD" + bytes(4000))
    result = disk.round(a_slot(0, 1))
    assert (result.read, result.peer, result.peer_blank) == (True, None, False)
    assert result.peer_mark != mark
    assert disk.round(a_slot(0, 2)).peer_mark == result.peer_mark


class Counting(DirectIo):
    """Writes down every call; the first read of the slots after `torn` is armed gives both peer copies torn."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.torn = 0
        self.stale: bytes | None = None

    def read(self, at: int, size: int) -> bytes:
        self.calls.append("read" if at == sector.SLOTS_AT else "label")
        area = bytearray(super().read(at, size))
        if at == sector.SLOTS_AT and self.torn:
            self.torn -= 1
            for copy in (0, 1):
                area[(copy * 2 + 1) * 4096 + 600] ^= 1
        return self.stale if at == sector.SLOTS_AT and self.stale else bytes(area)

    def write(self, at: int, block: bytes) -> None:
        self.calls.append("write")
        super().write(at, block)


def test_a_round_is_one_write_and_then_one_read(lun: Lun) -> None:
    io = Counting()
    disk = QuorumDisk(lun.devices[0], CLUSTER, 0, KEY, io)
    lun.opened.append(disk)
    for number in (1, 2, 3):
        assert disk.round(a_slot(0, number)).read
    assert io.calls == ["label", *["write", "read"] * 3]


@pytest.mark.parametrize(("torn", "reads", "seen"), [(1, 2, True), (3, 4, True), (9, 4, False)])
def test_a_peer_read_torn_is_read_again_three_times(lun: Lun, torn: int, reads: int, seen: bool) -> None:  # noqa: FBT001
    peer = lun.disk(1)
    for number in (1, 2):
        assert peer.round(a_slot(1, number)).read
    io = Counting()
    disk = QuorumDisk(lun.devices[0], CLUSTER, 0, KEY, io)
    lun.opened.append(disk)
    io.torn = torn
    result = disk.round(a_slot(0, 1))
    assert io.calls.count("read") == reads
    assert (result.peer is not None) is seen


def test_a_write_that_the_disk_swallowed_is_not_called_written(lun: Lun) -> None:
    io = Counting()
    disk = QuorumDisk(lun.devices[0], CLUSTER, 0, KEY, io)
    lun.opened.append(disk)
    for number in (1, 2):
        assert disk.round(a_slot(0, number)).read
    io.stale = lun.area()
    result = disk.round(a_slot(0, 3))
    assert result.read
    assert result.own is not None
    assert result.own.age == (1, 2)


# --- the disk in trouble, as a lab makes it ---------------------------------------------------------------------


@pytest.fixture
def trouble(tmp_path: Path) -> Path:
    return tmp_path / "trouble"


def test_reads_and_writes_that_fail_fail_the_round_and_nothing_else(lun: Lun, trouble: Path) -> None:
    disk = lun.disk(0, trouble=trouble)
    assert disk.round(a_slot(0, 1)).read, "no file, no trouble"
    before = lun.area()
    set_trouble("error-write", trouble)
    assert "could not be written: Input/output error" in trouble_of(disk.round(a_slot(0, 2)))
    assert lun.area() == before
    assert disk.round(None).read, "reading works"
    set_trouble("error", trouble)
    assert "could not be read: Input/output error" in trouble_of(disk.round(None))
    set_trouble("", trouble)
    assert disk.round(a_slot(0, 2)).own == a_slot(0, 2)


def test_a_slow_disk_is_slow(lun: Lun, trouble: Path) -> None:
    disk = lun.disk(0, trouble=trouble)
    assert disk.round(a_slot(0, 1)).read
    set_trouble("slow 40", trouble)
    result = disk.round(a_slot(0, 2))
    assert result.write_s >= 0.04
    assert result.read_s >= 0.04


def test_a_hanging_disk_comes_back_where_it_was(lun: Lun, trouble: Path) -> None:
    disk = lun.disk(0, trouble=trouble)
    assert disk.round(a_slot(0, 1)).read
    set_trouble("hang", trouble)
    results: list[RoundResult] = []
    thread = threading.Thread(target=lambda: results.append(disk.round(a_slot(0, 2))))
    before = lun.area()
    thread.start()
    thread.join(0.1)
    assert not results
    assert lun.area() == before, "it hangs before it writes"
    set_trouble("", trouble)
    thread.join(10)
    assert results[0].own == a_slot(0, 2)


def test_two_hundred_rounds_are_quick(lun: Lun) -> None:
    disk = lun.disk(0)
    began = time.process_time()
    for number in range(1, 201):
        assert disk.round(a_slot(0, number)).read
    each_ms = (time.process_time() - began) * 5
    assert each_ms < 5, f"{each_ms:.2f} ms of processor time a round"
