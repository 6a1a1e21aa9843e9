"""What holds for every command: help in both languages, mistakes, a daemon that is not there or talks nonsense."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from servha.cli import columns, exits
from servha.cli.main import NOUNS, language_of, make_parser
from servha.cli.mon import frame
from servha.cli.pages import verbs_of, write_pages
from servha.cli.screen import Screen
from servha.core.words import say
from servha.management import Client, LateAnswer
from servha.wire.rpc import EXIT_STATUS, Code, Refusal
from tests.cli import recorded
from tests.cli.conftest import FakeDaemon, Run


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_verb_teaches_with_an_example_and_its_exit_codes(language: str) -> None:
    for path, parser in verbs_of(make_parser(language)):
        page = parser.format_help()
        assert not page.startswith("usage: usage"), path
        if parser.get_default("run") is not None and path[0] != "lab":
            assert f"servha {' '.join(path)}" in page.split("\n\n", 1)[1], path
            assert ("exit codes:" if language == "en" else "退出码：") in page, path


def test_help_in_chinese_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for path, parser in verbs_of(make_parser("zh-CN")):
        described = [
            line
            for line in parser.format_help().splitlines()
            if not line.lstrip().startswith(("servha", "用法"))
        ]
        wide = [
            line for line in described if columns.width(line) > 80 and any("一" <= c <= "龥" for c in line)
        ]
        assert not wide, (path, wide)


def test_help_in_chinese_leaves_no_english_sentence(run: Run) -> None:
    page = run("tree", "move", "--help", "--lang", "zh-CN").out
    for word in ("usage", "options", "show this", "positional", "exit codes"):
        assert word not in page


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("treee",), "treee is not one of status"),
        (("tree",), "VERB is missing"),
        (("status", "--colour"), "--colour is not understood here"),
        (("status", "-o"), "-o/--output needs a value"),
        (("status", "-o", "xml"), "xml is not one of"),
        (("status", "--lang", "fr"), "fr is not one of"),
    ],
)
def test_a_mistyped_command_is_exit_2_and_points_to_the_help(
    run: Run, words: tuple[str, ...], says: str
) -> None:
    ran = run(*words)
    assert ran.status == 2
    assert says in ran.err
    assert "--help" in ran.err


def test_a_mistake_is_told_in_chinese(run: Run) -> None:
    ran = run("tree", "move", "--lang", "zh-CN")
    assert ran.status == 2
    assert "缺少 TREE, NODE" in ran.err


def test_the_version(run: Run) -> None:
    ran = run("--version")
    assert ran.status == 0
    assert ran.out.startswith("servha ")


def test_nobody_at_the_socket_is_exit_4(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVHA_SOCKET", str(tmp_path / "absent.sock"))
    ran = run("status")
    assert ran.status == 4
    assert "systemctl start servhad" in ran.err
    answer = json.loads(run("status", "-o", "json").out)
    assert answer["error"]["code"] == "not-running"


@pytest.mark.parametrize("raw", [b"", b"\xff\xff\xff\xff", b"\x00\x00\x00\x02{]", b"\x00\x00\x00\x02{}"])
def test_nonsense_instead_of_an_answer_is_told_and_not_a_traceback(
    daemon: FakeDaemon, run: Run, raw: bytes
) -> None:
    daemon.raw = raw
    ran = run("status")
    assert ran.status in (exits.FAILED, exits.NOT_RUNNING)
    assert "servhad" in ran.err


def test_a_daemon_that_does_not_answer_is_late_not_waited_for(daemon: FakeDaemon) -> None:
    daemon.answers["status"] = lambda _args: time.sleep(1)
    began_s = time.monotonic()
    with Client() as client, pytest.raises(LateAnswer):
        client.call("status", within_s=0.1)
    assert time.monotonic() - began_s < 0.9


@pytest.mark.parametrize("code", list(Code))
def test_every_failure_has_its_exit_status(daemon: FakeDaemon, run: Run, code: Code) -> None:
    daemon.answers["metrics"] = Refusal(code, say("failed"))
    ran = run("metrics", "-o", "json")
    assert ran.status == EXIT_STATUS[code]
    assert json.loads(ran.out)["error"]["code"] == code.value
    assert ran.err == "failed\n"


def test_language_words_of_another_program_are_not_ours() -> None:
    assert language_of(["lab", "exec", "node1", "--", "servha", "--lang", "zh-CN"]) == "en"
    assert language_of(["--lang=zh-CN", "status"]) == "zh-CN"


def test_only_the_noun_that_was_typed_is_read() -> None:
    read = "import sys; from servha.cli.main import make_parser; make_parser(only='status');"
    names = [noun.module for noun in NOUNS if noun.name != "status"] + [
        "servha.config",
        "msgspec",
        "pyroute2",
        "rich",
    ]
    said = f"{read} print([n for n in {names!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", said], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_metrics_are_printed_as_they_are(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["metrics"] = {"text": "# HELP servha_up x\nservha_up 1\n"}
    assert run("metrics").out == "# HELP servha_up x\nservha_up 1\n"


def test_detach_says_how_to_undo(daemon: FakeDaemon, run: Run) -> None:
    assert "systemctl start servhad" in run("daemon", "detach").out
    assert daemon.verbs() == ["daemon.detach"]


def test_the_live_view_draws_a_frame_and_survives_a_restart(daemon: FakeDaemon) -> None:
    daemon.answers["status"] = recorded.status()
    with Client() as client:
        assert "Resource trees" in frame(client, Screen(language="en"))
    absent = Client(str(daemon.path) + ".absent")
    assert "servhad is not running" in frame(absent, Screen(language="en"))


def test_the_reference_pages_name_every_verb_and_every_setting(tmp_path: Path) -> None:
    pages = {path.name: path.read_text(encoding="utf-8") for path in write_pages(tmp_path)}
    for language in ("en", "zh-CN"):
        assert "servha tree move" in pages[f"commands.{language}.md"]
        assert "| conflict_wait_ms |" in pages[f"kinds.{language}.md"]
    assert "用法" in pages["commands.zh-CN.md"]


# --- columns ---------------------------------------------------------------------------------------------------


def test_a_chinese_character_takes_two_places() -> None:
    assert columns.width("心跳a") == 5
    assert columns.pad("心跳", 6) == "心跳  "


@pytest.mark.parametrize("places", range(2, 30))
def test_wrapping_never_runs_over_and_loses_nothing(places: int) -> None:
    text = "心跳连接 private 中断，没有冗余。No beat from node2 since 10 s"
    lines = columns.wrap(text, places)
    longest_word = max(columns.width(word) for word in text.replace("，", " ").split(" "))
    assert all(columns.width(line) <= max(places, longest_word) for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_punctuation_never_begins_a_line() -> None:
    for places in range(4, 20):
        assert not any(
            line.startswith(("，", "。")) for line in columns.wrap("心跳中断，没有冗余。" * 3, places)
        )
