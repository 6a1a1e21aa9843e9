from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from servha.core.words import say
from servha.wire.rpc import Code, Refusal
from tests.cli import recorded, recorded_disk
from tests.cli.conftest import FakeDaemon, Run
from tests.cli.documents import document


class Tree:
    """web, as the daemon tells of it: each status answer after an order is the next of `acts`."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self.whole = recorded.status()
        self.journal: list[dict[str, Any]] = [recorded.entry(1, "node1", "web", "off", "running")]
        self.acts: list[Callable[[], None]] = []
        self.number = 4
        daemon.answers |= {
            "status": self.status,
            "order": self.order,
            "journal": self.news,
            "why": lambda _args: {"entries": self.journal, "peer_missing": False},
        }

    @property
    def web(self) -> dict[str, Any]:
        found: dict[str, Any] = self.whole["trees"][0]
        return found

    def order(self, _args: Mapping[str, Any]) -> Any:
        self.number += 1
        self.web["order"]["number"] = self.number
        self.ordered = True
        return {"number": self.number}

    ordered = False

    def status(self, _args: Mapping[str, Any]) -> Any:
        if self.ordered and self.acts:
            self.acts.pop(0)()
        return self.whole

    def news(self, args: Mapping[str, Any]) -> Any:
        mine = [e for e in self.journal if e["node"] == "node1" and e["id"] > args.get("since", 0)]
        return {"entries": mine}

    def phases(self, here: str, there: str, **more: Any) -> Callable[[], None]:
        def act() -> None:
            for node, phase in (("node1", here), ("node2", there)):
                self.web["phase_by_node"][node]["phase"] = phase
            self.web["running_on"] = {here: "node1", there: "node2"}.get("running", "")
            for node, parked in more.items():
                self.web["phase_by_node"][node]["parked"] = parked

        return act

    @staticmethod
    def both(first: Callable[[], object], then: Callable[[], None]) -> Callable[[], None]:
        def act() -> None:
            first()
            then()

        return act

    def done(self, number: int, node: str, resource: str, verb: str, took_s: float, **more: Any) -> bool:
        self.journal.append(
            recorded.entry(
                number, node, f"web/{resource}", "a", "b", rule=f"resource/{verb}", took_s=took_s, **more
            )
        )
        return True


@pytest.fixture
def tree(daemon: FakeDaemon) -> Tree:
    return Tree(daemon)


def test_a_move_waits_and_tells_each_step_of_both_nodes(tree: Tree, daemon: FakeDaemon, run: Run) -> None:
    tree.acts = [
        tree.phases("stopping", "off"),
        tree.both(lambda: tree.done(2, "node1", "app", "stop", 0.03), tree.phases("off", "starting")),
        tree.both(lambda: tree.done(2, "node2", "vip", "start", 0.012), tree.phases("off", "running")),
    ]
    ran = run("tree", "move", "web", "node2")
    assert ran.status == 0, ran.err
    assert "Plan: stop web on node1, start it on node2" in ran.out
    assert "stop app ...  30 ms" in ran.out
    assert "start vip ...  12 ms" in ran.out
    assert "web: runs on node2" in ran.out
    assert ran.out.splitlines()[-1] == "To undo: servha tree move web node1"
    assert daemon.arguments("order") == {"tree": "web", "verb": "move", "node": "node2"}


def test_a_stop_is_done_when_nothing_holds_the_tree(tree: Tree, run: Run) -> None:
    tree.acts = [tree.phases("stopping", "off"), tree.phases("off", "off")]
    ran = run("tree", "stop", "web", "-y")
    assert ran.status == 0
    assert "web: stopped" in ran.out
    assert "To undo: servha tree start web" in ran.out


def test_an_old_answer_is_not_taken_for_the_outcome(tree: Tree, run: Run) -> None:
    """web runs on node1 already when it is ordered to node1: only a status with the order's number counts."""
    numbers = iter([4, 4, 5])

    def late() -> None:
        tree.web["order"]["number"] = next(numbers, 5)

    tree.acts = [late, late, late]
    assert run("tree", "start", "web", "--on", "node1").status == 0
    assert not tree.acts


def test_a_start_that_fails_names_the_step_that_failed(tree: Tree, run: Run) -> None:
    tree.acts = [
        tree.phases("off", "starting"),
        tree.both(
            lambda: tree.done(
                2,
                "node2",
                "vip",
                "start",
                0.05,
                severity="error",
                because=recorded.said(
                    "one of its addresses is in use: {held_by}", held_by="02:00:00:00:00:09"
                ),
                otherwise=recorded.said(
                    "silence from all addresses of the tree would have let it start here"
                ),
            ),
            tree.phases("off", "off", node2="yes"),
        ),
    ]
    ran = run("tree", "start", "web", "--on", "node2")
    assert ran.status == 1
    assert "web: could not be started on node2" in ran.err
    assert "because: web/vip on node2: one of its addresses is in use: 02:00:00:00:00:09" in ran.err
    assert "otherwise: silence from all addresses" in ran.err


