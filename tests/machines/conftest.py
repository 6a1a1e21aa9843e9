"""Racks for tests, and what their machines had to say when a test fails."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

import pytest

from tests.machines.rack import Rack

NewRack = Callable[..., Rack]


@pytest.fixture
def new_rack() -> Iterator[NewRack]:
    """Call it with the names of the links. The rack is gone when the test is over."""
    with ExitStack() as racks:
        yield lambda *links: racks.enter_context(Rack(links=links))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for rack in Rack.open:
            for machine in rack.machines.values():
                report.sections.append((f"journal of {machine.name}", machine.journal()[-20000:]))
    return report
