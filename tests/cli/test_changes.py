from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from servha.core.words import say
from servha.wire.rpc import Code, Failure, Refusal, failure_as_json
from tests.cli import recorded
from tests.cli.conftest import FakeDaemon, Ran, Run
from tests.cli.documents import document


@pytest.fixture
def cluster(daemon: FakeDaemon) -> FakeDaemon:
    """A daemon that keeps a configuration, as the real one does."""
    kept = {"document": document()}

    def replace(args: Mapping[str, Any]) -> Any:
        if args["base_generation"] != kept["document"]["generation"]:
            raise Refusal(Code.TRY_AGAIN, say("the configuration has changed"))
        kept["document"] = {**args["document"], "generation": args["base_generation"] + 1}
        return {"generation": args["base_generation"] + 1, "on_both": True}

    daemon.answers |= {
        "status": recorded.status(),
        "config.get": lambda _args: {
            "generation": kept["document"]["generation"],
            "document": kept["document"],
        },
        "config.plan": {"changes": [], "meanwhile": None, "against": None},
        "config.replace": replace,
    }
    daemon.kept = kept  # type: ignore[attr-defined]
    return daemon


def sent(cluster: FakeDaemon) -> dict[str, Any]:
    return dict(cluster.arguments("config.replace")["document"])


def resource(cluster: FakeDaemon, name: str) -> dict[str, Any]:
    return next(r for r in sent(cluster)["trees"][0]["resources"] if r["name"] == name)


def test_a_change_shows_the_plan_then_what_was_done_then_the_way_back(cluster: FakeDaemon, run: Run) -> None:
    ran = run("tree", "create", "db", "--hosts", "node2,node1", "--failback", "stay")
    assert ran.status == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "Plan for cluster demo:"
    assert "tree db is created" in ran.out
    assert lines[-1] == "To undo: servha tree delete db"
    created = sent(cluster)["trees"][1]
    assert (created["name"], created["hosts"], created["failback"]) == ("db", ["node2", "node1"], "stay")


def test_the_undo_of_an_edit_is_the_old_value(cluster: FakeDaemon, run: Run) -> None:
    ran = run("tree", "edit", "web", "--failback", "stay", "--hosts", "node2,node1")
    assert "To undo: servha tree edit web --hosts node1,node2 --failback preferred" in ran.out
    undo = ran.out.splitlines()[-1].removeprefix("To undo: servha ").split()
    assert run(*undo).status == 0
    assert sent(cluster)["trees"][0]["hosts"] == ["node1", "node2"]


def test_a_dry_run_changes_nothing(cluster: FakeDaemon, run: Run) -> None:
    ran = run("tree", "edit", "web", "--failback", "stay", "--dry-run")
    assert ran.status == 0
    assert "failback" in ran.out
    assert "config.replace" not in cluster.verbs()


def test_a_dry_run_tells_what_the_change_would_be_refused_with(cluster: FakeDaemon, run: Run) -> None:
    held = Failure(Code.REFUSED, say("web is held on node1: stop the tree first"))
    cluster.answers["config.plan"] = {"changes": [], "meanwhile": None, "against": failure_as_json(held)}
    ran = run("tree", "edit", "web", "--failback", "stay", "--dry-run")
    assert (ran.status, "failback" in ran.out) == (5, True), ran.err
    assert "web is held on node1: stop the tree first" in ran.err


def test_nothing_to_change_is_said_and_not_sent(cluster: FakeDaemon, run: Run) -> None:
    ran = run("tree", "edit", "web", "--failback", "preferred")
    assert ran.status == 0
    assert "so already" in ran.out
    assert "config.replace" not in cluster.verbs()


def test_a_virtual_address_gets_another_interface_on_one_node(cluster: FakeDaemon, run: Run) -> None:
    ran = run(
        "resource", "create", "web/vip2", "ipv4", "address=192.0.2.101/24", "nic=pub0", "nic@node2=ens3"
    )
    assert ran.status == 0, ran.err
    made = resource(cluster, "vip2")
    assert made["settings"] == {"address": "192.0.2.101/24", "nic": "pub0"}
    assert made["per_node"] == {"node2": {"nic": "ens3"}}


