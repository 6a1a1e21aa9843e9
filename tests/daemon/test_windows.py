"""Failback windows: the core is told when one opens and closes, and nothing in between."""

from __future__ import annotations

import dataclasses

import pytest

from servha.config.document import ClusterSection, Document, TreeSection, parse, to_data
from servha.core.events import Event, WindowsTold
from servha.core.model import Failback
from servha.daemon import windows
from servha.daemon.windows import Windows
from tests.kinds.conftest import until


def document(window: str) -> Document:
    tree = TreeSection(name="web", id=1, hosts=(), failback=Failback.WINDOW, failback_window=window)
    return Document(cluster=ClusterSection(name="c", id="0" * 32), nodes=(), trees=(tree,))


async def test_the_core_is_told_of_each_change_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "LOOK_EVERY_S", 0.001)
    told: list[frozenset[str]] = []
    clock = iter(["22:59", "23:00", "23:01", "00:30", "01:59", "02:00", "02:01"])
    over = False

    def local_time() -> str:
        nonlocal over
        now = next(clock, "")
        over = over or not now
        return now or "02:02"

    def happen(event: Event) -> None:
        assert isinstance(event, WindowsTold)
        told.append(event.trees)

    watching = Windows(happen, local_time)
    watching.adapt(document("23:00-02:00"))
    await until(lambda: over)
    assert told == [frozenset(), {"web"}, frozenset()]
    watching.adapt(dataclasses.replace(document("23:00-02:00"), trees=()))
    watching.close()


async def test_a_window_that_the_configuration_changes_is_looked_at_at_once() -> None:
    told: list[Event] = []
    watching = Windows(told.append, lambda: "03:00")
    watching.adapt(document("01:00-02:00"))
    watching.adapt(document("01:00-04:00"))
    watching.adapt(dataclasses.replace(document("01:00-04:00"), trees=()))
    watching.close()
    assert [event.trees for event in told if isinstance(event, WindowsTold)] == [
        frozenset(),
        {"web"},
        frozenset(),
    ]


@pytest.mark.parametrize(
    ("window", "because"),
    [
        ("01:00-01:00", "begins when it ends"),
        ("", "no window is given"),
        ("1-5", "a form that is not allowed"),
        ("24:00-01:00", "a form that is not allowed"),
    ],
)
def test_a_window_that_is_none_is_refused(window: str, because: str) -> None:
    _, problems = parse(to_data(document(window)))
    assert [p.path for p in problems if because in str(p.because)] == ["trees.web.failback_window"]
