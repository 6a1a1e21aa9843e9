"""Looks at one server before ServHA is set up on it: what the manual asks of a server, as plain data.

Looks and never changes anything. What is right or wrong about it is decided in preflight_checks, where both servers
are known. What cannot be found out is None, which is not the same as "no". Works with Python alone and `ip`.
"""

from __future__ import annotations

import grp
import json
import os
import platform
import pwd
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.servha.cluster.plugins.module_utils.block_devices import (
    CannotTell,
    block_device,
    contents,
    stable_names,
    uses,
)

PORTS = (("udp", 14338), ("udp", 17968), ("tcp", 17969), ("tcp", 25792), ("tcp", 7700))
"""What ServHA listens on (manual, F011): heartbeat, discovery, peer, management, console."""
COMMANDS = ("fuser", "ifconfig", "parted", "blkid")
PYTHONS = ("python3.11", "python3.12", "python3.13")
CONFIGURATION = Path("/var/lib/servha/cluster.json")
PYTHON = "/usr/share/servha/bin/python3"
OUR_UNITS = ("servhad.service", "servwebd.service", "servha-guardd.service")
ASK_WITHIN_S = 20
_LISTENING = {"tcp": "0A", "udp": "07"}


def ask(words):
    """Return the output of a program, None where it is absent, fails, or takes too long."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=ASK_WITHIN_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def text_of(path):
    """Return what stands in a file, None where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def system():
    """Return distribution, version and architecture."""
    told = {}
    for line in (text_of("/etc/os-release") or "").splitlines():
        key, _, value = line.partition("=")
        told[key] = value.strip("\"'")
    return {
        "id": told.get("ID", ""),
        "like": told.get("ID_LIKE", "").split(),
        "version": told.get("VERSION_ID", ""),
        "name": told.get("PRETTY_NAME", ""),
        "architecture": platform.machine(),
    }


def interfaces():
    """Return each network interface with its addresses; None where `ip` does not answer."""
    addresses, routes = ask(["ip", "-j", "address"]), ask(["ip", "-j", "route", "show", "default"])
    if addresses is None:
        return None
    gateways = {route.get("dev") for route in json.loads(routes or "[]")}
    found = {}
    for nic in json.loads(addresses):
        if "LOOPBACK" in nic.get("flags", []):
            continue
        carrier = (text_of(f"/sys/class/net/{nic['ifname']}/carrier") or "").strip()
        found[nic["ifname"]] = {
            "mac": nic.get("address", ""),
            "carrier": carrier == "1" if carrier else None,
            "gateway": nic["ifname"] in gateways,
            "addresses": [
                {
                    "address": f"{one['local']}/{one['prefixlen']}",
                    "fixed": not one.get("dynamic", False),
                    "added": bool(one.get("secondary", False)),
                }
                for one in nic.get("addr_info", [])
                if one.get("family") == "inet" and "local" in one
            ],
        }
    return found


def account(name):
    """Return the numbers of a user and its groups, None where there is no such user."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    groups = {group.gr_name: group.gr_gid for group in grp.getgrall() if name in group.gr_mem}
    try:
        groups[grp.getgrgid(entry.pw_gid).gr_name] = entry.pw_gid
    except KeyError:
        groups[str(entry.pw_gid)] = entry.pw_gid
    return {"uid": entry.pw_uid, "gid": entry.pw_gid, "groups": groups}


def disk(path):
    """Return what a shared disk is, what uses it, and what stands on it."""
    try:
        device = block_device(path)
        held = contents(device)
        return {
            "error": None,
            "size_bytes": device.size_bytes,
            "serials": list(device.serials),
            "stable_names": stable_names(device),
            "label": held.label,
            "label_id": held.label_id,
            "filesystem": held.filesystem,
            "contents": held.words(),
            "quorum_of": held.quorum_of,
            "uses": uses(device),
        }
    except CannotTell as error:
        return {"error": error.sentence}


def listeners():
    """Return the programs of others at the ports of ServHA: [{protocol, port, program}]."""
    taken = {}
    for protocol, port in PORTS:
        for family in ("", "6"):
            for line in (text_of(f"/proc/net/{protocol}{family}") or "").splitlines()[1:]:
                words = line.split()
                if int(words[1].rpartition(":")[2], 16) == port and words[3] == _LISTENING[protocol]:
                    taken[words[9]] = (protocol, port)
    if not taken:
        return []
    programs = _programs(set(taken))
    found = {(protocol, port, programs.get(inode, "?")) for inode, (protocol, port) in taken.items()}
    return [
        {"protocol": protocol, "port": port, "program": program}
        for protocol, port, program in sorted(found)
        if program not in OUR_UNITS
    ]


def _programs(inodes):
    """Return for each socket the program that has it: our unit's name, else "name (pid N)"."""
    found = {}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(link.readlink())
        except OSError:
            continue
        inode = target[len("socket:[") : -1]
        if target.startswith("socket:[") and inode in inodes:
            pid = link.parts[2]
            group = text_of(f"/proc/{pid}/cgroup") or ""
            unit = next((unit for unit in OUR_UNITS if unit in group), "")
            found[inode] = unit or f"{(text_of(f'/proc/{pid}/comm') or '?').strip()} (pid {pid})"
    return found


