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


def test_a_sound_file_is_accepted_and_written_back_the_same(data: dict[str, Any]) -> None:
    document, problems = parse(data)
    assert problems == []
    assert document is not None
    assert parse(to_data(document)) == (document, [])
    assert parse_json(to_json(document)) == (document, [])


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


def test_two_tokens_of_one_name_are_refused(data: dict[str, Any], problems_of: Judge) -> None:
    one = {"name": "grafana", "scope": "read", "digest": "0" * 64, "by": "admin", "since_unix_s": 0}
    data["tokens"] = [one, one]
    assert problems_of(data) == ["tokens: grafana is there twice; give one of the two another name"]


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
