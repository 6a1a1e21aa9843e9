"""Every report survives the wire, and no other bytes are taken for a beat."""

from __future__ import annotations

import hmac
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servha.core.model import Fitness, Goal, Order, Parked, Phase, Report, Standing, TreeReport
from servha.wire.beat import (
    NO_SESSION,
    SIZE_MAX,
    TREES_MAX,
    Beat,
    Kind,
    Reason,
    Reject,
    Roster,
    cluster_number,
    decode,
    encode,
    incarnation,
    link_tag,
)

LINKS = ("private", "public", "third")
KEY = b"k" * 32
ROSTER = Roster(cluster_number("ab" * 16), {0: "node1", 1: "node2"}, LINKS, {0: KEY})

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
SESSIONS = st.binary(min_size=16, max_size=16)

trees = st.builds(
    TreeReport,
    id=U32,
    phase=st.sampled_from(Phase),
    ownership=U64,
    fitness=st.sampled_from(Fitness),
    parked=st.sampled_from(Parked),
    order=st.builds(
        Order, number=U32, goal=st.sampled_from(Goal), pin=st.sampled_from(["", "node1", "node2"])
    ),
)


@st.composite
def beats(draw: st.DrawFn) -> Beat:
    session = draw(SESSIONS)
    digest = draw(st.sampled_from(["", "ab" * 8]))
    report = Report(
        node=draw(st.sampled_from(["node1", "node2"])),
        incarnation=incarnation(str(draw(st.uuids())), session),
        standing=draw(st.sampled_from(Standing)),
        reference_ok=draw(st.booleans()),
        leaving=draw(st.booleans()),
        hears=tuple(draw(st.lists(st.sampled_from(LINKS), unique=True))),
        generation=draw(U64),
        config_digest=digest,
        trees=tuple(draw(st.lists(trees, max_size=TREES_MAX))),
    )
    return Beat(
        kind=draw(st.sampled_from(Kind)),
        link=draw(st.sampled_from(LINKS)),
        session=session,
        counter=draw(U64),
        echo=draw(SESSIONS),
        report=report,
    )


def a_beat(trees: int = 1) -> Beat:
    session = bytes(range(16))
    report = Report(
        node="node1",
        incarnation=incarnation("1b4e28ba-2fa1-11d2-883f-0016d3cca427", session),
        standing=Standing.ACTIVE,
        reference_ok=True,
        hears=("public", "private"),
        generation=7,
        config_digest="0123456789abcdef",
        trees=tuple(
            TreeReport(
                n, Phase.RUNNING, 2**63, Fitness.FIT, Parked.ALONE, Order(2**32 - 1, Goal.STOP, "node2")
            )
            for n in range(trees)
        ),
    )
    return Beat(Kind.BEAT, "private", session, 5, NO_SESSION, report)


def reason_of(datagram: bytes, roster: Roster = ROSTER) -> Reason:
    found = decode(datagram, roster)
    assert isinstance(found, Reject)
    return found.reason


@given(beats())
def test_every_report_arrives_as_it_was_sent(beat: Beat) -> None:
    datagram = encode(beat, ROSTER)
    assert decode(datagram, ROSTER) == beat
    assert len(datagram) <= SIZE_MAX


def test_the_largest_beat_fits_into_one_packet() -> None:
    assert len(encode(a_beat(TREES_MAX), ROSTER)) <= 1200


@given(beats(), st.integers(0, SIZE_MAX))
def test_a_truncated_beat_is_rejected(beat: Beat, size: int) -> None:
    datagram = encode(beat, ROSTER)
    cut = datagram[: min(size, len(datagram) - 1)]
    assert reason_of(cut) in (Reason.TRUNCATED, Reason.SEAL)


@given(beats(), st.integers(0, 8 * SIZE_MAX - 1))
def test_a_beat_with_one_flipped_bit_is_rejected(beat: Beat, bit: int) -> None:
    datagram = bytearray(encode(beat, ROSTER))
    place, mask = divmod(bit % (8 * len(datagram)), 8)
    datagram[place] ^= 1 << mask
    assert isinstance(decode(bytes(datagram), ROSTER), Reject)


@settings(max_examples=300)
@given(st.binary(max_size=SIZE_MAX + 100))
def test_no_other_bytes_are_taken_for_a_beat(noise: bytes) -> None:
    assert isinstance(decode(noise, ROSTER), Reject)


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_a_key_holder_that_writes_nonsense_is_rejected_and_breaks_nothing(noise: bytes) -> None:
    start = encode(a_beat(0), ROSTER)[:40]
    assert isinstance(decode(sealed(start + noise), ROSTER), Beat | Reject)


