"""`servha resource agents`, asked of the agents that are really installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_the_installed_agents_are_listed(run: Run) -> None:
    ran = run("resource", "agents")
    assert ran.status == 0
    assert {"ocf:heartbeat:Dummy", "ocf:heartbeat:IPaddr2"} <= set(ran.out.splitlines())
    told = json.loads(run("resource", "agents", "-o", "json").out)
    assert told["schema_version"]
    assert "ocf:heartbeat:Dummy" in told["agents"]
    assert "servha resource agents" in run("resource", "kinds", "ocf").out


@pytest.mark.parametrize("word", ["IPaddr2", "heartbeat:IPaddr2", "ocf:heartbeat:IPaddr2"])
def test_one_agent_tells_its_parameters_and_how_to_use_it(run: Run, word: str) -> None:
    ran = run("resource", "agents", word)
    assert ran.status == 0, ran.err
    said = " ".join(ran.out.split())
    assert "ip string required" in said
    assert "stop 20 s" in said
    assert "ocf agent=ocf:heartbeat:IPaddr2 parameters='ip=VALUE'" in said
    told = json.loads(run("resource", "agents", word, "-o", "json").out)
    assert told["agents"]["ocf:heartbeat:IPaddr2"]["parameters"]["ip"]["required"] is True


def test_in_chinese_the_frame_is_chinese(run: Run) -> None:
    ran = run("resource", "agents", "IPaddr2", "--lang", "zh-CN")
    assert "必填" in ran.out
    assert "代理建议至少给出" in ran.out


def test_an_unknown_agent_is_exit_6_and_names_those_alike(run: Run) -> None:
    ran = run("resource", "agents", "pg")
    assert ran.status == 6
    assert "ocf:heartbeat:pgsql" in ran.err


def test_an_agent_that_tells_nonsense_is_exit_1(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "resource.d" / "own"
    place.mkdir(parents=True)
    (place / "mute").write_text("#!/bin/sh\necho no xml\n", encoding="utf-8")
    (place / "mute").chmod(0o755)
    monkeypatch.setenv("OCF_ROOT", str(tmp_path))
    ran = run("resource", "agents", "mute")
    assert ran.status == 1
    assert "ocf:own:mute tells nothing usable" in ran.err
