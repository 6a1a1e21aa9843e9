"""The administrator's computer on the rack's wires: Ansible over ssh, as in production.

It sees the rack's network and nothing else. The key and what it knows of the machines are new for every rack, and so
are the connections that it keeps for a later task.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tests.machines.base import base
from tests.machines.machine import Machine
from tests.machines.rack import Rack

CHECKOUT = Path(__file__).parent.parent.parent
PROGRAMS = CHECKOUT / ".venv/bin"
WITHIN_S = 300.0
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Played:
    """What a playbook has said: its exit status, its words, and the count of changes by host."""

    status: int
    said: str

    @property
    def words(self) -> str:
        """What was said, on one line."""
        return " ".join(self.said.split())

    @property
    def changed(self) -> dict[str, int]:
        return {host: int(count) for host, _, count, _, _ in RECAP.findall(self.said)}


class Controller:
    def __init__(self, rack: Rack, folder: Path, *, link: str) -> None:
        self._rack = rack
        self._folder = folder
        self._link = link
        self._key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._key], check=True)

    def welcome(self, machine: Machine) -> None:
        """Let the administrator in by key. The machine is off."""
        public = self._key.with_suffix(".pub").read_text(encoding="ascii")
        machine.put("/root/.ssh/authorized_keys", public, mode=0o600)
        host_key = (base() / "etc/ssh/ssh_host_ed25519_key.pub").read_text(encoding="ascii").split()[:2]
        with (self._folder / "known_hosts").open("a") as known:
            known.write(f"{machine.addresses[self._link]} {' '.join(host_key)}\n")

    def host(self, machine: Machine, **variables: Any) -> dict[str, Any]:
        """Return a machine's entry in an inventory."""
        return {"ansible_host": machine.addresses[self._link], **variables}

    def write(self, inventory: Mapping[str, Any]) -> Path:
        """Write the inventory to a file, with all that a connection to the machines needs."""
        common = f"-o UserKnownHostsFile={self._folder}/known_hosts -o ConnectTimeout=5"
        connection = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self._key),
            # One connection for many tasks. Its socket lies with the rack: machines of all racks have the same
            # addresses, and Ansible's own place, one folder by address, would lead to another rack's machine.
            "ansible_ssh_args": f"-o ControlMaster=auto -o ControlPersist=10s -o ControlPath={self._rack.folder}/%h"
            " -o ServerAliveInterval=2 -o ServerAliveCountMax=5",
            "ansible_ssh_common_args": common,
            "ansible_ssh_pipelining": True,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        whole = {
            name: {**group, "vars": {**connection, **group.get("vars", {})}}
            for name, group in inventory.items()
        }
        file = self._folder / "inventory.json"
        file.write_bytes(msgspec.json.encode(whole))
        return file

    def play(self, playbook: str, inventory: Mapping[str, Any], *options: str) -> Played:
        """Run a playbook of the collection."""
        return self._run(
            ["ansible-playbook", "-i", str(self.write(inventory))]
            + [str(CHECKOUT / f"ansible/playbooks/{playbook}.yml"), *options]
        )

    def do(self, module: str, inventory: Mapping[str, Any], **arguments: Any) -> Played:
        """Run one module of the collection on every host."""
        tasks = [{f"servha.cluster.{module}": arguments, "register": "done"}, {"debug": {"var": "done"}}]
        return self._written({"tasks": tasks}, inventory)

    def roles(
        self, roles: Sequence[Mapping[str, Any]], inventory: Mapping[str, Any], *options: str
    ) -> Played:
        """Run roles of the collection on every host, each given as {role: its name, variable: value}."""
        full = [{**role, "role": f"servha.cluster.{role['role']}"} for role in roles]
        return self._written({"roles": full}, inventory, *options)

    def _written(self, what: Mapping[str, Any], inventory: Mapping[str, Any], *options: str) -> Played:
        play = self._folder / "play.json"
        play.write_bytes(msgspec.json.encode([{"hosts": "all", "gather_facts": False, **what}]))
        return self._run(["ansible-playbook", "-i", str(self.write(inventory)), str(play), *options])

    def _run(self, words: Sequence[str]) -> Played:
        done = subprocess.run(
            ["nsenter", f"--net=/run/netns/{self._rack.name}", "--", str(PROGRAMS / words[0]), *words[1:]],
            cwd=CHECKOUT,
            env={**os.environ, "ANSIBLE_HOME": str(self._folder / "home"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORKS": "2",
                 "PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=WITHIN_S,
        )  # fmt: skip
        return Played(done.returncode, done.stdout)
