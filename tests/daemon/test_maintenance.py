"""The end of a maintenance, and the reminder of one without an end, by the wall clock."""

from __future__ import annotations

import pytest

from servha.config.document import ClusterSection, Document, MaintenanceSection, TreeSection
from servha.daemon import maintenance
from servha.daemon.maintenance import MaintenanceClock, forgotten_h, in_force
from tests.kinds.conftest import until


def document(until_unix_s: int) -> Document:
    section = MaintenanceSection(
        reason="new disk", by="root", since_unix_s=1000, until_unix_s=until_unix_s, tree="web"
    )
    cluster = ClusterSection(name="c", id="0" * 32)
    return Document(
        cluster=cluster, nodes=(), trees=(TreeSection(name="web", id=1, hosts=()),), maintenance=(section,)
    )


def test_a_maintenance_with_an_end_is_over_at_that_moment() -> None:
    assert in_force(document(2800), lambda: 2799.9)
    assert not in_force(document(2800), lambda: 2800.0)
    assert in_force(document(0), lambda: 10_000_000.0)


def test_only_one_without_an_end_is_ever_forgotten_after_eight_hours_and_then_daily() -> None:
    assert [forgotten_h(h * 3600.0) for h in (0, 7.99, 8, 31.9, 32, 57)] == [0, 0, 8, 8, 32, 56]
    late_s = 1000 + 9 * 3600.0
    assert in_force(document(0), lambda: late_s)[0].forgotten_h == 8
    assert in_force(document(10**6), lambda: late_s)[0].forgotten_h == 0


async def test_the_core_is_told_once_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "LOOK_EVERY_S", 0.001)
    looks = 0
    told: list[int] = []

    def now_s() -> float:
        nonlocal looks
        looks += 1
        return 2700.0 if looks < 5 else 2900.0

    watching = MaintenanceClock(lambda: told.append(looks), now_s)
    watching.adapt(document(2800))
    await until(lambda: looks > 10)
    watching.close()
    assert told == [5]
