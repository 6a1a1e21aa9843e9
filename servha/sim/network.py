"""The simulated links, the public network and what answers on them. Who may conclude what from that is in core."""

from __future__ import annotations

from dataclasses import dataclass, field

from servha.sim.machine import Machine, Power


@dataclass
class Network:
    """Everything between the two machines but the quorum disk."""

    machines: dict[str, Machine]
    public: str = "public"
    """The link that runs over the network on which the virtual addresses live."""
    cut: set[tuple[str, str]] = field(default_factory=set)
    """(link, sender): nothing sent by `sender` on `link` arrives."""
    muted: set[tuple[str, str]] = field(default_factory=set)
    """(link, sender): only beats do not arrive; the kernel's answers do."""
    reference_cut: set[str] = field(default_factory=set)
    """Nodes that do not reach the reference addresses."""
    public_cut: set[str] = field(default_factory=set)
    """Nodes that are off the public network: neither probes nor clients reach them there."""
    foreign: dict[str, str] = field(default_factory=dict)
    """Tree -> who else holds one of its virtual addresses."""
    loss: float = 0.0
    delay_s: float = 0.001
    jitter_s: float = 0.0
    """Most by which one datagram takes longer than another, so that they overtake each other."""

    def heal(self) -> None:
        """Mend every path; what takes its time goes on taking it."""
        for cuts in (self.cut, self.muted, self.reference_cut, self.public_cut):
            cuts.clear()
        self.foreign.clear()
        self.loss = 0.0

    def carries_beats(self, link: str, sender: str) -> bool:
        """Whether a beat of `sender` gets through `link`, chance aside."""
        return (link, sender) not in self.cut and (link, sender) not in self.muted

    def reaches_reference(self, node: str) -> bool:
        """Whether reference addresses answer `node`."""
        return node not in self.reference_cut and node not in self.public_cut

    def host_answers(self, node: str) -> str:
        """Return where the peer's host answers: any link that works both ways, whatever its daemon does."""
        peer = self.machines[node].cluster.peer
        if not peer or self.machines[peer].power is not Power.ON:
            return ""
        for link in self.machines[node].cluster.links:
            if (link, node) not in self.cut and (link, peer) not in self.cut:
                return f"{peer} on {link}"
        return ""

    def address_held_by(self, node: str, tree: str) -> str:
        """Return who answers for the virtual addresses of `tree` when `node` asks on the wire."""
        if tree in self.foreign and node not in self.public_cut:
            return self.foreign[tree]
        peer = self.machines[node].cluster.peer
        if not peer or {node, peer} & self.public_cut or self.machines[peer].power is not Power.ON:
            return ""
        if self.cut & {(self.public, node), (self.public, peer)}:
            return ""
        return peer if any(t == tree for t, _ in self.machines[peer].running) else ""
