"""What every application of the kit has: the values that are asked, and the tree proposed from them.

A template only proposes: resources as they stand in the configuration, what has to be moved to the shared disk,
and what has to hold on each node. Whether the configuration is valid is decided in servha/config; whether the node
is ready in looks.py; nothing is touched here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Final

from msgspec import Meta

from servha.core.words import Text, say
from servha.host import FieldProblem

SCRIPTS: Final = Path(__file__).parent / "scripts"
"""Control scripts that are shipped with the product, at the same place on both nodes."""
CONFIGURED: Final = Path("/etc/servha/apps")
"""Where the variables of these scripts are kept, a file for each tree."""
Port = Annotated[int, Meta(ge=1, le=65535)]
PER_NODE: Final = {"nic": "vip", "device": "disk"}
"""Values that may differ between the nodes, and the resource they belong to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The tree of one application, and what belongs to it on each node."""

    resources: tuple[dict[str, Any], ...]
    directories: tuple[str, ...] = ()
    """Absolute paths that move to the shared disk and leave a symbolic link."""
    users: tuple[str, ...] = ()
    """Users whose numbers have to be the same on both nodes: the disk knows only numbers."""
    units: tuple[str, ...] = ()
    """systemd units that must not run while data are moved."""
    boot_units: tuple[str, ...] = ()
    """systemd units that must not be started by the machine itself."""
    ports: tuple[int, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    """What the control script reads from its file below /etc/servha/apps."""
    notes: tuple[Text, ...] = ()
    """What the kit cannot do itself, to be done by hand on both nodes."""


@dataclass(frozen=True, kw_only=True)
class Application:
    """The values that every application needs: where it is reached, and where its data are."""

    name: ClassVar[str]

    address: Annotated[str, Meta(description="Virtual address with prefix length, as in 192.0.2.100/24")]
    nic: Annotated[str, Meta(description="Interface of the virtual address; nic@NODE=... for one node")]
    device: Annotated[
        str,
        Meta(description="Volume with the data, best below /dev/disk/by-id; device@NODE=... for one node"),
    ]
    mount_point: Annotated[str, Meta(description="Directory on which the volume is mounted, as in /srv/data")]
    tree: Annotated[
        str, Meta(description="Name of the resource tree; empty: the name of the application")
    ] = ""

    @property
    def tree_name(self) -> str:
        """How the tree is called."""
        return self.tree or self.name

    @property
    def ip(self) -> str:
        """The virtual address without its prefix length."""
        return self.address.partition("/")[0]

    @property
    def variables_file(self) -> Path:
        """The file with the variables of the control scripts."""
        return CONFIGURED / f"{self.tree_name}.conf"

    def proposal(self) -> Proposal:
        """The tree, and what belongs to it."""
        raise NotImplementedError

    def problems(self) -> list[FieldProblem]:
        """Every reason why the values cannot be used; what a resource's kind sees itself is left to it."""
        return []

    def base(self) -> tuple[dict[str, Any], ...]:
        """The virtual address, and the disk."""
        return (
            {"name": "vip", "kind": "ipv4", "settings": {"address": self.address, "nic": self.nic}},
            {
                "name": "disk",
                "kind": "shared_disk",
                "settings": {
                    "device": self.device,
                    "mount_point": self.mount_point,
                    "fsck": "before-mount",
                },
            },
        )


def unit(name: str, unit_name: str, *, detectors: tuple[dict[str, Any], ...], **times: Any) -> dict[str, Any]:
    """Return the resource of a systemd service, after the address and the disk."""
    return {
        "name": name,
        "kind": "service",
        "after": ["vip", "disk"],
        "settings": {"unit": unit_name if unit_name.endswith(".service") else f"{unit_name}.service"},
        "detectors": list(detectors),
        **times,
    }


def scripts(
    name: str,
    script: str,
    *,
    arguments: tuple[str, ...] = (),
    detectors: tuple[dict[str, Any], ...] = (),
    after: tuple[str, ...] = ("vip", "disk"),
    **times: Any,
) -> dict[str, Any]:
    """Return the resource of one control script that is called with start, stop or status, then `arguments`."""
    settings: dict[str, Any] = {}
    for verb, word in (("start", "start"), ("stop", "stop"), ("test", "status")):
        settings[f"{verb}_script"] = script
        settings[f"{verb}_arguments"] = [word, *arguments]
    return {
        "name": name,
        "kind": "custom",
        "after": list(after),
        "settings": {**settings, "test_timeout_ms": 20_000},
        "detectors": list(detectors),
        **times,
    }


def listens(port: int) -> dict[str, Any]:
    """Return the detector of a port."""
    return {"kind": "port", "port": port}


def absolute(field_name: str, paths: tuple[str, ...]) -> list[FieldProblem]:
    """Return a problem for each path that is not the plain absolute path of a directory."""
    return [
        FieldProblem(field_name, say("{path} is not an absolute path", path=path))
        for path in paths
        if not path.startswith("/")
        or str(PurePosixPath(path)) != path
        or ".." in path.split("/")
        or path == "/"
    ]
