"""Each edit changes what it says and nothing else, and an edit that breaks something is refused in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from servha.config import edit
from servha.config.document import Document, Password, digest, successor
from servha.core.timing import PROFILES


def done(outcome: edit.Edited) -> Document:
    assert isinstance(outcome, Document), [str(problem) for problem in outcome]
    return outcome


def refused(outcome: edit.Edited) -> list[str]:
    assert isinstance(outcome, list)
    return [str(problem) for problem in outcome]


def plan(old: Document, new: Document) -> list[str]:
    return [str(text) for text in edit.difference(old, new)]


ENDS = {"node1": {"nic": "e3", "address": "10.3.0.1/24"}, "node2": {"nic": "e3", "address": "10.3.0.2/24"}}

EDITS = [
    (lambda d: edit.create_tree(d, "db"), ["tree db is created, to run on node1, node2"]),
    (lambda d: edit.create_tree(d, "db", hosts=("node2",)), ["tree db is created, to run on node2"]),
    (
        lambda d: edit.edit_tree(d, "web", failback="stay"),
        ["trees.web.failback changes from preferred to stay"],
    ),
    (lambda d: edit.delete_tree(d, "web"), ["tree web is deleted with everything in it"]),
    (
        lambda d: edit.create_resource(
            d, "web", "ip2", "ipv4", settings={"address": "192.0.2.101/24", "nic": "p"}, after=("vip",)
        ),
        ["resource web/ip2 of kind ipv4 is created"],
    ),
    (
        lambda d: edit.edit_resource(d, "web", "app", stop_timeout_s=5),
        ["trees.web.resources.app.stop_timeout_s changes from 60.0 to 5.0"],
    ),
    (lambda d: edit.delete_resource(d, "web", "app"), ["resource web/app is deleted"]),
    (
        lambda d: edit.undepend(d, "web", "app", "vip"),
        ["web/app depends on nothing"],
    ),
    (lambda d: edit.depend(d, "web", "app", "vip"), []),
    (lambda d: edit.add_link(d, "third", ENDS), ["heartbeat link third is added"]),
    (
        lambda d: edit.edit_link(d, "private", {"node2": {"nic": "eth9"}}),
        ["nodes.node2.links.private.nic changes from priv0 to eth9"],
    ),
    (lambda d: edit.remove_link(d, "private"), ["heartbeat link private is removed"]),
    (
        lambda d: edit.reorder_links(d, ("public", "private")),
        ["heartbeat links are preferred in this order: public, private"],
    ),
    (lambda d: edit.edit_timing(d, dead_count=4), ["timing.dead_count changes from 3 to 4"]),
    (
        lambda d: edit.set_arbitration(d, policy="none", references=()),
        [
            "cluster.policy changes from reference-address to none",
            "cluster.references changes from 192.0.2.254 to []",
        ],
    ),
    (lambda d: edit.edit_ports(d, console=7701), ["ports.console changes from 7700 to 7701"]),
    (
        lambda d: edit.edit_node(d, "node1", description="rack 2"),
        ['nodes.node1.description changes from "" to rack 2'],
    ),
    (
        lambda d: edit.remove_node(d, "node2"),
        [
            "node node2 is removed",
            "trees.web.resources.vip.per_node.node2.nic is no longer set; it was ens3",
            "trees.web.hosts changes from node1, node2 to node1",
        ],
    ),
]


@pytest.mark.parametrize(
    ("change", "sentences"), EDITS, ids=[lines[0][:50] if lines else "-" for _, lines in EDITS]
)
def test_an_edit_changes_what_its_plan_says(document: Document, change: object, sentences: list[str]) -> None:
    assert callable(change)
    new = done(change(document))
    assert plan(document, new) == sentences
    assert new.generation == document.generation
    assert (digest(new) == digest(document)) == (not sentences)


REFUSALS = [
    (
        lambda d: edit.create_tree(d, "web"),
        "trees: there is already a tree web; choose another name, or edit the one there is",
    ),
    (
        lambda d: edit.create_tree(d, "a b"),
        "trees.a b.name: 'a b' has a form that is not allowed here; use 1 to 64",
    ),
    (lambda d: edit.edit_tree(d, "wbe"), "trees.wbe: there is no tree wbe; did you mean web?"),
    (
        lambda d: edit.edit_tree(d, "web", failbcak=1),
        "trees.web.failbcak: is not a known setting; did you mean",
    ),
    (
        lambda d: edit.delete_resource(d, "web", "vip"),
        "trees.web.resources.vip: app start after it; delete those first, or take the dependency away",
    ),
    (
        lambda d: edit.create_resource(d, "web", "vip", "ipv4"),
        "trees.web: there is already a resource web/vip; choose another name, or edit the one there is",
    ),
    (
        lambda d: edit.depend(d, "web", "vip", "app"),
        "trees.web.resources.vip.after: the resources wait for each other: vip -> app -> vip;",
    ),
    (
        lambda d: edit.undepend(d, "web", "vip", "app"),
        "trees.web.resources.vip.after: vip does not start after app; there is none yet: create it first",
    ),
    (
        lambda d: edit.add_link(d, "third", {"node1": ENDS["node1"]}),
        "nodes.node2.links.third: heartbeat link third has no end on node2;",
    ),
    (lambda d: edit.add_link(d, "public", ENDS), "links.public: there is already a heartbeat link public;"),
    (
        lambda d: edit.remove_link(d, "pubic"),
        "links.pubic: there is no heartbeat link pubic; did you mean public?",
    ),
    (
        lambda d: edit.remove_link(done(edit.remove_link(d, "private")), "public"),
        "links: there is no heartbeat link; add at least one, better two",
    ),
    (
        lambda d: edit.reorder_links(d, ("public",)),
        "links: the order must name every heartbeat link once; there are: private, public",
    ),
    (lambda d: edit.edit_timing(d, timeout_ms=100), "timing: heartbeat timeout 100 ms must be longer than"),
    (lambda d: edit.use_profile(d, "fsat"), "timing: there is no profile fsat; did you mean fast?"),
    (
        lambda d: edit.remove_node(done(edit.edit_tree(d, "web", hosts=("node2",))), "node2"),
        "trees.web.hosts: the tree may run nowhere; choose one of: node1",
    ),
    (lambda d: edit.remove_node(d, "node3"), "nodes.node3: there is no node node3; did you mean"),
]


@pytest.mark.parametrize(("change", "answer"), REFUSALS, ids=[answer[:50] for _, answer in REFUSALS])
def test_an_edit_that_breaks_something_is_refused(document: Document, change: object, answer: str) -> None:
    assert callable(change)
    found = refused(change(document))
    assert any(problem.startswith(answer) for problem in found), found


def test_a_profile_sets_every_figure(document: Document) -> None:
    assert done(edit.use_profile(document, "fast")).timing == PROFILES["fast"]


def test_a_new_tree_gets_the_next_free_number(document: Document) -> None:
    three = done(edit.create_tree(done(edit.create_tree(document, "a")), "b"))
    assert [tree.id for tree in three.trees] == [1, 2, 3]
    assert [t.id for t in done(edit.create_tree(done(edit.delete_tree(three, "a")), "c")).trees] == [1, 3, 4]


def test_the_node_that_stays_is_the_first_one(document: Document) -> None:
    left = done(edit.remove_node(document, "node1"))
    assert left.cluster_for("node2").first_node == "node2"
    assert left.cluster_for("node2").peer == ""


def test_a_renamed_resource_is_followed_by_those_that_come_after_it(document: Document) -> None:
    new = done(edit.edit_resource(document, "web", "vip", name="ip"))
    assert new.trees[0].resources[1].after == ("ip",)


def test_a_changed_password_is_named_and_not_shown(document: Document) -> None:
    new = replace(document, password=Password(salt="ab", hash="cd"))
    assert plan(document, new) == ["password changes"]


def test_a_new_generation_alone_is_no_difference(document: Document) -> None:
    assert plan(document, successor(document, document)) == []
