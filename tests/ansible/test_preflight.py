"""What the preflight report says of two servers, check by check; and that every sentence is there in Chinese."""

from __future__ import annotations

import ast
import copy
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.servha.cluster.plugins.module_utils.preflight_checks import (
    PROBLEM,
    WARNING,
    family_of,
)
from ansible_collections.servha.cluster.plugins.module_utils.preflight_report import (
    CHECKS,
    examined,
    report,
    sentences,
)
from ansible_collections.servha.cluster.plugins.module_utils.spoken import said, told, width
from ansible_collections.servha.cluster.plugins.module_utils.spoken_zh import CHINESE

PLUGINS = Path(__file__).parent.parent.parent / "ansible/plugins"
QUORUM, DATA = "/dev/disk/by-id/wwn-1", "/dev/disk/by-id/wwn-2"


def nic(mac: str, address: str, **other: Any) -> dict[str, Any]:
    return {
        "mac": mac,
        "carrier": True,
        "gateway": False,
        "addresses": [{"address": address, "fixed": True, "added": False}],
        **other,
    }


def disk(serial: str, **other: Any) -> dict[str, Any]:
    return {
        "error": None,
        "size_bytes": 512 << 20,
        "serials": [serial],
        "stable_names": [],
        "label": "",
        "label_id": "",
        "filesystem": "",
        "contents": [],
        "quorum_of": "",
        "uses": [],
        **other,
    }


def server(number: int) -> dict[str, Any]:
    return {
        "asked_s": 1000.0,
        "clock_s": 1000.5,
        "root": True,
        "hostname": f"server{number}",
        "machine_id": f"{number}" * 32,
        "system": {
            "id": "debian",
            "like": [],
            "version": "12",
            "name": "Debian GNU/Linux 12",
            "architecture": "x86_64",
        },
        "pythons": ["python3.11"],
        "commands": {"fuser": True, "ifconfig": True, "parted": True, "blkid": True},
        "interfaces": {
            "eth1": nic(f"02:00:00:00:01:0{number}", f"192.0.2.{number}/24", gateway=True),
            "eth2": nic(f"02:00:00:00:02:0{number}", f"198.51.100.{number}/24"),
        },
        "users": {"postgres": {"uid": 105, "gid": 110, "groups": {"postgres": 110, "ssl-cert": 104}}},
        "disks": {QUORUM: disk("1"), DATA: disk("2", filesystem="ext4")},
        "units": {"app.service": {"known": True, "at_boot": False}},
        "references": {"192.0.2.254": True},
        "addresses": {"192.0.2.100": False},
        "ports": [],
        "security": {"selinux": "absent", "apparmor": False, "kysec": "absent"},
        "firewalls": [],
        "member_of": None,
        "password_holds": None,
    }


LINKS = [{"name": "private", "nic": "eth2"}, {"name": "public", "nic": "eth1"}]
DECLARED: dict[str, Any] = {
    "links": {"one": LINKS, "two": LINKS},
    "cluster": "clinic",
    "users": ["postgres"],
    "disks": [QUORUM, DATA],
    "quorum_disk": QUORUM,
    "quorum_force": "",
    "arbitration_needs_disk": True,
    "references": ["192.0.2.254"],
    "addresses": ["192.0.2.100/24"],
    "installs": True,
    "python": "",
    "packages": True,
    "firewall": True,
    "replacing": False,
    "selinux": "unchanged",
}


def pair() -> dict[str, Any]:
    return {"one": server(1), "two": server(2)}


def found(surveys: dict[str, Any], severity: str, **declared: Any) -> list[str]:
    """What is said with that severity, each with the name of its check and where."""
    said_of = []
    for check, findings in examined(surveys, {**DECLARED, **declared}).items():
        said_of += [
            f"{check}, {where or 'both'}: {said(sentence)}"
            for where, how, sentence in findings
            if how == severity
        ]
    return said_of


def test_two_servers_as_the_manual_wants_them_are_fine() -> None:
    surveys = pair()
    assert found(surveys, PROBLEM) == []
    assert found(surveys, WARNING) == []


def test_a_cluster_that_runs_is_fine_too() -> None:
    surveys = pair()
    own = {"name": "clinic", "id": "ab" * 16}
    for answer in surveys.values():
        answer["member_of"] = own
        answer["addresses"]["192.0.2.100"] = True
        answer["password_holds"] = True
        answer["disks"][QUORUM] |= {
            "quorum_of": own["id"],
            "contents": [told("the quorum area of ServHA cluster {cluster}", cluster=own["id"])],
        }
    holder = surveys["one"]
    holder["interfaces"]["eth1"]["addresses"].append(
        {"address": "192.0.2.100/24", "fixed": True, "added": True}
    )
    holder["disks"][DATA]["uses"] = [
        told("{name} is mounted on {place}: umount {place}", name="sdc", place="/srv")
    ]
    assert found(surveys, PROBLEM) == []


