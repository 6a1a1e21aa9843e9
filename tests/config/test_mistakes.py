"""Every single mistake a file can hold: where it is, what is wrong, what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from servha.config.document import digest, parse

Judge = Callable[[object], list[str]]


def at(data: dict[str, Any], path: str) -> Any:
    """Return the place that `path` names: object keys and list positions between dots."""
    place: Any = data
    for word in path.split("."):
        key: Any = int(word) if word.isdigit() else word
        place = place[key]
    return place


def damaged(data: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return `data` with another value, or one more, at `path`."""
    parent, _, word = path.rpartition(".")
    place = at(data, parent) if parent else data
    key: Any = int(word) if word.isdigit() else word
    place[key] = value
    return data


MISTAKES: list[tuple[str, object, str]] = [
    # where, what stands there, and the answer
    ("clustr", 1, "clustr: is not a known setting; did you mean cluster?"),
    ("cluster", [], "cluster: must be an object, not a list"),
    (
        "cluster.id",
        "xyz",
        "cluster.id: 'xyz' has a form that is not allowed here; write it in hexadecimal digits: ^[0-9a-f]{32}$",
    ),
    (
        "cluster.policy",
        "reference",
        "cluster.policy: reference is not one of the possible values; did you mean reference-address?",
    ),
    (
        "cluster.language",
        "fr",
        "cluster.language: fr is not one of the possible values; choose one of: en, zh-CN",
    ),
    ("cluster.references", "192.0.2.254", "cluster.references: must be a list, not text"),
    (
        "cluster.references",
        [],
        (
            "cluster.references: policy reference-address asks reference addresses, and there is none; name an address"
            " outside both nodes that always answers, such as the gateway, or use policy none"
        ),
    ),
    (
        "cluster.policy",
        "quorum-disk",
        (
            "cluster.quorum_disk: policy quorum-disk keeps leases on a quorum disk, and none is named; name the device,"
            " best one below /dev/disk/by-id, or use policy reference-address"
        ),
    ),
    (
        "cluster.policy",
        "reference-address-and-quorum-disk",
        "cluster.quorum_disk: policy reference-address-and-quorum-disk keeps leases on a quorum disk, and none is",
    ),
    ("cluster.quorum_disk", "sdb", "cluster.quorum_disk: 'sdb' has a form that is not allowed here"),
    ("cluster.quorum_disk", 7, "cluster.quorum_disk: must be text, not a whole number"),
    (
        "cluster.references",
        ["192.0.2.2"],
        (
            "cluster.references[0]: 192.0.2.2 is node node2 itself; name an address outside both nodes that always"
            " answers, such as the gateway"
        ),
    ),
    (
        "cluster.references",
        ["192.0.2.100"],
        (
            "cluster.references[0]: 192.0.2.100 belongs to resource web/vip, which moves; name an address outside both"
            " nodes that always answers, such as the gateway"
        ),
    ),
    (
        "cluster.references",
        ["gateway"],
        "cluster.references[0]: 'gateway' is not an IP address; write it as in 192.0.2.10 or 2001:db8::10",
    ),
    (
        "cluster.references",
        ["192.0.2.9", "192.0.2.9"],
        "cluster.references[1]: 192.0.2.9 is there twice; remove one of the two",
    ),
    (
        "format",
        2,
        "format: format 2 was written by another release; this release reads format 1: install the",
    ),
    ("generation", -1, "generation: -1 is too small: at least 0"),
    ("ports", {"console": 0}, "ports.console: 0 is too small: at least 1"),
    ("ports", {"console": 70000}, "ports.console: 70000 is too large: at most 65535"),
    (
        "ports",
        {"console": 17969},
        "ports.console: port 17969 is already the peer port; choose another number",
    ),
    ("timing", {"interval_ms": "fast"}, "timing.interval_ms: must be a whole number, not text"),
    (
        "timing",
        {"timeout_ms": 2000},
        (
            "timing: heartbeat timeout 2000 ms must be longer than the interval 2200 ms, or every beat is late;"
            " the profiles manual and fast have figures that fit together"
        ),
    ),
    ("nodes", [], "nodes: a cluster has one or two nodes, not 0; remove a node before another one joins"),
    ("nodes", {}, "nodes: must be a list, not an object"),
    ("nodes.1.name", "node1", "nodes: node1 is there twice; give one of the two another name"),
    ("nodes.1.id", 0, "nodes: both nodes have the same id; the first node is 0 and the second one 1"),
    ("nodes.1.id", 2, "nodes.node2.id: 2 is too large: at most 1"),
    (
        "nodes.1.name",
        "../etc",
        "nodes.../etc.name: '../etc' has a form that is not allowed here; use 1 to 64 letters, digits, _ . and -,",
    ),
    (
        "nodes.1.links.private.address",
        "10.0.1.2/24",
        (
            "nodes.node2.links.private.address: 10.0.1.2/24 of node2 is not in the same network as 10.0.0.1/24;"
            " a heartbeat link joins two addresses of one network: correct one of them"
        ),
    ),
    (
        "nodes.1.links.private.address",
        "2001:db8::2/64",
        "nodes.node2.links.private.address: 10.0.0.1 and 2001:db8::2 are not of the same kind; use IPv4 on both",
    ),
    (
        "nodes.1.links.private.address",
        "10.0.0.1/24",
        (
            "nodes.node2.links.private.address: 10.0.0.1 is already node1's address on heartbeat link private;"
            " every address may be used once: choose another"
        ),
    ),
    (
        "nodes.1.links.private.address",
        "127.0.0.1",
        "nodes.node2.links.private.address: 127.0.0.1 cannot be given to an interface; use an ordinary address",
    ),
    (
        "nodes.1.links.private.nic",
        "eth0/../x",
        "nodes.node2.links.private.nic: 'eth0/../x' has a form that is not allowed here; write the name of a network",
    ),
    (
        "nodes.1.links",
        {"private": {"nic": "priv0", "address": "10.0.0.2"}},
        "nodes.node2.links.public: heartbeat link public has no end on node2; name the interface and address it uses",
    ),
    (
        "nodes.1.links.pubic",
        {"nic": "x", "address": "10.3.0.2"},
        "nodes.node2.links.pubic: there is no heartbeat link pubic; did you mean public?",
    ),
    ("links", [], "links: there is no heartbeat link; add at least one, better two"),
    (
        "links",
        ["private", "public", "public"],
        "links: public is there twice; give one of the two another name",
    ),
    ("links", [f"l{n}" for n in range(9)], "links: 9 heartbeat links are more than 8"),
    ("links", ["private", "public", "-x"], "links[2]: '-x' has a form that is not allowed here; use 1 to 64"),
    ("trees.0.id", 0, "trees.web.id: 0 is too small: at least 1"),
    ("trees.0.id", 2**32, "trees.web.id: 4294967296 is too large: at most 4294967295"),
    ("trees.0.hosts", [], "trees.web.hosts: the tree may run nowhere; choose one of: node1, node2"),
    ("trees.0.hosts", ["node1", "nod2"], "trees.web.hosts: there is no node nod2; did you mean"),
    (
        "trees.0.hosts",
        ["node1", "node1"],
        "trees.web.hosts: node1 is there twice; give one of the two another",
    ),
    (
        "trees.0.failback",
        "stya",
        "trees.web.failback: stya is not one of the possible values; did you mean stay?",
    ),
    ("trees.0.start_mode", True, "trees.web.start_mode: "),
    ("trees.0.hold_down_s", -1, "trees.web.hold_down_s: -1 is too small: at least 0"),
    (
        "trees.0.stop_failure",
        "reboot",
        "trees.web.stop_failure: reboot is not one of the possible values; choose one of: escalate, wait",
    ),
    (
        "trees.0.resources.0.after",
        ["app"],
        "trees.web.resources.vip.after: the resources wait for each other: vip -> app -> vip; take one of these",
    ),
    (
        "trees.0.resources.0.after",
        ["vip"],
        "trees.web.resources.vip.after: the resources wait for each other: vip -> vip; take one of these",
    ),
    (
        "trees.0.resources.0.after",
        ["ap"],
        "trees.web.resources.vip.after: there is no resource ap in tree web; did you mean app?",
    ),
    (
        "trees.0.resources.0.name",
        "app",
        "trees.web.resources: app is there twice; give one of the two another name",
    ),
    (
        "trees.0.resources.0.kind",
        "ip4",
        "trees.web.resources.vip.kind: there is no resource kind ip4; did you mean ipv4?",
    ),
    (
        "trees.0.resources.0.hooks",
        {"before_strat": ["/a"]},
        "trees.web.resources.vip.hooks.before_strat: is not a known setting; did you mean before_start?",
    ),
    (
        "trees.0.resources.0.hooks",
        {"after_stop": ["tell", "us"]},
        (
            "trees.web.resources.vip.hooks.after_stop: tell is not an absolute path; write the whole path of the"
            " program, such as /opt/app/after_stop"
        ),
    ),
    (
        "trees.0.resources.0.hooks",
        {"after_stop": ["/tell", "a\nb"]},
        (
            "trees.web.resources.vip.hooks.after_stop: a word of the command contains a NUL or a line break; put such"
            " a text into a script and name that"
        ),
    ),
    (
        "trees.0.resources.0.settings.adress",
        1,
        "trees.web.resources.vip.settings.adress: is not a known setting; did you mean address?",
    ),
    (
        "trees.0.resources.0.settings.nic",
        7,
        "trees.web.resources.vip.settings.nic: must be text, not a whole number",
    ),
    (
        "trees.0.resources.0.settings",
        {"nic": "pub0"},
        (
            "trees.web.resources.vip.settings.address: is missing on node1; give it a value for all nodes, or as"
            " address@node1"
        ),
    ),
    (
        "trees.0.resources.0.settings.address",
        "10.0.0.2/24",
        "trees.web.resources.vip.settings.address: 10.0.0.2 is already node2's address on heartbeat link private;",
    ),
    (
        "trees.0.resources.0.per_node",
        {"node3": {"nic": "x"}},
        "trees.web.resources.vip.per_node.node3: node3 is not a host of this tree; did you mean",
    ),
    (
        "trees.0.resources.0.per_node",
        {"node2": {"nci": "x"}},
        "trees.web.resources.vip.per_node.node2.nci: is not a known setting; did you mean nic?",
    ),
    (
        "trees.0.resources.1.start_timeout_s",
        0,
        "trees.web.resources.app.start_timeout_s: 0 is too small: more than 0",
    ),
    (
        "trees.0.resources.1.detectors.0.port",
        99999,
        "trees.web.resources.app.detectors[0].port: 99999 is too large: at most 65535",
    ),
    (
        "trees.0.resources.1.detectors.0.kind",
        "prot",
        "trees.web.resources.app.detectors[0].kind: there is no detector kind prot; did you mean port?",
    ),
    (
        "trees.0.resources.1.detectors.0",
        {"kind": "port"},
        "trees.web.resources.app.detectors[0].port: is missing; give it a value",
    ),
    (
        "trees.0.resources.1.settings.start_script",
        "start",
        "trees.web.resources.app.settings.start_script: ",
    ),
    (
        "password.salt",
        "zz",
        "password.salt: 'zz' has a form that is not allowed here; write it in hexadecimal",
    ),
]


