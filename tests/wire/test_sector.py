from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servha.core.register import TREES_MAX, Claim, Entry, Flags, Slot, TreeEntry
from servha.core.timing import PROFILES, Limits
from servha.wire import sector
from servha.wire.keys import disk_key
from servha.wire.sector import BLOCK_BYTES, Header, Reason, Reject, Side

CLUSTER = "0123456789abcdef" * 2
OTHER_CLUSTER = "ab" * 16
KEY = disk_key(bytes(range(32)))
OTHER_KEY = disk_key(bytes(32))

U8, U32, U64 = st.integers(0, 2**8 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
limits = st.builds(Limits, U32, U32, U32, U32, U32)
shown = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]))
slots = st.builds(
    Slot,
    node=st.integers(0, 1),
    generation=U64,
    number=U64,
    boot_id=st.uuids().map(lambda drawn: drawn.hex),
    limits=limits,
    claim=st.builds(Claim, U64, U64, U64),
    seen_generation=U64,
    seen_number=U64,
    flags=st.builds(Flags, *[st.booleans()] * 8),
    trees=st.lists(st.builds(TreeEntry, U32, st.sampled_from(Entry), U64, U8), max_size=TREES_MAX).map(tuple),
    host=shown.filter(lambda words: len(words.encode()) <= 64),
    version=shown.filter(lambda words: len(words.encode()) <= 32),
    written_at=st.integers(-(2**63), 2**63 - 1),
)
headers = st.builds(
    Header,
    st.just(CLUSTER),
    st.tuples(*[st.uuids().map(lambda drawn: drawn.hex)] * 2),
    U64,
    limits,
    U32,
)


def a_slot(node: int = 0, number: int = 8, generation: int = 3, trees: int = 2) -> Slot:
    return Slot(
        node=node,
        generation=generation,
        number=number,
        boot_id="1b4e28ba2fa111d2883f0016d3cca427",
        limits=PROFILES["fast"].limits,
        claim=Claim(7, 8, 9),
        flags=Flags(watchdog_armed=True, degraded=True),
        trees=tuple(TreeEntry(n + 1, Entry.HELD, 2**63 + n, n) for n in range(trees)),
        host="node1",
        version="0.1.0",
    )


def encoded(slot: Slot, cluster_id: str = CLUSTER, key: bytes = KEY) -> bytes:
    return sector.encode_slot(slot, cluster_id, key)


def area_of(*records: Slot) -> bytes:
    """The area of all slots after these records were written one after the other."""
    area = bytearray(sector.SLOTS_BYTES)
    for slot in records:
        at = sector.slot_at(slot.node, slot.number) - sector.SLOTS_AT
        area[at : at + BLOCK_BYTES] = encoded(slot)
    return bytes(area)


def sides(area: bytes) -> tuple[Side, Side]:
    return sector.decode_slots(area, CLUSTER, KEY)


def reason_of(block: bytes, node: int = 0, copy: int = 0) -> Reason:
    found = sector.decode_slot(block, node, copy, CLUSTER, KEY)
    assert isinstance(found, Reject)
    return found.reason


# --- what is written is read ------------------------------------------------------------------------------------


@given(slots)
def test_every_slot_is_read_as_it_was_written(slot: Slot) -> None:
    block = encoded(slot)
    assert len(block) == BLOCK_BYTES
    assert sector.decode_slot(block, slot.node, slot.number & 1, CLUSTER, KEY) == slot


@given(headers)
def test_every_header_is_read_as_it_was_written(header: Header) -> None:
    block = sector.encode_header(header, KEY)
    assert len(block) == BLOCK_BYTES
    assert sector.decode_header(block, CLUSTER, KEY) == header
    assert sector.cluster_named_in(block) == CLUSTER


def test_the_fields_are_where_the_design_puts_them() -> None:
    block = encoded(a_slot(node=1, number=9))
    assert block[:4] == b"SHQD"
    assert (block[24], block[25]) == (1, 1)
    assert int.from_bytes(block[28:32], "little") == 32 | 128  # the watchdog is armed; degraded
    assert int.from_bytes(block[32:40], "little") == 3
    assert int.from_bytes(block[56:64], "little") == 9
    assert int.from_bytes(block[104:108], "little") == PROFILES["fast"].lease_ms
    assert int.from_bytes(block[124:126], "little") == 2
    assert (int.from_bytes(block[152:156], "little"), block[156], block[157]) == (2, 2, 1)
    assert int.from_bytes(block[160:168], "little") == 2**63 + 1
    assert block[1672:1677] == b"node1"
    assert block[1736:1741] == b"0.1.0"
    header = sector.encode_header(Header(CLUSTER, ("11" * 16, "22" * 16), 5, PROFILES["fast"].limits, 9), KEY)
    assert (header[:8], header[48]) == (b"SERVHAQ1", 0x22)
    assert int.from_bytes(header[88:92], "little") == PROFILES["fast"].in_flight_ms
    assert header[96:128] == sector.key_mark(KEY)


