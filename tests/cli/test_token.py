"""`servha token`: shown once, listed without the word, removed."""

from __future__ import annotations

from tests.cli.conftest import FakeDaemon, Run

MADE = {"name": "prometheus", "scope": "read", "by": "root", "since_unix_s": 1_800_000_000, "until_unix_s": 0}


def test_a_new_one_is_shown_once_with_what_it_is_for(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["token.create"] = {**MADE, "token": "servha_abc", "on_both": True}
    ran = run("token", "create", "prometheus", "--scope", "read", "--for", "90d")
    assert ran.status == 0, ran.err
    assert "servha_abc" in ran.out
    assert "not shown again" in ran.out
    assert daemon.asked[-1] == ("token.create", {"name": "prometheus", "scope": "read", "for_s": 90 * 86400})
    assert run("token", "create", "prometheus").status == 2
    assert run("token", "create", "prometheus", "--scope", "root").status == 2
    assert run("token", "create", "prometheus", "--scope", "read", "--for", "ever").status == 2


def test_the_list_says_who_made_each_and_until_when_it_is_good(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["token.list"] = {"tokens": []}
    assert "There is no token." in run("token", "list").out
    daemon.answers["token.list"] = {"tokens": [MADE, {**MADE, "name": "ci", "until_unix_s": 1_800_086_400}]}
    lines = run("token", "list").out.splitlines()
    assert lines == [
        "prometheus: read, made by root on 2027-01-15 08:00, until it is removed",
        "ci: read, made by root on 2027-01-15 08:00, until 2027-01-16 08:00",
    ]


def test_one_that_only_this_node_has_forgotten_is_told_of(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["token.remove"] = {"name": "ci", "on_both": False}
    ran = run("token", "remove", "ci")
    assert ran.status == 0
    assert "token ci is worthless now" in ran.out
    assert "still takes it" in ran.out
