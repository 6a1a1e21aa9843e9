"""What a guard leaves to its successor: whole or not at all, whenever it was killed."""

from __future__ import annotations

import json
import resource
import signal
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servha.core.clocks import Stamp
from servha.core.guard import Guard
from servha.core.guard_model import Asking, Held, Saved, TreeAsked
from servha.core.lease import Asked, Lease
from servha.core.register import Claim, Entry, Slot, TreeEntry
from servha.core.timing import PROFILES
from servha.guard.memory import Memory, MemoryFile
from servha.wire.guard_talk import Belonging, Setup

BOOT, OTHER_BOOT = "ab" * 16, "cd" * 16
LIMITS = PROFILES["fast"].limits
ROOM = 1 << 16
"""Where the second copy begins; the pulses stand after it."""


def a_memory(number: int = 8, *, boot_id: str = BOOT, generation: int = 3, nic: str = "pub0") -> Memory:
    return Memory(
        setup=Setup(
            "ef" * 16, 1, "/dev/mapper/q", "/etc/servha/cluster.key", LIMITS, "/dev/watchdog", "node2", "1"
        ),
        belongings=(
            Belonging(1, ((nic, "192.0.2.100/24"),), ("/sys/fs/cgroup/tree-web",), ("/srv/the data",)),
        ),
        saved=Saved(
            boot_id=boot_id,
            slot=Slot(
                1,
                generation,
                number,
                boot_id,
                LIMITS,
                Claim(2, 77, 5),
                trees=(TreeEntry(1, Entry.HELD, 2**40, 1),),
            ),
            basis=Stamp(100.0 + number, 100.5 + number, 99.5 + number),
            trees=(Held(1, Entry.HELD, 2**40, 1, 2),),
            asking=Asking((TreeAsked(1, Asked.RUN, 2**40, 1, name="web"),), seen=12, peer="node1"),
            watchdog="Software Watchdog",
            watchdog_s=1.0,
        ),
    )


def beaten(memory: Memory, rounds: int) -> Memory:
    """The same memory some rounds later: only its pulse is another."""
    saved = memory.saved
    assert saved.basis is not None
    number = saved.slot.number + rounds
    slot = replace(saved.slot, number=number)
    return replace(memory, saved=replace(saved, slot=slot, basis=saved.basis.later(rounds * LIMITS.round_s)))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "guard.state"


def left(place: Path) -> Memory | None:
    return MemoryFile(str(place)).load()


def test_what_was_kept_is_found(place: Path) -> None:
    MemoryFile(str(place)).keep(a_memory())
    assert left(place) == a_memory()
    assert place.stat().st_mode & 0o777 == 0o600


def test_the_last_that_was_kept_is_found(place: Path) -> None:
    file = MemoryFile(str(place))
    for nic in ("a", "b", "c", "d"):
        file.keep(a_memory(nic=nic))
        assert left(place) == a_memory(nic=nic)


def test_a_successor_goes_on_writing_over_the_older_copy(place: Path) -> None:
    file = MemoryFile(str(place))
    file.keep(a_memory(nic="a"))
    file.keep(a_memory(nic="b"))
    for nic in ("c", "d", "e"):
        successor = MemoryFile(str(place))
        assert successor.load() is not None
        before = place.read_bytes()
        successor.keep(a_memory(nic=nic))
        after = place.read_bytes()
        changed = {
            at // ROOM for at in range(0, len(before), 64) if before[at : at + 64] != after[at : at + 64]
        }
        assert len(changed & {0, 1}) == 1, "both copies were written"
        assert left(place) == a_memory(nic=nic)


def test_a_pulse_newer_than_the_body_counts(place: Path) -> None:
    file, first = MemoryFile(str(place)), a_memory()
    file.keep(first)
    bodies = place.read_bytes()[: 2 * ROOM]
    for rounds in (1, 2, 3):
        file.keep(beaten(first, rounds))
        assert place.read_bytes()[: 2 * ROOM] == bodies, "a beat writes nothing but the pulse"
        assert left(place) == beaten(first, rounds)


def test_a_torn_pulse_leaves_the_one_before(place: Path) -> None:
    file, first = MemoryFile(str(place)), a_memory()
    file.keep(first)
    file.keep(beaten(first, 1))
    file.keep(beaten(first, 2))
    content = bytearray(place.read_bytes())
    at = 2 * ROOM + 64 * (beaten(first, 2).saved.slot.number & 1)
    content[at + 16 : at + 24] = struct.pack("d", 1e9)  # a basis far in the future, that nobody wrote
    place.write_bytes(content)
    assert left(place) == beaten(first, 1)


def test_a_pulse_of_another_life_of_the_disk_does_not_count(place: Path) -> None:
    """The pulses of a guard that is past are newer by their number; only the generation tells."""
    file = MemoryFile(str(place))
    file.keep(beaten(a_memory(generation=2), 1000))
    file.keep(a_memory(generation=3))
    found = left(place)
    assert found is not None
    assert (found.saved.slot.number, found.saved.basis) == (8, a_memory().saved.basis)


