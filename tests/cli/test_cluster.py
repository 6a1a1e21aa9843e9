from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from servha.cli import cluster_wipe, op
from servha.cli.nics import Address, Nics, end_address, ends_of
from servha.cli.passwords import INITIAL
from servha.core.timing import PROFILES
from servha.core.words import say
from servha.wire.rpc import Code, Refusal
from tests.cli import recorded
from tests.cli.conftest import FakeDaemon, Run
from tests.cli.documents import document

FIRST_LINE = "correct horse"
NICS: Nics = {
    "priv0": (Address("198.51.100.1/24", static=True),),
    "pub0": (Address("192.0.2.1/24", static=True), Address("192.0.2.7/24", static=True)),
    "dhcp0": (Address("203.0.113.9/24", static=False),),
    "bare0": (),
}


@pytest.fixture
def password(tmp_path: Path) -> str:
    file = tmp_path / "password"
    file.write_text(f"{FIRST_LINE}\nnot this\n")
    return str(file)


@pytest.fixture(autouse=True)
def _interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("cluster", "cluster_init"):
        monkeypatch.setattr(f"servha.cli.{module}.nics_here", lambda: NICS)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))


def init(run: Run, *more: str) -> tuple[int, str, str]:
    ran = run("cluster", "init", "--name", "demo", "--node", "node1", *more)
    return ran.status, ran.out, ran.err


def test_init_hands_in_what_the_wizard_of_the_manual_asks(
    daemon: FakeDaemon, run: Run, password: str
) -> None:
    status, out, err = init(
        run,
        *("--password-file", password, "--profile", "fast", "--interval-ms", "90"),
        *("--arbitration", "reference-address", "--reference", "192.0.2.254,192.0.2.253"),
        *("--link", "private=priv0", "--link", "public=pub0:192.0.2.7"),
    )
    assert status == 0, err
    asked = daemon.arguments("cluster.init")
    assert asked["links"] == {
        "private": {"nic": "priv0", "address": "198.51.100.1/24"},
        "public": {"nic": "pub0", "address": "192.0.2.7/24"},
    }
    assert list(asked["links"]) == ["private", "public"]
    assert asked["timing"] == {**asdict(PROFILES["fast"]), "interval_ms": 90}
    assert "quorum_disk" not in asked
    assert (asked["policy"], asked["references"]) == ("reference-address", ["192.0.2.254", "192.0.2.253"])
    assert asked["password"] == FIRST_LINE
    assert FIRST_LINE not in out + err
    assert "Next, on the other node: servha cluster join 198.51.100.1" in out


def test_without_a_password_it_is_the_manuals_1_and_that_is_said(daemon: FakeDaemon, run: Run) -> None:
    status, out, _ = init(run, "--link", "private=priv0")
    assert status == 0
    assert daemon.arguments("cluster.init")["password"] == INITIAL
    assert "still the initial one" in out


def test_a_reference_address_alone_chooses_the_policy(daemon: FakeDaemon, run: Run) -> None:
    assert init(run, "--link", "private=priv0", "--reference", "192.0.2.254")[0] == 0
    assert daemon.arguments("cluster.init")["policy"] == "reference-address"


@pytest.mark.parametrize(
    ("words", "policy"),
    [
        (("--quorum-disk", "/dev/disk/by-id/q"), "quorum-disk"),
        (
            ("--quorum-disk", "/dev/disk/by-id/q", "--reference", "192.0.2.254"),
            "reference-address-and-quorum-disk",
        ),
    ],
)
def test_a_quorum_disk_chooses_the_policy_and_the_plan_tells_what_it_comes_to(
    daemon: FakeDaemon, run: Run, words: tuple[str, ...], policy: str
) -> None:
    status, out, err = init(run, "--link", "private=priv0", "--profile", "fast", *words)
    assert status == 0, err
    asked = daemon.arguments("cluster.init")
    assert (asked["policy"], asked["quorum_disk"]) == (policy, "/dev/disk/by-id/q")
    assert "stops its trees 0.38 s after the last renewal" in out
    assert "takes over at most 3.1 s after it died" in " ".join(out.split())
    assert "note" not in out
    assert "Next, once, on this node: servha quorum label /dev/disk/by-id/q" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--quorum-disk", "/dev/sdb"), "/dev/sdb may be another disk after the next boot"),
        (("--quorum-disk", "/dev/mapper/q", "--arbitration", "none"), "policy none does not use it"),
    ],
)
def test_what_is_not_wrong_but_worth_knowing_is_a_note(run: Run, words: tuple[str, ...], says: str) -> None:
    status, out, _ = init(run, "--link", "private=priv0", "--dry-run", *words)
    assert status == 0
    assert says in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "expected", "says"),
    [
        (
            ("--link", "private=eth9"),
            6,
            "there are: bare0; dhcp0 203.0.113.9/24; priv0 198.51.100.1/24; pub0",
        ),
        (("--link", "private=pub0"), 2, "name one: pub0:ADDRESS"),
        (("--link", "private=pub0:192.0.2.8"), 2, "it has: 192.0.2.1/24, 192.0.2.7/24"),
        (("--link", "private=pub0:here"), 2, "not an IPv4 address"),
        (("--link", "private=dhcp0"), 2, "came by DHCP"),
        (("--link", "private=bare0"), 2, "no IPv4 address"),
        (("--link", "private"), 2, "NAME=NIC"),
        (("--link", "a=priv0", "--link", "a=priv0"), 2, "given twice"),
        ((), 2, "--link is missing"),
        (("--link", "a=priv0", "--arbitration", "reference-address"), 2, "such as the gateway"),
        (("--link", "a=priv0", "--arbitration", "quorum-disk"), 2, "needs --quorum-disk DEVICE"),
        (
            (
                "--link",
                "a=priv0",
                "--arbitration",
                "reference-address-and-quorum-disk",
                "--quorum-disk",
                "/dev/x",
            ),
            2,
            "reference-address-and-quorum-disk needs --reference ADDRESS",
        ),
        (("--link", "a=priv0", "--timeout-ms", "100"), 78, "must be longer than the interval"),
        (
            ("--link", "a=priv0", "--quorum-disk", "/dev/x", "--lease-ms", "3000"),
            78,
            "too short for three disk rounds",
        ),
        (("--link", "a=priv0", "--password-file", "/nowhere"), 6, "/nowhere"),
    ],
)
def test_each_mistake_at_init_is_told_before_anything_is_asked(
    daemon: FakeDaemon, run: Run, words: tuple[str, ...], expected: int, says: str
) -> None:
    status, _, err = init(run, *words)
    assert (status, says in err) == (expected, True), err
    assert daemon.asked == []


