"""The port to this machine: programs, control groups, network, /proc.

It carries out and reports; it never decides what should run where. `port.Host` says what can be asked,
`local.LocalHost` asks the kernel, `scripted.ScriptedHost` answers from a list (for tests).
"""

from servha.host.answers import FieldProblem, Finding, Outcome
from servha.host.disks import Disk, Disks, Mount, MountChanges, TableEntry
from servha.host.local import LocalHost
from servha.host.port import (
    AddressChange,
    Change,
    Changes,
    ChangesMissed,
    Completed,
    Desktop,
    Duplicates,
    Ended,
    Host,
    HostError,
    LinkGone,
    LinkState,
    Listener,
    Process,
)
from servha.host.scripted import ScriptedHost

__all__ = [
    "AddressChange",
    "Change",
    "Changes",
    "ChangesMissed",
    "Completed",
    "Desktop",
    "Disk",
    "Disks",
    "Duplicates",
    "Ended",
    "FieldProblem",
    "Finding",
    "Host",
    "HostError",
    "LinkGone",
    "LinkState",
    "Listener",
    "LocalHost",
    "Mount",
    "MountChanges",
    "Outcome",
    "Process",
    "ScriptedHost",
    "TableEntry",
]
