"""Does something wait for clients on a port of this node, and is it the right program?

It reads the kernel's socket table and connects to nothing: that a program also answers is for the URL detector.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from servha.core.model import ResourceState
from servha.core.words import say
from servha.detectors.detector import cannot_tell
from servha.host import FieldProblem, Finding, Host, HostError, Process


@dataclass(frozen=True, kw_only=True)
class Port:
    """Port detector: a local port is open, if wished by a given program."""

    name: ClassVar[str] = "port"

    port: Annotated[int, Meta(ge=1, le=65535, description="Port number")]
    protocol: Annotated[Literal["tcp", "udp"], Meta(description="tcp or udp")] = "tcp"
    program: Annotated[str, Meta(description="Name or path of the program that must hold it; empty: any")] = (
        ""
    )

    def problems(self) -> list[FieldProblem]:
        """Every reason why the fields may not be saved."""
        if self.program.strip() != self.program:
            return [
                FieldProblem("program", say("{program} begins or ends with a blank", program=self.program))
            ]
        return []

    async def detect(self, host: Host) -> Finding:
        """Look into the socket table, and who holds the socket if that matters."""
        where = f"{self.protocol}/{self.port}"
        try:
            mine = [one for one in await host.listeners(self.protocol) if one.port == self.port]
            if not mine:
                return Finding(
                    ResourceState.STOPPED, say("nothing listens on port {port}", port=where), "port"
                )
            holders: tuple[Process, ...] = ()
            if self.program:
                holders = await host.owners(frozenset(one.inode for one in mine))
        except HostError as error:
            return cannot_tell(error.text, "port")
        if not self.program:
            return Finding(ResourceState.RUNNING, say("port {port} is open", port=where), "port")
        if any(is_program(holder, self.program) for holder in holders):
            return Finding(
                ResourceState.RUNNING,
                say("port {port} is held by {program}", port=where, program=self.program),
                "port",
            )
        if not holders:
            return cannot_tell(say("who holds port {port} cannot be seen from here", port=where), "port")
        other = holders[0].exe or holders[0].name
        return Finding(
            ResourceState.FAILED,
            say(
                "port {port} is held by {other}, not by {program}",
                port=where,
                other=other,
                program=self.program,
            ),
            "port",
        )


def is_program(process: Process, program: str) -> bool:
    """Whether `process` runs `program`, given by path or by bare name; a script counts by its own name.

    >>> is_program(Process(1, "python3", "/usr/bin/python3.11", ("python3", "/opt/app/server.py")), "server.py")
    True
    """
    said = [part for part in process.command[:2] if not part.startswith("-")]
    if "/" in program:
        return program == process.exe or program in said
    names = {PurePath(part).name for part in (process.exe, *said) if part}
    # The kernel keeps 15 bytes of a name.
    return program in names or process.name == program.encode()[:15].decode("utf-8", "ignore")
