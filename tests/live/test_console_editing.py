"""Changing things in the console of a real cluster: two administrators at once, and maintenance by dialog."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from servha.lab.demo import PHRASE_FILE
from tests.console.browser import Browser
from tests.live.chromium import WITHIN_MS, chromium, window
from tests.live.cluster import READY_S, TREE, Cluster

PORT = 7700

expect.set_options(timeout=WITHIN_MS)


@pytest.fixture
def phrase(cluster: Cluster) -> Iterator[str]:
    """The cluster's password, while the console runs on node1."""
    cluster.node1.service("start", "servwebd", within_s=READY_S)
    yield cluster.node1.read(PHRASE_FILE).strip()
    cluster.node1.service("stop", "servwebd", within_s=READY_S)


def described(document: dict[str, Any], words: str) -> dict[str, Any]:
    first, *rest = document["nodes"]
    return {**document, "nodes": [{**first, "description": words}, *rest]}


@pytest.mark.timeout(240)
def test_the_second_of_two_administrators_is_told_what_the_first_changed(
    cluster: Cluster, phrase: str
) -> None:
    host = cluster.node1.layout.address("public")
    one, two = (Browser(PORT, host=host, namespace=cluster.lab.layout.namespace("client")) for _ in range(2))
    one.log_in(phrase)
    two.log_in(phrase)
    seen = one.ask("GET", "/api/v1/config")[1]
    base, document = seen["generation"], seen["document"]
    mine = {"document": described(document, "by one"), "base_generation": base}

    status, plan, _ = one.ask("PUT", "/api/v1/config?lang=en", {**mine, "dry_run": True})
    assert (status, plan["changed"], plan["generation"]) == (200, False, base)
    assert plan["changes"][0]["text"]
    assert one.ask("GET", "/api/v1/config")[1]["generation"] == base
    assert one.ask("PUT", "/api/v1/config", mine, {"X-Servha-CSRF": "x"})[0] == 403
    status, done, _ = one.ask("PUT", "/api/v1/config", mine)
    assert (status, done["changed"], done["on_both"]) == (200, True, True)

    theirs = {"document": described(document, "by two"), "base_generation": base}
    status, told, _ = two.ask("PUT", "/api/v1/config?lang=en", theirs)
    assert status == 409
    assert "by one" in told["error"]["problems"][0]["because"]["text"]
    now = two.ask("GET", "/api/v1/config")[1]
    assert now["document"]["nodes"][0]["description"] == "by one", "nothing of the second was done"
    bad = {"document": {**now["document"], "nonsense": 1}, "base_generation": now["generation"]}
    status, told, _ = two.ask("PUT", "/api/v1/config", {**bad, "dry_run": True})
    assert (status, told["error"]["problems"][0]["path"]) == (422, "nonsense")
    kinds = two.ask("GET", "/api/v1/kinds?lang=zh-CN")[1]
    assert re.search("[一-鿿]", json.dumps(kinds["resources"]["ipv4"], ensure_ascii=False))


