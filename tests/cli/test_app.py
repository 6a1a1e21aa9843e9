"""`servha app`: the plan as it is printed, and an application that joins, is refused, and is put back."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from servha.apps import application, looks, record
from servha.core.words import say
from servha.wire.rpc import Code, Refusal
from tests.apps.conftest import Disk, disk  # noqa: F401 - a fixture
from tests.cli import golden, recorded
from tests.cli.conftest import FakeDaemon, Run
from tests.cli.documents import document

SYSTEMCTL = """#!/bin/sh
case $1 in is-active) echo inactive; exit 3 ;; is-enabled) echo disabled; exit 1 ;; esac
"""
VALUES = ("address=192.0.2.77/24", "nic=pub0", "nic@node2=ens3")


@pytest.fixture
def cluster(daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDaemon:
    """A daemon that keeps a configuration, a systemd that tells, and places of the test's own for what is written."""
    kept = {"document": document()}

    def replace(args: Mapping[str, Any]) -> Any:
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
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text(SYSTEMCTL)
    (tmp_path / "bin/systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(record, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(application, "CONFIGURED", tmp_path / "etc")
    return daemon


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Things that differ between machines, as they are on an ordinary one."""

    def getpwnam(name: str) -> pwd.struct_passwd:
        if name != "postgres":
            raise KeyError(name)
        return pwd.struct_passwd((name, "x", 112, 120, "", "/var/lib/postgresql", "/bin/bash"))

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    monkeypatch.setattr("servha.host.scripts.problem", lambda _path: None)
    monkeypatch.setattr(
        "servha.cli.app_plan.look.ports",
        lambda ports: [
            looks.Look(looks.Verdict.FINE, say("port {port} is free", port=port)) for port in ports
        ],
    )
    monkeypatch.setattr(
        "servha.cli.app_plan.look.in_use",
        lambda _paths: looks.Look(looks.Verdict.FINE, say("no process uses the data")),
    )


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_list_and_the_values_of_one(run: Run, language: str) -> None:
    printed = (
        run("app", "list", "--lang", language).out + run("app", "list", "oracle", "--lang", language).out
    )
    golden.matches(f"app-list.{language}.txt", printed)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.usefixtures("steady", "cluster")
def test_a_plan_names_tree_moves_checks_and_what_stands_against_it(run: Run, language: str) -> None:
    ran = run(
        "app", "plan", "postgresql", "--lang", language, "--set", *VALUES,
        "device=/dev/disk/by-id/no-such-lun", "mount_point=/srv/pg", "data=/nowhere/pg/main", "tree=db",
    )  # fmt: skip
    assert ran.status == 5, ran.err
    golden.matches(f"app-plan.{language}.txt", ran.out)


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("app", "list", "oracel"), 6, "there are: postgresql"),
        (("app", "plan", "redis"), 78, "address"),
        (("app", "plan", "redis", "--set", "prot=1"), 78, "prot"),
        (("app", "plan", "redis", "--set", "port"), 2, "KEY=VALUE"),
        (
            ("app", "plan", "redis", "--set", *VALUES, "device=/dev/x", "mount_point=/srv", "port=0"),
            78,
            "port",
        ),
        (("app", "plan", "redis", "--set", *VALUES, "device=x", "mount_point=/srv"), 78, "device"),
        (("app", "plan", "redis", "--set", *VALUES, "device=/dev/x", "mount_point=/m", "data=b"), 78, "data"),
        (
            ("app", "plan", "redis", "--set", *VALUES, "device=/dev/x", "mount_point=/m", "port@node2=1"),
            78,
            "leave out @node2",
        ),
        (
            ("app", "plan", "redis", "--set", *VALUES, "device=/dev/x", "mount_point=/m", "tree=web"),
            7,
            "tree=NAME",
        ),
        (
            ("app", "plan", "redis", "--set", *VALUES, "device=/dev/x", "mount_point=/m", "--hosts", "nix"),
            78,
            "nix",
        ),
        (("app", "undo", "db"), 6, "no record"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    cluster: FakeDaemon, run: Run, words: tuple[str, ...], status: int, says: str
) -> None:
    ran = run(*words)
    assert (ran.status, says in ran.err) == (status, True), ran.err
    assert "config.replace" not in cluster.verbs()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A small service with its data, and a start script that root alone may change."""
    data = tmp_path / "lib/shop"
    data.mkdir(parents=True)
    (data / "orders").write_text("17\n")
    return data


def values(shop: Path, disk: Disk) -> tuple[str, ...]:  # noqa: F811
    return (
        "web-service", "--set", *VALUES, f"device={disk.device}", f"mount_point={disk.where}", "tree=shop",
        "start=/bin/true", "stop=/bin/true", "port=47811", f"data={shop}",
    )  # fmt: skip


def kept_trees(run: Run, cluster: FakeDaemon) -> list[str]:
    return [tree["name"] for tree in cluster.answers["config.get"]({})["document"]["trees"]]


@pytest.mark.root
def test_an_application_joins_and_everything_can_be_put_back(
    cluster: FakeDaemon,
    run: Run,
    shop: Path,
    disk: Disk,  # noqa: F811
) -> None:
    words = values(shop, disk)
    ran = run("app", "plan", *words)
    assert ran.status == 0, ran.out + ran.err
    assert not shop.is_symlink()
    refused = run("app", "add", *words)
    assert (refused.status, "--yes" in refused.err) == (5, True)
    assert not shop.is_symlink()
    ran = run("app", "add", *words, "--yes")
    assert ran.status == 0, ran.out + ran.err
    assert ran.out.splitlines()[-1] == "To undo: servha app undo shop"
    assert shop.readlink() == disk.where / "shop"
    assert (shop / "orders").read_text() == "17\n"
    made = cluster.arguments("config.replace")["document"]["trees"][1]
    assert (made["name"], made["start_mode"]) == ("shop", "manual")
    assert made["resources"][0]["per_node"] == {"node2": {"nic": "ens3"}}
    assert (run("app", "add", *words, "--yes").status, run("app", "undo", "shop").status) == (7, 5)
    ran = run("app", "undo", "shop", "--yes")
    assert ran.status == 0, ran.err
    assert not shop.is_symlink()
    assert kept_trees(run, cluster) == ["web"]
    assert run("app", "undo", "shop", "--yes").status == 6


@pytest.mark.root
def test_a_configuration_that_is_refused_leaves_the_data_where_they_were(
    cluster: FakeDaemon,
    run: Run,
    shop: Path,
    disk: Disk,  # noqa: F811
) -> None:
    cluster.answers["config.replace"] = Refusal(Code.BAD_CONFIGURATION, say("node2 has no nic ens3"))
    ran = run("app", "add", *values(shop, disk), "--yes")
    assert ran.status == 78
    assert not shop.is_symlink()
    assert list(disk.where.glob("shop*")) == []
    assert not record.path_of("shop").exists()


@pytest.mark.root
def test_the_second_node_makes_the_link_only(
    cluster: FakeDaemon,
    run: Run,
    shop: Path,
    disk: Disk,  # noqa: F811
    tmp_path: Path,
) -> None:
    words = values(shop, disk)
    assert run("app", "add", *words, "--yes").status == 0
    # The other node: the same tree in the configuration, the disk not mounted, a directory of its own.
    shop.unlink()
    shop.with_name("shop_old").rename(shop)
    record.forget("shop")
    subprocess.run(["umount", disk.where], check=True)
    ran = run("app", "add", *words, "--yes", "-o", "json")
    assert ran.status == 0, ran.out + ran.err
    assert shop.readlink() == disk.where / "shop"
    assert cluster.verbs().count("config.replace") == 1
    assert run("app", "undo", "shop", "--yes").status == 0
    assert (shop / "orders").read_text() == "17\n"
    assert kept_trees(run, cluster) == ["web", "shop"], "the tree is the first node's to delete"


@pytest.mark.root
def test_data_in_use_are_not_moved(
    cluster: FakeDaemon,
    run: Run,
    shop: Path,
    disk: Disk,  # noqa: F811
) -> None:
    with subprocess.Popen(["sleep", "60"], cwd=shop) as sleeper:
        ran = run("app", "add", *values(shop, disk), "--yes")
        sleeper.kill()
    assert ran.status == 5
    assert f"{sleeper.pid} (sleep)" in ran.out
    assert "config.replace" not in cluster.verbs()


@pytest.mark.usefixtures("steady")
def test_numbers_of_users_are_compared_with_the_other_nodes_plan(
    cluster: FakeDaemon, run: Run, tmp_path: Path
) -> None:
    words = (
        "app",
        "plan",
        "postgresql",
        "--set",
        *VALUES,
        "device=/dev/x",
        "mount_point=/srv/pg",
        "-o",
        "json",
    )
    first = json.loads(run(*words).out)
    assert first["users"] == {"postgres": [112, 120]}

    def verdict(users: object) -> str:
        other = tmp_path / "other.json"
        other.write_text(json.dumps({**first, "users": users}))
        checks = json.loads(run(*words, "--other", str(other)).out)["checks"]
        return next(str(one["verdict"]) for one in checks if "postgres" in str(one["text"]))

    assert next(one["verdict"] for one in first["checks"]) == "unknown"
    assert verdict({"postgres": [112, 120]}) == "fine"
    assert verdict({"postgres": [112, 121]}) == "wrong"
    assert verdict({}) == "wrong"
    (tmp_path / "nonsense.json").write_text("[]")
    assert run(*words, "--other", str(tmp_path / "nonsense.json")).status == 78
