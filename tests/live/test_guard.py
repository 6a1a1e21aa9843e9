"""servha-guardd on a real disk and a real watchdog: what it survives, what ends its node, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from servha.core.clocks import Stamp
from servha.core.lease import Asked, Lease, Sources
from servha.core.register import Entry
from servha.lab.disk_trouble import set_trouble
from servha.lab.lab import Lab
from servha.lab.trouble import LabError
from servha.wire.guard_talk import PingMessage, RenewalMessage
from tests.live.conftest import LabMaker
from tests.live.guarded import LIMITS, TREE, Guarded, Speaker, guard_only, label, now_s, slot_of
from tests.live.wait import eventually

W_S, L_S = LIMITS.watchdog_s, LIMITS.lease_s


@pytest.fixture
def guarded(make_lab: LabMaker) -> Iterator[Guarded]:
    lab = make_lab(guard_only())
    label(lab)
    speaker = Speaker.start(lab, lab.node1)
    speaker.introduce()
    made = Guarded(lab, lab.node1, speaker)
    yield made
    print(made.log(), made.console())
    made.speaker.end()


def lives_on(guarded: Guarded, boot: str, *, for_s: float) -> None:
    """Watch the node for a while: the same life, and the lease never ended."""
    begin = len(guarded.speaker.views)
    assert not eventually(lambda: guarded.boot != boot, within_s=for_s), guarded.console()
    ended = [v for _, v in guarded.speaker.views[begin:] if v.lease in (Lease.ENDING, Lease.RESET)]
    assert not ended, ended


def promise(guarded: Guarded) -> None:
    """Say that the peer has just promised."""
    now = Stamp(
        time.clock_gettime(time.CLOCK_MONOTONIC),
        time.clock_gettime(time.CLOCK_BOOTTIME),
        time.clock_gettime(time.CLOCK_MONOTONIC_RAW),
    )
    guarded.speaker.say(RenewalMessage(guarded.speaker.view.generation, now))


def test_what_is_held_is_on_the_disk_and_a_watchdog_stands_behind_it(guarded: Guarded) -> None:
    guarded.speaker.hold()
    slot = slot_of(guarded.lab, 0)
    assert slot is not None
    assert slot.tree(TREE).entry is Entry.HELD
    assert guarded.speaker.view.watchdog == "ServHA lab watchdog"
    assert eventually(lambda: (found := slot_of(guarded.lab, 0)) and found.flags.watchdog_armed)
    assert (slot.host, slot.version) == ("node1", "0")
    lives_on(guarded, guarded.boot, for_s=3 * W_S)


def test_the_watchdog_is_armed_before_a_wish_is_on_the_disk(guarded: Guarded) -> None:
    guarded.speaker.await_view(lambda v: v.lease is Lease.FREE, "free")
    set_trouble("hang", guarded.node.root / "run/quorum-disk-trouble")
    boot = guarded.boot
    promise(guarded)
    guarded.speaker.ask(Asked.WANT)
    guarded.speaker.await_view(lambda v: v.entry(TREE).entry is Entry.WANT, "wanted")
    os.kill(guarded.guard_pid, signal.SIGSTOP)
    slot = slot_of(guarded.lab, 0)
    assert slot is None or slot.tree(TREE).entry is Entry.NONE, "the write hangs"
    assert eventually(lambda: guarded.boot != boot, within_s=L_S)
    assert "the watchdog was not fed" in guarded.console()


def test_a_guard_that_stands_still_for_a_moment_changes_nothing(guarded: Guarded) -> None:
    guarded.speaker.hold()
    boot = guarded.boot
    for _ in range(3):
        os.kill(guarded.guard_pid, signal.SIGSTOP)
        time.sleep(0.5 * W_S)
        os.kill(guarded.guard_pid, signal.SIGCONT)
        lives_on(guarded, boot, for_s=0.5)
    assert guarded.leased(guarded.speaker.view)


def test_a_guard_that_stands_still_for_long_costs_the_node_within_the_lease(guarded: Guarded) -> None:
    guarded.speaker.hold()
    boot = guarded.boot
    at_s = now_s()
    os.kill(guarded.guard_pid, signal.SIGSTOP)
    assert eventually(lambda: "the watchdog was not fed" in guarded.console(), within_s=L_S)
    assert now_s() - at_s < 2 * W_S
    assert eventually(lambda: guarded.boot not in ("", boot), within_s=10)
    slot = slot_of(guarded.lab, 0)
    assert slot is not None
    assert slot.tree(TREE).entry is Entry.HELD, "nobody said that it had stopped"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_guard_is_replaced_and_nothing_that_runs_notices(guarded: Guarded, number: signal.Signals) -> None:
    guarded.speaker.hold()
    boot, ownership = guarded.boot, guarded.speaker.entry.ownership
    for _ in range(3):
        before = guarded.guard_pid
        os.kill(before, number)
        assert eventually(lambda: guarded.guard_pid not in (0, before))  # noqa: B023  it is waited for here
        lives_on(guarded, boot, for_s=2 * W_S)
    assert guarded.leased(guarded.speaker.view)
    assert guarded.speaker.entry.ownership == ownership
    assert guarded.log().count("going on from there") == 3


def test_a_guard_that_died_with_nobody_to_replace_it_costs_the_node(guarded: Guarded) -> None:
    guarded.speaker.hold()
    assert guarded.node.pid is not None
    os.kill(
        guarded.node.pid, signal.SIGSTOP
    )  # init itself: the watchdog's descriptor is kept, and nobody feeds it
    os.kill(guarded.guard_pid, signal.SIGKILL)
    assert eventually(lambda: "the watchdog was not fed" in guarded.console(), within_s=L_S)


def test_once_nothing_is_held_no_watchdog_waits_to_be_fed(guarded: Guarded) -> None:
    guarded.speaker.hold()
    # Whoever is started meanwhile must not hold open what the guard has stored.
    guarded.node.service("add", "bystander", unit={"argv": ["sleep", "1000"], "notify": False})
    boot = guarded.boot
    guarded.speaker.ask(Asked.OFF)
    guarded.speaker.await_view(lambda v: v.lease is Lease.FREE, "free")
    assert not (guarded.node.root / "run/servha/guard.state").exists()
    os.kill(guarded.guard_pid, signal.SIGSTOP)
    assert not eventually(lambda: guarded.boot != boot, within_s=2 * W_S)
    os.kill(guarded.guard_pid, signal.SIGKILL)
    guarded.speaker.hold()
    lives_on(guarded, boot, for_s=2 * W_S)


def test_a_disk_that_hangs_keeps_nothing_from_running_while_the_peer_promises(guarded: Guarded) -> None:
    guarded.speaker.hold()
    boot = guarded.boot
    promise(guarded)
    set_trouble("hang", guarded.node.root / "run/quorum-disk-trouble")
    until_s = now_s() + 2 * L_S
    while now_s() < until_s:
        promise(guarded)
        lives_on(guarded, boot, for_s=0.1)
    view = guarded.speaker.view
    assert (view.lease, view.sources, view.disk_ok) == (Lease.DEGRADED, Sources.PEER, False)
    assert "does not answer" in str(view.disk_trouble)
    os.kill(guarded.guard_pid, signal.SIGTERM)
    guarded.await_log("it ends when the quorum disk has answered")
    for _ in range(10):
        promise(guarded)
        lives_on(guarded, boot, for_s=0.1)
    set_trouble("", guarded.node.root / "run/quorum-disk-trouble")
    guarded.await_log("going on from there")
    guarded.speaker.await_view(lambda v: v.disk_ok, "disk back")
    lives_on(guarded, boot, for_s=W_S)


def test_a_ping_is_answered_with_a_promise_unless_the_takeover_has_begun(guarded: Guarded) -> None:
    guarded.speaker.await_view(lambda v: v.lease is Lease.FREE, "free")
    guarded.speaker.say(PingMessage(generation=4, token=123456789))
    assert eventually(lambda: guarded.speaker.promises)
    (given,) = guarded.speaker.promises
    assert (given.generation, given.token) == (4, 123456789)


def test_a_later_servhad_takes_the_place_of_the_one_before(guarded: Guarded) -> None:
    guarded.speaker.hold()
    first = guarded.speaker
    boot = guarded.boot
    guarded.speaker = Speaker.start(guarded.lab, guarded.node)
    guarded.speaker.await_view(guarded.leased, "leased as before")
    assert eventually(lambda: first.process.poll() is not None), "one servhad that lingers is one too many"
    first.end()
    guarded.await_log("another servhad has come")
    guarded.speaker.ask(Asked.RUN)
    lives_on(guarded, boot, for_s=W_S)


def test_a_second_guard_on_one_node_ends_at_once(guarded: Guarded) -> None:
    guarded.speaker.hold()
    unit = guard_only()[0]
    again = guarded.node.run(*unit.argv, check=False)
    assert again.returncode == 75
    assert "another servha-guardd serves /run/servha" in again.stderr
    lives_on(guarded, guarded.boot, for_s=W_S)


def test_a_guard_is_not_stopped_by_hand(guarded: Guarded) -> None:
    guarded.speaker.hold()
    with pytest.raises(LabError, match="refuses"):
        guarded.node.service("stop", "servha-guardd")
    os.kill(guarded.guard_pid, signal.SIGINT)
    guarded.await_log("not ended: servhad is here")
    lives_on(guarded, guarded.boot, for_s=W_S)


def test_a_node_that_shuts_down_gives_back_what_a_dead_servhad_left_and_is_not_reset(
    guarded: Guarded,
) -> None:
    guarded.speaker.hold()
    guarded.speaker.end()
    assert guarded.node.pid is not None
    os.kill(guarded.node.pid, signal.SIGTERM)
    assert eventually(lambda: "powers off" in guarded.console())
    assert "watchdog was not fed" not in guarded.console()
    slot = slot_of(guarded.lab, 0)
    assert slot is not None
    assert (slot.tree(TREE).entry, slot.flags.shut_down) == (Entry.RELEASED, True)


def test_the_disk_is_free_once_servhad_has_ended_and_nothing_is_held(guarded: Guarded) -> None:
    guarded.speaker.await_view(lambda v: v.lease is Lease.FREE, "free")
    (device,) = {guarded.node.run("readlink", "-f", "/dev/servha/quorum").stdout.strip()}
    alone = ["python3", "-c", f"import os; os.open('{device}', os.O_RDWR | os.O_EXCL)"]
    assert guarded.node.run(*alone, check=False).returncode != 0
    guarded.speaker.end()
    assert eventually(lambda: guarded.node.run(*alone, check=False).returncode == 0)
    slot = slot_of(guarded.lab, 0)
    assert slot is not None
    assert slot.flags.shut_down
    guarded.speaker = Speaker.start(guarded.lab, guarded.node)
    guarded.speaker.introduce()
    guarded.speaker.hold()
    lives_on(guarded, guarded.boot, for_s=W_S)


def test_a_watchdog_that_nobody_kept_is_taken_up_again(bare_lab: Lab) -> None:
    """As after a crash between the decision to arm and the arming, or under a manager without descriptor store."""
    label(bare_lab)
    node = bare_lab.node1
    by_hand = f"echo $$ > /run/guard.pid; exec {' '.join(guard_only()[0].argv)}"
    first = node.popen("sh", "-c", by_hand)
    speaker = Speaker.start(bare_lab, node)
    guarded = Guarded(bare_lab, node, speaker)
    try:
        speaker.introduce()
        speaker.hold()
        boot = guarded.boot
        node.run("kill", "-KILL", node.read("/run/guard.pid").strip())
        first.wait()
        second = node.popen("sh", "-c", by_hand)
        lives_on(guarded, boot, for_s=3 * W_S)
        assert guarded.leased(speaker.view)
        assert speaker.view.watchdog
        node.run("kill", "-STOP", node.read("/run/guard.pid").strip())
        assert eventually(lambda: "the watchdog was not fed" in guarded.console(), within_s=L_S)
        second.wait()
    finally:
        speaker.end()
