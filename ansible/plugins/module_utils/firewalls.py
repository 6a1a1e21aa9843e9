"""The firewalls of a Linux server, with one way to open a port in each (manual, F032).

Decides which one is at work: firewalld and ufw write the rules of the others, so they come first. A rule goes before
whatever turns packets away, and into the file from which that firewall starts at boot.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

WITHIN_S = 30
MARK = "servha"
NFT_FILES = (Path("/etc/nftables.conf"), Path("/etc/sysconfig/nftables.conf"))
IPTABLES_FILES = (Path("/etc/iptables/rules.v4"), Path("/etc/sysconfig/iptables"))


class FirewallFails(Exception):
    """A firewall has refused a change; the text says which command and why."""


def answer(*words):
    """Return what a program says, None where it is absent or fails."""
    if shutil.which(words[0]) is None:
        return None
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def must(*words, data=None):
    """Run a program; raise `FirewallFails` with its words when it fails."""
    try:
        done = subprocess.run(
            words, input=data, capture_output=True, text=True, timeout=WITHIN_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise FirewallFails(f"{' '.join(words)}: {error}") from error
    if done.returncode != 0:
        raise FirewallFails(f"{' '.join(words)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def at_work():
    """Return the firewall that decides about packets here, None where there is none."""
    for kind in (Firewalld, Ufw, Nftables, Iptables):
        firewall = kind()
        if firewall.is_at_work():
            return firewall
    return None


class Firewalld:
    """The default zone of firewalld, as it runs and as it is kept."""

    name = "firewalld"
    keeps = True

    def is_at_work(self):
        """Whether its daemon runs."""
        return (answer("firewall-cmd", "--state") or "").strip() == "running"

    def open(self):
        """Return the ports that are open now and kept so."""
        now, kept = (must("firewall-cmd", *more, "--list-ports").split() for more in ((), ("--permanent",)))
        return set(now) & set(kept)

    def put(self, opened, closed):
        """Change both what runs and what is kept; adding twice is no fault for firewalld."""
        words = [f"--add-port={port}" for port in opened] + [f"--remove-port={port}" for port in closed]
        must("firewall-cmd", *words)
        must("firewall-cmd", "--permanent", *words)


class Ufw:
    """ufw of Ubuntu and Debian; it keeps what it is told."""

    name = "ufw"
    keeps = True

    def is_at_work(self):
        """Whether it is enabled."""
        return "Status: active" in (answer("ufw", "status") or "")

    def open(self):
        """Return the ports of its rules."""
        return set(re.findall(r"^ufw allow (\d+/(?:tcp|udp))\b", must("ufw", "show", "added"), re.MULTILINE))

    def put(self, opened, closed):
        """Add and delete rules."""
        for port in opened:
            must("ufw", "allow", port, "comment", MARK)
        for port in closed:
            must("ufw", "delete", "allow", port)


class Nftables:
    """The chains of nftables that see every packet for this machine, and the file they are loaded from."""

    name = "nftables"

    def __init__(self):
        self._file = next((file for file in NFT_FILES if file.exists()), None)
        self.keeps = self._file is not None

    def _ruleset(self):
        return json.loads(answer("nft", "-j", "list", "ruleset") or '{"nftables": []}')["nftables"]

    def _chains(self):
        """Yield family, table and name of each chain at the input hook; those of iptables are left to it."""
        for item in self._ruleset():
            chain = item.get("chain", {})
            if (
                chain.get("hook") == "input"
                and chain["family"] in ("inet", "ip")
                and chain["name"] != "INPUT"
            ):
                yield chain["family"], chain["table"], chain["name"]

    def is_at_work(self):
        """Whether there is such a chain."""
        return any(self._chains())

    def _rules(self):
        """Yield each rule of ours: chain, port, handle."""
        for item in self._ruleset():
            rule = item.get("rule", {})
            if rule.get("comment", "").startswith(f"{MARK} "):
                yield (
                    (rule["family"], rule["table"], rule["chain"]),
                    rule["comment"].partition(" ")[2],
                    rule["handle"],
                )

    def open(self):
        """Return the ports that are open in every such chain, and in the file."""
        chains = list(self._chains())
        rules = {(chain, port) for chain, port, _ in self._rules()}
        ports = {port for _, port in rules}
        now = {port for port in ports if all((chain, port) in rules for chain in chains)}
        return now & self._in_file(chains) if self.keeps else now

    def _in_file(self, chains):
        text = self._file.read_text(encoding="utf-8")
        ports = set(re.findall(rf'comment "{MARK} (\d+/(?:tcp|udp))"', text))
        return {port for port in ports if all(_nft_rule(chain, port) in text for chain in chains)}

    def put(self, opened, closed):
        """Insert rules at the head of each chain, and at the end of the file; delete those of closed ports."""
        chains = list(self._chains())
        there = {(chain, port) for chain, port, _ in self._rules()}
        changes = [
            _nft_rule(chain, port) for port in opened for chain in chains if (chain, port) not in there
        ]
        changes += [
            f"delete rule {' '.join(chain)} handle {handle}"
            for chain, port, handle in self._rules()
            if port in closed
        ]
        must("nft", "-f", "-", data="\n".join(changes) + "\n")
        if self._file is not None:
            self._keep(chains, opened, closed)

    def _keep(self, chains, opened, closed):
        text = self._file.read_text(encoding="utf-8")
        lines = [
            line
            for line in text.splitlines()
            if not any(f'comment "{MARK} {port}"' in line for port in (*opened, *closed))
        ]
        lines += [_nft_rule(chain, port) for port in opened for chain in chains]
        replace(self._file, "\n".join(lines) + "\n")


def _nft_rule(chain, port):
    number, _, protocol = port.partition("/")
    return f'insert rule {" ".join(chain)} {protocol} dport {number} accept comment "{MARK} {port}"'


class Iptables:
    """The chain INPUT of iptables, and the file from which the distribution restores it."""

    name = "iptables"

    def __init__(self):
        self._file = next((file for file in IPTABLES_FILES if file.parent.is_dir()), None)
        self.keeps = self._file is not None

    def is_at_work(self):
        """Whether INPUT turns anything away."""
        rules = answer("iptables", "-S", "INPUT") or ""
        return "-P INPUT DROP" in rules or re.search(r"-j (DROP|REJECT)", rules) is not None

    def open(self):
        """Return the ports of our rules, as they are now and as they are kept."""
        now = _iptables_ports(must("iptables", "-S", "INPUT"))
        if self._file is None:
            return now
        kept = self._file.read_text(encoding="utf-8") if self._file.exists() else ""
        return now & _iptables_ports(kept)

    def put(self, opened, closed):
        """Insert rules at the head of INPUT, delete ours, and save all (the manual's iptables-save)."""
        there = _iptables_ports(must("iptables", "-S", "INPUT"))
        for port in opened:
            if port not in there:
                must("iptables", "-I", "INPUT", "1", *_iptables_rule(port))
        for port in closed:
            must("iptables", "-D", "INPUT", *_iptables_rule(port))
        if self._file is not None:
            replace(self._file, must("iptables-save"))


def _iptables_rule(port):
    number, _, protocol = port.partition("/")
    return ["-p", protocol, "--dport", number, "-m", "comment", "--comment", MARK, "-j", "ACCEPT"]


def _iptables_ports(rules):
    found = re.findall(
        rf'-A INPUT -p (tcp|udp).* --dport (\d+) .*--comment "?{MARK}"? -j ACCEPT', rules, re.MULTILINE
    )
    return {f"{number}/{protocol}" for protocol, number in found}


def replace(file, text):
    """Put a file in place of the old one, which stays beside it with the ending .servha-old the first time."""
    old = file.with_name(file.name + ".servha-old")
    if file.exists() and not old.exists():
        shutil.copy2(file, old)
    new = file.with_name(file.name + ".servha-new")
    new.write_text(text, encoding="utf-8")
    if file.exists():
        shutil.copymode(file, new)
    new.replace(file)
