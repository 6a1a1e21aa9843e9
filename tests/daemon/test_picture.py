"""What a node shows of its arbitration, and what it takes for a forced start; the core is the real one."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from servha import __version__
from servha.cli.entry import entries_of
from servha.cli.screen import Screen
from servha.cli.why import decisions_of, explain
from servha.config.document import Document, parse, to_data
from servha.core.arbitration import LEVELS
from servha.core.effects import Record
from servha.core.engine import Engine
from servha.core.events import (
    BeatReceived,
    ConfigChanged,
    Event,
    GuardTold,
    OrderGiven,
    Remembered,
    Tick,
    TreeMemory,
)
from servha.core.guard_model import EntryView, View
from servha.core.lease import Lease, Sources
from servha.core.model import JournalEntry, Order, Phase, Report, Standing, Step, TreeReport
from servha.core.register import Entry, TreeEntry
from servha.core.words import from_dict, say
from servha.daemon.alarms import StandingAlarms
from servha.daemon.caller import Caller, DoorKind, Right
from servha.daemon.journal import Journal, told
from servha.daemon.peer_channel import PeerChannel
from servha.daemon.picture import Shown, picture, with_peer
from servha.daemon.quality import Hour
from servha.daemon.verbs import Verbs
from servha.wire.rpc import Code, Json, Refusal
from tests.cli import documents, recorded, recorded_disk

ROOT = Caller(DoorKind.LOCAL, "root", "", same_machine=True, right=Right.ADMINISTRATOR)
RENEWED = say("the quorum disk and {peer} renew the lease", peer="node2")
HELD = View(
    number=3,
    lease=Lease.LEASED,
    because=RENEWED,
    sources=Sources.BOTH,
    disk_ok=True,
    watchdog="Software Watchdog",
    generation=12,
    entries=(EntryView(1, Entry.HELD, 5, granted=True, because=say("it is held here")),),
    peer_entries=(TreeEntry(1),),
    peer_moves=True,
)
IDLE = View(number=1, lease=Lease.FREE, because=say("nothing is held"), disk_ok=True, peer_moves=True)
TROUBLE = View(
    number=2,
    lease=Lease.FREE,
    because=say("nothing is held"),
    disk_trouble=say("the quorum disk does not answer"),
    entries=(
        EntryView(1, Entry.NONE, 5, because=say("servhad is away"), otherwise=say("its return would have")),
    ),
    peer_entries=(TreeEntry(1, Entry.HELD, 5),),
)


def on_disk(policy: str = "quorum-disk") -> Document:
    data = documents.document()
    data["cluster"] |= {"policy": policy, "quorum_disk": recorded_disk.DEVICE}
    document, problems = parse(data)
    assert document is not None, problems
    return document


class Node:
    """One node's core with nothing around it: time passes when it is told to."""

    def __init__(self, document: Document, us: str = "node1") -> None:
        self.us = us
        self.document = document
        self.alarms = StandingAlarms()
        self.now_s = 100.0
        self.entries: list[JournalEntry] = []
        self.links: dict[str, Hour] = {}
        self.disk: Hour | None = None
        self._engine = Engine(document.cluster_for(us), incarnation=us, now_s=self.now_s)

    @property
    def state(self) -> Any:
        return self._engine.state

    def happen(self, event: Event) -> None:
        self.entries += [e.entry for e in self._engine.handle(event) if isinstance(e, Record)]

    def order(self, tree: str, order: Order, by: str) -> None:
        self.happen(OrderGiven(self.now_s, tree, order, by))

    def remember(self, *memories: TreeMemory) -> None:
        self.happen(Remembered(self.now_s, memories))

    def told(self, view: View | None) -> None:
        self.happen(GuardTold(self.now_s, view))

    def pass_s(self, seconds: float) -> None:
        """Let time pass in small steps, as the loop does."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = min(end_s, self.now_s + 0.25)
            self.happen(Tick(self.now_s))

    def hear(self, number: int = 1, **more: Any) -> None:
        peer = "node2" if self.us == "node1" else "node1"
        report = Report(peer, "theirs", Standing.STANDBY, reference_ok=True, number=number, **more)
        for link in self.document.links:
            self.happen(BeatReceived(self.now_s, link, report))

    def shown(self) -> Shown:
        return picture(
            self.document,
            self.state,
            self.alarms,
            started_s=100.0,
            events_missed=0,
            links=self.links,
            disk=self.disk,
        )


def holder() -> Node:
    node = Node(on_disk())
    node.remember(TreeMemory("web", Phase.RUNNING, 5, Order(), (("vip", Step.ON),)))
    node.hear()
    node.told(HELD)
    return node


def idle(us: str = "node2") -> Node:
    node = Node(on_disk(), us)
    node.remember()
    node.hear(trees=(TreeReport(1, Phase.RUNNING, 5),))
    node.told(IDLE)
    return node


def sentence(shown: Mapping[str, Any]) -> str:
    return str(from_dict(shown))


def test_the_lease_is_shown_as_the_guard_told_it_with_its_age() -> None:
    node = holder()
    node.pass_s(3.0)
    lease = node.shown()["arbitration"]["lease"]
    assert (lease["guard"], lease["word"], lease["sources"]) == ("lives", "leased", "both")
    assert sentence(lease["because"]) == str(RENEWED)
    assert lease["since_s"] == 3.0
    assert lease["disk"] == {
        "device": recorded_disk.DEVICE,
        "works": True,
        "trouble": recorded.NOTHING,
        "round_ms": None,
    }
    assert lease["watchdog"] == "Software Watchdog"
    assert lease["trees"][0] | {"because": None} == {
        "tree": "web",
        "entry": "held",
        "ownership": 5,
        "granted": True,
        "because": None,
        "otherwise": recorded.NOTHING,
        "peer_entry": "none",
        "peer_ownership": 0,
    }


def test_what_the_command_line_is_tested_with_has_the_shape_of_the_real_thing() -> None:
    whole = with_peer(holder().shown(), idle().shown())
    expected = recorded_disk.status_on_disk()
    assert whole["arbitration"].keys() == expected["arbitration"].keys()
    for name in ("lease", "peer_lease"):
        assert whole["arbitration"][name].keys() == expected["arbitration"][name].keys()
    ours, theirs = (w["arbitration"]["lease"]["trees"][0].keys() for w in (whole, expected))
    assert ours == theirs


def test_without_a_word_of_the_guard_nothing_is_known_and_nothing_guaranteed() -> None:
    node = Node(on_disk())
    node.remember()
    shown = node.shown()
    assert shown["cluster"]["guarantee"]["level"] == 0
    lease = shown["arbitration"]["lease"]
    assert (lease["word"], lease["guard"], lease["disk"]["works"]) == ("unknown", "unknown", None)
    assert sentence(lease["because"]) == "servha-guardd has not answered yet"
    node.pass_s(4.0)
    lease = node.shown()["arbitration"]["lease"]
    assert (lease["guard"], sentence(lease["because"])) == ("absent", "servha-guardd does not answer")
    assert lease["since_s"] == 4.0


def test_round_trip_loss_and_rounds_are_shown_where_they_were_measured() -> None:
    node = holder()
    node.links, node.disk = {"private": Hour(), "public": Hour()}, Hour()
    node.links["private"].count(node.now_s - 10, took_s=0.00021)
    node.links["private"].count(node.now_s, lost=2)
    node.disk.count(node.now_s, took_s=0.0034)
    shown = node.shown()
    here, there = ({link["name"]: link for link in one["links"]} for one in shown["nodes"])
    assert (here["private"]["rtt_ms"], here["private"]["loss"]) == (0.21, 0.5)
    assert (here["public"]["rtt_ms"], here["public"]["loss"]) == (None, None)
    assert there["private"]["rtt_ms"] is None, "only the peer knows what it measured"
    assert shown["arbitration"]["lease"]["disk"]["round_ms"] == 3.4


def test_a_node_alone_has_links_to_nobody_not_dead_ones() -> None:
    node = holder()
    data = to_data(node.document)
    data["nodes"] = data["nodes"][:1]
    data["cluster"]["policy"] = "none"
    data["trees"] = []
    alone, problems = parse(data)
    assert alone is not None, problems
    node.document = alone
    node.happen(ConfigChanged(node.now_s, alone.cluster_for("node1")))
    node.pass_s(30.0)
    (here,) = (one for one in node.shown()["nodes"] if one["us"])
    assert {(link["state"], link["silent_s"]) for link in here["links"]} == {("unknown", None)}


def test_each_node_tells_its_own_version() -> None:
    ours, theirs = holder().shown(), idle().shown()
    assert [node["version"] for node in ours["nodes"]] == [__version__, ""]
    theirs["nodes"][0]["version"] = "9.9"
    assert [node["version"] for node in with_peer(ours, theirs)["nodes"]] == [__version__, "9.9"]


def test_a_policy_without_a_disk_has_no_lease() -> None:
    document, problems = parse(documents.document())
    assert document is not None, problems
    node = Node(document)
    node.remember()
    assert node.shown()["arbitration"]["lease"] is None


def test_the_guarantee_follows_the_watchdog_of_who_holds() -> None:
    ours = holder().shown()
    assert ours["cluster"]["guarantee"]["level"] == 3
    standby = idle().shown()
    assert standby["cluster"]["guarantee"]["level"] == 2
    assert with_peer(standby, ours)["cluster"]["guarantee"]["level"] == 3
    assert with_peer(holder().shown(), idle().shown())["cluster"]["guarantee"]["level"] == 3


def test_every_level_has_a_sentence_of_its_own() -> None:
    assert len({str(text) for text in LEVELS}) == len(LEVELS) == 6


def test_a_peer_of_an_older_release_shows_no_lease() -> None:
    theirs = idle().shown()
    del theirs["arbitration"]
    assert with_peer(holder().shown(), theirs)["arbitration"]["peer_lease"] is None


# --- a start by force ----------------------------------------------------------------------------------------------


def silent() -> Node:
    """node2, where nothing of node1 is heard any more and the quorum disk cannot be read."""
    node = idle()
    node.pass_s(10.0)
    node.told(TROUBLE)
    node.entries.clear()
    return node


def ask(asked_node: Node, tmp_path: Path, **args: Json) -> Json:
    """Ask the real verb `order`."""

    async def asked() -> Json:
        journal = Journal(tmp_path)
        verbs = Verbs(
            node=lambda: asked_node,  # type: ignore[arg-type,return-value]
            channel=PeerChannel.__new__(PeerChannel),
            journal=journal,
            started_s=0.0,
        )
        try:
            return await verbs.order({"tree": "web", "verb": "start", **args}, ROOT)
        finally:
            journal.close()

    return asyncio.run(asked())


def test_a_forced_order_stays_here_and_the_journal_names_who_said_so(tmp_path: Path) -> None:
    node = silent()
    assert ask(node, tmp_path, forced=True, peer_is_off="node1") == {"number": 1}
    order = node.state.tree("web").order
    assert (order.forced, order.pin) == (True, "node2")
    told = next(e for e in node.entries if e.rule == "order/1")
    assert str(told.because) == "root confirmed that node1 is off, and ordered it to run on node2"
    assert told.severity == "warning"


def test_a_forced_order_asks_the_guard_by_force(tmp_path: Path) -> None:
    node = silent()
    ask(node, tmp_path, forced=True, peer_is_off="node1")
    assert node.state.tree("web").phase is Phase.WANTED
    assert next(t for t in node.state.asked.trees if t.name == "web").forced


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        ({"peer_is_off": ""}, Code.REFUSED, "not -: nothing was started"),
        ({"peer_is_off": "node2"}, Code.REFUSED, "the other node is node1, not node2"),
        ({"peer_is_off": "node1", "node": "node1"}, Code.REFUSED, "where it is ordered, node2, not on node1"),
        ({"peer_is_off": "node1", "verb": "move"}, Code.USAGE, "only a start can be forced"),
    ],
)
def test_a_forced_order_that_is_not_clear_is_refused(
    tmp_path: Path, args: dict[str, Json], code: Code, says: str
) -> None:
    node = silent()
    with pytest.raises(Refusal) as refused:
        ask(node, tmp_path, forced=True, **args)
    assert refused.value.code == code
    assert says in str(refused.value.text)
    assert node.state.tree("web").order.number == 0


def test_nothing_is_forced_against_a_peer_that_is_heard(tmp_path: Path) -> None:
    node = idle()
    with pytest.raises(Refusal) as refused:
        ask(node, tmp_path, forced=True, peer_is_off="node1")
    assert refused.value.code == Code.REFUSED
    assert "is heard, so it is not off" in str(refused.value.text)


def test_an_order_without_the_word_is_not_forced(tmp_path: Path) -> None:
    node = silent()
    ask(node, tmp_path, peer_is_off="node1")
    assert not node.state.tree("web").order.forced


def test_the_word_that_the_peer_is_off_lapses_when_it_is_heard(tmp_path: Path) -> None:
    """Else its next silence, which may be a cut cable, would start what it runs, without any arbitration."""
    node = silent()
    ask(node, tmp_path, forced=True, peer_is_off="node1")
    node.hear(number=2)
    assert not node.state.tree("web").order.forced
    assert node.state.tree("web").order.pin == "node2"
    node.pass_s(10.0)
    assert not any(t.forced for t in node.state.asked.trees)


MOVES = say(
    "the slot of {peer} on the quorum disk still changes, or changed within {claim_s} s: {peer} is alive there",
    peer="node1",
    claim_s=3.28,
)
UNCHANGED = say("an unchanged slot of {peer} for {take_s} s would have allowed it", peer="node1", take_s=6.56)


@pytest.mark.parametrize(
    ("language", "because", "otherwise"),
    [
        ("en", f"node1, which held it, is gone; {MOVES}", str(UNCHANGED)),
        (
            "zh-CN",
            "原先持有它的 node1 已不在; 仲裁盘上 node1 的槽位仍在变化，或 3.28 秒内变化过：node1 在仲裁盘上仍存活",
            "node1 的槽位 6.56 秒不变即可允许",
        ),
    ],
)
def test_why_tells_a_refusal_of_the_guard_in_its_own_words_and_the_readers_language(
    language: str, because: str, otherwise: str
) -> None:
    node = idle()
    node.pass_s(10.0)
    refusal = EntryView(1, Entry.NONE, 5, because=MOVES, otherwise=UNCHANGED)
    node.told(replace(IDLE, number=2, entries=(refusal,), peer_entries=(TreeEntry(1, Entry.HELD, 5),)))
    lines = [told(entry, number, "") for number, entry in enumerate(node.entries, start=1)]
    decision = decisions_of(entries_of(lines), "web")[-1]
    out = io.StringIO()
    explain(decision, entries_of(lines), Screen(language=language, out=out, places=400))
    shown = " ".join(out.getvalue().split())
    assert because in shown
    assert otherwise in shown
