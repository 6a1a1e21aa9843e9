"""Every application of the kit proposes a tree that the configuration accepts, and is listed."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import servha.apps
from servha.apps import APPLICATIONS, Application
from servha.apps.application import PER_NODE
from servha.config.document import Document, parse
from servha.config.edit import create_tree
from servha.config.kinds import RESOURCES
from servha.config.reading import Reading
from tests.cli.documents import document

SITE = {
    "address": "192.0.2.77/24",
    "nic": "eth0",
    "device": "/dev/disk/by-id/lun1",
    "mount_point": "/srv/data",
}
OWN: dict[str, dict[str, Any]] = {
    "oracle": {"oracle_home": "/opt/app/oracle/product/11.2.0/db_1", "data": ["/opt/app/oracle/oradata"]},
    "web-service": {"start": "/opt/shop/start", "port": 8080, "data": ["/var/lib/shop"], "program": "shopd"},
}


def made(kind: type[Application], **more: Any) -> Application:
    reading = Reading()
    values = reading.build(kind, {**SITE, **OWN.get(kind.name, {}), **more}, "")
    assert values is not None, reading.problems
    return values


@pytest.mark.parametrize("kind", APPLICATIONS, ids=lambda kind: kind.name)
def test_the_proposed_tree_is_valid_on_both_nodes(kind: type[Application]) -> None:
    base, problems = parse(document())
    assert base is not None, problems
    application = made(kind)
    assert application.problems() == []
    edited = create_tree(
        base, application.tree_name, resources=list(application.proposal().resources), start_mode="manual"
    )
    assert isinstance(edited, Document), edited
    tree = edited.tree(kind.name)
    assert tree is not None
    assert [r.name for r in tree.resources[:2]] == ["vip", "disk"]
    for resource in tree.resources[2:]:
        assert resource.after, "an application starts after its address and its disk"
        assert resource.detectors or resource.settings.get("test_script"), (
            "something has to tell that it runs"
        )
    assert set(PER_NODE.values()) <= {r.name for r in tree.resources}


@pytest.mark.parametrize("kind", APPLICATIONS, ids=lambda kind: kind.name)
def test_what_is_moved_and_what_is_watched_is_named(kind: type[Application]) -> None:
    proposal = made(kind).proposal()
    assert proposal.directories
    assert proposal.users
    assert proposal.ports
    assert all(resource["kind"] in RESOURCES for resource in proposal.resources)


def test_oracle_starts_its_listener_under_address_and_disk_and_the_instance_under_that() -> None:
    application = made(next(kind for kind in APPLICATIONS if kind.name == "oracle"), tree="erp")
    after = {r["name"]: r.get("after") for r in application.proposal().resources}
    assert after["listener"] == ["vip", "disk"]
    assert after["instance"] == ["listener"]
    settings = application.proposal().resources[-1]["settings"]
    assert settings["test_arguments"] == ["status", "/etc/servha/apps/erp.conf"]
    assert application.proposal().variables["ORACLE_SID"] == "orcl"


@pytest.mark.parametrize("data", [["var/lib"], ["/"], ["/srv/../etc"], ["/a/data", "/b/data"]])
def test_directories_that_cannot_be_moved_are_problems(data: list[str]) -> None:
    service = next(kind for kind in APPLICATIONS if kind.name == "web-service")
    assert [problem.field for problem in made(service, data=data).problems()] == ["data"]


def test_each_file_with_an_application_is_listed() -> None:
    written = set()
    for path in Path(servha.apps.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            bases = [base.id for base in getattr(node, "bases", ()) if isinstance(base, ast.Name)]
            if isinstance(node, ast.ClassDef) and "Application" in bases:
                written.add(node.name)
    assert written == {kind.__name__ for kind in APPLICATIONS}
    assert len({kind.name for kind in APPLICATIONS}) == len(APPLICATIONS)
