"""From a real configuration to a simulated cluster, and what could be changed in it to make it stand more.

Both nodes come as they are configured; what their resources do is made up (they start and stop at once). A change
is only a proposal here: whether it helps is found by simulating it (prove.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from servha.config.document import Document, kind_on
from servha.core.model import Cluster, Policy, StartFailure
from servha.core.words import Text, say
from servha.sim.scenario import Scenario

REFERENCE = "192.0.2.254"
"""Stands for an address that both nodes reach, where the configuration has none."""

NOT_REFERENCES = ("127.0.0.1",)


@dataclass(frozen=True, slots=True)
class Given:
    """A configuration as the simulator needs it; small enough to be handed to another process."""

    clusters: tuple[Cluster, Cluster]
    public: str
    """The link on whose interface the virtual addresses live; empty when they have one of their own."""

    def scenario(self, *, seed: int = 0, language: str = "en") -> Scenario:
        """Return a scenario on this cluster."""
        policy = self.clusters[0].policy
        return Scenario(given=self.clusters, public=self.public, seed=seed, language=language, policy=policy)

    def with_each(self, change: Callable[[Cluster], Cluster]) -> Given:
        """Return it with each node's view changed."""
        one, other = self.clusters
        return replace(self, clusters=(change(one), change(other)))


def given(document: Document) -> Given | None:
    """Return the cluster of `document`, or None while it has only one node."""
    nodes = sorted(document.nodes, key=lambda n: n.id)
    if len(nodes) != 2:
        return None
    one, other = (document.cluster_for(n.name) for n in nodes)
    nics = {
        nic
        for tree in document.trees
        for resource in tree.resources
        if (nic := getattr(kind_on(resource, nodes[0].name), "nic", ""))
    }
    public = next(
        (name for name in document.links if name in nodes[0].links and nodes[0].links[name].nic in nics), ""
    )
    return Given((one, other), public)


# --- what could be changed -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a configuration: what it is called, and how it is made."""

    text: Text
    make: Callable[[Cluster], Cluster]


def changes(given_: Given) -> list[Change]:
    """Return the changes worth trying on this configuration, the smallest first."""
    cluster = given_.clusters[0]
    real = [r for r in cluster.references if r not in NOT_REFERENCES]
    found = []
    if cluster.policy is Policy.NONE or (cluster.policy is Policy.REFERENCE and not real):
        found.append(Change(say("a reference address that both nodes reach"), _reference))
    found.append(Change(say("one more heartbeat link, on wires of its own"), _link))
    if not cluster.policy.leased:
        found.append(Change(say("a quorum disk"), _disk))
    if cluster.policy is not Policy.BOTH:
        found.append(Change(say("a quorum disk and a reference address that both nodes reach"), _both))
        found.append(
            Change(
                say("a quorum disk, a reference address and one more heartbeat link"),
                lambda c: _link(_both(c)),
            )
        )
    if any(t.start_failure is StartFailure.STAY for t in cluster.trees):
        found.append(Change(say("start failures that go on with the next host"), _next_host))
    return found


def _reference(cluster: Cluster) -> Cluster:
    return replace(cluster, policy=Policy.REFERENCE, references=(REFERENCE,))


def _link(cluster: Cluster) -> Cluster:
    return replace(cluster, links=(*cluster.links, "another"))


def _disk(cluster: Cluster) -> Cluster:
    return replace(cluster, policy=Policy.DISK)


def _both(cluster: Cluster) -> Cluster:
    real = tuple(r for r in cluster.references if r not in NOT_REFERENCES)
    return replace(cluster, policy=Policy.BOTH, references=real or (REFERENCE,))


def _next_host(cluster: Cluster) -> Cluster:
    return replace(
        cluster, trees=tuple(replace(t, start_failure=StartFailure.NEXT_HOST) for t in cluster.trees)
    )
