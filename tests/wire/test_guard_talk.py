"""The talk between servhad and its guard: what is said comes through whole, and what cannot be read is no accident."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servha.core.clocks import Stamp
from servha.core.guard_model import Asking, EntryView, TreeAsked, View
from servha.core.lease import Asked, Lease, Sources
from servha.core.register import TREES_MAX, Entry, TreeEntry
from servha.core.timing import PROFILES, Limits
from servha.core.words import Text, Value, say
from servha.wire.guard_talk import (
    SIZE_MAX,
    VERSION,
    AskingMessage,
    Belonging,
    BelongingsMessage,
    Message,
    PingMessage,
    PromiseMessage,
    RenewalMessage,
    RoundsMessage,
    Setup,
    SetupMessage,
    Unreadable,
    ViewMessage,
    decode,
    encode,
)

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
moments = st.floats(0, 1e9)
stamps = st.builds(Stamp, moments, moments, moments)
values: st.SearchStrategy[Value] = st.one_of(words, U64, st.floats(allow_nan=False))
plain = st.builds(Text, words, st.dictionaries(words, values, max_size=3).map(lambda d: tuple(d.items())))
texts = st.builds(
    Text,
    words,
    st.dictionaries(words, st.one_of(values, plain), max_size=3).map(lambda d: tuple(d.items())),
)
setups = st.builds(
    Setup,
    cluster_id=words,
    node=st.integers(0, 1),
    device=words,
    key_file=words,
    limits=st.builds(Limits, U32, U32, U32, U32, U32),
    watchdog=words,
    host=words,
    version=words,
)
several_words = st.lists(words, max_size=3).map(tuple)
belongings = st.builds(
    Belonging,
    tree=U32,
    addresses=st.lists(st.tuples(words, words), max_size=3).map(tuple),
    scopes=several_words,
    mounts=several_words,
)
askings = st.builds(
    Asking,
    trees=st.lists(
        st.builds(TreeAsked, U32, st.sampled_from(Asked), U64, U32, st.booleans(), words), max_size=4
    ).map(tuple),
    peer_silent=st.booleans(),
    reference_ok=st.booleans(),
    detached=st.booleans(),
    seen=U64,
    peer=words,
)
views = st.builds(
    View,
    number=U64,
    lease=st.sampled_from(Lease),
    because=texts,
    otherwise=texts,
    sources=st.sampled_from(Sources),
    disk_ok=st.booleans(),
    disk_trouble=texts,
    watchdog=words,
    generation=U64,
    entries=st.lists(
        st.builds(EntryView, U32, st.sampled_from(Entry), U64, st.booleans(), texts, texts), max_size=4
    ).map(tuple),
    peer_entries=st.lists(st.builds(TreeEntry, U32, st.sampled_from(Entry), U64, U32), max_size=4).map(tuple),
    peer_moves=st.booleans(),
    peer_reference_ok=st.booleans(),
    limits_differ=st.booleans(),
)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(SetupMessage, setups),
    st.builds(BelongingsMessage, st.lists(belongings, max_size=4).map(tuple)),
    st.builds(AskingMessage, askings),
    st.builds(PingMessage, U64, U64),
    st.builds(PromiseMessage, U64, U64),
    st.builds(RenewalMessage, U64, stamps),
    st.builds(ViewMessage, views),
    st.builds(RoundsMessage, st.lists(st.one_of(st.none(), st.floats(0, 60)), max_size=9).map(tuple)),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=4)),
    max_leaves=12,
)

TREE = Belonging(1, (("pub0", "192.0.2.100/24"),), ("/sys/fs/cgroup/tree-web",), ("/srv/data",))
SETUP = Setup(
    "ab" * 16, 1, "/dev/mapper/q", "/etc/servha/cluster.key", PROFILES["fast"].limits, "/dev/watchdog"
)
ONE_OF_EACH: tuple[Message, ...] = (
    SetupMessage(SETUP),
    BelongingsMessage((TREE,)),
    AskingMessage(
        Asking((TreeAsked(1, Asked.WANT, 7, 1, forced=True, name="web"),), peer_silent=True, seen=4)
    ),
    PingMessage(3, 123456789),
    PromiseMessage(3, 123456789),
    RenewalMessage(3, Stamp(1.5, 2.5, 3.5)),
    ViewMessage(View(9, Lease.LEASED, say("{peer} is silent", peer="node2"), generation=3)),
    RoundsMessage((0.004, None)),
)
KINDS = ("setup", "belongings", "asking", "ping", "promise", "renewal", "view", "rounds")


@given(messages)
def test_what_is_said_comes_through_whole(message: Message) -> None:
    assert decode(encode(message)) == message


@given(stamps)
def test_a_moment_comes_through_to_the_last_bit(stamp: Stamp) -> None:
    """A renewal counts from it: rounded up, it would make the lease longer than it is."""
    assert decode(encode(RenewalMessage(1, stamp))) == RenewalMessage(1, stamp)


@given(st.binary(max_size=200))
def test_garbage_is_unreadable(datagram: bytes) -> None:
    assert isinstance(decode(datagram), Unreadable)


@given(st.sampled_from(ONE_OF_EACH), st.data())
def test_a_truncated_message_is_unreadable(message: Message, data: st.DataObject) -> None:
    whole = encode(message)
    assert isinstance(decode(whole[: data.draw(st.integers(0, len(whole) - 1))]), Unreadable)


@given(st.sampled_from(ONE_OF_EACH), st.data())
def test_a_message_with_a_flipped_byte_is_read_or_unreadable_but_never_an_accident(
    message: Message, data: st.DataObject
) -> None:
    bent = bytearray(encode(message))
    bent[data.draw(st.integers(0, len(bent) - 1))] ^= data.draw(st.integers(1, 255))
    decode(bytes(bent))


@given(st.sampled_from(KINDS), json_values)
def test_a_message_of_another_shape_is_read_or_unreadable_but_never_an_accident(
    kind: str, inside: object
) -> None:
    found = decode(json.dumps({"v": VERSION, kind: inside}).encode())
    if isinstance(found, Unreadable):
        assert found.reason
    else:
        encode(found)  # and what was read can be said again


@given(st.sampled_from(KINDS), st.data())
def test_a_message_with_one_field_of_another_shape_is_no_accident(kind: str, data: st.DataObject) -> None:
    whole = json.loads(encode(ONE_OF_EACH[KINDS.index(kind)]))
    inside = whole[kind]
    while isinstance(inside, dict | list) and inside and data.draw(st.booleans()):
        place = data.draw(st.sampled_from(sorted(inside) if isinstance(inside, dict) else range(len(inside))))
        outer, inside = inside, inside[place]
        outer[place] = data.draw(json_values)
    decode(json.dumps(whole).encode())


@pytest.mark.parametrize("message", ONE_OF_EACH, ids=KINDS)
def test_another_version_is_unreadable_and_says_so(message: Message) -> None:
    whole = json.loads(encode(message))
    whole["v"] = VERSION + 1
    found = decode(json.dumps(whole).encode())
    assert isinstance(found, Unreadable)
    assert f"version {VERSION + 1}" in found.reason
    del whole["v"]
    assert isinstance(decode(json.dumps(whole).encode()), Unreadable)


@pytest.mark.parametrize("message", ONE_OF_EACH, ids=KINDS)
def test_what_a_newer_release_adds_is_ignored(message: Message) -> None:
    whole = json.loads(encode(message)) | {"a new matter": [1, 2]}
    for inside in whole.values():
        if isinstance(inside, dict):
            inside["a new field"] = {"of": "any shape"}
    assert decode(json.dumps(whole).encode()) == message


def test_an_unknown_message_is_unreadable_and_named() -> None:
    found = decode(b'{"v":1,"advice":{}}')
    assert isinstance(found, Unreadable)
    assert "advice" in found.reason


@pytest.mark.parametrize(
    "datagram", [b"[" * 100_000, b'{"v":1,"view":' + b'{"because":' * 50_000, b"9" * 10_000]
)
def test_nesting_and_numbers_beyond_reason_are_unreadable(datagram: bytes) -> None:
    assert isinstance(decode(datagram), Unreadable)


def test_numbers_that_are_none_make_no_stamp() -> None:
    """A lease counted from NaN would never get old: NaN is less than nothing and more than nothing."""
    for number in ("NaN", "Infinity", "-Infinity", "1e999"):
        assert isinstance(decode(f'{{"v":1,"renewal":[1,{number},2,3]}}'.encode()), Unreadable), number


def test_the_largest_talk_fits_into_one_datagram() -> None:
    """As many trees as a cluster may have (48), every name as long as a name may be, every sentence long and nested."""
    because = say(
        f"{'a long sentence ' * 8} {{tree}}: {{reason}}", tree="t" * 64, reason=say("of reasons " * 12)
    )
    entries = tuple(
        EntryView(2**32 - n, Entry.STOP_FAILED, 2**64 - n, granted=False, because=because, otherwise=because)
        for n in range(48)
    )
    peers = tuple(TreeEntry(2**32 - n, Entry.STOP_FAILED, 2**64 - n, 255) for n in range(TREES_MAX))
    view = View(2**64 - 1, Lease.DEGRADED, because, because, entries=entries, peer_entries=peers)
    size = len(encode(ViewMessage(view)))
    print(f"{size} bytes")
    assert size <= SIZE_MAX
