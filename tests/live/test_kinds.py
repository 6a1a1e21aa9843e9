"""A tree of an IPv6 address and a program kept running: it starts, mends itself, and moves whole."""

from __future__ import annotations

import json

from servha.lab.layout import INTERFACE
from servha.lab.node import Node
from tests.live.cluster import READY_S, Cluster
from tests.live.wait import eventually

TREE, ADDRESS = "six", "2001:db8:6::100/64"
SLEEPER = "/usr/bin/sleep"


def has_address(node: Node, nic: str) -> bool:
    """Whether it stands on the interface and may be used: looked at from outside the daemons."""
    shown = json.loads(node.run("ip", "-json", "-6", "addr", "show", "dev", nic).stdout)
    found = [
        one for link in shown for one in link.get("addr_info", ()) if one.get("local") == "2001:db8:6::100"
    ]
    return bool(found) and not found[0].get("tentative")


def sleepers(node: Node) -> list[str]:
    """The processes of the program."""
    return node.run("pgrep", "-f", "-x", f"{SLEEPER} 100006", check=False).stdout.split()


def whole(node: Node, nic: str) -> bool:
    return has_address(node, nic) and len(sleepers(node)) == 1


def test_a_tree_of_an_ipv6_address_and_a_program_runs_mends_itself_and_moves(cluster: Cluster) -> None:
    nic = INTERFACE["public"]
    one, other = cluster.node1, cluster.node2
    one.run("servha", "tree", "create", TREE, "--hosts=node1,node2", "--failback=stay", "--yes")
    address = ("ipv6", f"address={ADDRESS}", f"nic={nic}", "other_segment=true")
    one.run("servha", "resource", "create", f"{TREE}/vip", *address, "--yes")
    program = ("process", f"program={SLEEPER}", "arguments=100006", "--after=vip", "--check-interval=60")
    one.run("servha", "resource", "create", f"{TREE}/app", *program, "--yes")
    one.run("servha", "tree", "start", TREE, check=False)
    assert eventually(lambda: whole(one, nic), within_s=READY_S)
    assert not has_address(other, nic)
    assert not sleepers(other)

    one.run("ip", "addr", "del", ADDRESS, "dev", nic)
    assert eventually(lambda: has_address(one, nic), within_s=READY_S)
    (before,) = sleepers(one)
    one.run("kill", "-KILL", before)
    assert eventually(lambda: whole(one, nic) and sleepers(one) != [before], within_s=READY_S)

    one.run("servha", "tree", "move", TREE, "node2")
    assert eventually(lambda: whole(other, nic), within_s=READY_S)
    assert not has_address(one, nic)
    assert not sleepers(one)
