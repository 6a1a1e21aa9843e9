"""Tomcat as the manual shows it (L1119-1315): webapps on the shared disk, startup.sh and shutdown.sh, port and page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from servha.apps.application import Application, Port, Proposal, absolute, listens
from servha.core.words import say
from servha.host import FieldProblem


@dataclass(frozen=True, kw_only=True)
class Tomcat(Application):
    """Tomcat from its archive, with its own start and stop scripts."""

    name: ClassVar[str] = "tomcat"

    home: Annotated[str, Meta(description="Directory of Tomcat, the same on both nodes")] = (
        "/usr/local/tomcat"
    )
    port: Annotated[Port, Meta(description="Port on which it listens")] = 8080
    text: Annotated[str, Meta(description="ASCII text that the page holds; empty: any page")] = "Tomcat"
    user: Annotated[str, Meta(description="User as whom it runs")] = "root"

    def problems(self) -> list[FieldProblem]:
        """Paths that are none."""
        return absolute("home", (self.home,))

    def proposal(self) -> Proposal:
        """Address, disk, Tomcat. What shutdown.sh leaves behind is killed with the resource's group."""
        page = {"kind": "url", "url": f"http://127.0.0.1:{self.port}/"}
        server = {
            "name": "tomcat",
            "kind": "custom",
            "after": ["vip", "disk"],
            "settings": {
                "start_script": f"{self.home}/bin/startup.sh",
                "stop_script": f"{self.home}/bin/shutdown.sh",
                "user": self.user,
            },
            "detectors": [listens(self.port), {**page, "text": self.text} if self.text else page],
            "start_timeout_s": 120.0,
            "stop_timeout_s": 60.0,
        }
        return Proposal(
            resources=(*self.base(), server),
            directories=(f"{self.home}/webapps",),
            users=(self.user,),
            ports=(self.port,),
            notes=(
                say(
                    "the same Tomcat and JDK on both nodes; JAVA_HOME in {home}/bin/setenv.sh", home=self.home
                ),
            ),
        )
