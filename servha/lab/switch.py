"""The network between the nodes: a switch, a direct cable, and what is cut or switched off of them.

Both are bridges in a namespace of their own, so a cable can be cut without touching the nodes: taking the
switch's end of a cable down takes the carrier from the node's end. The direct cable has carrier only while both
nodes have power, as two network cards back to back would.

`settle` makes the ports what power and cuts say they should be; nothing else turns a port on or off, except a
power-off, which has no time to ask.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servha.lab import cuts, namespace, power_switch
from servha.lab.cuts import Cut, Direction
from servha.lab.layout import (
    BRIDGE,
    CLIENT_ADDRESS,
    INTERFACE,
    LINKS,
    NETNS,
    PREFIX,
    REFERENCE_ADDRESS,
    Layout,
    NodeLayout,
)
from servha.lab.programs import run

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_IFF_RUNNING = 0x40

_CLIENT_PORT = "client-pub0"


def _batch(namespace_name: str, *lines: str) -> None:
    run("ip", "-n", namespace_name, "-batch", "-", feed="\n".join(lines) + "\n")


def _no_waiting_for_ipv6() -> None:
    """Let an IPv6 address work at once, as an IPv4 one does: nobody else could have it in here."""
    for scope in ("all", "default"):
        conf = Path("/proc/sys/net/ipv6/conf") / scope
        if conf.is_dir():  # a machine may have no IPv6 at all
            for key in ("accept_dad", "dad_transmits", "router_solicitations", "accept_ra"):
                (conf / key).write_text("0", encoding="ascii")


def build(lab: Layout) -> None:
    """Make the switch, the cable's middle and the client."""
    for member in ("switch", "client"):
        namespace.add(lab.namespace(member))
    with namespace.inside(lab.namespace("client")):
        _no_waiting_for_ipv6()
    with namespace.inside(lab.namespace("switch")):
        Path("/proc/sys/net/ipv4/ip_forward").write_text("0", encoding="ascii")
        for scope in ("all", "default"):
            Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6").write_text("1", encoding="ascii")
    bridge = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
    _batch(
        lab.namespace("switch"),
        "link set lo up",
        # An address of its own: a bridge otherwise borrows that of a port and changes it when the port goes, and
        # then the reference address is out of reach until its neighbours have noticed.
        *(
            f"link add {name} address 02:00:00:00:0{number}:fe {bridge}"
            for number, name in enumerate(BRIDGE.values(), 1)
        ),
        f"addr add {REFERENCE_ADDRESS}/{PREFIX} dev {BRIDGE['public']}",
        *(f"link set {name} up" for name in BRIDGE.values()),
        f"link add {_CLIENT_PORT} type veth peer name {INTERFACE['public']} address 02:00:00:00:01:32"
        f" netns {lab.namespace('client')}",
        f"link set {_CLIENT_PORT} master {BRIDGE['public']} up",
    )
    _batch(
        lab.namespace("client"),
        "link set lo up",
        f"addr add {CLIENT_ADDRESS}/{PREFIX} dev {INTERFACE['public']}",
        f"link set {INTERFACE['public']} up",
    )


def plug_in(node: NodeLayout) -> None:
    """Give a node fresh network cards, their cables in the switch; no carrier before `settle`.

    A reboot loses addresses, routes, neighbours and firewall rules; so the namespace is a new one every time.
    """
    switch = node.lab.namespace("switch")
    unplug(node)
    namespace.add(node.namespace)
    with namespace.inside(node.namespace):
        _no_waiting_for_ipv6()
    _batch(
        switch,
        *(
            line
            for link in LINKS
            for line in (
                (
                    f"link add {node.port(link)} type veth peer name {INTERFACE[link]} address {node.mac(link)}"
                    f" netns {node.namespace}"
                ),
                f"link set {node.port(link)} master {BRIDGE[link]}",
            )
        ),
    )
    _batch(
        node.namespace,
        "link set lo up",
        *(
            line
            for link in LINKS
            for line in (
                f"addr add {node.address(link)}/{PREFIX} dev {INTERFACE[link]}",
                f"link set {INTERFACE[link]} up",
            )
        ),
        f"route add default via {REFERENCE_ADDRESS}",
    )


