from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from servha.cli import columns
from servha.cli.picture import picture_of
from servha.core.words import say
from servha.wire.rpc import Code, Refusal
from tests.cli import recorded, recorded_disk
from tests.cli.conftest import FakeDaemon, Run
from tests.cli.golden import matches


def test_a_healthy_cluster_is_shown_on_one_screen(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["status"] = recorded.status()
    ran = run("status")
    assert ran.status == 0
    matches("status.en.txt", ran.out)


def test_the_same_in_chinese(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["status"] = recorded.status()
    ran = run("status", "--lang", "zh-CN")
    assert ran.status == 0
    matches("status.zh-CN.txt", ran.out)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_after_a_loss_the_problems_come_first_and_the_exit_status_says_degraded(
    daemon: FakeDaemon, run: Run, language: str
) -> None:
    daemon.answers["status"] = recorded.status_after_a_loss()
    ran = run("status", "--lang", language)
    assert ran.status == 3
    matches(f"status-after-a-loss.{language}.txt", ran.out)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "The nodes run different versions: node1 0.1.0, node2 0.2.0."),
        ("zh-CN", "两个节点的版本不同：node1 0.1.0, node2 0.2.0。"),
    ],
)
def test_two_versions_are_told_until_the_upgrade_is_done(
    daemon: FakeDaemon, run: Run, language: str, words: str
) -> None:
    daemon.answers["status"] = whole = recorded.status()
    assert words not in run("status", "--lang", language).out
    whole["nodes"][1]["version"] = "0.2.0"
    assert words in run("status", "--lang", language).out
    whole["nodes"][1]["version"] = ""
    assert words[:6] not in run("status", "--lang", language).out, "unknown is not another one"


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_what_is_in_maintenance_is_listed_and_marked_where_it_stands(
    daemon: FakeDaemon, run: Run, language: str
) -> None:
    whole = recorded.status()
    whole["maintenance"] = [
        {"what": "web/app", "reason": "new version", "by": "root", "since_s": 300.0, "left_s": 1500.0},
        {"what": "node2", "reason": "new disk", "by": "root", "since_s": 7300.0, "left_s": None},
    ]
    daemon.answers["status"] = whole
    matches(f"status-maintenance.{language}.txt", run("status", "--lang", language).out)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize(
    ("name", "whole", "expected"),
    [
        ("disk", recorded_disk.status_on_disk, 0),
        ("disk-standby", recorded_disk.status_on_disk_standby, 0),
        ("disk-in-trouble", recorded_disk.status_disk_in_trouble, 3),
        ("disk-nobody-can-tell", recorded_disk.status_silent_peer_and_disk, 3),
    ],
)
def test_the_lease_takes_one_line_until_something_is_wrong_with_it(
    daemon: FakeDaemon, run: Run, name: str, whole: Callable[[], Any], expected: int, language: str
) -> None:
    daemon.answers["status"] = whole()
    ran = run("status", "--lang", language)
    assert ran.status == expected
    matches(f"status-{name}.{language}.txt", ran.out)


def test_while_all_is_well_the_lease_is_one_line_and_the_guarantee_is_there(
    daemon: FakeDaemon, run: Run
) -> None:
    daemon.answers["status"] = recorded_disk.status_on_disk()
    out = run("status").out
    assert "Guarantee: level 3: one node at a time" in out
    section = out.split("Arbitration\n")[1].splitlines()
    assert len(section) == 2
    assert "watchdog: Software Watchdog" in section[1]


def test_without_an_answer_of_the_guard_the_lease_is_unknown(daemon: FakeDaemon, run: Run) -> None:
    whole = recorded_disk.status_on_disk()
    whole["arbitration"]["lease"] |= {
        "word": "unknown",
        "because": recorded.said("servha-guardd does not answer"),
        "watchdog": "",
        "disk": {"device": recorded_disk.DEVICE, "works": None, "trouble": recorded.NOTHING},
        "trees": [],
    }
    daemon.answers["status"] = whole
    section = run("status").out.split("Arbitration\n")[1]
    assert "unknown" in section
    assert "servha-guardd does not answer" in section
    assert "in trouble" not in section


