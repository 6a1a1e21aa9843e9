"""Those who measure must be right: the probing client, and the witness that looks from outside."""

from __future__ import annotations

import time

import pytest

from servha.lab import attempts, probe
from servha.lab.attempts import Attempt
from servha.lab.lab import Lab
from servha.lab.layout import VIRTUAL_ADDRESS
from tests.live.observer import HeldTwice, watching
from tests.live.wait import eventually


def test_the_probe_measures_a_known_blackout(bare_lab: Lab) -> None:
    bare_lab.node1.run("/opt/demo/start")
    with (
        probe.running(bare_lab, url="http://192.0.2.1/who") as http,
        probe.running(bare_lab, icmp="192.0.2.1") as icmp,
    ):
        http.wait_answer()
        icmp.wait_answer()
        before_s = time.monotonic()
        bare_lab.cut("public", "node1", direction="in")
        cut_s = time.monotonic()
        time.sleep(0.4)
        heal_s = time.monotonic()
        bare_lab.heal()
        healed_s = time.monotonic()
        http.wait_answer()
        icmp.wait_answer()
    for seen, every_s in ((http, probe.HTTP_EVERY_S), (icmp, probe.ICMP_EVERY_S)):
        # A busy machine may keep an answer waiting longer than patience lasts; that gap is a short one.
        blackout = seen.longest()
        assert blackout is not None
        assert blackout.start_s <= heal_s
        assert blackout.length_s >= heal_s - cut_s
        # Half of a busy machine's scheduling delay may fall on either end.
        assert blackout.length_s <= healed_s - before_s + 2 * every_s + 0.1


def test_answers_without_a_pause_are_no_blackout(bare_lab: Lab) -> None:
    bare_lab.node2.run("/opt/demo/start")
    with probe.running(bare_lab, url="http://192.0.2.2/who") as p:
        p.wait_answer()
        assert eventually(lambda: len(p.attempts()) > 100)
    assert p.blackouts(patience_s=1.0) == []
    assert set(p.answered_by()) == {"node2"}


def test_a_client_that_slept_itself_saw_no_blackout() -> None:
    seen = [Attempt(t, t + 0.001, "200", "node1") for t in (0.0, 0.01, 0.02, 5.0, 5.01)]
    assert attempts.blackouts(seen) == []


def test_a_blackout_without_an_end_is_endless() -> None:
    seen = [Attempt(0.0, 0.01, "200", "node1"), Attempt(0.01, 0.51, "timeout", "")]
    (blackout,) = attempts.blackouts(seen)
    assert blackout.end_s is None
    assert blackout.length_s == float("inf")


def test_the_witness_sees_an_address_that_is_on_both_nodes(bare_lab: Lab) -> None:
    def add(node: str) -> None:
        bare_lab.node(node).run("ip", "addr", "add", f"{VIRTUAL_ADDRESS}/24", "dev", "pub0")

    def both_in_turn() -> None:
        with watching(bare_lab) as seen:
            add("node1")
            seen.await_holders("address", "node1")
            add("node2")
            seen.await_holders("address", "node1", "node2")

    with pytest.raises(HeldTwice, match="address"):
        both_in_turn()


def test_the_witness_follows_address_application_and_disk(bare_lab: Lab) -> None:
    one, two = bare_lab.nodes
    then_s = 0.0
    with watching(bare_lab) as seen:
        for node in (one, two):
            node.run("ip", "addr", "add", f"{VIRTUAL_ADDRESS}/24", "dev", "pub0")
            node.run("sh", "-c", "mkdir -p /mnt/data && mount /dev/servha/data /mnt/data && /opt/demo/start")
            for thing in ("address", "application", "disk"):
                seen.await_holders(thing, node.name)
            if node is one:
                then_s = time.monotonic()
                node.poweroff()
                for thing in ("address", "application", "disk"):
                    seen.await_holders(thing)
    assert seen.holders("disk", then_s) == {"node1"}
    assert seen.holders("disk", time.monotonic()) == {"node2"}
