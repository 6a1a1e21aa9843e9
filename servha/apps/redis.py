"""Redis with its snapshots and append-only file on the shared disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from servha.apps.application import Application, Port, Proposal, absolute, listens, unit
from servha.core.words import say
from servha.host import FieldProblem


@dataclass(frozen=True, kw_only=True)
class Redis(Application):
    """Redis: a store in memory that is written to the disk."""

    name: ClassVar[str] = "redis"

    data: Annotated[str, Meta(description="Directory of dump.rdb and the append-only file")] = (
        "/var/lib/redis"
    )
    unit: Annotated[str, Meta(description="systemd unit")] = "redis-server"
    port: Annotated[Port, Meta(description="Port on which it listens")] = 6379
    user: Annotated[str, Meta(description="User as whom it runs")] = "redis"

    def problems(self) -> list[FieldProblem]:
        """Paths that are none."""
        return absolute("data", (self.data,))

    def proposal(self) -> Proposal:
        """Address, disk, server. A large dump takes its time to load."""
        server = unit(
            "redis", self.unit, detectors=(listens(self.port),), start_timeout_s=180.0, stop_timeout_s=120.0
        )
        return Proposal(
            resources=(*self.base(), server),
            directories=(self.data,),
            users=(self.user,),
            units=(self.unit,),
            boot_units=(self.unit,),
            ports=(self.port,),
            notes=(
                say(
                    "let it listen on {address} (bind), with appendonly yes: a power-off loses what is only in memory",
                    address=self.ip,
                ),
                say(
                    "the packaged unit may write to {data} only: allow {mount_point} with ReadWritePaths in a drop-in",
                    data=self.data,
                    mount_point=self.mount_point,
                ),
            ),
        )
