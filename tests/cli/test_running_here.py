"""What an uninstallation is told about this node: the trees that may be running, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from servha.cli.picture import picture_of
from servha.cli.running_here import running_here
from servha.core.words import say
from servha.wire.rpc import Code, Refusal
from tests.cli import recorded
from tests.cli.conftest import FakeDaemon


def test_what_servhad_holds_here_is_named(daemon: FakeDaemon, tmp_path: Path) -> None:
    daemon.answers["status"] = recorded.status()
    picture = picture_of(recorded.status())
    held = [tree.name for tree in picture.trees if tree.on[picture.node].phase == "running"]
    assert held
    assert running_here(tmp_path) == held


def test_a_node_in_no_cluster_runs_nothing(daemon: FakeDaemon, tmp_path: Path) -> None:
    daemon.answers["status"] = Refusal(Code.NO_SUCH, say("this node is in no cluster"))
    assert running_here(tmp_path) == []


def test_an_answer_that_does_not_come_counts_as_running(daemon: FakeDaemon, tmp_path: Path) -> None:
    daemon.answers["status"] = Refusal(Code.NOT_PERMITTED, say("not permitted"))
    assert running_here(tmp_path) == ["?"]


def test_what_a_stopped_servhad_left_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVHA_SOCKET", str(tmp_path / "nobody.sock"))
    assert running_here(tmp_path) == []
    (tmp_path / "phases.json").write_text(json.dumps({"web": {"phase": "running"}}))
    assert running_here(tmp_path) == ["?"]
