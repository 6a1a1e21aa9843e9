"""What has to be true of two servers before ServHA is set up on them, and after: the manual's chapter of preparations.

Decides from what the servers have told (machine_survey) and what the inventory declares; looks at nothing itself. A
PROBLEM stops the deployment, a WARNING is shown. What a server could not tell is a warning that says so, never "fine".
Each check has a name, which the report shows, and may say several sentences, each with what to do.
"""

from __future__ import annotations

import ipaddress

from ansible_collections.servha.cluster.plugins.module_utils.spoken import told

PROBLEM, WARNING = "problem", "warning"
BOTH = ""
"""Place of a finding that is about the two servers together."""
TRIED = {
    "debian": ("12", "13"),
    "ubuntu": ("22.04", "24.04"),
    "rhel": ("8", "9"),
    "openeuler": ("22.03", "24.03"),
    "kylin": ("V10",),
}
"""Distributions for which the roles have a path, by family, with their versions."""
RHEL_LIKE = ("rhel", "centos", "rocky", "almalinux", "ol")
CLOCKS_WARN_S, CLOCKS_APART_S = 10, 60
PROVIDED_BY = {
    "fuser": "psmisc",
    "ifconfig": "net-tools",
    "parted": "parted",
    "blkid": "util-linux",
}


class Pair:
    """The two servers by their inventory names, what each has told, and what is declared."""

    def __init__(self, surveys, declared):
        self.surveys = surveys
        self.declared = declared
        self.names = list(surveys)

    def told_by(self, name):
        """Return what one server has told."""
        return self.surveys[name]

    def each(self):
        """Yield every server with what it has told."""
        return self.surveys.items()

    def values(self, get):
        """Return what `get` finds in each answer, in order."""
        return [get(self.surveys[name]) for name in self.names]

    @property
    def clusters(self):
        """Numbers of the clusters that a server is in."""
        return {answer["member_of"]["id"] for answer in self.surveys.values() if answer["member_of"]}


def family_of(system):
    """Return the family of a distribution as TRIED names it, "" for one that is not known here."""
    known = system["id"].lower()
    if known in RHEL_LIKE:
        return "rhel"
    if known in TRIED:
        return known
    return "rhel" if {"rhel", "fedora"} & set(system["like"]) else ""


def systems(pair):
    """The same operating system on both (F001), and one that the roles know."""
    kinds = pair.values(lambda answer: (answer["system"]["id"], answer["system"]["version"]))
    machines = pair.values(lambda answer: answer["system"]["architecture"])
    names = pair.values(lambda answer: answer["system"]["name"])
    if len(set(kinds)) > 1 or len(set(machines)) > 1:
        shown = [f"{name} ({machines[at]})" for at, name in enumerate(names)]
        yield (
            BOTH,
            PROBLEM,
            told(
                "the operating systems differ: {one} and {other}; install the same on both",
                one=shown[0],
                other=shown[-1],
            ),
        )
    for name, answer in pair.each():
        system = answer["system"]
        family = family_of(system)
        if not family:
            yield (
                name,
                PROBLEM,
                told(
                    "{system} is not a system that ServHA is made for: Debian, Ubuntu, RHEL and its kin, openEuler,"
                    " Kylin",
                    system=system["name"] or system["id"] or "?",
                ),
            )
        elif not any(system["version"].startswith(version) for version in TRIED[family]):
            yield (
                name,
                WARNING,
                told(
                    "{system} was not tried; tried versions: {tried}",
                    system=system["name"],
                    tried=", ".join(TRIED[family]),
                ),
            )


def pythons(pair):
    """A Python that can run ServHA, where it is to be installed."""
    for name, answer in pair.each():
        if pair.declared["installs"] and not pair.declared["python"] and not answer["pythons"]:
            yield (
                name,
                PROBLEM,
                told("there is no Python 3.11, 3.12 or 3.13; install one, or name it in runtime_python"),
            )
        if not answer["root"]:
            yield (
                name,
                PROBLEM,
                told("the user of the connection is not root; set ansible_become or ansible_user"),
            )


def identities(pair):
    """Two servers, not one and its copy."""
    hostname, *others = pair.values(lambda answer: answer["hostname"])
    if hostname in others:
        yield (
            BOTH,
            PROBLEM,
            told("both servers are called {same}; give them different names", same=hostname),
        )
    machine_id, *others = pair.values(lambda answer: answer["machine_id"])
    if machine_id and machine_id in others:
        yield (
            BOTH,
            PROBLEM,
            told(
                "both servers have the machine id {same}, as a copy of a disk has; renew it on one:"
                " rm /etc/machine-id && systemd-machine-id-setup",
                same=machine_id,
            ),
        )
    macs = pair.values(
        lambda answer: {nic["mac"] for nic in (answer["interfaces"] or {}).values() if nic["mac"]}
    )
    for mac in sorted(set.intersection(*macs)) if len(macs) > 1 else ():
        yield BOTH, PROBLEM, told("both servers have the hardware address {mac}; renew it on one", mac=mac)


