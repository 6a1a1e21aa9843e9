"""A resource tree made, changed and deleted in the console alone: forms from servhad's own fields, drag, and undo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from servha.lab.demo import PHRASE_FILE
from tests.live.chromium import WITHIN_MS, Window, chromium, window
from tests.live.cluster import READY_S, TREE, Cluster
from tests.live.wait import eventually

PORT = 7700
WORKER = "/usr/bin/sleep"

expect.set_options(timeout=WITHIN_MS)


@pytest.fixture
def opened(cluster: Cluster, tmp_path: Path) -> Iterator[Window]:
    """The screen of trees, in Chinese, in a browser of node1's console."""
    cluster.node1.service("start", "servwebd", within_s=READY_S)
    with chromium(cluster.lab.layout.namespace("client"), tmp_path) as browser:
        opened = window(browser, language="zh-CN", dark=False, width=1280, height=720)
        opened.page.goto(f"https://{cluster.node1.layout.address('public')}:{PORT}/")
        opened.log_in(cluster.node1.read(PHRASE_FILE).strip())
        opened.at("trees")
        yield opened
        assert not opened.complaints
    cluster.node1.service("stop", "servwebd", within_s=READY_S)


def apply(dialog: Locator, words: str = "应用") -> None:
    """Agree to the plan, see that it is done, and close the dialog."""
    button = dialog.get_by_role("button", name=words, exact=True)
    expect(button).to_be_enabled()
    button.press("Enter")
    expect(dialog.get_by_role("status")).to_contain_text("已完成")
    dialog.get_by_role("button", name="关闭").press("Enter")
    expect(dialog).to_have_count(0)


def create_process(page: Page, name: str, seconds: str) -> None:
    page.get_by_role("button", name="在 jobs 中创建资源").press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("类型", exact=True).select_option("process")
    dialog.get_by_label("名称").fill(name)
    dialog.locator("#setting-program").fill(WORKER)
    dialog.locator("#setting-arguments").fill(seconds)
    apply(dialog)


@pytest.mark.timeout(240)
def test_a_tree_is_made_filled_drawn_and_deleted_in_the_console_alone(
    cluster: Cluster, opened: Window, tmp_path: Path
) -> None:
    page = opened.page
    page.get_by_role("button", name="创建资源树").press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("名称").fill(TREE)
    expect(dialog.get_by_role("alert")).not_to_be_empty()  # there is one already: nothing can be applied
    expect(dialog.get_by_role("button", name="应用")).to_be_disabled()
    dialog.get_by_label("名称").fill("jobs")
    dialog.get_by_role("button", name="上移 node2").press("Enter")
    expect(dialog.locator(".plan li")).to_contain_text("jobs")
    assert opened.barriers() == []
    page.screenshot(path=tmp_path / "tree-form.png")
    apply(dialog)
    expect(page.locator("#tree-jobs .chip").first).to_contain_text("node2")

    page.get_by_role("button", name="在 jobs 中创建资源").press("Enter")
    dialog.get_by_label("类型", exact=True).select_option("process")
    dialog.get_by_label("名称").fill("first")
    program = dialog.locator("#setting-program")
    program.fill("sleep")
    expect(program).to_have_attribute(
        "aria-invalid", "true"
    )  # servhad says at its field what is wrong with it
    assert opened.barriers() == []
    page.screenshot(path=tmp_path / "resource-form.png")
    program.fill(WORKER)
    dialog.locator("#setting-arguments").fill("100001")
    apply(dialog)
    create_process(page, "second", "100002")
    expect(page.locator("#tree-jobs h2")).to_have_text("jobs [node2]")
    assert eventually(lambda: "100002" in cluster.node2.run("ps", "-eo", "args").stdout)

    second, first = (page.locator(f"#tree-jobs [data-resource={name}]") for name in ("second", "first"))
    second.drag_to(first)
    expect(dialog.locator(".plan li")).to_have_count(1)
    assert opened.barriers() == []
    apply(dialog)
    expect(page.locator("#tree-jobs tbody tr").nth(1).locator("td").nth(1)).to_have_text("first")

    page.get_by_role("button", name="编辑 jobs/first").press("Enter")
    expect(dialog.locator("#setting-arguments")).to_have_value("100001")
    dialog.locator("#setting-arguments").fill("100003")
    expect(dialog.get_by_role("alert")).to_contain_text(
        "servha tree stop jobs"
    )  # it runs: the plan says what to do
    page.set_viewport_size({"width": 390, "height": 844})
    assert opened.barriers() == []
    page.screenshot(path=tmp_path / "resource-phone.png")
    dialog.get_by_role("button", name="取消").press("Enter")

    cluster.servha(cluster.node1, "tree", "stop", "jobs", "-y")
    expect(page.locator("#tree-jobs h2")).to_have_text("jobs")
    page.get_by_role("button", name="删除 jobs/second").press("Enter")
    expect(dialog.locator(".plan li")).to_contain_text("second")
    dialog.get_by_role("button", name="删除", exact=True).press("Enter")
    expect(dialog.get_by_role("status")).to_contain_text("已完成")
    expect(page.locator("#tree-jobs tbody tr")).to_have_count(1)
    dialog.get_by_role("button", name="撤销").press("Enter")
    expect(page.locator("#tree-jobs tbody tr")).to_have_count(2)
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="删除 jobs", exact=True).press("Enter")
    apply(dialog, "删除")
    expect(page.locator("#tree-jobs")).to_have_count(0)
    cluster.await_no_alarm(cluster.node1)
