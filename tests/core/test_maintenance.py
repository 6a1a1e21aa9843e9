"""What sounds while something is in maintenance, and what does not because it was allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from servha.core.engine import Engine
from servha.core.events import (
    ActionFinished,
    BeatReceived,
    OrderGiven,
    ReadinessTold,
    Remembered,
    ResourceReported,
    Tick,
    TreeMemory,
)
from servha.core.model import (
    Action,
    Cluster,
    Goal,
    Maintenance,
    Order,
    Phase,
    Policy,
    Ready,
    Report,
    ResourceSpec,
    ResourceState,
    Standing,
    Step,
    TreeSpec,
)
from servha.core.timing import PROFILES
from servha.core.words import NOTHING_SAID, say

WEB = TreeSpec(
    "web", 1, ("node1", "node2"), (ResourceSpec("vip", "ipv4"), ResourceSpec("app", "custom", ("vip",)))
)
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
WORK = Maintenance("new disk", "root", tree="web", orders=(("web", 0),))
ON = tuple((r.name, Step.ON) for r in WEB.resources)
LATER_S = 60.0


def running(*maintenance: Maintenance) -> Engine:
    """A node that runs the tree, whose peer has been heard once and then no more."""
    engine = Engine(replace(CLUSTER, maintenance=maintenance), incarnation="one", now_s=0.0)
    engine.handle(Remembered(0.1, (TreeMemory("web", Phase.RUNNING, 1, Order(), ON),)))
    engine.handle(
        BeatReceived(0.15, "private", Report("node2", "two", Standing.STANDBY, reference_ok=True, number=1))
    )
    for name, _ in ON:
        engine.handle(ResourceReported(0.2, "web", name, ResourceState.RUNNING, NOTHING_SAID, "test"))
    return engine


def stopped_by_hand(engine: Engine) -> Engine:
    engine.handle(ResourceReported(LATER_S, "web", "app", ResourceState.STOPPED, say("not there"), "test"))
    return engine


def alarms(engine: Engine) -> set[str]:
    return set(dict(engine.state.alarms))


def test_what_stops_sounds_unless_that_was_allowed() -> None:
    loud = stopped_by_hand(running(WORK))
    assert {"tree/web", "maintenance/web"} <= alarms(loud)
    quiet = stopped_by_hand(running(replace(WORK, allowed=("stopped",))))
    assert alarms(quiet) == alarms(loud) - {"tree/web"}


def test_what_cannot_be_stopped_always_sounds() -> None:
    """It may be running, and nobody else may start it: no maintenance makes that a matter of course."""
    engine = running(replace(WORK, allowed=("stopped", "unready")))
    engine.handle(OrderGiven(LATER_S, "web", Order(1, Goal.STOP), "root"))
    engine.handle(ActionFinished(LATER_S + 1, "web", "app", Action.STOP, ok=False, because=say("it hangs")))
    assert "tree/web" in alarms(engine)


@pytest.mark.parametrize(("allowed", "sounds"), [((), True), (("unready",), False)])
def test_a_node_that_is_not_ready_sounds_unless_that_was_allowed(
    allowed: tuple[str, ...], *, sounds: bool
) -> None:
    engine = Engine(
        replace(CLUSTER, maintenance=(replace(WORK, allowed=allowed),)), incarnation="one", now_s=0.0
    )
    engine.handle(Remembered(0.1, (TreeMemory("web", Phase.OFF, 1, Order(1, Goal.STOP), ()),)))
    engine.handle(ReadinessTold(0.2, "node1", "web", "app", Ready((say("not executable"),))))
    assert ("fitness/web" in alarms(engine)) is sounds


def test_a_node_that_may_be_silent_is_not_missed() -> None:
    node = Maintenance("new memory", "root", node="node2")
    engine = running(node)
    engine.handle(Tick(LATER_S))
    assert {"peer", "link/private"} & alarms(engine)
    engine = running(replace(node, allowed=("silent",)))
    engine.handle(Tick(LATER_S))
    assert not {"peer", "link/private"} & alarms(engine)


def test_a_maintenance_that_seems_forgotten_has_one_alarm_that_says_so_with_the_command() -> None:
    engine = running(replace(WORK, forgotten_h=32))
    (key,) = [k for k in alarms(engine) if k.startswith("maintenance/")]
    severity, text = dict(engine.state.alarms)[key]
    assert severity == "warning"
    assert str(text) == (
        "web has been in maintenance for 32 h and nothing ends it: `servha tree maintenance web off`"
    )
