"""The document about the console's interface and what a real console answers: the same, whatever is thrown at it."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servha import support
from servha.console.contract import OPERATIONS, Who
from servha.console.shapes import faults
from servha.console.shown import Refused
from servha.lab.demo import PHRASE_FILE
from tests.console.browser import Browser
from tests.live.cluster import READY_S, TREE, Cluster

PORT = 7700
FUZZER = Path(sys.executable).parent / "st"
FUZZ_S = 12
DASHBOARD = Path(__file__).parent.parent.parent / "docs/grafana/servha.json"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
NOT_FUZZED = {
    "stream": "never ends",
    "log_in": "a wrong password makes the next one wait, and then every answer is 429",
    "choose_password": "for the same reason",
    "log_out": "ends the session that the others need",
}


@pytest.fixture
def browser(cluster: Cluster) -> Iterator[Browser]:
    """A program or browser at the lab's client, on node1's console."""
    cluster.node1.service("start", "servwebd", within_s=READY_S)
    client = cluster.lab.layout.namespace("client")
    yield Browser(PORT, host=str(cluster.node1.layout.address("public")), namespace=client)
    cluster.node1.service("stop", "servwebd", within_s=READY_S)


def log_in(cluster: Cluster, browser: Browser) -> None:
    browser.log_in(cluster.node1.read(PHRASE_FILE).strip())


def test_every_answer_is_of_the_type_that_the_document_gives_it(cluster: Cluster, browser: Browser) -> None:
    answered: dict[str, Any] = {}

    def ask(name: str, body: object = None, /, **parts: str) -> Any:
        operation = next(one for one in OPERATIONS if one.name == name)
        status, told, _ = browser.ask(operation.method, operation.path.format(**parts), body)
        assert status == 200, (name, told)
        assert list(faults(operation.answered, told)) == [], name
        answered[name] = told
        return told

    ask("session")
    ask("log_in", {"password": cluster.node1.read(PHRASE_FILE).strip()})
    browser.log_in(cluster.node1.read(PHRASE_FILE).strip())
    ask("session")
    ticket = ask("ticket", {})["ticket"]
    told = ask("carry_on", {"ticket": ticket})["session"]
    assert told["csrf"] != browser.csrf
    browser.csrf = told["csrf"]
    status, told, _ = browser.ask("POST", "/api/v1/session/carried", {"ticket": ticket[:-2] + "AA"})
    assert (status, told["error"]["code"]) == (403, "not-permitted")
    foreign = {"Origin": "https://198.51.100.2:7700"}
    assert browser.ask("POST", "/api/v1/session/carried", {"ticket": ticket}, foreign)[0] == 403
    ask("here")
    for name in (
        "status",
        "journal",
        "why",
        "quality",
        "kinds",
        "interfaces",
        "join_progress",
        "document",
        "metrics",
    ):
        ask(name)
    assert answered["journal"]["entries"], "there is something to compare"
    figures = set(re.findall(r"^(servha_\w+)", answered["metrics"], re.MULTILINE))
    charted = set(re.findall(r"servha_\w+", DASHBOARD.read_text(encoding="utf-8")))
    assert {name for name in charted if not name.startswith("servha_quorum_disk_")} <= figures
    config = ask("config")
    ask("order", {"verb": "start"}, tree=TREE)
    status, packed = browser.download("/api/v1/bundle?lang=zh-CN")
    assert status == 200
    cluster.node1.run("servha", "support-bundle", "/run/bundle.tar.gz")
    again = cluster.servha(cluster.node1, "support-bundle", "/run/bundle.tar.gz", status=7)
    assert "already" in again.stderr
    for content in (packed, (cluster.node1.root / "run/bundle.tar.gz").read_bytes()):
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            names = {Path(one.name).name for one in archive.getmembers()}
            text = b"".join(archive.extractfile(one).read() for one in archive.getmembers())  # type: ignore[union-attr]
        assert names == {"README.txt", *(name for name, _ in support.contents())}
        assert b"web/app" in text
        assert b"CERTIFICATE" not in text and b'"hash"' not in text and b'"salt"' not in text
    wish = {"document": config["document"], "base_generation": config["generation"]}
    ask("change", {**wish, "dry_run": True})
    ask("change", wish)
    ask("begin_maintenance", {"scope": "tree", "name": TREE, "reason": "new release"})
    assert ask("status")["maintenance"]
    ask("end_maintenance", scope="tree", name=TREE)
    ask("invite", {})
    played = ask("simulate", {"steps": [{"do": "poweroff", "node": "node1", "wait_s": 30}]})
    assert (played["held"][TREE][-1]["nodes"], played["dual_active"]) == (["node2"], [])
    old = cluster.node1.read(PHRASE_FILE).strip()
    ask("choose_password", {"old": old, "new": old})
    ask("log_out", {})
    # A node that is in a cluster refuses the two others; the wizards' own tests see their answers.
    assert {one.name for one in OPERATIONS} - set(answered) == {"stream", "bundle", "found", "join"}
    for status, told, _ in (
        browser.ask("GET", "/api/v1/status"),
        browser.ask("POST", "/api/v1/session", {"password": 1, "passwort": "x"}),
        browser.ask("GET", "/api/v1/nothing"),
        browser.ask("GET", "/api/v1/order"),
    ):
        assert status >= 400
        assert list(faults(Refused, told)) == []
    assert (
        "passwort: " in browser.ask("POST", "/api/v1/session?lang=en", {"passwort": "x"})[1]["error"]["text"]
    )


@pytest.mark.parametrize("way", ["token", "session"])
def test_whatever_is_sent_is_answered_as_the_document_says(
    cluster: Cluster, browser: Browser, tmp_path: Path, way: str
) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(browser.ask("GET", "/api/v1/openapi.json?lang=en")[1]), encoding="utf-8")
    if way == "token":
        made = cluster.servha(cluster.node1, "token", "create", "fuzz", "--scope", "configure", "-o", "json")
        headers = [f"Authorization: Bearer {json.loads(made.stdout)['token']}"]
        left = {one.name for one in OPERATIONS if one.who is Who.BROWSER}
    else:
        log_in(cluster, browser)
        headers = [f"Cookie: {browser.cookie}", f"X-Servha-CSRF: {browser.csrf}"]
        left = {one.name for one in OPERATIONS if one.who is Who.KNOWN}
    options = [f"--exclude-operation-id={name}" for name in sorted(left | set(NOT_FUZZED))]
    options += [f"--header={header}" for header in headers]
    fuzz = cluster.lab.client_command(
        str(FUZZER),
        *("run", str(document), f"--url=https://{browser.host}:{PORT}", "--tls-verify=false"),
        *(f"--max-time={FUZZ_S}", "--max-examples=15", "--seed=1", "--phases=examples,coverage,fuzzing"),
        *(f"--checks={CHECKS}", "--warnings=off", "--no-color", "--generation-database=none", *options),
    )
    ran = subprocess.run(fuzz, capture_output=True, text=True, check=False, timeout=90, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    print(ran.stdout[-700:])
    log_in(cluster, browser)
    for one in browser.ask("GET", "/api/v1/status")[1][
        "maintenance"
    ]:  # it may have found the name of something
        scope = "resource" if "/" in one["what"] else "tree" if one["what"] == TREE else "node"
        assert browser.ask("DELETE", f"/api/v1/maintenance/{scope}/{one['what']}")[0] == 200
    if way == "token":
        cluster.servha(cluster.node1, "token", "remove", "fuzz")
    cluster.settle()  # an order of its own may have moved the tree
