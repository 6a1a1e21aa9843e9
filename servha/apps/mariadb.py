"""MariaDB (or MySQL with unit=mysql): its data directory on the shared disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from servha.apps.application import Application, Port, Proposal, absolute, listens, unit
from servha.core.words import say
from servha.host import FieldProblem


@dataclass(frozen=True, kw_only=True)
class MariaDb(Application):
    """MariaDB or MySQL."""

    name: ClassVar[str] = "mariadb"

    data: Annotated[str, Meta(description="Directory with the databases")] = "/var/lib/mysql"
    unit: Annotated[str, Meta(description="systemd unit")] = "mariadb"
    port: Annotated[Port, Meta(description="Port on which it listens")] = 3306
    user: Annotated[str, Meta(description="User as whom it runs")] = "mysql"

    def problems(self) -> list[FieldProblem]:
        """Paths that are none."""
        return absolute("data", (self.data,))

    def proposal(self) -> Proposal:
        """Address, disk, server. A start may have to recover InnoDB: it gets five minutes."""
        server = unit(
            "mariadb",
            self.unit,
            detectors=(listens(self.port),),
            start_timeout_s=300.0,
            stop_timeout_s=180.0,
        )
        return Proposal(
            resources=(*self.base(), server),
            directories=(self.data,),
            users=(self.user,),
            units=(self.unit,),
            boot_units=(self.unit,),
            ports=(self.port,),
            notes=(
                say("let it listen on {address}: bind-address in the [mysqld] section", address=self.ip),
                say(
                    "AppArmor and SELinux know the usual data directory only: allow {mount_point} as well",
                    mount_point=self.mount_point,
                ),
            ),
        )