def test_a_shared_disk_has_the_name_of_its_volume_on_each_node(cluster: FakeDaemon, run: Run) -> None:
    ran = run(
        "resource",
        "create",
        "web/disk",
        "shared_disk",
        "device=/dev/disk/by-id/lun1",
        "device@node2=/dev/disk/by-id/lun1-on-node2",
        "mount_point=/srv/web",
        "fsck=before-mount",
    )
    assert ran.status == 0, ran.err
    made = resource(cluster, "disk")
    assert made["settings"] == {
        "device": "/dev/disk/by-id/lun1",
        "mount_point": "/srv/web",
        "fsck": "before-mount",
    }
    assert made["per_node"] == {"node2": {"device": "/dev/disk/by-id/lun1-on-node2"}}
    refused = run(
        "resource", "create", "web/d2", "shared_disk", "device=sdb", "mount_point=/srv", "fsck=always"
    )
    assert refused.status == 78
    assert "before-mount" in refused.err


def test_an_application_with_scripts_lists_and_detectors(cluster: FakeDaemon, run: Run) -> None:
    ran = run(
        "resource",
        "create",
        "web/app",
        "custom",
        "start=/opt/demo/start",
        "stop=/opt/demo/stop",
        "start_args=--port 80 'two words'",
        "--after",
        "vip",
        "--detector",
        "port:port=80",
        "--detector",
        "url:url=http://127.0.0.1/,text='OK, fine'",
    )
    assert ran.status == 0, ran.err
    made = resource(cluster, "app")
    assert made["after"] == ["vip"]
    assert made["settings"]["start_script"] == "/opt/demo/start"
    assert made["settings"]["start_arguments"] == ["--port", "80", "two words"]
    assert made["detectors"][0] == {"kind": "port", "port": 80}
    assert made["detectors"][1]["text"] == "OK, fine"


def test_an_edit_keeps_what_was_not_named_and_forgets_what_was_given_empty(
    cluster: FakeDaemon, run: Run
) -> None:
    assert run("resource", "edit", "web/vip", "conflict_wait_ms=80").status == 0
    assert run("resource", "edit", "web/vip", "nic@node2=ens3").status == 0
    assert run("resource", "edit", "web/vip", "conflict_wait_ms=").status == 0
    assert resource(cluster, "vip")["settings"] == {"address": "192.0.2.100/24", "nic": "pub0"}
    assert resource(cluster, "vip")["per_node"] == {"node2": {"nic": "ens3"}}


def test_hooks_are_typed_as_in_a_shell_kept_by_an_edit_and_forgotten_when_given_empty(
    cluster: FakeDaemon, run: Run
) -> None:
    assert run("resource", "edit", "web/vip", "--hook", "before_start=/opt/tell 'two words'").status == 0
    assert (
        run("resource", "edit", "web/vip", "--hook", "after_stop=/opt/x", "--hook-timeout", "5").status == 0
    )
    hooks = resource(cluster, "vip")["hooks"]
    assert hooks["before_start"] == ["/opt/tell", "two words"]
    assert (hooks["after_stop"], hooks["timeout_s"]) == (["/opt/x"], 5.0)
    assert run("resource", "edit", "web/vip", "--hook", "before_start=").status == 0
    hooks = resource(cluster, "vip")["hooks"]
    assert (hooks["before_start"], hooks["after_stop"]) == ([], ["/opt/x"])
    assert "/opt/x" in run("resource", "show", "web/vip").out


