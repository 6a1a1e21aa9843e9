"""What every test shares: which of them need root, and how their absence is said.

A test that needs root carries `@pytest.mark.root`, or its file has `pytestmark = pytest.mark.root`. Without
root it is left out, and one line at the end says what was not run and how to run it.

With two processes (`-n 2 --dist loadgroup`, as `make test` does) one plays everything with real nodes and machines,
one after the other and first, and the other one the rest, behind it wherever both want the processor: real nodes
mostly wait, but must not be kept waiting.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath

import hypothesis
import pytest

# How long an example takes says how busy the machine is; what must be quick is measured in bench/.
hypothesis.settings.register_profile(
    "steady", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")

_left_out: dict[str, int] = {}
REAL = (Path(__file__).parent / "live", Path(__file__).parent / "machines")
BEHIND = 5
"""Niceness of what only computes."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite", action="store_true", help="write the scenarios' answers anew; the diff is the review"
    )


def is_real(item: pytest.Item) -> bool:
    return any(item.path.is_relative_to(folder) for folder in REAL)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if hasattr(item.config, "workerinput") and os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0 if is_real(item) else BEHIND)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not is_real(item))
        for item in items:
            if is_real(item):
                item.add_marker(pytest.mark.xdist_group("real"))
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