def test_a_tree_that_cannot_be_stopped_is_a_failure(tree: Tree, run: Run) -> None:
    tree.acts = [tree.phases("stop-failed", "off")]
    ran = run("tree", "stop", "web")
    assert ran.status == 1
    assert "cannot be stopped on node1" in ran.err


def test_somebody_elses_newer_order_ends_the_wait(tree: Tree, run: Run) -> None:
    def newer() -> None:
        tree.web["order"]["number"] = 99

    tree.acts = [newer]
    ran = run("tree", "stop", "web")
    assert ran.status == 1
    assert "newer order" in ran.err


def test_a_wait_has_an_end(tree: Tree, run: Run) -> None:
    tree.acts = [tree.phases("stopping", "off")]
    ran = run("tree", "stop", "web", "--timeout", "0.2")
    assert ran.status == 124
    assert "it goes on" in ran.err
    assert "servha why web" in ran.err


def test_when_nothing_happens_the_reason_is_told_once(
    tree: Tree, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servha.cli.order.QUIET_S", 0.1)
    tree.acts = [tree.phases("off", "off")]
    tree.web["phase_by_node"]["node1"]["because"] = recorded.said("this node may start nothing now")
    ran = run("tree", "start", "web", "--timeout", "0.5")
    assert ran.status == 124
    assert ran.out.count("this node may start nothing now") == 1


def test_a_manual_tree_starts_on_its_most_preferred_able_host(
    tree: Tree, daemon: FakeDaemon, run: Run
) -> None:
    data = document()
    data["trees"][0]["start_mode"] = "manual"
    daemon.answers["config.get"] = {"generation": 7, "document": data}
    tree.phases("off", "off")()
    tree.web["phase_by_node"]["node1"]["fitness"] = "unfit"
    tree.acts = [tree.phases("off", "running")]
    assert run("tree", "start", "web").status == 0
    assert daemon.arguments("order")["node"] == "node2"


def test_what_ran_already_has_nothing_to_undo(tree: Tree, run: Run) -> None:
    ran = run("tree", "start", "web")
    assert ran.status == 0
    assert "runs on node1 already" in ran.out
    assert "To undo" not in ran.out


def test_the_step_that_failed_is_named_not_the_tree_that_repeats_it(tree: Tree, run: Run) -> None:
    def fails() -> None:
        because = recorded.said("no stop script")
        tree.done(2, "node1", "app", "stop", 0.01, severity="error", because=because)
        tree.journal.append(
            recorded.entry(3, "node1", "web", "stopping", "stop-failed", severity="error", because=because)
        )
        tree.phases("stop-failed", "off")()

    tree.acts = [fails]
    assert "because: web/app on node1: no stop script" in run("tree", "stop", "web").err


def test_without_waiting_the_order_is_given_and_that_is_all(tree: Tree, run: Run) -> None:
    ran = run("tree", "stop", "web", "--no-wait")
    assert ran.status == 0
    assert "The order is given." in ran.out


def test_release_does_not_wait(tree: Tree, run: Run) -> None:
    tree.web["order"]["pin"] = "node1"
    ran = run("tree", "release", "web")
    assert ran.status == 0
    assert "To undo: servha tree move web node1" in ran.out


def test_a_refusal_is_exit_5_with_the_rule(tree: Tree, daemon: FakeDaemon, run: Run) -> None:
    text = say(
        "{node} cannot run {tree} now: nothing is heard of it. `servha status` shows since when",
        node="node2",
        tree="web",
    )
    daemon.answers["order"] = Refusal(Code.REFUSED, text)
    ran = run("tree", "move", "web", "node2")
    assert ran.status == 5
    assert "nothing is heard of it" in ran.err


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("tree", "start", "nix"), 6, "there are: web"),
        (("tree", "move", "web", "node9"), 6, "there are: node1, node2"),
        (("tree", "move", "web"), 2, "NODE is missing"),
    ],
)
def test_a_mistyped_order_names_what_there_is(
    tree: Tree, run: Run, *, words: tuple[str, ...], status: int, says: str
) -> None:
    ran = run(*words)
    assert (ran.status, says in ran.err) == (status, True), ran
    assert not tree.ordered


def test_json_tells_the_outcome_in_the_readers_language(tree: Tree, run: Run) -> None:
    tree.acts = [tree.phases("off", "off")]
    ran = run("tree", "stop", "web", "-o", "json", "--lang", "zh-CN")
    assert json.loads(ran.out) == {
        "schema_version": 1,
        "done": True,
        "outcome": "web：已停止",
        "because": "",
        "otherwise": "",
    }


