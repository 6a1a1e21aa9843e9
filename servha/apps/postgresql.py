"""PostgreSQL as Debian packages it: one instance, its data directory on the shared disk.

Debian's `postgresql.service` starts every instance at boot and says "active" whatever they do; so the instance's own
unit is run, and the other one is what must be disabled. Other distributions: unit=postgresql, data=/var/lib/pgsql/data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from servha.apps.application import Application, Port, Proposal, absolute, listens, unit
from servha.core.words import Text, say
from servha.host import FieldProblem


@dataclass(frozen=True, kw_only=True)
class PostgreSql(Application):
    """PostgreSQL: one instance of the database."""

    name: ClassVar[str] = "postgresql"

    data: Annotated[str, Meta(description="Data directory of the instance")] = "/var/lib/postgresql/15/main"
    unit: Annotated[str, Meta(description="systemd unit of the instance")] = "postgresql@15-main"
    port: Annotated[Port, Meta(description="Port on which it listens")] = 5432
    user: Annotated[str, Meta(description="User as whom it runs")] = "postgres"

    def problems(self) -> list[FieldProblem]:
        """Paths that are none."""
        return absolute("data", (self.data,))

    def proposal(self) -> Proposal:
        """Address, disk, instance. A start may have to replay the log: it gets five minutes."""
        instance = unit(
            "postgresql",
            self.unit,
            detectors=(listens(self.port),),
            start_timeout_s=300.0,
            stop_timeout_s=120.0,
        )
        return Proposal(
            resources=(*self.base(), instance),
            directories=(self.data,),
            users=(self.user,),
            units=(self.unit,),
            boot_units=(self.unit.partition("@")[0],),
            ports=(self.port,),
            notes=(
                *self._by_hand(),
                say(
                    "let it listen on {address}: listen_addresses in postgresql.conf, clients in pg_hba.conf",
                    address=self.ip,
                ),
            ),
        )

    def _by_hand(self) -> tuple[Text, ...]:
        """Debian's own word on which instance a boot starts; it also makes the unit count as enabled."""
        _, at, instance = self.unit.removesuffix(".service").partition("@")
        version, dash, cluster = instance.partition("-")
        if not at or not dash:
            return ()
        file = f"/etc/postgresql/{version}/{cluster}/start.conf"
        return (
            say(
                "{file}: manual, then `systemctl daemon-reload`, on both nodes: no boot may start it",
                file=file,
            ),
        )
