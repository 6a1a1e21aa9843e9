"""What a tree is said to wait for while the other node is not heard after a boot."""

from __future__ import annotations

from servha.core.engine import Engine
from servha.core.events import BeatReceived, Remembered, Tick
from servha.core.model import (
    Cluster,
    Policy,
    Report,
    ResourceSpec,
    Standing,
    TreeSpec,
)
from servha.core.timing import PROFILES
from servha.core.waiting import waits_for

WEB = TreeSpec("web", 1, ("node2", "node1"), (ResourceSpec("app", "custom"),))
FIRST_START_S = PROFILES["fast"].first_start_s


def node1(spec: TreeSpec) -> Engine:
    """The engine of node1, the second host of `spec`, started at 0."""
    cluster = Cluster(
        us="node1",
        peer="node2",
        links=("private",),
        timing=PROFILES["fast"],
        policy=Policy.NONE,
        references=(),
        trees=(spec,),
        first_node="node1",
    )
    engine = Engine(cluster, incarnation="one", now_s=0.0)
    engine.handle(Remembered(0.1, ()))
    return engine


def heard(engine: Engine, now_s: float) -> None:
    beat = Report("node2", "two", Standing.STANDBY, reference_ok=True, number=round(now_s * 1000))
    engine.handle(BeatReceived(now_s, "private", beat))


def said(engine: Engine) -> str:
    return str(waits_for(engine.state, engine.state.cluster.trees[0]))


def test_a_node_that_boots_alone_says_whom_it_waits_for_until_when_and_what_to_do() -> None:
    engine = node1(WEB)
    engine.handle(Tick(1.1))
    waits = said(engine)
    assert f"it waits for node2, for {round(FIRST_START_S - 1.1)} s more" in waits
    assert "switched off last has to be switched on first" in waits
    assert "`servha tree start web --force --peer-is-off node2`" in waits
    engine.handle(Tick(FIRST_START_S + 0.1))
    assert said(engine) == "", "then the arbitration says what it waits for"


def test_the_wait_after_a_boot_ends_with_the_first_beat() -> None:
    engine = node1(WEB)
    engine.handle(Tick(1.0))
    assert said(engine)
    heard(engine, 1.1)
    assert said(engine) == ""
