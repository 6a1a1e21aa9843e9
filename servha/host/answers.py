"""What a kind answers: a finding when it was asked to look, an outcome when it was asked to act.

Values only; what follows from an answer is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from servha.core.model import ResourceState
from servha.core.words import NOTHING_SAID, Text


@dataclass(frozen=True, slots=True)
class Finding:
    """How something is, why we think so, and who told us (a kind, a detector, "netlink", "cgroup")."""

    state: ResourceState
    because: Text
    source: str
    violent: bool = False
    """Ended by a signal or with a failure: it did not end because its work was done, so no second look is needed."""
    asked: bool = False
    """Found by asking the application or its file system: no event could have told."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an action ended. A refusal says in `because` what is in the way and what to do next."""

    ok: bool
    because: Text = NOTHING_SAID


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """Why a field's value may not be saved."""

    field: str
    because: Text
