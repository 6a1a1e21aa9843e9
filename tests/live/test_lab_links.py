"""Links that are cut, one way or altogether, and nodes that stand still."""

from __future__ import annotations

import socket
import time

import pytest

from servha.lab import namespace, probe
from servha.lab.lab import Lab
from servha.lab.node import Node
from servha.lab.trouble import LabError
from tests.live.wait import eventually


@pytest.mark.parametrize(("direction", "heard_by_peer"), [("in", True), ("out", False)])
def test_a_one_way_cut_stops_one_way_and_keeps_the_carrier(
    bare_lab: Lab, direction: str, *, heard_by_peer: bool
) -> None:
    one, two = bare_lab.nodes
    for node, peer in ((one, two), (two, one)):
        # Without a fixed entry the question for the address would have to come through both ways.
        node.run("ip", "neigh", "replace", peer.layout.address("private"), "lladdr", peer.layout.mac("private"),
                 "dev", "priv0", "nud", "permanent")  # fmt: skip
    bare_lab.cut("private", "node1", direction=direction)
    assert arrives(one, two) is heard_by_peer
    assert arrives(two, one) is not heard_by_peer
    assert one.run("cat", "/sys/class/net/priv0/carrier").stdout == "1\n"
    bare_lab.heal()
    assert arrives(one, two)
    assert arrives(two, one)


def arrives(sender: Node, receiver: Node) -> bool:
    """Whether datagrams on the direct cable arrive; both ends are sockets of this process in the nodes' namespaces."""
    with namespace.inside(receiver.namespace):
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with namespace.inside(sender.namespace):
        mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with ear, mouth:
        ear.bind((receiver.layout.address("private"), 5000))
        ear.settimeout(0.3)
        mouth.sendto(b"hear me", (receiver.layout.address("private"), 5000))
        try:
            return ear.recv(16) == b"hear me"
        except TimeoutError:
            return False


def test_a_cut_survives_the_reboot_of_the_node_and_heal_mends_it(bare_lab: Lab) -> None:
    bare_lab.cut("public", "node1")
    bare_lab.cut("private", "node1", direction="in")
    assert bare_lab.node1.run("cat", "/sys/class/net/pub0/carrier").stdout == "0\n"
    bare_lab.node1.poweroff()
    bare_lab.node1.boot()
    assert bare_lab.node1.run("cat", "/sys/class/net/pub0/carrier").stdout == "0\n"
    assert not arrives(bare_lab.node2, bare_lab.node1)
    bare_lab.heal()
    assert bare_lab.node1.run("cat", "/sys/class/net/pub0/carrier").stdout == "1\n"
    assert eventually(lambda: arrives(bare_lab.node2, bare_lab.node1)), "after ARP has tried again"


def test_a_lossy_link_loses_about_what_it_should(bare_lab: Lab) -> None:
    bare_lab.cut("public", "node1", direction="in", loss_percent=30)
    said = bare_lab.client("ping", "-q", "-i", "0.002", "-c", "200", "-W", "1", "192.0.2.1").stdout
    lost = float(said.partition("% packet loss")[0].rpartition(" ")[2])
    assert 15 < lost < 45


def test_a_frozen_node_does_nothing_and_runs_on_when_thawed(bare_lab: Lab) -> None:
    bare_lab.node1.run("/opt/demo/start")
    with probe.running(bare_lab, url="http://192.0.2.1/who") as p:
        p.wait_answer()
        bare_lab.node1.freeze()
        frozen_at_s = time.monotonic()
        assert bare_lab.node1.power == "frozen"
        with pytest.raises(LabError):
            bare_lab.node1.run("true")
        assert eventually(lambda: any(b.start_s < time.monotonic() - 0.3 for b in p.blackouts()))
        assert not [a for a in p.attempts() if a.good and a.start_s > frozen_at_s]
        bare_lab.node1.thaw()
        p.wait_answer(who="node1")
