"""`servha lab` as it is typed: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servha.lab.lab import Lab
from tests.live.conftest import new_name

SERVHA = f"{sys.prefix}/bin/servha"


def lab_command(*words: str, language: str = "en") -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) | {"SERVHA_LANG": language}
    return subprocess.run(
        [SERVHA, "lab", *words], capture_output=True, text=True, check=False, timeout=120, env=environment
    )


def answer(*words: str) -> dict[str, Any]:
    done = lab_command(*words, "-o", "json")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["schema_version"] == 1
    return result


@pytest.fixture(scope="module")
def name() -> Iterator[str]:
    """One lab for the commands that leave it as they found it."""
    name = new_name()
    assert lab_command("up", "--bare", "--name", name).returncode == 0
    yield name
    Lab(name).down()


def test_status_names_everything_a_program_needs(name: str) -> None:
    status = answer("status", "--name", name)
    node = status["nodes"]["node1"]
    assert (node["power"], node["carrier"]) == ("on", {"public": True, "private": True})
    assert node["namespace"] == f"servha-{name}-node1"
    assert Path(f"/proc/{node['pid']}").exists()
    assert Path(node["state_directory"]).is_dir()
    assert Path(node["log_directory"]).is_dir()
    assert sorted(node["disks"]) == ["data", "quorum"]


def test_exec_and_client_pass_the_exit_status_and_the_words_on(name: str) -> None:
    done = lab_command(
        "exec", "node2", "--name", name, "--", "sh", "-c", 'hostname; echo "$@"; exit 3', "-", "--", "-x"
    )
    assert (done.stdout, done.returncode) == ("node2\n-- -x\n", 3)
    done = lab_command("client", "--name", name, "--", "ip", "-br", "addr", "show", "pub0")
    assert "192.0.2.50/24" in done.stdout


def test_poweroff_says_when_it_went_dark_and_boot_brings_it_back(name: str) -> None:
    before_s = time.monotonic()
    dark = answer("poweroff", "node1", "--name", name)
    assert before_s < dark["dark_at_s"] < dark["gone_at_s"] < time.monotonic()
    again = lab_command("poweroff", "node1", "--name", name)
    assert again.returncode == 7
    assert "servha lab boot node1" in again.stderr
    assert lab_command("boot", "node1", "--name", name).returncode == 0
    assert lab_command("boot", "node1", "--name", name).returncode == 7


def test_cut_is_shown_and_heal_mends(name: str) -> None:
    assert lab_command("cut", "public", "node1", "--direction", "out", "--name", name).returncode == 0
    status = answer("status", "--name", name)
    assert status["cuts"] == [{"link": "public", "node": "node1", "direction": "out", "loss_percent": 100}]
    assert "node1 is not heard on link public" in lab_command("status", "--name", name).stdout
    assert lab_command("heal", "--name", name).returncode == 0
    assert answer("status", "--name", name)["cuts"] == []


def test_freeze_and_thaw(name: str) -> None:
    assert lab_command("freeze", "node2", "--name", name).returncode == 0
    assert "node2 frozen" in lab_command("list").stdout
    refused = lab_command("exec", "node2", "--name", name, "--", "true")
    assert (refused.returncode, "servha lab thaw node2" in refused.stderr) == (1, True)
    assert lab_command("thaw", "node2", "--name", name).returncode == 0
    assert lab_command("exec", "node2", "--name", name, "--", "true").returncode == 0


def test_probe_reports_what_the_client_saw(name: str) -> None:
    seen = answer("probe", "--icmp", "192.0.2.2", "--for", "500ms", "--name", name)
    assert seen["attempts"] > 50
    assert seen["blackouts_ms"] == []
    silent = lab_command("probe", "--url", "http://192.0.2.2:81/", "--for", "200ms", "--name", name)
    assert silent.returncode == 1, "nobody answered at all"


def test_what_is_wrong_has_its_own_exit_code(name: str) -> None:
    assert lab_command("up", "--bare", "--name", name).returncode == 7
    assert lab_command("down", "--name", "nobody-made-this").returncode == 6
    assert lab_command("cut", "sideways", "--name", name).returncode == 2
    assert lab_command("up", "--name", "Not A Name").returncode == 2
    assert lab_command("service", "node1", "restart", "nobody", "--name", name).returncode == 6


def test_without_root_it_says_so(name: str) -> None:
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", SERVHA, "lab", "status", "--name", name],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 77
    assert "root" in done.stderr


def test_it_speaks_chinese(name: str) -> None:
    assert f"试验环境 {name}" in lab_command("status", "--name", name, language="zh-CN").stdout
    assert "节点电源" in lab_command("--help", language="zh-CN").stdout


# --- the demonstration: the whole product


def test_the_demonstration_runs_through_and_leaves_nothing() -> None:
    name = new_name()
    done = lab_command("demo", "--once", "--name", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "power-off of node1: nobody answered for" in done.stdout
    assert "planned move to node1: nobody answered for" in done.stdout
    assert not Lab(name).exists()


def test_the_demonstration_ends_with_ctrl_c_and_leaves_nothing() -> None:
    name = new_name()
    ours, its = pty.openpty()
    heeding = ["env", "--default-signal=INT"]  # also where the tests themselves run in the background
    with subprocess.Popen(
        [*heeding, SERVHA, "lab", "demo", "--name", name],
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    ) as demo:
        os.close(its)
        said = b""
        try:
            while b"answered by node1" not in said.partition(b"Ctrl-C")[2]:
                said += os.read(ours, 65536)
            demo.send_signal(2)
            while more := read_or_end(ours):
                said += more
            assert demo.wait(30) == 0, said.decode()
        finally:
            demo.kill()
            os.close(ours)
            Lab(name).down()
    assert b"servha lab poweroff node1" in said


def read_or_end(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""