Broken = tuple[tuple[str | int, ...], Any, str]
ONE_BROKEN: list[Broken] = [
    (("system", "version"), "11", "operating system, both: the operating systems differ"),
    (("system", "id"), "windows", "is not a system that ServHA is made for"),
    (("system", "architecture"), "aarch64", "Debian GNU/Linux 12 (x86_64) and Debian GNU/Linux 12 (aarch64)"),
    (("pythons",), [], "Python, root, two: there is no Python 3.11"),
    (("root",), False, "the user of the connection is not root"),
    (("hostname",), "server1", "two machines, both: both servers are called server1"),
    (("machine_id",), "1" * 32, "both servers have the machine id"),
    (("interfaces", "eth1", "mac"), "02:00:00:00:01:01", "hardware address 02:00:00:00:01:01"),
    (("interfaces", "eth2", "carrier"), False, "interfaces, two: eth2 has no cable"),
    (("interfaces", "eth1", "addresses", 0, "fixed"), False, "192.0.2.2/24 of eth1 comes from DHCP"),
    (("interfaces", "eth2", "addresses"), [], "eth2 has no IPv4 address"),
    (("interfaces", "eth2", "addresses", 0, "address"), "203.0.113.2/24", "private are in different networks"),
    (("interfaces", "eth2", "addresses", 0, "address"), "192.0.2.9/24", "private and public are in the same network"),
    (("interfaces", "eth2", "addresses", 0, "address"), "198.51.100.1/24", "ends of private have the same address"),
    (("users", "postgres"), None, "users, two: there is no user postgres"),
    (("users", "postgres", "uid"), 106, "uid of postgres is 105 on one and 106 on two"),
    (("users", "postgres", "gid"), 111, "gid of postgres is 110 on one and 111 on two"),
    (("users", "postgres", "groups", "ssl-cert"), 99, "group ssl-cert of postgres is 104 on one and 99 on two"),
    (("disks", DATA), disk("3"), f"shared disks, both: {DATA} is not the same disk on both"),
    (("disks", DATA, "size_bytes"), 1 << 30, "2 (512 MiB) on one, 2 (1024 MiB) on two"),
    (("disks", DATA), {"error": told("{path} is not there", path=DATA)}, f"shared disks, two: {DATA} is not there"),
    (("disks", DATA, "uses"), [told("fstab mounts it")], f"disks free, two: {DATA} is in use: fstab mounts it"),
    (("disks", QUORUM, "contents"), [told("a file system")], "carries a file system; choose another disk; if nothing"),
    (("disks", QUORUM, "size_bytes"), 1 << 20, "is too small"),
    (("references", "192.0.2.254"), False, "the reference address 192.0.2.254 does not answer"),
    (("addresses", "192.0.2.100"), True, "somebody has the virtual address 192.0.2.100 already"),
    (("units", "app.service", "known"), False, "services, two: there is no service app.service"),
    (("units", "app.service", "at_boot"), True, "systemctl disable app.service"),
    (
        ("ports",),
        [{"protocol": "tcp", "port": 7700, "program": "nginx (pid 7)"}],
        "ports, two: port 7700/tcp is taken by nginx (pid 7)",
    ),
    (("clock_s",), 1090.0, "clocks, both: the clocks are 90 s apart"),
    (("member_of",), {"name": "other", "id": "cd" * 16}, "this server is in cluster other, not in clinic"),
    (("member_of",), {"name": "clinic", "id": "cd" * 16}, "in the cluster and one is not"),
    (("password_holds",), False, "cluster, two: cluster_password is not the password of the cluster"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "value", "sentence"), ONE_BROKEN)
def test_what_is_wrong_is_told_by_name(where: tuple[str | int, ...], value: Any, sentence: str) -> None:
    surveys = pair()
    at: Any = surveys["two"]
    for step in where[:-1]:
        at = at[step]
    at[where[-1]] = copy.deepcopy(value)
    told_of = found(surveys, PROBLEM)
    assert any(sentence in one for one in told_of), told_of
    lines = report(surveys, examined(surveys, DECLARED), "en")
    assert lines[-1].endswith("Nothing was changed")
    assert any(PROBLEM in line for line in lines[1 : len(CHECKS) + 1]), "the table shows it too"


