"""The engine's own promises, beside those of the tables."""

from __future__ import annotations

import pytest

from servha.core.effects import SendBeat
from servha.core.engine import Engine
from servha.core.events import BeatReceived, Remembered, Tick, TreeMemory
from servha.core.model import Cluster, Order, Phase, Policy, Report, ResourceSpec, Standing, Step, TreeSpec
from servha.core.timing import PROFILES
from servha.sim.campaign import campaign, of_seed

WEB = TreeSpec("web", 1, ("node1", "node2"), (ResourceSpec("app", "custom"),))
CLUSTER = Cluster(
    us="node1",
    peer="node2",
    links=("private",),
    timing=PROFILES["fast"],
    policy=Policy.NONE,
    references=(),
    trees=(WEB,),
    first_node="node1",
)
BEAT = Report(node="node2", incarnation="two", standing=Standing.STANDBY, reference_ok=True, number=1)


def test_nothing_is_said_before_it_is_known_what_runs_here() -> None:
    """A beat that called a tree off which is merely not looked at yet would let the peer start it."""
    engine = Engine(CLUSTER, incarnation="one", now_s=0.0)
    assert engine.handle(Tick(0.1)) == []
    assert engine.handle(BeatReceived(0.2, "private", BEAT)) == []
    running = TreeMemory("web", Phase.RUNNING, 3, Order(), (("app", Step.ON),))
    effects = engine.handle(Remembered(0.3, (running,)))
    reports = [e.report for e in effects if isinstance(e, SendBeat)]
    assert reports
    assert all(r.tree(1).phase is Phase.RUNNING and r.tree(1).ownership == 3 for r in reports)


def test_a_node_that_adopts_what_runs_touches_nothing() -> None:
    engine = Engine(CLUSTER, incarnation="one", now_s=0.0)
    running = TreeMemory("web", Phase.RUNNING, 3, Order(), (("app", Step.ON),))
    effects = engine.handle(Remembered(0.3, (running,)))
    assert not any(type(e).__name__ in ("StartResource", "StopResource") for e in effects)
    assert engine.state.standing is Standing.ACTIVE


@pytest.mark.parametrize("seed", [3, 6, 11])
def test_to_decide_only_the_tree_that_a_report_is_about_changes_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same faults again, every tree decided at every event: both nodes say the same at the same moments."""

    def told() -> list[list[object]]:
        scenario = of_seed(seed)
        campaign(seed, scenario)
        return [list(machine.journal) for machine in scenario.world.machines.values()]

    quick = told()
    monkeypatch.setattr(Engine, "_about_one_tree", lambda _engine, _event: None)
    assert quick == told()
    assert all(len(journal) > 20 for journal in quick)
