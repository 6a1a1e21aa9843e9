"""An Oracle instance and its listener as the manual sets them up (L670-1113).

The listener starts after address and disk, the instance after the listener. Both are run by mc_lsnr_ctl and
mc_orcl_ctl, which read their variables from a file of their own and are never edited.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from servha.apps.application import SCRIPTS, Application, Port, Proposal, absolute, listens, scripts
from servha.core.words import say
from servha.host import FieldProblem


@dataclass(frozen=True, kw_only=True)
class Oracle(Application):
    """Oracle Database: a listener and one instance."""

    name: ClassVar[str] = "oracle"

    oracle_home: Annotated[str, Meta(description="ORACLE_HOME, on each node's own disk")]
    oracle_sid: Annotated[
        str, Meta(description="ORACLE_SID of the instance", pattern="^[A-Za-z][A-Za-z0-9_]{0,29}$")
    ] = "orcl"
    oracle_owner: Annotated[str, Meta(description="User as whom Oracle runs")] = "oracle"
    listener: Annotated[
        str, Meta(description="Name of the listener", pattern="^[A-Za-z][A-Za-z0-9_]{0,63}$")
    ] = "LISTENER"
    tns_admin: Annotated[
        str, Meta(description="Directory of listener.ora; empty: network/admin below ORACLE_HOME")
    ] = ""
    data: Annotated[
        tuple[str, ...],
        Meta(description="Directories of data files, control files and the recovery area", min_length=1),
    ]
    port: Annotated[Port, Meta(description="Port of the listener")] = 1521

    def problems(self) -> list[FieldProblem]:
        """Paths that are none; two directories that would get the same name on the disk."""
        found = absolute("data", self.data) + absolute("oracle_home", (self.oracle_home,))
        found += absolute("tns_admin", (self.tns_admin,)) if self.tns_admin else []
        names = [path.rpartition("/")[2] for path in self.data]
        if len(set(names)) != len(names):
            found.append(FieldProblem("data", say("two of the directories have the same last name")))
        return found

    def proposal(self) -> Proposal:
        """Address, disk, listener, instance. `shutdown immediate` rolls back first: it gets five minutes."""
        file = str(self.variables_file)
        listener = scripts(
            "listener",
            str(SCRIPTS / "mc_lsnr_ctl"),
            arguments=(file,),
            detectors=(listens(self.port),),
            start_timeout_s=120.0,
            stop_timeout_s=60.0,
            check_interval_s=10.0,
        )
        instance = scripts(
            "instance",
            str(SCRIPTS / "mc_orcl_ctl"),
            arguments=(file,),
            after=("listener",),
            start_timeout_s=600.0,
            stop_timeout_s=300.0,
            check_interval_s=10.0,
        )
        variables = {
            "ORACLE_HOME": self.oracle_home,
            "ORACLE_SID": self.oracle_sid,
            "ORACLE_OWNER": self.oracle_owner,
            "LISTENER_NAME": self.listener,
        }
        where = self.tns_admin or f"{self.oracle_home}/network/admin"
        return Proposal(
            resources=(*self.base(), listener, instance),
            directories=self.data,
            users=(self.oracle_owner,),
            ports=(self.port,),
            variables={**variables, **({"TNS_ADMIN": self.tns_admin} if self.tns_admin else {})},
            notes=(
                say(
                    "{file}: HOST = {address} for {listener}, and SID_LIST_{listener} with SID_NAME = {sid}",
                    file=f"{where}/listener.ora",
                    address=self.ip,
                    listener=self.listener,
                    sid=self.oracle_sid,
                ),
                say("/etc/oratab: N for {sid}, so that no boot starts it", sid=self.oracle_sid),
            ),
        )
