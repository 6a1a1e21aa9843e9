"""One look at a resource: what its kind says, what its detectors say, and both together.

A look that hangs or breaks could not tell; what follows from an answer is not decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from servha.core.model import ResourceState
from servha.core.words import Text, say
from servha.detectors import DetectorKind, together
from servha.host import Finding, HostError
from servha.resources.kind import Place, ResourceKind

LOOK_MAX_S = 300.0
"""No look takes longer: kinds and detectors have limits of their own, this one catches their mistakes."""
ENDED = (ResourceState.STOPPED, ResourceState.FAILED)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found."""

    whole: Finding
    own: Finding | None = None
    """The kind's own part, None where it leaves the looking to the detectors."""

    @property
    def events_tell(self) -> bool:
        """Whether the kind found an end that the system tells of by itself, to whoever listens."""
        return self.own is not None and self.own.state in ENDED and not self.own.asked


async def look(kind: ResourceKind, detectors: Sequence[DetectorKind], place: Place) -> Seen:
    """Ask the kind, and then all detectors at the same time."""
    try:
        async with asyncio.timeout(LOOK_MAX_S):
            own = await kind.check(place)
            others = await asyncio.gather(*(detector.detect(place.host) for detector in detectors))
    except TimeoutError:
        return Seen(_unknown(say("it could not be looked at in time")))
    except HostError as error:
        return Seen(_unknown(error.text))
    return Seen(together([own, *others] if own is not None else others), own)


def _unknown(because: Text) -> Finding:
    return Finding(ResourceState.UNKNOWN, because, "")
