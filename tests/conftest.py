"""What every test shares: which of them need root, and how their absence is said.

A test that needs root carries `@pytest.mark.root`, or its file has `pytestmark = pytest.mark.root`. Without
root it is left out, and one line at the end says what was not run and how to run it.

With three processes (`-n 3 --dist loadscope`, as `make test` does) one plays what needs disks and guards in
labs, one the other labs, and one the booted machines; then all of them what only computes, behind the others wherever
they want the same processor: labs mostly wait, but must not be kept waiting.
"""

from __future__ import annotations

import os
import re
from pathlib import PurePath

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

# How long an example takes says how busy the machine is; what must be quick is measured in bench/.
hypothesis.settings.register_profile(
    "steady", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")

_left_out: dict[str, int] = {}
REAL = ("tests/live", "tests/machines")
LONG = re.compile("tests/live/test_(quorum|guard|postgresql|.*disk|stop_failure|campaign)")
"""Half of the time in labs; they share a cluster with a quorum disk."""
BEHIND = 5
"""Niceness of what only computes."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite", action="store_true", help="write the scenarios' answers anew; the diff is the review"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if hasattr(item.config, "workerinput") and os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0 if item.nodeid.startswith(REAL) else BEHIND)


class ByTurn(LoadScopeScheduling):
    """Deals out labs in two pieces, all machines in one, and everything else test by test."""

    def _split_scope(self, nodeid: str) -> str:
        folder = "/".join(nodeid.split("/", 2)[:2])
        if LONG.match(nodeid):
            return LONG.pattern
        return folder if folder in REAL else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByTurn:
    return ByTurn(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    needing = [item for item in items if item.get_closest_marker("root")]
    if not needing:
        return
    items[:] = [item for item in items if not item.get_closest_marker("root")]
    config.hook.pytest_deselected(items=needing)
    for item in needing:
        part = str(PurePath(item.nodeid.partition("::")[0]).parent)
        _left_out[part] = _left_out.get(part, 0) + 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _left_out:
        parts = ", ".join(f"{part} ({count})" for part, count in sorted(_left_out.items()))
        terminalreporter.write_line(f"not run without root: {parts}; run `sudo make test` for them")