@pytest.mark.parametrize(("path", "value", "answer"), MISTAKES, ids=[f"{m[0]}={m[1]}"[:60] for m in MISTAKES])
def test_each_mistake_is_named(
    data: dict[str, Any], problems_of: Judge, path: str, value: object, answer: str
) -> None:
    found = problems_of(damaged(data, path, value))
    assert any(problem.startswith(answer) for problem in found), found


def with_disk(data: dict[str, Any], **more: object) -> dict[str, Any]:
    data["cluster"] |= {"policy": "quorum-disk", "quorum_disk": "/dev/mapper/q", "references": [], **more}
    return data


def test_a_quorum_disk_with_its_policy_is_no_mistake(data: dict[str, Any], problems_of: Judge) -> None:
    assert problems_of(with_disk(data)) == []
    both = with_disk(data, policy="reference-address-and-quorum-disk", references=["192.0.2.254"])
    assert problems_of(both) == []


def test_a_disk_that_the_policy_does_not_use_is_no_mistake(data: dict[str, Any], problems_of: Judge) -> None:
    assert problems_of(with_disk(data, policy="none")) == []


def test_a_disk_alone_is_not_enough_for_the_policy_that_asks_references_too(
    data: dict[str, Any], problems_of: Judge
) -> None:
    found = problems_of(with_disk(data, policy="reference-address-and-quorum-disk"))
    assert found == [
        (
            "cluster.references: policy reference-address-and-quorum-disk asks reference addresses, and there is none;"
            " name an address outside both nodes that always answers, such as the gateway, or use policy quorum-disk"
        )
    ]


