"""The wires: a switch is a network namespace with one bridge for each link, a machine's cards are veth ends.

Everything is made from namespace to namespace. This computer's own namespace never holds an end, an address or
a bridge, not even for a moment.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence

from servha.lab import namespace


def ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def address_on(link_number: int, station: int) -> str:
    return f"10.77.{link_number}.{station}"


def port(station: str, link: str) -> str:
    """The switch's end of a cable. The kernel takes names of 15 characters."""
    return f"{station}.{link}"[:15]


def make_switch(switch: str, links: Sequence[str]) -> None:
    """The switch itself answers as station 254, for clients on the wire."""
    namespace.add(switch)
    for number, link in enumerate(links):
        ip("-n", switch, "link", "add", link, "type", "bridge")
        ip("-n", switch, "addr", "add", f"{address_on(number, 254)}/24", "dev", link)
        ip("-n", switch, "link", "set", link, "up")


def plug_in(space: str, *, switch: str, station: str, addresses: Mapping[str, str]) -> None:
    """Make the namespace of a station, with a card on each link, named like the link."""
    namespace.add(space)
    ip("-n", space, "link", "set", "lo", "up")
    for link, address in addresses.items():
        at = port(station, link)
        ip("-n", switch, "link", "add", at, "type", "veth", "peer", "name", link, "netns", space)
        ip("-n", switch, "link", "set", at, "master", link, "up")
        ip("-n", space, "addr", "add", f"{address}/24", "dev", link)
        ip("-n", space, "link", "set", link, "up")


def unplug(space: str, *, switch: str, station: str, links: Iterable[str]) -> None:
    """Take the cables off the switch, then the namespace away.

    The cables would go with the namespace, but only some time later, and the next boot wants their names.
    """
    for link in links:
        ip("-n", switch, "link", "del", port(station, link))
    namespace.remove(space)


def remove_all(switch: str) -> None:
    """The switch and every station that was plugged into it, as far as they exist."""
    for line in ip("netns", "list").splitlines():
        space = line.split()[0]
        if space == switch or space.startswith(f"{switch}-"):
            namespace.remove(space)
