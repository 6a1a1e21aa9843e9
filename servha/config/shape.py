"""The replicated configuration as values: what stands in cluster.json, field by field.

Only the shape is given here, with the bounds that hold for one field alone; how fields must agree with each
other is in checks.py. Every duration says its unit in its name. The document is the same on both nodes;
what differs between them (an interface's name) stands under the node's name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta

from servha.core.model import (
    Cluster,
    Failback,
    Policy,
    ResourceSpec,
    StartFailure,
    StartMode,
    StopFailure,
    SwitchPolicy,
    TreeSpec,
)
from servha.core.timing import Timing

FORMAT = 1
TREES_MAX = 48
LINKS_MAX = 8
NAME_PATTERN = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"

Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Description = Annotated[str, Meta(max_length=256)]
Window = Annotated[str, Meta(pattern="^(|([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9])$")]
"""Part of the day by the nodes' local time, such as 01:00-05:00; 23:00-02:00 goes over midnight."""
Hex = Annotated[str, Meta(pattern="^[0-9a-f]*$", max_length=256)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Settings = dict[str, object]
"""Settings of a kind, as in the file; checked against the kind's own fields."""


class Language(StrEnum):
    """Language of what the cluster itself sends out (默认语言)."""

    ENGLISH = "en"
    CHINESE = "zh-CN"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSection:
    """What the cluster is called and how it breaks a tie."""

    name: Name
    id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    policy: Policy = Policy.NONE
    references: tuple[str, ...] = ()
    quorum_disk: Annotated[str, Meta(pattern="^(|/dev/[^\\s\\x00]{1,250})$")] = ""
    """Device of the quorum disk (仲裁盘), the same name on both nodes, best one below /dev/disk/by-id."""
    language: Language = Language.CHINESE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Ports the daemons use, the same on both nodes."""

    heartbeat: Port = 14338
    discovery: Port = 17968
    peer: Port = 17969
    management: Port = 25792
    console: Port = 7700


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEnd:
    """One node's end of a heartbeat link: an interface, and its address with or without prefix length."""

    nic: Annotated[str, Meta(pattern="^[^/\\s]{1,15}$")]
    address: str

    @property
    def ip(self) -> str:
        """The address alone."""
        return str(ipaddress.ip_interface(self.address).ip)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSection:
    """One of the two nodes. Node 0 is the one that initialised the cluster."""

    name: Name
    id: Annotated[int, Meta(ge=0, le=1)]
    description: Description = ""
    certificate: Annotated[str, Meta(max_length=16384)] = ""
    certificate_sha256: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""
    links: dict[str, LinkEnd] = field(default_factory=dict)


Command = tuple[Annotated[str, Meta(max_length=4096)], ...]
"""A program by its absolute path, and its arguments; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Programs that run as root around what is done to a resource (高级属性), each within `timeout_s`.

    What becomes of an action whose hook fails is daemon/hooks.py's to say.
    """

    before_start: Command = ()
    after_start: Command = ()
    before_stop: Command = ()
    after_stop: Command = ()
    on_stop_failure: Command = ()
    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 30.0

    @property
    def commands(self) -> dict[str, Command]:
        """The hooks that are set, by their names."""
        return {name: command for name in HOOK_NAMES if (command := getattr(self, name))}


HOOK_NAMES = ("before_start", "after_start", "before_stop", "after_stop", "on_stop_failure")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSection:
    """One resource of a tree: its kind, the kind's settings, and when to worry about it."""

    name: Name
    kind: str
    after: tuple[str, ...] = ()
    settings: Settings = field(default_factory=dict)
    per_node: dict[str, Settings] = field(default_factory=dict)
    detectors: tuple[Settings, ...] = ()
    hooks: Hooks = field(default_factory=Hooks)
    start_timeout_s: Annotated[float, Meta(gt=0, le=86400)] = 120.0
    stop_timeout_s: Annotated[float, Meta(gt=0, le=86400)] = 60.0
    check_interval_s: Annotated[float, Meta(ge=0.1, le=3600)] = 5.0
    abnormal_stop_count_max: Annotated[int, Meta(ge=0, le=1000)] = 3
    abnormal_stop_window_s: Annotated[float, Meta(gt=0, le=86400)] = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSection:
    """One resource tree; `hosts` in order of preference."""

    name: Name
    id: Annotated[int, Meta(ge=1, le=2**32 - 1)]
    hosts: tuple[str, ...]
    start_mode: StartMode = StartMode.AUTO
    switch_policy: SwitchPolicy = SwitchPolicy.BY_PRIORITY
    failback: Failback = Failback.PREFERRED
    failback_window: Window = ""
    """When `failback` window lets it go back."""
    hold_down_s: Annotated[float, Meta(ge=0, le=86400)] = 60.0
    start_failure: StartFailure = StartFailure.NEXT_HOST
    stop_failure: StopFailure = StopFailure.WAIT
    resources: tuple[ResourceSection, ...] = ()

    def resource(self, name: str) -> ResourceSection | None:
        """Return the resource called `name`, or None."""
        return next((r for r in self.resources if r.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """The cluster password as scrypt made it; `initial` while it is still the one everybody knows."""

    salt: Hex
    hash: Hex
    n: Annotated[int, Meta(ge=2, le=2**20)] = 2**15
    r: Annotated[int, Meta(ge=1, le=64)] = 8
    p: Annotated[int, Meta(ge=1, le=16)] = 1
    initial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceSection:
    """One thing in maintenance: a tree, one resource of it, or a node. Moments are seconds of the wall clock."""

    reason: Annotated[str, Meta(min_length=1, max_length=256)]
    by: Annotated[str, Meta(min_length=1, max_length=256)]
    since_unix_s: Annotated[int, Meta(ge=0)]
    until_unix_s: Annotated[int, Meta(ge=0)] = 0
    """When it ends by itself; 0: it is ended by hand."""
    tree: str = ""
    resource: str = ""
    node: str = ""
    orders: dict[str, int] = field(default_factory=dict)
    """The trees that are left as they are, each with the number of the order in force when it began."""
    allowed: tuple[Literal["stopped", "unready", "silent"], ...] = ()
    """For what no alarm sounds meanwhile: a part is down, a node could not take it, links and node are silent."""

    @property
    def what(self) -> str:
        """What is in maintenance: web, web/app or node1."""
        return self.node or (f"{self.tree}/{self.resource}" if self.resource else self.tree)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSection:
    """A word that a program shows in place of the password, kept as its SHA-256. Moments are as in maintenance."""

    name: Name
    scope: Literal["read", "operate", "configure"]
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    by: Annotated[str, Meta(min_length=1, max_length=256)]
    since_unix_s: Annotated[int, Meta(ge=0)]
    until_unix_s: Annotated[int, Meta(ge=0)] = 0
    """When it is over by itself; 0: it is good until it is removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The whole replicated configuration. `parent_digest` is the digest of the generation before this one."""

    cluster: ClusterSection
    nodes: tuple[NodeSection, ...]
    links: tuple[str, ...] = ()
    """Names of the heartbeat links, the most preferred first."""
    trees: tuple[TreeSection, ...] = ()
    timing: Timing = field(default_factory=Timing)
    ports: Ports = field(default_factory=Ports)
    password: Password | None = None
    maintenance: tuple[MaintenanceSection, ...] = ()
    tokens: tuple[TokenSection, ...] = ()
    generation: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 1
    parent_digest: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""
    format: int = FORMAT

    def node(self, name: str) -> NodeSection | None:
        """Return the node called `name`, or None."""
        return next((n for n in self.nodes if n.name == name), None)

    def tree(self, name: str) -> TreeSection | None:
        """Return the tree called `name`, or None."""
        return next((t for t in self.trees if t.name == name), None)

    def peer_of(self, name: str) -> NodeSection | None:
        """Return the other node, or None while `name` is alone."""
        return next((n for n in self.nodes if n.name != name), None)

    def cluster_for(self, us: str, digest: str = "") -> Cluster:
        """Return what the core of node `us` needs to know; KeyError when there is no such node.

        `digest` is `short_digest` of this document, where beats are to carry it.
        """
        if self.node(us) is None:
            raise KeyError(us)
        peer = self.peer_of(us)
        return Cluster(
            us=us,
            peer=peer.name if peer else "",
            links=self.links,
            timing=self.timing,
            policy=self.cluster.policy,
            references=self.cluster.references,
            trees=tuple(_tree_spec(tree, us) for tree in self.trees),
            generation=self.generation,
            digest=digest,
            first_node=next((n.name for n in self.nodes if n.id == 0), ""),
        )


def settings_on(resource: ResourceSection, node: str) -> Mapping[str, object]:
    """Return the settings of `resource` as they are on `node`."""
    return {**resource.settings, **resource.per_node.get(node, {})}


def virtual_address(resource: ResourceSection, node: str) -> str:
    """Return the address that the resource brings to the wire on `node`, without its prefix length; or ""."""
    found = settings_on(resource, node).get("address")
    try:
        return str(ipaddress.ip_interface(found).ip) if isinstance(found, str) else ""
    except ValueError:
        return ""


def _tree_spec(tree: TreeSection, us: str) -> TreeSpec:
    return TreeSpec(
        name=tree.name,
        id=tree.id,
        hosts=tree.hosts,
        resources=tuple(
            ResourceSpec(
                name=resource.name,
                kind=resource.kind,
                after=resource.after,
                virtual_address=virtual_address(resource, us),
                mount_point=str(settings_on(resource, us).get("mount_point", "")),
                abnormal_stop_count_max=resource.abnormal_stop_count_max,
                abnormal_stop_window_s=resource.abnormal_stop_window_s,
            )
            for resource in tree.resources
        ),
        start_mode=tree.start_mode,
        switch_policy=tree.switch_policy,
        failback=tree.failback,
        hold_down_s=tree.hold_down_s,
        start_failure=tree.start_failure,
        failback_window=tree.failback_window,
        stop_failure=tree.stop_failure,
    )
