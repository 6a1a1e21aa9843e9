"""Asks a script: exit 0 is running, anything else stopped.

A script that cannot be run, or does not return in time, could not tell; it is never taken for a no.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from servha.core.model import ResourceState
from servha.core.words import say
from servha.detectors.detector import cannot_tell
from servha.host import FieldProblem, Finding, Host, HostError

COULD_NOT_RUN = (125, 126, 127)


@dataclass(frozen=True, kw_only=True)
class Command:
    """Custom detector: a script's exit code."""

    name: ClassVar[str] = "command"

    script: Annotated[str, Meta(description="Absolute path, the same on both nodes and not on the data disk")]
    arguments: Annotated[tuple[str, ...], Meta(description="Its arguments")] = ()
    timeout_ms: Annotated[int, Meta(ge=100, le=600_000, description="It has to return within this")] = 10_000
    user: Annotated[str, Meta(description="User as whom it runs")] = "root"

    def problems(self) -> list[FieldProblem]:
        """Every reason why the fields may not be saved."""
        found: list[FieldProblem] = []
        if not self.script.startswith("/") or any(c in self.script for c in "\0\n"):
            found.append(FieldProblem("script", say("{path} is not an absolute path", path=self.script)))
        if any("\0" in argument for argument in self.arguments):
            found.append(FieldProblem("arguments", say("an argument contains a NUL character")))
        return found

    async def detect(self, host: Host) -> Finding:
        """Run it once; nothing it starts outlives it."""
        try:
            refusal = await host.script_problem(self.script)
            if refusal:
                return cannot_tell(refusal, "command")
            done = await host.run(
                [self.script, *self.arguments],
                timeout_s=self.timeout_ms / 1000,
                env={"SERVHA_NODE": host.node},
                user=self.user,
            )
        except HostError as error:
            return cannot_tell(error.text, "command")
        if done.timed_out:
            return cannot_tell(
                say("{script} had not returned after {ms} ms", script=self.script, ms=self.timeout_ms),
                "command",
            )
        if done.code is None or done.code < 0 or done.code in COULD_NOT_RUN:
            return cannot_tell(
                say("{script} could not be run (code {code})", script=self.script, code=done.code or 0),
                "command",
            )
        if done.code == 0:
            return Finding(ResourceState.RUNNING, say("{script} says running", script=self.script), "command")
        return Finding(
            ResourceState.STOPPED,
            say("{script} says stopped (exit {code})", script=self.script, code=done.code),
            "command",
        )