def test_a_cluster_that_exists_already_is_exit_7(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["cluster.init"] = Refusal(Code.EXISTS, say("{node} exists already", node="x"))
    assert init(run, "--link", "private=priv0")[0] == 7


def test_join_needs_a_password_or_a_code(daemon: FakeDaemon, run: Run, password: str) -> None:
    assert run("cluster", "join", "192.0.2.1", "--node", "node2").status == 2
    assert run("cluster", "join", "192.0.2.1", "--node", "node2", "--password-file", password).status == 0
    assert daemon.arguments("cluster.join")["password"] == FIRST_LINE
    assert run("cluster", "join", "192.0.2.1", "--node", "node2", "--code", "abc").status == 0
    assert "password" not in daemon.arguments("cluster.join")


def test_a_dry_run_of_init_asks_nobody(daemon: FakeDaemon, run: Run) -> None:
    status, out, _ = init(run, "--link", "private=priv0", "--dry-run")
    assert status == 0
    assert "priv0 198.51.100.1/24" in out
    assert daemon.asked == []


def test_a_dhcp_address_is_taken_when_it_is_named() -> None:
    assert end_address("dhcp0", "203.0.113.9", NICS) == "203.0.113.9/24"
    assert ends_of(["a=dhcp0:203.0.113.9"], NICS)["a"]["address"] == "203.0.113.9/24"


def test_an_invitation_prints_the_code_on_a_line_of_its_own(daemon: FakeDaemon, run: Run) -> None:
    daemon.answers["cluster.invite"] = {"code": "SHA-1234", "good_for_s": 600}
    assert run("cluster", "invite").out.splitlines()[0] == "SHA-1234"


# --- wipe ------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("state", "etc", "run"):
        (tmp_path / name).mkdir()
    for name in (
        "state/cluster.json",
        "state/cluster.json.3",
        "etc/cluster.key",
        "etc/node.key",
        "state/keep",
    ):
        (tmp_path / name).write_text("x")
    where = cluster_wipe.Places(tmp_path / "etc", tmp_path / "state", tmp_path / "run")
    monkeypatch.setattr(cluster_wipe, "places", lambda: where)
    monkeypatch.setattr(op, "places", lambda: where)
    return tmp_path


def test_a_running_daemon_is_not_wiped(daemon: FakeDaemon, run: Run, files: Path) -> None:
    daemon.answers["status"] = recorded.status()
    ran = run("cluster", "wipe", "--node", "node1")
    assert ran.status == 5
    assert "web may be running here" in ran.err
    assert (files / "etc/cluster.key").exists()


def test_another_nodes_name_wipes_nothing(daemon: FakeDaemon, run: Run, files: Path) -> None:
    daemon.answers["status"] = recorded.status()
    ran = run("cluster", "wipe", "--node", "node2")
    assert ran.status == 2
    assert (files / "etc/cluster.key").exists()


def test_a_stopped_node_is_wiped_and_the_rest_stays(
    run: Run, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVHA_SOCKET", str(files / "nobody.sock"))
    (files / "state/cluster.json").write_text(json.dumps({"document": document()}))
    ran = run("cluster", "wipe", "--node", "node1")
    assert ran.status == 0, ran.err
    assert sorted(p.name for p in files.rglob("*") if p.is_file()) == ["keep"]
    assert run("cluster", "wipe", "--node", "node1").status == 0


def test_trees_left_running_by_a_detached_daemon_are_not_orphaned(
    run: Run, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVHA_SOCKET", str(files / "nobody.sock"))
    (files / "run/phases.json").write_text(json.dumps({"web": {"phase": "running"}}))
    ran = run("cluster", "wipe", "--node", "node1")
    assert ran.status == 5
    assert (files / "etc/cluster.key").exists()


def as_node(files: Path, name: str) -> None:
    """Let the files say that this node is called `name`."""
    data = document()
    for node in data["nodes"]:
        node["certificate"] = f"certificate of {node['name']}"
    (files / "state/cluster.json").write_text(json.dumps({"sha256": "", "document": data}))
    (files / "etc/node.crt").write_text(f"certificate of {name}\n")


def test_a_stopped_node_is_not_wiped_by_another_name(
    run: Run, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVHA_SOCKET", str(files / "nobody.sock"))
    as_node(files, "node2")
    ran = run("cluster", "wipe", "--node", "node1")
    assert ran.status == 2
    assert "this node is node2" in ran.err
    assert (files / "etc/cluster.key").exists()


def test_the_manuals_rm_clearup_finds_the_name_itself(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SERVHA_SOCKET", str(files / "nobody.sock"))
    as_node(files, "node2")
    assert op.run(["rm_everything"]) == 2
    assert op.run(["rm_clearup"]) == 0
    assert "no cluster any more" in capsys.readouterr().out
    assert not (files / "etc/cluster.key").exists()
