"""What a detector is, and what several of them say together (reading A09).

A detector watches one thing on this node and answers in one of four words. Restarting or moving anything on
that answer is the core's decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from servha.core.model import ResourceState
from servha.core.words import Text, say
from servha.host import FieldProblem, Finding, Host

REASONS_MAX = 6
"""More reasons than this are not listed where all agree."""


class DetectorKind(Protocol):
    """One kind of detector; its fields are its configuration. It never says STOPPED when it could not tell."""

    name: ClassVar[str]

    def problems(self) -> list[FieldProblem]:
        """Every reason why these fields may not be saved, in words; looks at nothing but the fields."""
        ...

    async def detect(self, host: Host) -> Finding:
        """Look once; bounded in time by its own fields."""
        ...


def together(findings: Sequence[Finding]) -> Finding:
    """All running is running, none running is stopped, anything in between is failed and says which.

    One that cannot tell makes the whole unknown, unless the others contradict each other already.
    """
    if len(findings) == 1:
        return findings[0]
    by_state = {state: [f for f in findings if f.state is state] for state in ResourceState}
    running, stopped = by_state[ResourceState.RUNNING], by_state[ResourceState.STOPPED]
    failed, unknown = by_state[ResourceState.FAILED], by_state[ResourceState.UNKNOWN]
    if failed:
        return Finding(ResourceState.FAILED, failed[0].because, failed[0].source)
    if running and stopped:
        because = say("{stopped}, although {running}", stopped=stopped[0].because, running=running[0].because)
        return Finding(ResourceState.FAILED, because, stopped[0].source)
    if unknown:
        return Finding(ResourceState.UNKNOWN, unknown[0].because, unknown[0].source)
    agreed = running or stopped
    if not agreed:
        return Finding(ResourceState.UNKNOWN, say("nothing watches it: add a detector"), "")
    source = ", ".join(dict.fromkeys(f.source for f in agreed))
    because = agreed[0].because
    for other in agreed[1:REASONS_MAX]:
        because = say("{one}; {another}", one=because, another=other.because)
    return Finding(agreed[0].state, because, source)


def cannot_tell(because: Text, source: str) -> Finding:
    """The answer of a detector that was kept from looking."""
    return Finding(ResourceState.UNKNOWN, because, source)
