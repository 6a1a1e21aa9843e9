"""A sound file becomes a document; every mistake in any other is named with its place, reason and remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servha.config.document import (
    Document,
    detectors_on,
    digest,
    kind_on,
    parse,
    parse_json,
    settings_on,
    short_digest,
    successor,
    to_data,
    to_json,
)
from servha.core.model import Policy
from servha.core.timing import Timing
from tests.config.conftest import sound_data

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


def test_a_sound_file_is_accepted_and_written_back_the_same(data: dict[str, Any]) -> None:
    document, problems = parse(data)
    assert problems == []
    assert document is not None
    assert parse(to_data(document)) == (document, [])
    assert parse_json(to_json(document)) == (document, [])


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
        "trees.web.stop_failure: reboot is not one of the possible values; choose one of: wait",
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
        "ipv5",
        "trees.web.resources.vip.kind: there is no resource kind ipv5; did you mean ipv4?",
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


def test_a_tree_without_a_name_is_addressed_by_its_place(data: dict[str, Any], problems_of: Judge) -> None:
    del data["trees"][0]["name"]
    assert problems_of(data) == ["trees[0].name: is missing; give it a value"]


def test_every_problem_comes_at_once_and_each_only_once(data: dict[str, Any], problems_of: Judge) -> None:
    data["clustr"] = 1
    data["cluster"]["references"] = ["x"]
    data["nodes"][1]["links"]["private"]["address"] = "10.0.1.2/24"
    data["trees"][0]["hosts"] = ["node1", "nod"]
    data["trees"][0]["resources"][0]["settings"]["nic"] = 7
    data["trees"][0]["resources"][1]["after"] = ["vpi"]
    found = problems_of(data)
    assert len(found) == len(set(found))
    for place in ("clustr", "references[0]", "links.private.address", "hosts", "settings.nic", "app.after"):
        assert any(place in problem for problem in found), place


def test_a_mistake_has_no_echo_elsewhere(data: dict[str, Any], problems_of: Judge) -> None:
    # The node is left out because of its id; that its name is then unknown to the tree is not said as well.
    data["nodes"][1]["id"] = 7
    assert problems_of(data) == ["nodes.node2.id: 7 is too large: at most 1"]


def test_more_trees_than_a_beat_can_carry_are_refused(data: dict[str, Any], problems_of: Judge) -> None:
    data["trees"] = [{"name": f"t{n}", "id": n + 1, "hosts": ["node1"]} for n in range(49)]
    assert problems_of(data) == [
        "trees: 49 resource trees are more than 48; put resources that always move together into one tree"
    ]
    data["trees"].pop()
    assert problems_of(data) == []


def test_one_virtual_address_in_two_trees_is_refused(data: dict[str, Any], problems_of: Judge) -> None:
    data["trees"].append({**data["trees"][0], "name": "copy", "id": 2})
    assert problems_of(data) == [
        (
            "trees.copy.resources.vip.settings.address: 192.0.2.100 is already the address of resource web/vip;"
            " every address may be used once: choose another"
        )
    ]


def test_a_circle_of_many_is_named_in_order(data: dict[str, Any], problems_of: Judge) -> None:
    names = [f"r{n}" for n in range(300)]
    data["trees"][0]["resources"] = [
        {
            "name": name,
            "kind": "custom",
            "after": [names[n - 1]],
            "settings": {"start_script": "/a", "stop_script": "/b"},
        }
        for n, name in enumerate(names)
    ]
    (problem,) = [found for found in problems_of(data) if "wait for each other" in found]
    assert problem.count(" -> ") == 300


def test_a_cluster_may_have_one_node(data: dict[str, Any], problems_of: Judge) -> None:
    del data["nodes"][1]
    data["trees"][0]["hosts"] = ["node1"]
    data["trees"][0]["resources"][0]["per_node"] = {}
    assert problems_of(data) == []


@pytest.mark.parametrize("raw", [None, 3, "x", [], [{}], {}, {"nodes": 3, "cluster": {"name": []}}])
def test_any_data_gets_an_answer(raw: object, problems_of: Judge) -> None:
    assert problems_of(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(place=st.integers(0, 10_000), value=json_values)
def test_no_value_in_any_place_makes_it_fail_otherwise_than_in_words(place: int, value: object) -> None:
    raw = sound_data()
    places: list[tuple[Any, Any]] = []

    def walk(inner: Any) -> None:
        pairs = (
            inner.items() if isinstance(inner, dict) else enumerate(inner) if isinstance(inner, list) else ()
        )
        for key, child in pairs:
            places.append((inner, key))
            walk(child)

    walk(raw)
    container, key = places[place % len(places)]
    container[key] = value
    document, problems = parse(raw)
    assert (document is None) == bool(problems)
    assert all(str(problem) for problem in problems)


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b"{", "document: is not JSON: "),
        (b"\xff", "document: is not JSON: "),
        (
            b" " * (4 * 1024 * 1024 + 1),
            "document: 4194305 bytes are more than 4194304; is this the right file?",
        ),
    ],
)
def test_a_file_that_is_none_is_said_to_be_none(content: bytes, answer: str) -> None:
    _, (problem,) = parse_json(content)
    assert str(problem).startswith(answer)


# --- what others get from it ---


def test_the_core_gets_its_part_of_it(document: Document) -> None:
    cluster = document.cluster_for("node2", short_digest(document))
    assert (cluster.us, cluster.peer, cluster.first_node) == ("node2", "node1", "node1")
    assert (cluster.policy, cluster.references) == (Policy.REFERENCE, ("192.0.2.254",))
    assert (cluster.timing, cluster.generation) == (Timing(), 4)
    assert cluster.digest == digest(document)[:16]
    (tree,) = cluster.trees
    assert [(r.name, r.kind, r.after, r.virtual_address) for r in tree.resources] == [
        ("vip", "ipv4", (), "192.0.2.100"),
        ("app", "custom", ("vip",), ""),
    ]


def test_only_nodes_get_one(document: Document) -> None:
    with pytest.raises(KeyError):
        document.cluster_for("node3")


def test_settings_of_one_node_come_before_those_of_all(document: Document) -> None:
    vip = document.trees[0].resources[0]
    assert settings_on(vip, "node1")["nic"] == "pub0"
    assert settings_on(vip, "node2")["nic"] == "ens3"
    assert kind_on(vip, "node2").nic == "ens3"
    (port,) = detectors_on(document.trees[0].resources[1])
    assert port.port == 80


def test_the_digest_tells_documents_apart_and_not_ways_of_writing(document: Document) -> None:
    data = to_data(document)
    same, _ = parse(dict(reversed(msgspec.json.decode(msgspec.json.encode(data)).items())))
    assert same is not None
    assert digest(same) == digest(document)
    assert digest(replace(document, generation=5)) != digest(document)
    assert digest(replace(document, links=document.links[::-1])) != digest(document)


def test_what_stands_at_its_default_does_not_change_the_digest(
    data: dict[str, Any], document: Document
) -> None:
    data["trees"][0]["hold_down_s"] = 60
    data["timing"] = {"interval_ms": 2200}
    told, _ = parse(data)
    assert told is not None
    assert digest(told) == digest(document)


def test_a_successor_names_what_it_follows(document: Document) -> None:
    following = successor(document, replace(document, links=document.links[::-1]))
    assert (following.generation, following.parent_digest) == (5, digest(document))
    assert following.links == ("public", "private")
