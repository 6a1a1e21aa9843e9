"""What somebody who chooses heartbeat links has to see of this machine: its interfaces and how they are connected.

Decides nothing: which address a link may use is said by interfaces.py and by the configuration's own checks.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from pathlib import Path
from typing import Any, Final

import psutil

from servha.core.words import say
from servha.wire.rpc import Code, Json, Refusal

WITHIN_S: Final = 5.0
DISKS: Final = Path("/dev/disk/by-id")
_PARTITION: Final = re.compile(r"-part\d+$")


async def nics_here() -> list[dict[str, Json]]:
    """Return the interfaces but loopback: name, mac, addresses (IPv4, each with `static`), carrier, speed_mbit.

    `carrier` and `speed_mbit` are None where the interface does not tell. Raises `Refusal` when `ip` fails.
    """
    program = await asyncio.create_subprocess_exec(
        "ip",
        "-json",
        "address",
        "show",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            told, complaint = await program.communicate()
        listed = json.loads(told or b"[]")
    except (TimeoutError, ValueError) as error:
        if program.returncode is None:
            program.kill()
            await program.wait()
        text = say("the interfaces of this machine could not be read with `ip`: {reason}", reason=str(error))
        raise Refusal(Code.FAILED, text) from error
    if program.returncode != 0:
        reason = complaint.decode(errors="replace").strip()
        text = say("the interfaces of this machine could not be read with `ip`: {reason}", reason=reason)
        raise Refusal(Code.FAILED, text)
    speeds = {name: stats.speed for name, stats in psutil.net_if_stats().items()}
    return [
        _shown(link, speeds.get(str(link["ifname"]), 0))
        for link in listed
        if "LOOPBACK" not in link.get("flags", ()) and link.get("ifname")
    ]


def disks_here() -> list[str]:
    """Return the whole disks of this machine by names that mean the same disk after every boot. Blocks shortly."""
    try:
        return sorted(str(path) for path in DISKS.iterdir() if not _PARTITION.search(path.name))
    except OSError:
        return []


async def surroundings() -> Json:
    """Return what the wizards show: the machine's name, its interfaces and its disks."""
    nics = await nics_here()
    disks = await asyncio.to_thread(disks_here)
    return {"host": socket.gethostname().split(".")[0], "interfaces": nics, "disks": disks}


def _shown(link: dict[str, Any], speed_mbit: int) -> dict[str, Json]:
    flags = link.get("flags", ())
    return {
        "name": str(link["ifname"]),
        "mac": str(link.get("address", "")),
        "addresses": [
            {"address": f"{a['local']}/{a['prefixlen']}", "static": not a.get("dynamic")}
            for a in link.get("addr_info", ())
            if a.get("family") == "inet" and not a.get("secondary")
        ],
        # An interface that is switched off does not know whether a cable is in.
        "carrier": "LOWER_UP" in flags if "UP" in flags else None,
        "speed_mbit": speed_mbit if 0 < speed_mbit < 0xFFFF_FFFF else None,
    }