def test_two_nodes_and_two_copies_have_four_places_of_their_own() -> None:
    places = [sector.slot_at(node, number) for number in (0, 1) for node in (0, 1)]
    assert places == [sector.SLOTS_AT + n * BLOCK_BYTES for n in range(4)]
    assert sector.slot_at(0, 6) == sector.slot_at(0, 8) != sector.slot_at(0, 7)


def test_what_a_slot_cannot_say_is_not_written() -> None:
    for slot in (
        replace(a_slot(), node=2),
        replace(a_slot(), generation=-1),
        replace(a_slot(), number=2**64),
        replace(a_slot(), boot_id="1b4e28ba-2fa1"),
        replace(a_slot(), trees=tuple(TreeEntry(n) for n in range(TREES_MAX + 1))),
        replace(a_slot(), trees=(TreeEntry(1, rank=256),)),
    ):
        with pytest.raises(ValueError, match=r".+"):
            encoded(slot)


def test_a_long_host_name_is_cut_between_characters() -> None:
    found = sector.decode_slot(encoded(replace(a_slot(), host="主" * 40)), 0, 0, CLUSTER, KEY)
    assert isinstance(found, Slot)
    assert found.host == "主" * 21


# --- which of the copies ----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9), st.integers(0, 9)), max_size=8))
def test_the_newer_copy_of_each_node_counts(written: list[tuple[int, int, int]]) -> None:
    records = [a_slot(node, number, generation) for node, generation, number in written]
    found = sides(area_of(*records))
    for node in (0, 1):
        last: dict[int, Slot] = {slot.number & 1: slot for slot in records if slot.node == node}
        assert found[node].slot == max(last.values(), key=lambda slot: slot.age, default=None)
        assert found[node].blank == (not last)
        assert not found[node].rejects


def test_a_torn_write_leaves_the_older_copy() -> None:
    area = bytearray(area_of(a_slot(number=7), a_slot(number=8)))
    area[512:4096] = encoded(a_slot(number=10))[512:]  # the first sector of the new one did not get there
    side = sides(bytes(area))[0]
    assert side.slot == a_slot(number=7)
    assert side.rejects == (Reject(Reason.SEAL),)


@given(st.integers(0, sector.SLOTS_BYTES - 1), st.integers(1, 255))
def test_any_changed_byte_changes_the_mark_of_its_node_alone(at: int, change: int) -> None:
    before = area_of(a_slot(0, 7), a_slot(0, 8), a_slot(1, 7), a_slot(1, 8))
    after = bytearray(before)
    after[at] ^= change
    node = at // BLOCK_BYTES % 2
    old, new = sides(before), sides(bytes(after))
    assert new[node].mark != old[node].mark
    assert new[1 - node] == old[1 - node]
    assert new[node].slot == a_slot(node, 7 if at < 2 * BLOCK_BYTES else 8)
    assert not new[node].blank


@given(st.binary(max_size=2 * sector.SLOTS_BYTES))
def test_anything_at_all_can_be_read(area: bytes) -> None:
    for side in sides(area):
        assert side.slot is None
    assert isinstance(sector.decode_headers(area, CLUSTER, KEY), Reject)


def test_zeros_are_blank_and_half_of_them_are_not() -> None:
    assert [side.blank for side in sides(bytes(sector.SLOTS_BYTES))] == [True, True]
    assert [side.blank for side in sides(bytes(BLOCK_BYTES + 100))] == [False, False]
    side = sides(area_of(a_slot(number=8)))[0]
    assert (side.blank, side.slot, side.rejects) == (False, a_slot(number=8), ())


# --- what is not believed ---------------------------------------------------------------------------------------


