"""nginx with the pages it serves on the shared disk; its configuration stays on each node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from servha.apps.application import Application, Port, Proposal, absolute, listens, unit
from servha.core.words import say
from servha.host import FieldProblem


@dataclass(frozen=True, kw_only=True)
class Nginx(Application):
    """nginx: a web server or proxy."""

    name: ClassVar[str] = "nginx"

    data: Annotated[str, Meta(description="Directory with the pages")] = "/var/www/html"
    unit: Annotated[str, Meta(description="systemd unit")] = "nginx"
    port: Annotated[Port, Meta(description="Port on which it listens")] = 80
    url: Annotated[str, Meta(description="Address that has to answer; empty: the port is enough")] = ""
    user: Annotated[str, Meta(description="User who reads the pages")] = "www-data"

    def problems(self) -> list[FieldProblem]:
        """Paths that are none."""
        return absolute("data", (self.data,))

    def proposal(self) -> Proposal:
        """Address, disk, server."""
        detectors: tuple[dict[str, Any], ...] = (listens(self.port),)
        if self.url:
            detectors += ({"kind": "url", "url": self.url},)
        server = unit("nginx", self.unit, detectors=detectors, start_timeout_s=60.0, stop_timeout_s=60.0)
        return Proposal(
            resources=(*self.base(), server),
            directories=(self.data,),
            users=(self.user,),
            units=(self.unit,),
            boot_units=(self.unit,),
            ports=(self.port,),
            notes=(say("let it listen on all addresses, and keep its configuration the same on both nodes"),),
        )
