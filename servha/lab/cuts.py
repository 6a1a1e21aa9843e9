"""Which cables are cut, remembered so that a node's reboot does not mend them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from servha.lab.layout import Layout


class Direction(StrEnum):
    """Seen from the node at that end of the cable."""

    IN = "in"  # the node no longer hears
    OUT = "out"  # the node is no longer heard
    BOTH = "both"  # the plug is pulled: no carrier either


@dataclass(frozen=True)
class Cut:
    """One cut cable end; with less than 100 percent loss it only crackles, and the carrier stays."""

    link: str
    node: str
    direction: Direction
    loss_percent: int = 100

    @property
    def takes_carrier(self) -> bool:
        """Whether the node's interface sees that the plug is out."""
        return self.direction is Direction.BOTH and self.loss_percent == 100


def read(lab: Layout) -> tuple[Cut, ...]:
    """Return all cuts of a lab."""
    try:
        records = json.loads(lab.cuts.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    return tuple(Cut(**{**record, "direction": Direction(record["direction"])}) for record in records)


def write(lab: Layout, cuts: tuple[Cut, ...]) -> None:
    """Remember these and no others."""
    new = lab.cuts.with_suffix(".new")
    new.write_text(json.dumps([asdict(cut) for cut in cuts]), encoding="utf-8")
    new.replace(lab.cuts)
