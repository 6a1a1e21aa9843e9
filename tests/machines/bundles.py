"""The offline installer and the Debian package of this tree, built once for all tests that install them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.machines.install import CHECKOUT
from tests.machines.machine import Machine
from tools.dist.__main__ import build

NOW, NEXT = "0.9.1", "0.9.2"
"""Version numbers of two bundles that are the same but for it."""
HOME = "/home/ServHA-Cluster_Setup"
# What the machine itself goes on writing, and the backups that the tools for users keep of their files.
NOT_COMPARED = (
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/tmp",
    "/home",
    "/var/log/journal",
    "/var/tmp",
    "/var/lib/systemd",
)
BACKUPS = ("/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-")


@cache
def installer(version: str) -> Path:
    """The tarball with this version number."""
    return build(CHECKOUT / "build" / "tests", version=version, arch="x86_64", what=("tarball",))[0]


@cache
def package(version: str) -> Path:
    """The Debian package with this version number."""
    return build(CHECKOUT / "build" / "tests", version=version, arch="x86_64", what=("package",))[0]


def bring(machine: Machine, file: Path, to: str = "/home") -> None:
    """Copy a file into the machine, and unpack it where it is a tarball."""
    packed = file.name.endswith(".tar.gz")
    script = f"rm -rf {HOME}; tar -xzf - -C {to}" if packed else f"cat >{to}/{file.name}"
    with file.open("rb") as content:
        machine.feed(["sh", "-c", f"mkdir -p {to}; {script}"], content)


def every_file(machine: Machine) -> dict[str, str]:
    """Every file, folder and link of the machine: path -> kind, mode, owner, target of a link, and for a file what
    tells its content: the checksum below /etc, where files are edited and put back; size and time of change elsewhere.
    """
    pruned = " -o ".join(f"-path {path}" for path in NOT_COMPARED)
    script = (
        rf"find / -xdev \( {pruned} \) -prune -o -type f -not -path '/etc/*' -printf '%p\t%m %u %g %s %T@\n'"
        rf" -o -printf '%p\t%y %m %u %g %l\n'; find /etc -type f -exec sha256sum --tag {{}} +"
    )
    files = {}
    for line in machine.run(["sh", "-c", script], timeout_s=60).stdout.splitlines():
        path, _, said = line.partition("\t") if "\t" in line else line.rpartition(" = ")
        files[path] = said
    return {path: said for path, said in files.items() if path not in BACKUPS and not path.endswith("-)")}


def difference(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    """What is new, gone or different."""
    paths = sorted(before.keys() | after.keys())
    return {path: after.get(path, "gone") for path in paths if before.get(path) != after.get(path)}