def test_every_problem_is_listed_with_its_place(cluster: FakeDaemon, run: Run) -> None:
    ran = run("resource", "create", "web/app", "custom", "strat=/opt/demo/start", "--after", "vipp")
    assert ran.status == 78
    assert "strat" in ran.err
    assert "vipp" in ran.err
    assert "config.replace" not in cluster.verbs()


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("tree", "create", "web", "--hosts", "node1"), 7, "web exists already"),
        (("tree", "edit", "nix", "--failback", "stay"), 6, "there are: web"),
        (("tree", "delete", "nix"), 6, "there are: web"),
        (("tree", "delete", "web"), 5, "servha tree stop web"),
        (("tree", "edit", "web", "--failback", "never"), 2, "never is not one of"),
        (("tree", "create"), 2, "TREE, --hosts is missing"),
        (("resource", "create", "vip", "ipv4"), 2, "TREE/RESOURCE"),
        (("resource", "create", "web/vip", "ipv4"), 7, "web/vip exists already"),
        (("resource", "create", "nix/vip", "ipv4"), 6, "there are: web"),
        (("resource", "edit", "web/nix", "a=b"), 6, "there are: web/vip"),
        (("resource", "create", "web/x", "ipv4", "address"), 2, "KEY=VALUE"),
        (("resource", "create", "web/x", "ipv4", "--detector", "port"), 78, "port"),
        (("resource", "create", "web/x", "ipv4", "--detector", "port:80"), 2, "KIND:KEY=VALUE"),
        (("resource", "create", "web/x", "nokind"), 78, "nokind"),
        (("resource", "edit", "web/vip", "--hook", "before=/a"), 2, "before_start"),
        (("resource", "edit", "web/vip", "--hook", "before_start=a 'b"), 2, "quote"),
        (("resource", "edit", "web/vip", "--hook", "before_start=tell"), 78, "absolute"),
        (("resource", "delete", "web/nix"), 6, "there are: web/vip"),
        (("resource", "depend", "web/vip", "vip"), 78, "vip"),
        (("resource", "kinds", "nokind"), 6, "there are: ipv4"),
        (("resource", "show", "web/nix"), 6, "there are: web/vip"),
        (("heartbeat", "remove", "nix"), 6, "there are: private, public"),
        (("heartbeat", "reorder", "public"), 78, "every heartbeat link"),
        (("heartbeat", "timing"), 2, "lists the figures"),
        (("heartbeat", "timing", "--timeout-ms", "5"), 78, "timeout"),
        (("heartbeat", "timing", "--timeout-ms", "x"), 2, "x does not fit"),
        (("heartbeat", "add", "third", "--end", "node2=eth3"), 2, "node2=eth3:ADDRESS"),
        (("heartbeat", "add", "third", "--end", "node2"), 2, "NODE=NIC"),
        (("node", "show", "nix"), 6, "there are: node1, node2"),
        (("node", "remove-offline", "node2"), 5, "node2 is alive"),
        (("node", "remove-offline", "node1"), 5, "is this node"),
        (("cluster", "plan", "/nowhere.json"), 6, "cannot be read"),
        (("cluster", "edit"), 2, "nothing to change was given"),
        (("cluster", "edit", "--reference", "192.0.2.1"), 78, "192.0.2.1"),
    ],
)
def test_each_mistake_names_the_thing_and_the_next_step(
    cluster: FakeDaemon, run: Run, words: tuple[str, ...], status: int, says: str
) -> None:
    ran = run(*words)
    assert (ran.status, says in ran.err) == (status, True), ran
    assert "config.replace" not in cluster.verbs()


def test_a_change_that_lost_the_race_is_made_on_top_of_the_other(cluster: FakeDaemon, run: Run) -> None:
    answer = cluster.answers["config.replace"]
    kept: dict[str, Any] = cluster.kept  # type: ignore[attr-defined]

    def somebody_else_first(args: Mapping[str, Any]) -> Any:
        cluster.answers["config.replace"] = answer
        other = document(8)
        other["cluster"]["references"] = ["192.0.2.253"]
        kept["document"] = other
        return answer(args)

    cluster.answers["config.replace"] = somebody_else_first
    ran = run("tree", "edit", "web", "--failback", "stay")
    assert ran.status == 0, ran.err
    assert "changed by somebody else meanwhile (now 8)" in ran.err
    assert "192.0.2.253" in ran.err
    assert sent(cluster)["cluster"]["references"] == ["192.0.2.253"]
    assert sent(cluster)["trees"][0]["failback"] == "stay"


def test_a_race_lost_again_and_again_ends(cluster: FakeDaemon, run: Run) -> None:
    kept: dict[str, Any] = cluster.kept  # type: ignore[attr-defined]

    def always_somebody_else(_args: Mapping[str, Any]) -> Any:
        kept["document"] = document(kept["document"]["generation"] + 1)
        raise Refusal(Code.TRY_AGAIN, say("the configuration has changed"))

    cluster.answers["config.replace"] = always_somebody_else
    assert run("tree", "edit", "web", "--failback", "stay").status == 75
    assert cluster.verbs().count("config.replace") == 3


def test_an_unreachable_peer_is_try_again_and_is_not_retried(cluster: FakeDaemon, run: Run) -> None:
    cluster.answers["config.replace"] = Refusal(Code.TRY_AGAIN, say("the other node cannot be reached"))
    ran = run("tree", "edit", "web", "--failback", "stay")
    assert ran.status == 75
    assert cluster.verbs().count("config.replace") == 1


