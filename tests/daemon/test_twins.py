"""What must be the same on both nodes: found on one machine, compared with the other's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from servha.daemon.twins import differences, missing, twins_of


@dataclass(frozen=True)
class Kind:
    start_script: str = ""
    user: str = ""
    group: str = ""


def test_scripts_are_known_by_content_and_users_by_number(tmp_path: Path) -> None:
    script = tmp_path / "start"
    script.write_text("#!/bin/sh\n")
    kind = Kind(str(script), "root", "root")
    found = twins_of(kind, ())
    assert found["user root"] == found["group root"] == "0"
    before = found[f"script {script}"]
    script.write_text("#!/bin/sh\nexit 1\n")
    assert twins_of(kind, ())[f"script {script}"] != before
    script.unlink()
    assert f"script {script}" not in twins_of(kind, ())


def test_a_hook_is_compared_as_well(tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\n")
    assert set(twins_of(Kind(), (str(hook),))) == {f"script {hook}"}


def test_who_is_missing_is_named_with_the_command_that_helps() -> None:
    assert missing(Kind(user="root", group="root")) == []
    user, group = missing(Kind(user="nobody-here", group="nobody-here"))
    assert str(user) == "there is no user nobody-here: useradd --system nobody-here"
    assert str(group) == "there is no group nobody-here: groupadd --system nobody-here"


def test_a_difference_names_both_values_and_numbers_weigh_more_than_scripts() -> None:
    ours = {"user www": "33", "group www": "33", "script /opt/start": "aa", "script /opt/only-here": "bb"}
    theirs = {"user www": "48", "group www": "48", "script /opt/start": "cc"}
    numbers, scripts = differences(ours, theirs, us="node2", peer="node1")
    assert [str(text).partition(":")[0] for text in numbers] == [
        "group www has number 33 on node2 and 48 on node1",
        "user www has number 33 on node2 and 48 on node1",
    ]
    assert [str(text).partition(" (")[0] for text in scripts] == [
        "script /opt/start is aa on node2 and cc on node1"
    ]
    assert differences(ours, ours, us="node2", peer="node1") == ([], [])