@given(slots, st.integers(0, 8 * BLOCK_BYTES - 1))
def test_one_flipped_bit_is_enough_to_reject_a_slot(slot: Slot, bit: int) -> None:
    block = bytearray(encoded(slot))
    block[bit // 8] ^= 1 << bit % 8
    found = sector.decode_slot(bytes(block), slot.node, slot.number & 1, CLUSTER, KEY)
    assert isinstance(found, Reject)
    assert found.reason in (Reason.SEAL, Reason.NOT_A_RECORD, Reason.FOREIGN_CLUSTER)


@given(headers, st.integers(0, 8 * BLOCK_BYTES - 1))
def test_one_flipped_bit_is_enough_to_reject_a_header(header: Header, bit: int) -> None:
    block = bytearray(sector.encode_header(header, KEY))
    block[bit // 8] ^= 1 << bit % 8
    assert isinstance(sector.decode_header(bytes(block), CLUSTER, KEY), Reject)


@given(slots, st.integers(0, BLOCK_BYTES - 1))
def test_a_truncated_slot_is_rejected(slot: Slot, size: int) -> None:
    block = encoded(slot)
    assert reason_of(block[:size]) is Reason.TRUNCATED
    assert isinstance(
        sector.decode_slot(block[:size] + bytes(BLOCK_BYTES - size), 0, 0, CLUSTER, KEY), Reject
    )


def test_a_record_is_believed_in_its_own_place_only() -> None:
    block = encoded(a_slot(0, number=8))
    assert reason_of(block, node=1) is Reason.PLACE
    assert reason_of(block, copy=1) is Reason.PLACE
    area = area_of(a_slot(0, 7), a_slot(0, 8), a_slot(1, 7), a_slot(1, 8))
    swapped = b"".join(area[n * BLOCK_BYTES : (n + 1) * BLOCK_BYTES] for n in (1, 0, 3, 2))
    for side in sides(swapped):
        assert (side.slot, side.rejects) == (None, (Reject(Reason.PLACE), Reject(Reason.PLACE)))


def test_another_cluster_another_key_another_release_say_nothing() -> None:
    slot = a_slot()
    assert reason_of(encoded(slot, OTHER_CLUSTER)) is Reason.FOREIGN_CLUSTER
    assert reason_of(encoded(slot, CLUSTER, OTHER_KEY)) is Reason.SEAL
    assert reason_of(b"x" * BLOCK_BYTES) is Reason.NOT_A_RECORD
    assert reason_of(resealed(encoded(slot), 4, b"\x02\0")) is Reason.VERSION
    assert reason_of(resealed(encoded(slot), 124, b"\xff\0")) is Reason.MALFORMED
    assert reason_of(resealed(encoded(slot), 128 + 4, b"\x09")) is Reason.MALFORMED
    assert reason_of(resealed(encoded(slot), 56, b"\x09")) is Reason.MALFORMED


def resealed(block: bytes, at: int, piece: bytes) -> bytes:
    """The block as whoever holds the key would have sealed it with `piece` in place."""
    changed = block[:at] + piece + block[at + len(piece) : -32]
    return sector._sealed(changed, KEY)


# --- the label --------------------------------------------------------------------------------------------------

LABEL = Header(CLUSTER, ("11" * 16, "22" * 16), 5, PROFILES["manual"].limits)
GOOD = sector.encode_header(LABEL, KEY)
FOREIGN = sector.encode_header(replace(LABEL, cluster_id=OTHER_CLUSTER), KEY)
BAD_KEY = sector.encode_header(LABEL, OTHER_KEY)
TORN = GOOD[:600] + bytes(BLOCK_BYTES - 600)
BLANK = bytes(BLOCK_BYTES)
NEWER = resealed(GOOD, 8, b"\x02\0")


@pytest.mark.parametrize(
    ("copies", "expected"),
    [
        ((GOOD, GOOD), LABEL),
        ((GOOD, TORN), LABEL),
        ((TORN, GOOD), LABEL),
        ((BLANK, GOOD), LABEL),
        ((b"x" * BLOCK_BYTES, GOOD), LABEL),
        ((GOOD, FOREIGN), Reject(Reason.FOREIGN_CLUSTER, OTHER_CLUSTER)),
        ((FOREIGN, GOOD), Reject(Reason.FOREIGN_CLUSTER, OTHER_CLUSTER)),
        ((GOOD, BAD_KEY), Reject(Reason.UNKNOWN_KEY)),
        ((TORN, TORN), Reject(Reason.SEAL)),
        ((BLANK, TORN), Reject(Reason.SEAL)),
        ((NEWER, BLANK), Reject(Reason.VERSION, "2")),
        ((BLANK, BLANK), Reject(Reason.BLANK)),
    ],
)
def test_a_disk_that_another_cluster_is_taking_over_is_not_ours(
    copies: tuple[bytes, bytes], expected: Header | Reject
) -> None:
    assert sector.decode_headers(b"".join(copies), CLUSTER, KEY) == expected