def unit(name):
    """Return whether systemd knows a unit, and whether it starts at boot; None where systemd does not answer."""
    shown = ask(["systemctl", "show", "-p", "LoadState,UnitFileState", "--", name])
    if shown is None:
        return None
    told = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    return {"known": told.get("LoadState") == "loaded", "at_boot": told.get("UnitFileState") == "enabled"}


def answers(address):
    """Whether an address answers to ping; None where there is no ping."""
    if shutil.which("ping") is None:
        return None
    return ask(["ping", "-n", "-c", "2", "-i", "0.3", "-W", "1", "-w", "3", address]) is not None


def security():
    """Return what guards this machine in ways that can stand in the way."""
    enforcing = text_of("/sys/fs/selinux/enforce")
    kysec = ask(["getstatus"]) if shutil.which("getstatus") else ""
    state = next((line for line in (kysec or "").splitlines() if "status" in line.lower()), "")
    return {
        "selinux": {None: "absent", "0": "permissive"}.get(enforcing and enforcing.strip(), "enforcing"),
        "apparmor": (text_of("/sys/module/apparmor/parameters/enabled") or "").startswith("Y"),
        "kysec": state.rpartition(":")[2].strip().lower() or ("unknown" if kysec is None else "absent"),
    }


def firewalls():
    """Return the firewalls that may turn packets away here, by name; None where that cannot be told."""
    found = []
    if (ask(["firewall-cmd", "--state"]) or "").strip() == "running":
        found.append("firewalld")
    if "Status: active" in (ask(["ufw", "status"]) or ""):
        found.append("ufw")
    if shutil.which("nft") and "hook input" in (ask(["nft", "list", "ruleset"]) or ""):
        found.append("nftables")
    elif shutil.which("iptables") and "-P INPUT DROP" in (ask(["iptables", "-S", "INPUT"]) or ""):
        found.append("iptables")
    return found


def member_of():
    """Return name and number of the cluster that this server is in, None for none."""
    try:
        cluster = json.loads(CONFIGURATION.read_text(encoding="utf-8"))["document"]["cluster"]
        return {"name": cluster["name"], "id": cluster["id"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def password_holds(password):
    """Whether a password is that of the cluster that this server is in; None where nobody can say."""
    if not password or not Path(PYTHON).exists():
        return None
    done = subprocess.run(
        [PYTHON, "-m", "servha.cli.password_here"],
        input=password + "\n",
        capture_output=True,
        text=True,
        timeout=ASK_WITHIN_S,
        check=False,
    )
    return {0: True, 1: False}.get(done.returncode)


def survey(wanted):
    """Return everything that is asked about this server, as the options of servha_survey have it."""
    return {
        "asked_s": wanted["asked_s"],
        "clock_s": datetime.now(UTC).timestamp(),
        "root": os.geteuid() == 0,
        "hostname": platform.node(),
        "machine_id": (text_of("/etc/machine-id") or "").strip(),
        "system": system(),
        "pythons": [name for name in PYTHONS if shutil.which(name)],
        "commands": {name: shutil.which(name) is not None for name in COMMANDS},
        "interfaces": interfaces(),
        "users": {name: account(name) for name in wanted["users"]},
        "disks": {path: disk(path) for path in wanted["disks"]},
        "units": {name: unit(name) for name in wanted["units"]},
        "references": {address: answers(address) for address in wanted["references"]},
        "addresses": {address: answers(address) for address in wanted["addresses"]},
        "ports": listeners(),
        "security": security(),
        "firewalls": firewalls(),
        "member_of": member_of(),
        "password_holds": password_holds(wanted["password"]),
    }