@pytest.mark.parametrize(
    ("where", "value", "sentence"),
    [
        (("system", "version"), "99", "was not tried"),
        (("interfaces",), None, "the interfaces are unknown"),
        (("interfaces", "eth2", "gateway"), True, "the default gateway is behind eth2, the direct cable"),
        (("units", "app.service"), None, "app.service is unknown"),
        (("references", "192.0.2.254"), None, "whether 192.0.2.254 answers is unknown"),
        (("clock_s",), 1020.0, "the clocks are 20 s apart"),
        (("commands", "fuser"), False, "there is no fuser; psmisc will be installed"),
        (("security", "selinux"), "enforcing", "SELinux is enforcing and stays so"),
        (("security", "apparmor"), True, "AppArmor is on"),
        (("security", "kysec"), "enabled", "KYSEC is enabled"),
    ],
)
def test_what_has_to_be_known_is_a_warning(where: tuple[str, ...], value: Any, sentence: str) -> None:
    surveys = pair()
    for answer in surveys.values() if where[0] == "system" else [surveys["two"]]:
        at: Any = answer
        for step in where[:-1]:
            at = at[step]
        at[where[-1]] = value
    assert any(sentence in one for one in found(surveys, WARNING)), found(surveys, WARNING)
    assert found(surveys, PROBLEM) == []


def test_what_the_inventory_says_matters() -> None:
    surveys = pair()
    for answer in surveys.values():
        answer["commands"]["fuser"] = False
        answer["firewalls"] = ["firewalld"]
        answer["disks"][QUORUM]["contents"] = [told("a file system")]
    assert any("carries" in one for one in found(surveys, PROBLEM))
    assert found(surveys, PROBLEM, quorum_force="1") == [], "the disk is named by its serial number"
    assert any("carries" in one for one in found(surveys, PROBLEM, quorum_force="2")), "that is another disk"
    assert any("install psmisc" in one for one in found(surveys, PROBLEM, packages=False))
    assert any("firewalld is active" in one for one in found(surveys, WARNING, firewall=False))
    assert any("name it in cluster_quorum_disk" in one for one in found(surveys, PROBLEM, quorum_disk=""))
    assert any("is that of a server" in one for one in found(surveys, PROBLEM, references=["192.0.2.1"]))
    assert any("is a virtual one" in one for one in found(surveys, PROBLEM, references=["192.0.2.100"]))
    assert any("in no network of" in one for one in found(surveys, PROBLEM, addresses=["203.0.113.7/24"]))


def test_a_disk_without_a_number_is_known_by_its_label() -> None:
    surveys = pair()
    for answer in surveys.values():
        answer["disks"][DATA] |= {"serials": [], "label_id": "8a1f"}
    assert found(surveys, PROBLEM) == []
    surveys["two"]["disks"][DATA]["label_id"] = "8a20"
    assert any("is not the same disk" in one for one in found(surveys, PROBLEM))
    for answer in surveys.values():
        answer["disks"][DATA]["label_id"] = ""
    assert any("is not the same disk" in one for one in found(surveys, PROBLEM)), (
        "a name alone is not enough (A13)"
    )


@pytest.mark.parametrize(
    ("system", "like", "family"),
    [
        ("debian", [], "debian"),
        ("ubuntu", ["debian"], "ubuntu"),
        ("rocky", ["rhel", "centos", "fedora"], "rhel"),
        ("anolis", ["rhel", "fedora"], "rhel"),
        ("openEuler", [], "openeuler"),
        ("kylin", [], "kylin"),
        ("arch", [], ""),
    ],
)
def test_distributions_belong_to_families(system: str, like: list[str], family: str) -> None:
    assert family_of({"id": system, "like": like}) == family


def test_the_table_is_straight_in_both_languages() -> None:
    surveys = pair()
    surveys["two"]["clock_s"] = 1090.0
    findings = examined(surveys, DECLARED)
    for language in ("en", "zh-CN"):
        lines = report(surveys, findings, language)
        header, *rows = lines[: len(CHECKS) + 1]
        column = width(header[: header.index("one")])
        for row in rows:
            at = 0
            cells = re.split(r"  +", row)
            assert len(cells) == 3, row
            for letter in row[: row.index(cells[1], len(cells[0]))]:
                at += width(letter)
            assert at == column, row
    assert sentences(findings, "zh-CN") == [
        "问题：时钟，两台服务器：两台时钟相差 90 秒；请用 chrony 或 timesyncd 对时"
    ]


def templates() -> set[str]:
    """Every sentence that the plugins of the report tell, by reading their source."""
    found = set(CHECKS)
    for file in sorted((PLUGINS / "module_utils").glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "told":
                literal = call.args[0]
                if isinstance(literal, ast.Constant):
                    found.add(str(literal.value))
    return found | {"fine", PROBLEM, WARNING, "{name} is mounted on {place}: umount {place}"}


def test_every_sentence_has_its_chinese_one_with_the_same_places() -> None:
    assert templates() == set(CHINESE)
    for english, chinese in CHINESE.items():
        places = re.compile(r"\{\w+\}")
        assert sorted(set(places.findall(english))) == sorted(set(places.findall(chinese))), english