def sealed(plain: bytes, key: bytes = KEY) -> bytes:
    return plain + hmac.digest(key, plain, "sha256")[:16]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d + bytes(SIZE_MAX), Reason.OVERSIZE),
        (lambda d: d[:30], Reason.TRUNCATED),
        (lambda d: b"", Reason.TRUNCATED),
        (lambda d: b"XXXX" + d[4:], Reason.NOT_A_BEAT),
        (lambda d: d[:8] + b"\x01\x02\x03\x04" + d[12:], Reason.FOREIGN_CLUSTER),
        (lambda d: d[:7] + b"\x09" + d[8:], Reason.UNKNOWN_KEY),
        (lambda d: d[:-1] + bytes([d[-1] ^ 1]), Reason.SEAL),
        (lambda d: sealed(d[:4] + b"\x02" + d[5:-16]), Reason.VERSION),
        (lambda d: d[:4] + b"\x02" + d[5:], Reason.SEAL),
        (lambda d: sealed(d[:6] + b"\x05" + d[7:-16]), Reason.SENDER),
        (lambda d: sealed(d[:12] + b"\x00\x00" + d[14:-16]), Reason.LINK),
        (lambda d: sealed(d[:5] + b"\x63" + d[6:-16]), Reason.MALFORMED),
        (lambda d: sealed(d[:-16] + bytes(20)), Reason.MALFORMED),
        (lambda d: sealed(d[:-20]), Reason.MALFORMED),
    ],
)
def test_each_wrong_datagram_has_its_own_reason(change: object, reason: Reason) -> None:
    assert callable(change)
    assert reason_of(change(encode(a_beat(), ROSTER))) == reason


def test_another_version_is_recognised_only_with_the_key() -> None:
    newer = encode(a_beat(), ROSTER)[:-16]
    newer = newer[:4] + b"\x07" + newer[5:] + b"something this release knows nothing of"
    assert decode(sealed(newer), ROSTER) == Reject(Reason.VERSION, 7)
    assert reason_of(sealed(newer, b"x" * 32)) == Reason.SEAL


def test_two_keys_are_accepted_while_the_key_is_changed() -> None:
    both = replace_roster(keys={0: KEY, 1: b"n" * 32}, key_id=1)
    renewed = encode(replace(a_beat(), key_id=1), both)
    assert isinstance(decode(renewed, both), Beat)
    assert isinstance(decode(encode(a_beat(), both), both), Beat)
    assert reason_of(renewed) == Reason.UNKNOWN_KEY


def replace_roster(*, keys: dict[int, bytes], key_id: int) -> Roster:
    return Roster(ROSTER.cluster, ROSTER.nodes, ROSTER.links, keys, key_id)


def test_links_are_understood_in_whatever_order_the_other_node_has_them() -> None:
    reordered = Roster(ROSTER.cluster, ROSTER.nodes, LINKS[::-1], {0: KEY})
    found = decode(encode(a_beat(), ROSTER), reordered)
    assert isinstance(found, Beat)
    assert (found.link, found.report.hears) == ("private", ("public", "private"))


def test_a_link_only_the_sender_knows_takes_nothing_else_away() -> None:
    fewer = Roster(ROSTER.cluster, ROSTER.nodes, ("private",), {0: KEY})
    found = decode(encode(a_beat(), ROSTER), fewer)
    assert isinstance(found, Beat)
    assert found.report.hears == ("private",)


@pytest.mark.parametrize(
    "report",
    [
        replace(a_beat().report, incarnation="a life of its own"),
        replace(a_beat().report, incarnation=incarnation("00" * 16, bytes(16))),
        replace(a_beat().report, config_digest="ab" * 32),
        replace(a_beat().report, trees=a_beat(TREES_MAX).report.trees + (TreeReport(99),)),
        replace(a_beat().report, trees=(TreeReport(1, ownership=2**64),)),
        replace(a_beat().report, trees=(TreeReport(1, order=Order(number=-1)),)),
        replace(a_beat().report, node="stranger"),
    ],
)
def test_what_a_beat_cannot_say_is_refused_by_the_sender(report: Report) -> None:
    with pytest.raises(ValueError, match=r"incarnation|digest|room|cannot say"):
        encode(replace(a_beat(), report=report), ROSTER)


def test_the_key_is_in_no_representation_of_the_roster() -> None:
    assert "kkk" not in repr(ROSTER)


def test_no_link_has_the_tag_that_means_no_link() -> None:
    assert all(link_tag(f"link{n}") for n in range(20_000))
    assert struct.calcsize("<H") == 2