def test_export_plan_and_apply_go_round(cluster: FakeDaemon, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "cluster.json"
    assert run("cluster", "export", "--out", str(file)).status == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert "so already" in run("cluster", "plan", str(file)).out
    changed = json.loads(file.read_text())
    changed["trees"][0]["failback"] = "stay"
    file.write_text(json.dumps({"sha256": "x", "document": changed}))  # as servhad keeps a generation
    assert "failback" in run("cluster", "plan", str(file)).out
    assert "config.replace" not in cluster.verbs()
    ran = run("cluster", "apply", str(file), "-o", "json")
    answer = json.loads(ran.out)
    assert (ran.status, answer["changed"], answer["generation"]) == (0, True, 8)
    assert answer["undo"] == "servha cluster apply /var/lib/servha/cluster.json.7"


def test_heartbeats_are_listed_in_order_of_preference(cluster: FakeDaemon, run: Run) -> None:
    lines = run("heartbeat", "list").out.splitlines()
    assert [line.split()[1] for line in lines] == ["private", "private", "public", "public"]
    assert run("heartbeat", "reorder", "public", "private").status == 0
    assert sent(cluster)["links"] == ["public", "private"]


def test_the_profile_sets_all_figures(cluster: FakeDaemon, run: Run) -> None:
    assert run("heartbeat", "timing", "--profile", "fast").status == 0
    assert sent(cluster)["timing"]["interval_ms"] == 100


def test_the_cluster_is_edited_and_the_undo_names_what_was(cluster: FakeDaemon, run: Run) -> None:
    ran = run("cluster", "edit", "--reference", "192.0.2.253", "--heartbeat-port", "15000")
    assert ran.status == 0, ran.err
    assert sent(cluster)["cluster"]["references"] == ["192.0.2.253"]
    assert "To undo: servha cluster edit --reference '192.0.2.254' --heartbeat-port 14338" in ran.out


def test_config_check_needs_no_daemon(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps(document()))
    assert run("config", "check", str(file)).status == 0
    broken = document()
    broken["trees"][0]["hosts"] = ["node3"]
    broken["colour"] = "blue"
    file.write_text(json.dumps(broken))
    ran: Ran = run("config", "check", str(file), "-o", "json")
    assert ran.status == 78
    assert len(json.loads(ran.out)["problems"]) >= 2
    file.write_text("{")
    assert run("config", "check", str(file)).status == 78
    assert run("config", "check", str(tmp_path / "absent")).status == 6
    node = tmp_path / "servha.toml"
    node.write_text("name = 3\n")
    assert run("config", "check", str(node)).status == 78


def test_a_quorum_disk_is_set_with_its_policy_and_the_plan_tells_what_it_comes_to(
    cluster: FakeDaemon, run: Run
) -> None:
    ran = run("cluster", "edit", "--arbitration", "quorum-disk", "--quorum-disk", "/dev/sdb")
    assert ran.status == 0, ran.err
    section = sent(cluster)["cluster"]
    assert (section["policy"], section["quorum_disk"]) == ("quorum-disk", "/dev/sdb")
    told = " ".join(ran.out.split())
    assert "Note: /dev/sdb may be another disk after the next boot" in told
    assert "takes over at most 8.9 s after it died" in told
    assert ran.out.splitlines()[-1] == (
        "To undo: servha cluster edit --arbitration reference-address --quorum-disk ''"
    )


def test_the_way_back_from_a_quorum_disk_can_be_pasted(cluster: FakeDaemon, run: Run) -> None:
    before = sent_cluster(cluster)
    ran = run("cluster", "edit", "--arbitration", "quorum-disk", "--quorum-disk", "/dev/mapper/q")
    undo = shlex.split(ran.out.splitlines()[-1].removeprefix("To undo: servha "))
    assert run(*undo).status == 0
    after = sent_cluster(cluster)
    assert (after["policy"], after["quorum_disk"]) == (before["policy"], "")


def test_a_policy_without_its_disk_is_refused_with_the_remedy(cluster: FakeDaemon, run: Run) -> None:
    ran = run("cluster", "edit", "--arbitration", "quorum-disk")
    assert ran.status == 78
    assert "none is named" in ran.err
    assert "config.replace" not in cluster.verbs()


def test_figures_of_the_lease_are_changed_like_those_of_the_heartbeat(cluster: FakeDaemon, run: Run) -> None:
    ran = run("heartbeat", "timing", "--lease-ms", "8000", "--watchdog-ms", "2000")
    assert ran.status == 0, ran.err
    timing = sent(cluster)["timing"]
    assert (timing["lease_ms"], timing["watchdog_ms"]) == (8000, 2000)
    assert ran.out.splitlines()[-1] == "To undo: servha heartbeat timing --lease-ms 6000 --watchdog-ms 1000"


def sent_cluster(cluster: FakeDaemon) -> dict[str, Any]:
    return dict(cluster.kept["document"]["cluster"])  # type: ignore[attr-defined]