def test_what_the_other_node_has_lost_is_told_here_too(daemon: FakeDaemon, run: Run) -> None:
    whole = recorded_disk.status_on_disk_standby()
    whole["arbitration"]["peer_lease"] = recorded_disk.status_disk_in_trouble()["arbitration"]["lease"]
    daemon.answers["status"] = whole
    section = run("status").out.split("Arbitration\n")[1]
    assert "lease of node1" in section
    assert f"{recorded_disk.DEVICE}: the quorum disk does not answer" in section


def test_a_tree_shows_what_both_nodes_declare_about_it(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers |= {"status": recorded_disk.status_on_disk(), "config.get": {"document": {}}}
    line = next(line for line in run("tree", "show", "web").out.splitlines() if "on the quorum disk" in line)
    assert "held" in line
    assert "ownership number 5" in line


def test_every_column_of_the_chinese_screen_begins_at_the_same_place(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["status"] = recorded.status()
    lines = run("status", "--lang", "zh-CN").out.splitlines()
    links = [line for line in lines if "priv0" in line or "pub0" in line]
    assert len(links) == 4
    assert (
        len(
            {
                columns.width(line.split("p", 1)[0])
                for line in (part.replace("private", "xrivate").replace("public", "xublic") for part in links)
            }
        )
        == 1
    )


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_last_hour_of_every_link_is_a_line(daemon: FakeDaemon, run: Run, language: str) -> None:
    daemon.answers["quality"] = recorded.QUALITY
    ran = run("heartbeat", "history", "--lang", language)
    assert ran.status == 0
    matches(f"heartbeat-history.{language}.txt", ran.out)
    assert json.loads(run("heartbeat", "history", "-o", "json").out)["nodes"] == recorded.QUALITY["nodes"]


def test_without_a_cluster_the_next_step_is_named(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["status"] = Refusal(Code.NO_SUCH, say("this node is in no cluster"))
    ran = run("status")
    assert ran.status == 4
    assert "servha cluster init" in ran.out


def test_no_words_at_all_show_the_status(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["status"] = recorded.status()
    shown = run().out
    assert shown.startswith(run("status").out)
    assert shown.rstrip().endswith("`servha --help` lists what else can be asked and done.")


def test_json_has_a_schema_version_and_every_sentence_rendered(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["status"] = recorded.status()
    whole = json.loads(run("status", "-o", "json", "--lang", "zh-CN").out)
    assert whole["schema_version"] == 1
    assert whole["standing_because"]["text"] == "它持有 web"
    assert whole["standing_because"]["template"] == "it holds {held}"


def test_an_answer_with_nothing_in_it_is_unknown_not_a_crash(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["status"] = {"cluster": {"name": "x"}, "nodes": [{}], "trees": [{"resources": [{}]}]}
    ran = run("status")
    assert ran.status == 3
    assert "x" in ran.out


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("nodes", 1, "health"), "lost"),
        (("nodes", 0, "links", 0, "state"), "dead"),
        (("nodes", 1, "links", 1, "state"), "late"),
        (("trees", 0, "running_on"), ""),
        (("arbitration", "lease", "word"), "ending"),
        (("arbitration", "lease", "word"), "unknown"),
        (("arbitration", "lease", "disk", "works"), False),
    ],
)
def test_whatever_is_wrong_is_degraded(path: tuple[str | int, ...], value: object) -> None:
    whole = recorded_disk.status_on_disk()
    assert not picture_of(whole).degraded
    place = whole
    for step in path[:-1]:
        place = place[step]  # type: ignore[index]
    place[path[-1]] = value  # type: ignore[index]
    assert picture_of(whole).degraded


def test_a_tree_that_is_to_be_stopped_is_not_a_problem() -> None:
    whole = recorded.status()
    whole["trees"][0] |= {"running_on": "", "order": {"number": 5, "goal": "stop", "pin": ""}}
    assert not picture_of(whole).degraded
