"""Which addresses the configuration puts on the wire, and where: what probes ask for and the core must know of."""

from __future__ import annotations

from dataclasses import replace

from servha.config.document import Document, ResourceSection, kind_on, short_digest
from servha.core.model import Cluster
from servha.daemon.maintenance import in_force
from servha.resources import VirtualAddress

Ends = tuple[tuple[str, str], ...]


def core_cluster(document: Document, us: str) -> Cluster:
    """Return the configuration as the core sees it on node `us`, digest and virtual addresses included."""
    cluster = document.cluster_for(us)
    trees = []
    for spec, section in zip(cluster.trees, document.trees, strict=True):
        resources = tuple(
            replace(r, virtual_address=virtual_end(s, us)[1])
            for r, s in zip(spec.resources, section.resources, strict=True)
        )
        trees.append(replace(spec, resources=resources))
    return replace(cluster, digest=short_digest(document), trees=tuple(trees), maintenance=in_force(document))


def virtual_end(resource: ResourceSection, node: str) -> tuple[str, str]:
    """Return (interface, address without prefix) of a resource that brings one to the wire, else two empty words."""
    kind = kind_on(resource, node)
    return (kind.nic, kind.plain) if isinstance(kind, VirtualAddress) else ("", "")


def tree_ends(document: Document, us: str) -> dict[str, Ends]:
    """Return, by tree, where its virtual addresses would appear on this node."""
    return {
        tree.name: tuple(end for r in tree.resources if (end := virtual_end(r, us))[0])
        for tree in document.trees
        if us in tree.hosts
    }


def peer_ends(document: Document, us: str) -> Ends:
    """Return every (our interface, peer's address) over which the peer's host can be asked."""
    here, there = document.node(us), document.peer_of(us)
    if here is None or there is None:
        return ()
    return tuple(
        (here.links[name].nic, there.links[name].ip)
        for name in document.links
        if name in here.links and name in there.links
    )
