"""Any service with a start script and a port; the pattern of the manual's general application guide (L1119-1315)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from servha.apps.application import Application, Port, Proposal, absolute, listens
from servha.core.words import say
from servha.host import FieldProblem


@dataclass(frozen=True, kw_only=True)
class WebService(Application):
    """Any service with start and stop scripts that is reached over a port."""

    name: ClassVar[str] = "web-service"

    start: Annotated[str, Meta(description="Script that starts it and returns; not on the shared disk")]
    stop: Annotated[
        str, Meta(description="Script that stops it; empty: its processes are asked by no one and killed")
    ] = ""
    port: Annotated[Port, Meta(description="Port on which it listens")]
    data: Annotated[tuple[str, ...], Meta(description="Directories that move to the shared disk")] = ()
    url: Annotated[str, Meta(description="Address that has to answer; empty: the port is enough")] = ""
    text: Annotated[str, Meta(description="ASCII text that the answer holds; empty: any answer")] = ""
    program: Annotated[str, Meta(description="Program whose process has to run; empty: any")] = ""
    user: Annotated[str, Meta(description="User as whom it runs")] = "root"

    def problems(self) -> list[FieldProblem]:
        """Paths that are none; two directories that would get the same name on the disk."""
        found = absolute("data", self.data)
        names = [path.rpartition("/")[2] for path in self.data]
        if len(set(names)) != len(names):
            found.append(FieldProblem("data", say("two of the directories have the same last name")))
        return found

    def proposal(self) -> Proposal:
        """Address, disk, service."""
        detectors: list[dict[str, Any]] = [listens(self.port)]
        if self.url:
            page = {"kind": "url", "url": self.url}
            detectors.append({**page, "text": self.text} if self.text else page)
        if self.program:
            detectors.append({"kind": "process", "programs": [self.program]})
        service = {
            "name": "service",
            "kind": "custom",
            "after": ["vip", "disk"],
            "settings": {"start_script": self.start, "stop_script": self.stop, "user": self.user},
            "detectors": detectors,
        }
        return Proposal(
            resources=(*self.base(), service),
            directories=self.data,
            users=(self.user,),
            ports=(self.port,),
            notes=(say("the same program, at the same place, on both nodes"),),
        )
