"""How long an address did not answer: the arithmetic, and a real server that is away for a while."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from ansible_collections.servha.cluster.plugins.module_utils.servha_attempts import (
    outages,
    steady_since,
    watch,
)


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        ([], []),
        ([(0.0, True), (0.1, True)], []),
        ([(0.0, True), (0.1, False), (0.2, False), (0.3, True)], [(0.1, 0.2)]),
        ([(0.0, False), (0.1, True), (0.2, False), (0.5, True)], [(0.0, 0.1), (0.2, 0.3)]),
        ([(0.0, True), (0.1, False), (0.4, False)], [(0.1, 0.3)]),
    ],
)
def test_an_outage_lasts_from_its_first_failure_to_the_next_answer(
    seen: list[tuple[float, bool]], found: list[tuple[float, float]]
) -> None:
    assert outages(seen) == found


def test_steady_begins_again_after_every_failure() -> None:
    assert steady_since([(0.0, True), (0.1, False), (0.2, True), (0.3, True)]) == 0.2
    assert steady_since([(0.0, True), (0.1, False)]) is None


def test_a_server_that_is_away_for_a_second() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    away: list[float] = []

    def restart() -> None:
        time.sleep(0.5)
        server.close()
        began_s = time.monotonic()
        time.sleep(1.0)
        again = socket.create_server(("127.0.0.1", port))
        away.append(time.monotonic() - began_s)
        time.sleep(10.0)
        again.close()

    threading.Thread(target=restart, daemon=True).start()
    began_s = time.monotonic()
    seen = watch(f"tcp://127.0.0.1:{port}", every_s=0.05, timeout_s=0.5, steady_s=1, within_s=9)
    assert time.monotonic() - began_s < 9, "it ends once the answers are steady"
    [(_, lasted_s)] = outages(seen)
    assert abs(lasted_s - away[0]) < 0.5
