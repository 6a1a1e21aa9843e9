"""What every test shares: which of them need root, and how their absence is said.

A test that needs root carries `@pytest.mark.root`, or its file has `pytestmark = pytest.mark.root`. Without
root it is left out, and one line at the end says what was not run and how to run it.
"""

from __future__ import annotations

import os
from pathlib import PurePath

import pytest

_left_out: dict[str, int] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite", action="store_true", help="write the scenarios' answers anew; the diff is the review"
    )


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
