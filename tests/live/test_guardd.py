"""servha-guardd where something is wrong with what it was given: its identity, its key, its disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from servha.core.guard_memory import TWIN
from servha.core.guard_model import View
from servha.core.guard_words import NOT_READ
from servha.core.lease import Asked, Lease
from servha.lab.disk_trouble import set_trouble
from servha.lab.lab import Lab
from servha.wire import sector
from servha.wire.guard_talk import Setup, SetupMessage
from tests.live.conftest import LabMaker
from tests.live.guarded import (
    CLUSTER,
    DEVICE,
    KEY,
    KEY_FILE,
    LIMITS,
    WATCHDOG,
    Guarded,
    Speaker,
    guard_only,
    label,
)
from tests.live.wait import eventually

STATE = "run/servha/guard.state"


@dataclass
class Pair:
    """Two nodes, each with a guard that nobody has told anything."""

    lab: Lab
    one: Guarded
    two: Guarded


@pytest.fixture
def pair(make_lab: LabMaker) -> Iterator[Pair]:
    lab = make_lab(guard_only())
    label(lab)
    with ExitStack() as stack:
        made = []
        for node in (lab.node1, lab.node2):
            speaker = Speaker.start(lab, node)
            stack.callback(speaker.end)
            made.append(Guarded(lab, node, speaker))
        pair = Pair(lab, *made)
        yield pair
        print(pair.one.log(), pair.one.console(), pair.two.log(), pair.two.console())


def give_key(guarded: Guarded, content: str = KEY.hex()) -> None:
    (guarded.node.root / KEY_FILE.lstrip("/")).write_text(content, encoding="ascii")


def introduce(guarded: Guarded, *, node: int = 0, device: str = DEVICE) -> None:
    """Tell a guard who it is, whatever the truth."""
    setup = Setup(CLUSTER, node, device, KEY_FILE, LIMITS, WATCHDOG, guarded.node.name, "0")
    guarded.speaker.say(SetupMessage(setup))


def ended(view: View) -> bool:
    return view.lease in (Lease.ENDING, Lease.FREE)


def test_a_second_machine_with_the_same_identity_is_named_and_gets_nothing_while_the_first_runs_on(
    pair: Pair,
) -> None:
    """A machine cloned with its configuration: both are node1."""
    give_key(pair.one)
    introduce(pair.one)
    pair.one.speaker.hold()
    begin = len(pair.one.speaker.views)
    give_key(pair.two)
    introduce(pair.two)
    pair.two.speaker.ask(Asked.WANT, peer_silent=True)
    assert eventually(lambda: str(pair.two.speaker.view.disk_trouble) == str(TWIN))
    assert not eventually(lambda: pair.two.speaker.entry.granted, within_s=LIMITS.lease_s)
    assert not any(ended(v) for _, v in pair.one.speaker.views[begin:])
    assert pair.one.speaker.entry.granted


def test_a_guard_without_its_key_says_so_and_goes_on_when_it_has_it(pair: Pair) -> None:
    introduce(pair.one)
    pair.one.await_log(f"{KEY_FILE} cannot be read")
    give_key(pair.one, "no key")
    introduce(pair.one)
    assert eventually(lambda: "non-hexadecimal" in pair.one.log())
    give_key(pair.one)
    pair.one.speaker.hold()


def test_a_guard_with_the_key_of_another_cluster_is_granted_nothing_and_says_so(pair: Pair) -> None:
    give_key(pair.one, bytes(32).hex())
    introduce(pair.one)
    pair.one.speaker.ask(Asked.WANT, peer_silent=True)
    assert eventually(lambda: str(pair.one.speaker.view.disk_trouble) not in ("", str(NOT_READ)))
    print(pair.one.speaker.view.disk_trouble)
    assert not eventually(lambda: pair.one.speaker.entry.granted, within_s=1)


@pytest.mark.parametrize(
    ("device", "words"), [("/dev/servha/absent", "No such file"), ("/dev/null", ""), ("/run/plain", "")]
)
def test_a_disk_that_is_none_is_said_and_nothing_is_granted(pair: Pair, device: str, words: str) -> None:
    give_key(pair.one)
    (pair.one.node.root / "run/plain").write_text("no disk")
    introduce(pair.one, device=device)
    pair.one.speaker.ask(Asked.WANT, peer_silent=True)
    assert eventually(lambda: str(pair.one.speaker.view.disk_trouble) not in ("", str(NOT_READ)))
    print(pair.one.speaker.view.disk_trouble)
    assert words in str(pair.one.speaker.view.disk_trouble)
    assert not eventually(lambda: pair.one.speaker.entry.granted, within_s=1)
    assert not (pair.one.node.root / STATE).exists()


def test_a_disk_without_a_label_is_said_and_never_written(pair: Pair) -> None:
    blank = bytes(sector.SLOTS_BYTES)
    with pair.lab.layout.lun("quorum").open("r+b") as image:
        image.seek(sector.HEADERS_AT)
        image.write(bytes(8192))
        image.flush()
    give_key(pair.one)
    introduce(pair.one)
    pair.one.speaker.ask(Asked.WANT, peer_silent=True)
    assert eventually(lambda: str(pair.one.speaker.view.disk_trouble) not in ("", str(NOT_READ)))
    print(pair.one.speaker.view.disk_trouble)
    assert not eventually(lambda: pair.one.speaker.entry.granted, within_s=1)
    with pair.lab.layout.lun("quorum").open("rb") as image:
        image.seek(sector.SLOTS_AT)
        assert image.read(sector.SLOTS_BYTES) == blank


def test_a_disk_that_cannot_be_read_is_said_and_used_once_it_can(pair: Pair) -> None:
    trouble = Path(pair.one.node.root / "run/quorum-disk-trouble")
    set_trouble("error", trouble)
    give_key(pair.one)
    introduce(pair.one)
    pair.one.speaker.ask(Asked.WANT, peer_silent=True)
    assert eventually(lambda: str(pair.one.speaker.view.disk_trouble) not in ("", str(NOT_READ)))
    print(pair.one.speaker.view.disk_trouble)
    set_trouble("", trouble)
    assert eventually(lambda: pair.one.speaker.entry.granted, within_s=LIMITS.take_s + 5)


def test_the_memory_goes_when_nothing_is_held(pair: Pair) -> None:
    give_key(pair.one)
    introduce(pair.one)
    state = pair.one.node.root / STATE
    assert not state.exists()
    pair.one.speaker.hold()
    assert state.exists()
    pair.one.speaker.ask(Asked.OFF)
    assert eventually(lambda: not state.exists())
