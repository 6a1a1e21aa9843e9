"""The demonstration application: who answers, how it starts and stops, and what a client loses by it."""

from __future__ import annotations

import pytest

from servha.lab import probe
from servha.lab.lab import Lab
from tests.live.wait import eventually


def test_it_answers_as_soon_as_start_returns_and_not_after_stop(bare_lab: Lab) -> None:
    node = bare_lab.node1
    for _ in range(5):
        assert node.run("sh", "-c", "/opt/demo/start && /opt/demo/test").returncode == 0
        assert node.run("sh", "-c", "/opt/demo/stop && ! /opt/demo/test").returncode == 0
    assert node.run("/opt/demo/stop").returncode == 0, "stopping twice is fine"


def test_it_says_who_it_is_in_two_languages(bare_lab: Lab) -> None:
    bare_lab.node2.run("/opt/demo/start")
    assert bare_lab.client("curl", "-s", "http://192.0.2.2/who").stdout.startswith("node2 pid=")
    page = bare_lab.client("curl", "-s", "http://192.0.2.2/").stdout
    assert "应答的节点 · answered by" in page


def test_a_port_that_is_taken_is_a_failed_start(bare_lab: Lab) -> None:
    holder = "import socket, time; s = socket.socket(); s.bind(('0.0.0.0', 80)); s.listen(); time.sleep(100)"
    with bare_lab.node1.popen("python3", "-c", holder) as other:
        listening = "ss -Hltn 'sport = 80' | grep -q ."
        assert eventually(lambda: bare_lab.node1.run("sh", "-c", listening, check=False).returncode == 0)
        failed = bare_lab.node1.run("/opt/demo/start", check=False)
        other.kill()
    assert failed.returncode == 1
    assert "port 80" in failed.stderr


@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_restart_loses_no_request_that_it_accepted(bare_lab: Lab, *, keep_alive: bool) -> None:
    node = bare_lab.node1
    node.run("/opt/demo/start")
    with probe.load(bare_lab, url="http://192.0.2.1/who", keep_alive=keep_alive) as client:
        for _ in range(3):
            client.wait_answer()
            node.run("sh", "-c", "/opt/demo/stop && /opt/demo/start")
        client.wait_answer()
    results = client.results()
    assert results["200"] > 100
    assert results["lost"] == 0, results


def test_the_load_counts_a_request_that_was_accepted_and_lost(bare_lab: Lab) -> None:
    node = bare_lab.node1
    node.run("/opt/demo/start")
    with probe.load(bare_lab, url="http://192.0.2.1/who") as client:
        client.wait_answer()
        node.freeze()  # the kernel goes on accepting connections
        assert eventually(lambda: client.results()["lost"] > 0)
