from __future__ import annotations

import json

import pytest

from servha.core.words import as_dict, say
from servha.wire.rpc import Code, Refusal
from tests.cli import recorded
from tests.cli.conftest import FakeDaemon, Run, Stream
from tests.cli.golden import matches


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_why_explains_the_newest_decision_on_one_screen(daemon: FakeDaemon, run: Run, language: str) -> None:
    daemon.answers["why"] = recorded.WHY
    ran = run("why", "web", "--lang", language)
    assert ran.status == 0
    assert len(ran.out.splitlines()) <= 40
    matches(f"why.{language}.txt", ran.out)


def test_an_older_decision_can_be_asked_for(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["why"] = recorded.WHY
    assert "this node is its preferred host" in run("why", "web", "--last", "2").out.split("Timeline")[0]


def test_a_decision_that_is_not_kept_is_no_such_thing(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["why"] = recorded.WHY
    ran = run("why", "web", "--last", "99")
    assert ran.status == 6
    assert "only 2 decisions" in ran.err


def test_the_steps_are_told_with_their_durations(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["why"] = recorded.WHY
    out = run("why", "web", "--last", "1").out
    assert "12 ms" in out
    assert "87 ms" in out


def test_when_the_other_node_is_silent_that_is_said(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["why"] = {**recorded.WHY, "peer_missing": True}
    assert "one node's view" in run("why", "web").out


def test_nothing_decided_yet_is_not_an_error(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["why"] = {"entries": []}
    ran = run("why")
    assert ran.status == 0
    assert "Nothing has been decided" in ran.out


def test_a_tree_that_is_not_there_is_the_daemons_word(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["why"] = Refusal(
        Code.NO_SUCH, say("there is no tree {tree}; there are {known}", tree="x", known="web")
    )
    ran = run("why", "x")
    assert ran.status == 6
    assert "there is no tree x" in ran.err


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_events_are_one_line_each_newest_last(daemon: FakeDaemon, run: Run, language: str) -> None:
    daemon.answers["journal"] = {"schema_version": 1, "entries": recorded.JOURNAL}
    ran = run("events", "--lang", language)
    assert ran.status == 0
    matches(f"events.{language}.txt", ran.out)


def test_following_prints_json_lines(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["journal"] = Stream([{"entries": recorded.JOURNAL[:2]}, {"entries": recorded.JOURNAL[2:]}])
    lines = [json.loads(line) for line in run("events", "-f", "-o", "json").out.splitlines()]
    assert [line["id"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all(line["schema_version"] == 1 for line in lines)
    assert daemon.arguments("journal")["follow"] is True


def test_events_about_one_tree_leave_the_rest_out(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["journal"] = {"entries": recorded.JOURNAL}
    out = run("events", "--about", "web").out
    assert "peer node1" not in out
    assert "web/vip" in out


def test_what_a_tree_waits_for_now_ends_the_page(daemon: FakeDaemon, run: Run) -> None:
    waits = as_dict(say("it waits for {peer}", peer="node1"))
    daemon.answers["why"] = {**recorded.WHY, "waits": {"web": waits, "db": waits}}
    assert run("why", "web").out.splitlines()[-1] == "web now: it waits for node1"
    assert "db now: it waits for node1" in run("why").out