def test_nothing_is_left_once_it_was_cleared(place: Path) -> None:
    file = MemoryFile(str(place))
    file.clear()  # nothing was kept: fine
    file.keep(a_memory())
    file.clear()
    assert not place.exists()
    file.keep(a_memory(nic="later"))
    assert left(place) == a_memory(nic="later")


@pytest.mark.parametrize("content", [b"", b"\0" * 200, b"\0" * 3 * ROOM, b"x" * 3 * ROOM, b"{}"])
def test_what_is_no_memory_is_none(place: Path, content: bytes) -> None:
    place.write_bytes(content)
    assert left(place) is None


def test_a_memory_of_another_release_is_none(place: Path) -> None:
    """Sealed and whole, but its fields have other names."""
    body = json.dumps({"setup": {}, "belongings": [], "saved": {}}).encode()
    place.write_bytes(struct.pack("<QII", 1, len(body), zlib.crc32(body)) + body)
    assert left(place) is None


@settings(max_examples=300)
@given(at=st.integers(0, 1 << 20), bits=st.integers(1, 255), data=st.data())
def test_one_bent_byte_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, at: int, bits: int, data: st.DataObject
) -> None:
    """What is found is one of the two that were kept, with a pulse that was written for it."""
    place = tmp_path_factory.mktemp("memory") / "guard.state"
    file, first, second = MemoryFile(str(place)), a_memory(nic="a"), a_memory(number=9, nic="b")
    file.keep(first)
    file.keep(second)
    file.keep(beaten(second, 1))
    content = bytearray(place.read_bytes())
    used = [n for n in range(len(content)) if content[n]]
    content[data.draw(st.sampled_from(used)) if at % 2 else at % len(content)] ^= bits
    place.write_bytes(content)
    allowed = [first, *(beaten(with_nic, n) for with_nic in (first, second) for n in (0, 1, 2))]
    pulses = [(m.saved.slot.number, m.saved.basis) for m in allowed] + [(9, second.saved.basis)]
    found = left(place)
    assert found is not None
    assert found.belongings in (first.belongings, second.belongings)
    assert found.setup == first.setup
    assert (found.saved.slot.number, found.saved.basis) in pulses


def test_a_disk_that_is_full_is_said_and_leaves_the_last_whole_one(place: Path) -> None:
    file = MemoryFile(str(place))
    file.keep(a_memory(nic="a"))  # in the copy that stands behind
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
        for nic in ("b", "c", "d"):
            with pytest.raises(OSError, match="No space"):
                file.keep(a_memory(nic=nic))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert left(place) == a_memory(nic="a")
    file.keep(a_memory(nic="d"))
    assert left(place) == a_memory(nic="d")


def test_more_than_there_is_room_for_is_said_and_spoils_nothing(place: Path) -> None:
    file = MemoryFile(str(place))
    file.keep(a_memory(nic="a"))
    with pytest.raises(OSError, match="too large"):
        file.keep(a_memory(nic="b" * ROOM))
    assert left(place) == a_memory(nic="a")


WRITER = """
import os, sys
sys.path.insert(0, {checkout!r})
from tests.guard.test_memory import a_memory, beaten
from servha.guard.memory import MemoryFile
file = MemoryFile({place!r})
number = 8
while True:
    long = a_memory(number=number, nic=str(number) * 8000)   # some ten pages, so that a kill can tear it
    file.keep(long)
    os.write(1, b"%d\\n" % number)
    file.keep(beaten(long, 1))
    number += 2
"""


def test_a_guard_killed_at_any_moment_leaves_one_whole(place: Path) -> None:
    """Killed twenty times while it writes as fast as it can: the last whole one that it reported, or the one after."""
    checkout = str(Path(__file__).parent.parent.parent)
    for turn in range(20):
        code = WRITER.format(checkout=checkout, place=str(place))
        writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        for _ in range(3 + turn * 7):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        reported = int((writer.stdout.read().split() or [b"0"])[-1])
        writer.stdout.close()
        found = left(place)
        assert found is not None
        number = found.saved.slot.number
        assert number >= reported
        # The body of the round before with the pulse of that before it, or the body just written with its own.
        assert found.belongings[0].addresses[0][0].startswith(str(number & ~1))
        place.unlink()


# --- what the core makes of it -------------------------------------------------------------------------------------


def a_successor(memory: Memory, boot_id: str, now: Stamp) -> Guard:
    return Guard(node=1, boot_id=boot_id, limits=LIMITS, now=now, saved=memory.saved)


def test_a_successor_in_the_same_boot_goes_on(place: Path) -> None:
    MemoryFile(str(place)).keep(a_memory())
    found = left(place)
    assert found is not None
    assert found.saved.basis is not None
    guard = a_successor(found, BOOT, found.saved.basis.later(0.1))
    assert guard.state.tree(1).entry is Entry.HELD
    assert guard.state.armed


def test_a_memory_of_another_boot_counts_for_nothing(place: Path) -> None:
    MemoryFile(str(place)).keep(a_memory(boot_id=OTHER_BOOT))
    found = left(place)
    assert found is not None
    guard = a_successor(found, BOOT, Stamp(1.0, 1.0, 1.0))
    assert guard.state.lease is Lease.BOOTING
    assert not guard.state.trees
    assert guard.state.basis is None