@pytest.mark.timeout(240)
def test_a_tree_is_put_in_maintenance_and_taken_out_by_keyboard(
    cluster: Cluster, phrase: str, tmp_path: Path
) -> None:
    with chromium(cluster.lab.layout.namespace("client"), tmp_path) as browser:
        opened = window(browser, language="zh-CN", dark=False, width=1280, height=720)
        page = opened.page
        page.goto(f"https://{cluster.node1.layout.address('public')}:{PORT}/")
        opened.log_in(phrase)
        opened.at("trees")
        page.get_by_role("button", name=f"{TREE} 的维护模式").press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("listitem").first).to_contain_text("不会重新启动或切换任何资源")
        assert opened.barriers() == []
        page.screenshot(path=tmp_path / "maintenance-zh.png")
        dialog.get_by_label("原因").fill(" ")
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("alert")).to_contain_text("原因")
        dialog.get_by_label("原因").fill("更换磁盘")
        page.keyboard.press("Enter")
        expect(page.locator(".maintained")).to_contain_text("更换磁盘")
        expect(dialog).to_have_count(0)
        cluster.await_alarm(cluster.node2, f"{TREE} is in maintenance: 更换磁盘")
        page.set_viewport_size({"width": 390, "height": 844})
        assert opened.barriers() == []
        page.get_by_role("button", name="English").press("Enter")
        page.screenshot(path=tmp_path / "maintained-phone.png")
        opened.at("overview")
        expect(page.locator(".maintained")).to_contain_text("更换磁盘")
        assert opened.barriers() == []
        page.get_by_role("button", name=f"End the maintenance of {TREE}").press("Enter")
        expect(dialog.get_by_role("listitem")).to_contain_text("looked after again")
        assert opened.barriers() == []
        dialog.get_by_role("button", name="End maintenance").press("Enter")
        expect(page.locator(".maintained")).to_have_count(0)
        cluster.await_no_alarm(cluster.node2)
        assert not opened.complaints


@pytest.mark.timeout(240)
def test_a_dependency_is_planned_kept_from_a_race_changed_and_undone_by_keyboard(
    cluster: Cluster, phrase: str, tmp_path: Path
) -> None:
    host = cluster.node1.layout.address("public")
    other = Browser(PORT, host=host, namespace=cluster.lab.layout.namespace("client"))
    other.log_in(phrase)

    def after_of_app() -> object:
        document = other.ask("GET", "/api/v1/config")[1]["document"]
        tree = next(tree for tree in document["trees"] if tree["name"] == TREE)
        return next(resource for resource in tree["resources"] if resource["name"] == "app")["after"]

    with chromium(cluster.lab.layout.namespace("client"), tmp_path) as browser:
        opened = window(browser, language="en-US", dark=True, width=390, height=844)
        page = opened.page
        page.goto(f"https://{host}:{PORT}/")
        opened.log_in(phrase)
        opened.at("trees")
        page.get_by_role("button", name=f"Dependencies of tree {TREE}").press("Enter")
        dialog = page.get_by_role("dialog")
        resource = dialog.get_by_label("Resource")
        resource.select_option("vip")
        dialog.get_by_role("checkbox", name="app").press("Space")
        expect(dialog.get_by_role("alert")).not_to_be_empty()  # a circle: servhad names it
        assert opened.barriers() == []
        dialog.get_by_role("checkbox", name="app").press("Space")
        resource.select_option("app")
        dialog.get_by_role("checkbox", name="vip").press("Space")
        expect(dialog.locator(".plan li")).to_have_count(1)
        assert opened.barriers() == []
        page.screenshot(path=tmp_path / "dependencies-phone.png")

        seen = other.ask("GET", "/api/v1/config")[1]
        theirs = {
            "document": described(seen["document"], "by the other"),
            "base_generation": seen["generation"],
        }
        assert other.ask("PUT", "/api/v1/config", theirs)[0] == 200
        dialog.get_by_role("button", name="Apply").press("Enter")
        expect(dialog.get_by_role("alert")).to_contain_text("by the other")
        expect(dialog.get_by_role("checkbox", name="vip")).not_to_be_checked()
        assert after_of_app() == ["vip"]
        dialog.get_by_role("button", name="Plan it again").press("Enter")
        expect(dialog.locator(".plan li")).to_have_count(1)
        dialog.get_by_role("button", name="Apply").press("Enter")
        expect(dialog.get_by_role("button", name="Undo")).to_be_visible()
        assert after_of_app() == []
        dialog.get_by_role("button", name="Undo").press("Enter")
        expect(dialog).to_have_count(0)
        assert after_of_app() == ["vip"]
        assert other.ask("GET", "/api/v1/config")[1]["document"]["nodes"][0]["description"] == "by the other"
        assert not opened.complaints
