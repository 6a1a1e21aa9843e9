"""The part of the checks that is about what surrounds ServHA on a server: ports, clocks, commands, services, guards.

Decides what would stand in ServHA's way and what merely has to be known.
"""

from __future__ import annotations

import ipaddress

from ansible_collections.servha.cluster.plugins.module_utils.preflight_checks import (
    BOTH,
    CLOCKS_APART_S,
    CLOCKS_WARN_S,
    PROBLEM,
    PROVIDED_BY,
    WARNING,
)
from ansible_collections.servha.cluster.plugins.module_utils.spoken import told


def ports(pair):
    """The five ports are free, or ServHA's already (F011)."""
    for name, answer in pair.each():
        for one in answer["ports"]:
            yield (
                name,
                PROBLEM,
                told(
                    "port {port}/{protocol} is taken by {program}; stop that, or give it another port",
                    port=one["port"],
                    protocol=one["protocol"],
                    program=one["program"],
                ),
            )


def clocks(pair):
    """The clocks agree, so that the logs of both can be read side by side."""
    apart = pair.values(lambda answer: answer["clock_s"] - answer["asked_s"])
    difference_s = round(max(apart) - min(apart))
    if difference_s > CLOCKS_WARN_S:
        yield (
            BOTH,
            PROBLEM if difference_s > CLOCKS_APART_S else WARNING,
            told("the clocks are {seconds} s apart; let chrony or timesyncd set them", seconds=difference_s),
        )


def commands(pair):
    """What scripts of users and the labelling of disks rely on (F008, A32)."""
    for name, answer in pair.each():
        for command, there in sorted(answer["commands"].items()):
            if there:
                continue
            if pair.declared["packages"]:
                yield (
                    name,
                    WARNING,
                    told(
                        "there is no {command}; {package} will be installed",
                        command=command,
                        package=PROVIDED_BY[command],
                    ),
                )
            else:
                yield (
                    name,
                    PROBLEM,
                    told(
                        "there is no {command}; install {package}",
                        command=command,
                        package=PROVIDED_BY[command],
                    ),
                )


def references(pair):
    """Reference addresses answer, and are nobody's that fails with a server (F028)."""
    own = {
        one["address"].partition("/")[0]
        for _, answer in pair.each()
        for nic in (answer["interfaces"] or {}).values()
        for one in nic["addresses"]
    }
    virtual = {address.partition("/")[0] for address in pair.declared["addresses"]}
    for address in pair.declared["references"]:
        if address in virtual:
            yield (
                BOTH,
                PROBLEM,
                told("the reference address {address} is a virtual one of a tree", address=address),
            )
        elif address in own:
            yield BOTH, PROBLEM, told("the reference address {address} is that of a server", address=address)
    for name, answer in pair.each():
        for address, answered in answer["references"].items():
            if answered is None:
                yield (
                    name,
                    WARNING,
                    told("there is no ping, so whether {address} answers is unknown", address=address),
                )
            elif not answered:
                yield name, PROBLEM, told("the reference address {address} does not answer", address=address)


def virtual(pair):
    """A virtual address is in the network of both servers, and nobody else has it (F005, A16)."""
    for declared in pair.declared["addresses"]:
        address = declared.partition("/")[0]
        held = False
        for name, answer in pair.each():
            ends = [one for nic in (answer["interfaces"] or {}).values() for one in nic["addresses"]]
            held = held or any(one["address"].partition("/")[0] == address for one in ends)
            networks = [ipaddress.ip_interface(one["address"]).network for one in ends]
            if networks and not any(ipaddress.ip_address(address) in network for network in networks):
                yield (
                    name,
                    PROBLEM,
                    told("the virtual address {address} is in no network of this server", address=address),
                )
        answered = [answer["addresses"].get(address) for _, answer in pair.each()]
        if True in answered and not (held and pair.clusters):
            yield BOTH, PROBLEM, told("somebody has the virtual address {address} already", address=address)


def units(pair):
    """Services that a tree starts are there on both, and do not start by themselves at boot (F013, F014)."""
    for name, answer in pair.each():
        for unit, known in answer["units"].items():
            if known is None:
                yield name, WARNING, told("systemd does not answer, so {unit} is unknown", unit=unit)
            elif not known["known"]:
                yield name, PROBLEM, told("there is no service {unit}; install the application", unit=unit)
            elif known["at_boot"]:
                yield (
                    name,
                    PROBLEM,
                    told("{unit} starts by itself at boot: systemctl disable {unit}", unit=unit),
                )


def guards(pair):
    """What guards the machine, and what that would block (F012, A33)."""
    for name, answer in pair.each():
        found = answer["security"]
        if found["selinux"] == "enforcing" and pair.declared["selinux"] == "unchanged":
            yield (
                name,
                WARNING,
                told(
                    "SELinux is enforcing and stays so: programs that ServHA starts run in its domain, and what they"
                    " are denied stands in /var/log/audit/audit.log"
                ),
            )
        elif found["selinux"] == "enforcing":
            yield (
                name,
                WARNING,
                told("SELinux is enforcing; it will be {state}", state=pair.declared["selinux"]),
            )
        if found["apparmor"]:
            yield (
                name,
                WARNING,
                told(
                    "AppArmor is on: an application whose data were moved needs the new path in its profile (role"
                    " apparmor)"
                ),
            )
        if found["kysec"] not in ("absent", "disabled", "softmode"):
            yield (
                name,
                WARNING,
                told("KYSEC is {state}; the role kysec puts it into soft mode", state=found["kysec"]),
            )


def firewalls(pair):
    """Whether a firewall is in the way, and who opens it."""
    for name, answer in pair.each():
        for firewall in answer["firewalls"]:
            if not pair.declared["firewall"]:
                yield (
                    name,
                    WARNING,
                    told(
                        "{firewall} is active and firewall_managed is off: open the five ports",
                        firewall=firewall,
                    ),
                )


def clusters(pair):
    """The servers are in no cluster or in this one, and the password is the cluster's."""
    declared = pair.declared["cluster"]
    first = pair.names[0]
    for name, answer in pair.each():
        member = answer["member_of"]
        if member and declared and member["name"] != declared:
            yield (
                name,
                PROBLEM,
                told(
                    "this server is in cluster {known}, not in {declared}; `servha cluster wipe` takes it out",
                    known=member["name"],
                    declared=declared,
                ),
            )
        elif (
            member
            and name != first
            and not pair.told_by(first)["member_of"]
            and not pair.declared["replacing"]
        ):
            yield (
                name,
                PROBLEM,
                told(
                    "this server is in the cluster and {first} is not: put the member first in the inventory, or use"
                    " replace_node.yml",
                    first=first,
                ),
            )
        if answer["password_holds"] is False:
            yield name, PROBLEM, told("cluster_password is not the password of the cluster")
    if len(pair.clusters) > 1:
        yield (
            BOTH,
            PROBLEM,
            told("the servers are in two different clusters; `servha cluster wipe` takes one out"),
        )
