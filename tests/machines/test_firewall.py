"""firewall_port in every firewall of a booted machine, tested by connecting through it from outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.machines.controller import Controller, Played
from tests.machines.machine import Machine
from tests.machines.rack import Rack
from tests.machines.wait import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

PORT = "7700/tcp"
IPTABLES_DROP = (
    "iptables -A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT; iptables -A INPUT -i lo -j ACCEPT;"
    " iptables -A INPUT -p tcp --dport 22 -j ACCEPT; iptables -P INPUT DROP; mkdir -p /etc/iptables;"
    " iptables-save >/etc/iptables/rules.v4"
)
NFT_DROP = """flush ruleset
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iif lo accept
        tcp dport 22 accept
    }
}
"""
SERVER = "[Service]\nExecStart=/usr/bin/python3 -m http.server 7700\n[Install]\nWantedBy=multi-user.target\n"
FIREWALLS = {
    "firewalld": ("systemctl start firewalld", "systemctl restart firewalld", "systemctl stop firewalld"),
    "ufw": (
        "ufw allow 22/tcp && ufw --force enable",
        "ufw disable && ufw --force enable",
        "ufw --force reset",
    ),
    "nftables": (
        "nft -f /etc/nftables.conf",
        "nft flush ruleset && nft -f /etc/nftables.conf",
        "rm /etc/nftables.conf && nft flush ruleset",
    ),
    "iptables": (
        IPTABLES_DROP,
        "iptables -F && iptables -P INPUT ACCEPT && iptables-restore </etc/iptables/rules.v4",
        "iptables -P INPUT ACCEPT && iptables -F",
    ),
}
"""For each: how it is started so that it drops, how a boot loads it, and how it ends."""


class Walled:
    """A machine with a server at port 7700, and a client outside."""

    def __init__(self, rack: Rack, controller: Controller, machine: Machine) -> None:
        self.rack = rack
        self.machine = machine
        self.controller = controller

    def sh(self, command: str) -> None:
        self.machine.run(["sh", "-c", command])

    def is_reached(self) -> bool:
        url = f"http://{self.machine.addresses['public']}:7700/"
        return "200" in self.rack.run(
            ["sh", "-c", f"curl -s -o /dev/null -w '%{{http_code}}' --max-time 1 {url} || :"]
        )

    def open(self, **arguments: Any) -> Played:
        inventory = {"servha": {"hosts": {"node1": self.controller.host(self.machine)}}}
        return self.controller.do("firewall_port", inventory, **arguments)


@pytest.fixture(scope="module")
def walled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walled]:
    folder: Path = tmp_path_factory.mktemp("firewall")
    with Rack(links=("private", "public")) as rack:
        controller = Controller(rack, folder, link="public")
        machine = rack.add("node1")
        controller.welcome(machine)
        machine.put("/etc/systemd/system/served.service", SERVER)
        machine.put("/etc/nftables.conf", NFT_DROP)
        machine.power_on()
        machine.run(["systemctl", "start", "served.service"])
        walled = Walled(rack, controller, machine)
        wait_for(walled.is_reached, within_s=20, what="the server answers")
        yield walled


def test_where_no_firewall_is_at_work_nothing_is_changed(walled: Walled) -> None:
    played = walled.open(ports=[PORT])
    assert (played.status, played.changed) == (0, {"node1": 0}), played.said


@pytest.mark.parametrize("name", FIREWALLS)
def test_a_port_is_opened_for_now_and_for_every_boot(walled: Walled, name: str) -> None:
    start, as_at_boot, end = FIREWALLS[name]
    walled.sh(start)
    try:
        wait_for(lambda: not walled.is_reached(), within_s=20, what=f"{name} drops")
        played = walled.open(ports=[PORT, "14338/udp"])
        assert (played.status, played.changed) == (0, {"node1": 1}), played.said
        assert f'"firewall": "{name}"' in played.said, played.said
        assert walled.is_reached()
        assert walled.open(ports=[PORT, "14338/udp"]).changed == {"node1": 0}
        walled.sh(as_at_boot)
        wait_for(walled.is_reached, within_s=20, what="it is kept")
        assert walled.open(ports=[PORT], state="absent").changed == {"node1": 1}
        assert not walled.is_reached()
    finally:
        walled.sh(end)


def test_what_is_no_port_is_told(walled: Walled) -> None:
    played = walled.open(ports=["7700"])
    assert "7700 is not a port: write NUMBER/tcp or NUMBER/udp" in played.words
