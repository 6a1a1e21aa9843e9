"""What a tree needs of this machine beside what each kind looks at itself: free ports, and room to write.

Finds what is in the way, with the process or the figures. What that means for a takeover is not decided here.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path

from servha.core.words import Text, say
from servha.detectors.port import Port, is_program
from servha.host import Host, Listener

ROOM_LEAST_BYTES = 32 * 1024 * 1024
"""Our own directory needs so much for the configuration, the journal and what is remembered; a program that starts
needs less, but one that finds no room for its log often does not start at all."""
PROGRAMS_WRITE = (Path("/"), Path("/tmp"), Path("/var/log"))  # noqa: S108 - looked at, never written


async def ports_taken(
    port: Port, host: Host, *, own_addresses: frozenset[str], inside: frozenset[int]
) -> list[Text]:
    """Return who holds a port on which the application will want to listen here.

    A socket bound to another address of this machine leaves the application room; one that is bound to every address,
    or to a virtual address of the tree, does not. `inside`: processes of the resource itself, told of elsewhere.
    """
    there = [
        one
        for one in await host.listeners(port.protocol)
        if one.port == port.port and _collides(one, own_addresses)
    ]
    if not there:
        return []
    where = f"{port.protocol}/{port.port}"
    holders = [p for p in await host.owners(frozenset(one.inode for one in there)) if p.pid not in inside]
    if not holders:
        return []
    first = holders[0]
    if port.program and is_program(first, port.program):
        return [
            say(
                "{program} runs here as process {pid} and listens on port {port}, although the tree is off: end it,"
                " and see that nothing starts it at boot",
                program=port.program,
                pid=first.pid,
                port=where,
            )
        ]
    return [
        say(
            "port {port} is taken by {name} (process {pid}), the application could not listen there: end it, or let"
            " it use another port",
            port=where,
            name=first.name,
            pid=first.pid,
        )
    ]


def no_room(own: Path, mount_points: Iterable[str]) -> list[Text]:
    """Return which file systems are full where ServHA or the application has to write. Reads only; may block."""
    found: list[Text] = []
    seen: set[int] = set()
    for path in (own, *PROGRAMS_WRITE, *(Path(point).parent for point in mount_points)):
        try:
            device, status = path.stat().st_dev, os.statvfs(path)
        except OSError:
            continue  # not there: another check's business, or not made yet
        room = status.f_bavail * status.f_frsize
        read_only = bool(status.f_flag & os.ST_RDONLY)
        if device in seen or read_only or room >= ROOM_LEAST_BYTES:
            continue
        seen.add(device)
        found.append(
            say(
                "{path} has {room} MiB left and {needed} are needed: delete what is not needed there",
                path=str(path),
                room=room // 1024**2,
                needed=ROOM_LEAST_BYTES // 1024**2,
            )
        )
    return found


def _collides(one: Listener, own_addresses: frozenset[str]) -> bool:
    address = ipaddress.ip_address(one.address.partition("%")[0])
    return address.is_unspecified or str(address) in own_addresses