def network_of(link, answer):
    """Return address and network of one end of a heartbeat, or a sentence that says why there is none."""
    nic = (answer["interfaces"] or {}).get(link["nic"])
    if nic is None:
        known = ", ".join(answer["interfaces"] or {}) or "?"
        return told("there is no interface {nic}; there are {known}", nic=link["nic"], known=known)
    declared = str(link.get("address") or "").partition("/")[0]
    real = [
        one
        for one in nic["addresses"]
        if (one["address"].partition("/")[0] == declared if declared else not one["added"])
    ]
    if not real:
        return told(
            "{nic} has no {address}; give it a fixed address",
            nic=link["nic"],
            address=declared or "IPv4 address",
        )
    return ipaddress.ip_interface(real[0]["address"])


def interfaces(pair):
    """Two interfaces at least, those of the heartbeats there, with a cable and a fixed address (F002, F003)."""
    for name, answer in pair.each():
        if answer["interfaces"] is None:
            yield name, WARNING, told("`ip` does not answer, so the interfaces are unknown")
            continue
        if len(answer["interfaces"]) < 2:
            yield (
                name,
                PROBLEM,
                told("there is one network interface; two are needed, one of them for the direct cable"),
            )
        for link in pair.declared["links"].get(name, ()):
            end = network_of(link, answer)
            if isinstance(end, dict):
                yield name, PROBLEM, end
                continue
            nic = answer["interfaces"][link["nic"]]
            if nic["carrier"] is False:
                yield name, PROBLEM, told("{nic} has no cable, or its other end is off", nic=link["nic"])
            if any(one["address"] == str(end) and not one["fixed"] for one in nic["addresses"]):
                yield (
                    name,
                    PROBLEM,
                    told(
                        "{address} of {nic} comes from DHCP; make it a fixed one",
                        address=str(end),
                        nic=link["nic"],
                    ),
                )


def segments(pair):
    """Each heartbeat in a network of its own, the same on both; no gateway behind the direct one (F004)."""
    ends = {}
    for name, answer in pair.each():
        links = pair.declared["links"].get(name, ())
        for place, link in enumerate(links):
            end = network_of(link, answer)
            if isinstance(end, dict):
                continue
            ends.setdefault(link["name"], {})[name] = end
            if place == 0 and len(links) > 1 and answer["interfaces"][link["nic"]]["gateway"]:
                yield (
                    name,
                    WARNING,
                    told(
                        "the default gateway is behind {nic}, the direct cable; remove it there",
                        nic=link["nic"],
                    ),
                )
    for link, by_name in ends.items():
        networks = {str(end.network) for end in by_name.values()}
        if len(networks) > 1:
            yield (
                BOTH,
                PROBLEM,
                told(
                    "the ends of {link} are in different networks: {networks}",
                    link=link,
                    networks=", ".join(sorted(networks)),
                ),
            )
        if len({end.ip for end in by_name.values()}) < len(by_name):
            yield BOTH, PROBLEM, told("both ends of {link} have the same address", link=link)
    for name, _ in pair.each():
        seen = {}
        for link, by_name in ends.items():
            network = str(by_name[name].network) if name in by_name else None
            if network and network in seen:
                yield (
                    name,
                    PROBLEM,
                    told(
                        "{one} and {other} are in the same network {network}; each heartbeat needs one of its own",
                        one=seen[network],
                        other=link,
                        network=network,
                    ),
                )
            seen.setdefault(network, link)


def users(pair):
    """The users of the applications have the same numbers on both, and so have their groups (F017)."""
    for user in pair.declared["users"]:
        accounts = {name: answer["users"].get(user) for name, answer in pair.each()}
        for name, account in accounts.items():
            if account is None:
                yield name, PROBLEM, told("there is no user {user}", user=user)
        if None in accounts.values() or len(accounts) < 2:
            continue
        (one, first), (other, second) = accounts.items()
        for what in ("uid", "gid"):
            if first[what] != second[what]:
                yield (
                    BOTH,
                    PROBLEM,
                    told(
                        "{what} of {user} is {first} on {one} and {second} on {other}; make them the same (usermod,"
                        " groupmod, and chown of the files)",
                        what=what,
                        user=user,
                        first=first[what],
                        one=one,
                        second=second[what],
                        other=other,
                    ),
                )
        for group in sorted(set(first["groups"]) | set(second["groups"])):
            numbers = first["groups"].get(group), second["groups"].get(group)
            if numbers[0] != numbers[1] and not (group == user and first["gid"] != second["gid"]):
                yield (
                    BOTH,
                    PROBLEM,
                    told(
                        "group {group} of {user} is {first} on {one} and {second} on {other}",
                        group=group,
                        user=user,
                        first="-" if numbers[0] is None else numbers[0],
                        one=one,
                        second="-" if numbers[1] is None else numbers[1],
                        other=other,
                    ),
                )