def test_a_person_is_asked_before_something_running_stops(
    tree: Tree, daemon: FakeDaemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servha.cli.screen.Screen.interactive", True)
    monkeypatch.setattr("sys.stdin", __import__("io").StringIO("n\n"))
    ran = run("tree", "stop", "web")
    assert ran.status == 1
    assert "will be interrupted" in ran.out
    assert "order" not in daemon.verbs()


# --- by force ----------------------------------------------------------------------------------------------------


@pytest.fixture
def nobody_can_tell(tree: Tree) -> Tree:
    """node1 is silent on every link, and the quorum disk cannot be read on node2, where we are."""
    tree.whole = recorded_disk.status_silent_peer_and_disk()
    return tree


def runs_here(tree: Tree) -> None:
    def act() -> None:
        tree.web["phase_by_node"]["node2"]["phase"] = "running"
        tree.web["running_on"] = "node2"

    tree.acts = [act]


def test_a_forced_start_tells_the_danger_and_carries_the_name(
    nobody_can_tell: Tree, daemon: FakeDaemon, run: Run
) -> None:
    runs_here(nobody_can_tell)
    ran = run("tree", "start", "web", "--force", "--peer-is-off", "node1")
    assert ran.status == 0, ran.err
    told = " ".join(ran.out.split())
    assert "By the quorum disk, as last read, node1 holds web." in told
    assert "destroys each other" in told
    assert "Plan: start web on node2 as if node1 were off" in told
    assert daemon.arguments("order") == {
        "tree": "web",
        "verb": "start",
        "node": "node2",
        "forced": True,
        "peer_is_off": "node1",
    }


def test_a_person_types_the_name_of_the_node_that_is_off(
    nobody_can_tell: Tree, daemon: FakeDaemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("servha.cli.screen.Screen.interactive", True)
    monkeypatch.setattr("sys.stdin", __import__("io").StringIO("node1\n"))
    runs_here(nobody_can_tell)
    ran = run("tree", "start", "web", "--force")
    assert ran.status == 0, ran.err
    assert "Type the name of the node that is off:" in ran.out
    assert daemon.arguments("order")["peer_is_off"] == "node1"


@pytest.mark.parametrize("typed", ["y\n", "node2\n", "\n", ""])
def test_anything_but_the_other_nodes_name_starts_nothing(
    nobody_can_tell: Tree, run: Run, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setattr("servha.cli.screen.Screen.interactive", True)
    monkeypatch.setattr("sys.stdin", __import__("io").StringIO(typed))
    ran = run("tree", "start", "web", "--force", "-y")
    assert ran.status == 5
    assert "nothing was started" in ran.err
    assert not nobody_can_tell.ordered


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("--force",), 2, "or --peer-is-off node1"),
        (("--force", "-o", "json"), 2, "or --peer-is-off node1"),
        (("--force", "--peer-is-off", "node2"), 5, "the other node is node1, not node2"),
        (("--force", "--peer-is-off", "node1", "--on", "node1"), 5, "on the node where it is ordered, node2"),
        (("--peer-is-off", "node1"), 2, "belongs to --force"),
    ],
)
def test_what_is_not_said_clearly_starts_nothing(
    nobody_can_tell: Tree, run: Run, *, words: tuple[str, ...], status: int, says: str
) -> None:
    ran = run("tree", "start", "web", *words)
    assert (ran.status, says in ran.err) == (status, True), ran
    assert not nobody_can_tell.ordered


@pytest.mark.parametrize(
    ("health", "says"),
    [
        ("alive", "is heard, so it is not off"),
        ("suspect", "is heard, so it is not off"),
        ("left", "an ordinary start is enough"),
    ],
)
def test_nothing_is_forced_against_a_node_that_is_not_silent(
    nobody_can_tell: Tree, run: Run, health: str, says: str
) -> None:
    nobody_can_tell.whole["nodes"][0]["health"] = health
    ran = run("tree", "start", "web", "--force", "--peer-is-off", "node1")
    assert (ran.status, says in ran.err) == (5, True), ran
    assert not nobody_can_tell.ordered


def test_an_ordinary_start_is_never_a_forced_one(tree: Tree, daemon: FakeDaemon, run: Run) -> None:
    assert run("tree", "start", "web").status == 0
    assert set(daemon.arguments("order")) == {"tree", "verb", "node"}


@pytest.mark.parametrize(("policy", "status"), [("stay", 1), ("next-host", 0)])
def test_a_start_that_failed_on_one_node_is_over_unless_the_next_one_tries(
    tree: Tree, run: Run, policy: str, status: int
) -> None:
    tree.web["start_failure"] = policy
    tree.acts = [tree.phases("off", "off", node1="yes"), tree.phases("off", "running")]
    assert run("tree", "start", "web").status == status
