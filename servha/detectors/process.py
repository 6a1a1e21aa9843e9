"""Do all of the listed programs run on this node? Only presence is looked at, not health."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from servha.core.model import ResourceState
from servha.core.words import say
from servha.detectors.detector import cannot_tell
from servha.detectors.port import is_program
from servha.host import FieldProblem, Finding, Host, HostError


@dataclass(frozen=True, kw_only=True)
class ProcessRuns:
    """Process detector: every listed program runs."""

    name: ClassVar[str] = "process"

    programs: Annotated[
        tuple[str, ...],
        Meta(min_length=1, max_length=100, description="Names or absolute paths; all must run"),
    ]

    def problems(self) -> list[FieldProblem]:
        """Every reason why the fields may not be saved."""
        found = [] if self.programs else [FieldProblem("programs", say("name at least one program"))]
        for program in self.programs:
            if not program.strip() or program.strip() != program:
                found.append(
                    FieldProblem("programs", say("{program} is not a program's name", program=program))
                )
            elif "/" in program and not program.startswith("/"):
                found.append(FieldProblem("programs", say("{path} is not an absolute path", path=program)))
        return found

    async def detect(self, host: Host) -> Finding:
        """Look through the processes once."""
        try:
            processes = await host.processes()
        except HostError as error:
            return cannot_tell(error.text, "process")
        missing = [p for p in self.programs if not any(is_program(process, p) for process in processes)]
        names = ", ".join(missing or self.programs)
        if not missing:
            return Finding(ResourceState.RUNNING, say("{programs} runs", programs=names), "process")
        if len(missing) == len(self.programs):
            return Finding(ResourceState.STOPPED, say("{programs} does not run", programs=names), "process")
        return Finding(
            ResourceState.FAILED,
            say("{programs} does not run, although the other listed programs do", programs=names),
            "process",
        )