def unplug(node: NodeLayout) -> None:
    """Take a node's network cards away; the switch's ends go with them, at once."""
    present = [node.port(link) for link in LINKS if _port_exists(node, link)]
    if present:
        _batch(node.lab.namespace("switch"), *(f"link del {port}" for port in present))
    namespace.remove(node.namespace)


def go_dark(node: NodeLayout) -> None:
    """Switch a node off and take every carrier that goes with it, the peer's end of the direct cable included."""
    with _alone(node.lab, "ports"), namespace.inside(node.lab.namespace("switch")):
        power_switch.turn(node, on=False)
        for port in (node.port("public"), node.port("private"), node.peer.port("private")):
            _turn(port, on=False)


def settle(lab: Layout) -> None:
    """Make every port what power and cuts ask for."""
    with _alone(lab, "ports"), namespace.inside(lab.namespace("switch")):
        # Read under the lock: a node that boots beside us, or goes dark, must not be judged by what was.
        power = {node.name: power_switch.is_on(node) for node in lab.nodes}
        dark = {(cut.link, cut.node) for cut in cuts.read(lab) if cut.takes_carrier}
        for node in lab.nodes:
            for link in LINKS:
                fed = power[node.name] if link == "public" else all(power.values())
                _turn(node.port(link), on=fed and (link, node.name) not in dark)
    with _alone(lab, "filters"):
        with namespace.inside(lab.namespace("switch")):
            one_way = [cut for cut in cuts.read(lab) if not cut.takes_carrier and _exists(_port(lab, cut))]
        run(
            "nsenter",
            f"--net={NETNS / lab.namespace('switch')}",
            "nft",
            "-f",
            "-",
            feed=_filter(lab, one_way),
        )


@contextmanager
def _alone(lab: Layout, what: str) -> Iterator[None]:
    """One process at a time changes the ports, and one the filters; a power-off does not wait for `nft`."""
    with (lab.run / f"{what}.lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _port(lab: Layout, cut: Cut) -> str:
    return lab.node(cut.node).port(cut.link)


def _filter(lab: Layout, one_way: list[Cut]) -> str:
    """Return the rules that drop frames at a port: its ingress is what the node sends, its egress what it hears."""
    chains = []
    for cut in one_way:
        for hook, direction in (("ingress", Direction.OUT), ("egress", Direction.IN)):
            if cut.direction in {direction, Direction.BOTH}:
                port = _port(lab, cut)
                drop = (
                    f"numgen random mod 100 < {cut.loss_percent} drop" if cut.loss_percent < 100 else "drop"
                )
                chains.append(
                    f'chain {port}-{direction} {{ type filter hook {hook} device "{port}" priority 0; {drop}; }}'
                )
    # The first line makes the second safe to say when there is no table yet.
    return "table netdev cuts\ndelete table netdev cuts\n" + (
        "table netdev cuts {\n" + "\n".join(chains) + "\n}\n" if chains else ""
    )


def await_links(lab: Layout, *, within_s: float = 2.0) -> bool:
    """Wait until every port that is on passes frames: the kernel gets round to it a little later, more on a busy day.

    A node's own interface that is down keeps its port waiting; so the wait is short, and its end no failure.
    """
    deadline = time.monotonic() + within_s
    ports = [_CLIENT_PORT, *(node.port(link) for node in lab.nodes for link in LINKS)]
    with namespace.inside(lab.namespace("switch")):
        while any(_flags(port) & (_IFF_UP | _IFF_RUNNING) == _IFF_UP for port in ports):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
    return True


def carriers(node: NodeLayout) -> dict[str, bool]:
    """Say for each link whether the node's end has carrier, as the switch sees it."""
    with namespace.inside(node.lab.namespace("switch")):
        return {link: bool(_flags(node.port(link)) & _IFF_RUNNING) for link in LINKS}


def _port_exists(node: NodeLayout, link: str) -> bool:
    with namespace.inside(node.lab.namespace("switch")):
        return _exists(node.port(link))


def _exists(port: str) -> bool:
    return port in {name for _, name in socket.if_nameindex()}


def _flags(port: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack("16sH22x", port.encode(), 0))
        except OSError:
            return 0
    return int(struct.unpack("16sH22x", answer)[1])


def _turn(port: str, *, on: bool) -> None:
    """Turn a port on or off; one that does not exist is off."""
    if not _exists(port):
        return
    flags = _flags(port) & ~_IFF_UP | (_IFF_UP if on else 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH22x", port.encode(), flags))
