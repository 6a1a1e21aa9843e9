"""What each figure is: its key in the book, the case it belongs to, and what it says in words."""

from __future__ import annotations

from typing import NamedTuple


class Measure(NamedTuple):
    """One figure of one case."""

    key: str
    case: str
    words: str
    factor: float = 1000.0  # from the unit noted to the unit printed
    places: int = 0
    unit: str = "ms"
    compared: bool = True


MIB = 1 / 1024 / 1024

MEASURES = (
    Measure("power.http", "power loss", "HTTP unanswered"),
    Measure("power.icmp", "power loss", "address unanswered"),
    Measure("power.lost", "power loss", "dark until the peer counts as lost", places=1),
    Measure("power.decision", "power loss", "dark until the other node decides to start", places=1),
    Measure("power.address", "power loss", "dark until the address is on the other node", places=1),
    Measure("power.after", "power loss", "from the address being there to the first HTTP answer"),
    Measure("move.http", "planned move", "HTTP unanswered"),
    Measure("move.icmp", "planned move", "address unanswered"),
    Measure("move.after", "planned move", "from the address being there to the first HTTP answer"),
    Measure("kill.http", "application killed", "HTTP unanswered"),
    Measure("kill.noticed", "application killed", "noticed after", places=1),
    Measure("vip.restored", "address removed", "back on a node after", places=1),
    Measure("vip.icmp", "address removed", "address unanswered"),
    Measure("cold.http", "cold start", "from starting both daemons to the first HTTP answer"),
    Measure("cold.up", "cold start", "from both daemons being up to the first HTTP answer"),
    Measure("app.start", "the application itself", "start until it answers"),
    Measure("app.stop", "the application itself", "stop until it is gone"),
    Measure("idle.pss", "idle", "PSS of all its processes on a node", MIB, 1, "MiB"),
    Measure("idle.rss", "idle", "RSS of the same", MIB, 1, "MiB"),
    Measure("idle.cpu", "idle", "CPU per minute on a node", 1.0, 3, "s"),
    Measure(
        "idle.scripts",
        "idle",
        "CPU per minute of the scripts it runs to look at the application",
        1.0,
        3,
        "s",
        compared=False,
    ),
    Measure("scale.run", "many resources", "CPU per minute on the node that runs them", 1.0, 3, "s"),
    Measure("scale.standby", "many resources", "CPU per minute on the other node", 1.0, 3, "s"),
    Measure("scale.run.rss", "many resources", "RSS on the node that runs them", MIB, 1, "MiB"),
    Measure("scale.standby.rss", "many resources", "RSS on the other node", MIB, 1, "MiB"),
    Measure("scale.start", "many resources", "from the configuration until all run", 1.0, 1, "s"),
    Measure("scale.move", "many resources", "moving half of them", 1.0, 1, "s"),
)


def measure(key: str) -> Measure:
    """Return the measure with this key."""
    return next(one for one in MEASURES if one.key == key)