@pytest.mark.parametrize("per_node", [False, True])
def test_the_quorum_disk_carries_nothing_else(
    data: dict[str, Any], problems_of: Judge, *, per_node: bool
) -> None:
    settings = {"device": "/dev/mapper/q" if not per_node else "/dev/mapper/d", "mount_point": "/srv/web"}
    disk: dict[str, Any] = {"name": "disk", "kind": "shared_disk", "settings": settings}
    if per_node:
        disk["per_node"] = {"node2": {"device": "/dev/mapper/q"}}
    whole = with_disk(data)
    whole["trees"][0]["resources"].append(disk)
    assert problems_of(whole) == [
        (
            "trees.web.resources.disk.settings: /dev/mapper/q is the quorum disk; the quorum disk carries nothing else:"
            " name another device"
        )
    ]


@pytest.mark.parametrize(
    ("figures", "says"),
    [
        ({"lease_ms": 3000}, "timing: a lease of 3000 ms less two watchdog times of 1000 ms leaves 980 ms"),
        (
            {"round_ms": 800},
            "timing: a disk round of 800 ms is longer than an eighth of the lease of 6000 ms",
        ),
        ({"first_start_ms": 8000}, "timing: first start delay 8000 ms is shorter than 8060 ms"),
        ({"drift_ppm": 1}, "timing: clock error 1 ppm is outside 100..100000 ppm"),
        ({"in_flight_ms": 100}, "timing: time for commands in flight 100 ms is outside 250..60000 ms"),
    ],
)
def test_figures_of_the_lease_are_judged_where_there_is_one(
    data: dict[str, Any], problems_of: Judge, figures: dict[str, int], says: str
) -> None:
    data["timing"] = figures
    assert problems_of(data) == []
    found = problems_of(with_disk(data))
    assert [problem for problem in found if problem.startswith(says)], found


def test_a_document_written_before_there_were_quorum_disks_means_the_same(data: dict[str, Any]) -> None:
    """Its digest must not change, or two nodes of different releases would disagree for ever."""
    document, problems = parse(data)
    assert document is not None, problems
    spelled_out = with_disk(data, policy="reference-address", quorum_disk="", references=["192.0.2.254"])
    spelled_out["timing"] = {"lease_ms": 6000, "watchdog_ms": 1000, "round_ms": 500}
    same, problems = parse(spelled_out)
    assert same is not None, problems
    assert digest(same) == digest(document)
