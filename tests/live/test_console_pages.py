"""The console's pages on real nodes, in Chromium, by keyboard: both languages, light and dark, large and small."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from servha.lab.demo import PHRASE_FILE
from servha.lab.lab import Lab
from tests.live.chromium import WITHIN_MS, chromium, window
from tests.live.cluster import READY_S, TREE, Cluster
from tests.live.conftest import LabMaker

PORT = 7700

expect.set_options(timeout=WITHIN_MS)


@pytest.fixture
def browser(cluster: Cluster, tmp_path: Path) -> Iterator[Browser]:
    cluster.node1.service("start", "servwebd", within_s=READY_S)
    with chromium(cluster.lab.layout.namespace("client"), tmp_path) as opened:
        yield opened
    cluster.node1.service("stop", "servwebd", within_s=READY_S)


def address(lab: Lab) -> str:
    return f"https://{lab.node1.layout.address('public')}:{PORT}/"


@pytest.mark.timeout(240)
def test_an_administrator_logs_in_moves_a_tree_and_is_told_when_the_daemon_goes(
    cluster: Cluster, browser: Browser
) -> None:
    phrase = cluster.node1.read(PHRASE_FILE).strip()
    opened = window(browser, language="zh-CN", dark=False, width=1280, height=720)
    page = opened.page
    page.goto(address(cluster.lab))
    expect(page.locator("#address")).to_be_focused()
    assert opened.barriers() == []
    opened.log_in("not this one")
    expect(page.get_by_role("alert")).to_have_text("密码错误")
    assert opened.barriers() == []
    expect(page.locator("#password")).to_be_focused()
    page.keyboard.type(phrase)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("集群概览")
    expect(page.locator(".counters")).to_have_text(re.compile(r"严重\(0\)\s*警告\(\d\)"))
    expect(page.locator(".chip.active")).to_have_text(re.compile("node1.*主节点"))
    expect(page.locator(".chip.standby")).to_have_text(re.compile("node2.*备机"))
    assert opened.barriers() == []

    opened.at("trees")
    expect(page.locator("svg .resource.good")).to_have_count(2)
    page.get_by_role("button", name="切换到 node2").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("listitem").first).to_have_text(re.compile("在 node1 上停止：app → vip"))
    expect(dialog.get_by_role("button", name="取消")).to_be_focused()
    assert opened.barriers() == []
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".chip.active")).to_have_text(re.compile("node2"))
    expect(page.get_by_role("heading", name=f"{TREE} [node2]")).to_be_visible()

    opened.at("events")
    page.locator("#filter-words").fill("node2")
    expect(page.locator("tbody tr").first).to_contain_text("node2")
    with page.expect_download() as saved:
        page.get_by_role("button", name="导出 CSV").press("Enter")
    assert "node2" in Path(saved.value.path()).read_text(encoding="utf-8-sig")

    opened.at("why")
    expect(page.locator("td.here[data-node=node1]").first).to_be_visible()
    expect(page.locator("td.here[data-node=node2]").first).to_be_visible()

    before = cluster.daemon(cluster.node1)
    cluster.node1.run("kill", "-9", str(before))
    expect(page.locator(".banner")).to_be_visible()
    cluster.await_new_daemon(cluster.node1, before)
    expect(page.locator(".banner")).to_have_count(0)
    cluster.node1.service("stop", "servwebd", within_s=READY_S)
    expect(page.locator(".banner.console-gone")).to_contain_text("控制台没有应答")
    cluster.node1.service("start", "servwebd", within_s=READY_S)
    expect(page.locator(".banner")).to_have_count(0)  # its sessions were in memory, but the page has a ticket
    expect(page.locator("h1")).to_have_text("决策原因")

    second = page.context.new_page()
    second.goto(address(cluster.lab))
    second.get_by_role("button", name="退出登录").press("Enter")
    expect(page.locator("#address")).to_be_visible()  # who has logged out is not logged in again by a ticket
    expect(page.get_by_text("请重新登录")).to_be_visible()
    assert not opened.complaints


@pytest.mark.timeout(240)
def test_every_screen_is_whole_on_a_phone_in_the_dark_and_speaks_the_other_language_at_once(
    cluster: Cluster, browser: Browser
) -> None:
    opened = window(browser, language="en-US", dark=True, width=390, height=844)
    page = opened.page
    page.goto(address(cluster.lab))
    opened.log_in(cluster.node1.read(PHRASE_FILE).strip())
    headings = {
        "overview": ("Cluster", "集群概览"),
        "trees": ("Resource trees", "资源树"),
        "nodes": ("Nodes", "节点"),
        "events": ("Events", "事件"),
        "why": ("Why", "决策原因"),
    }
    for screen, (english, chinese) in headings.items():
        opened.at(screen)
        expect(page.locator("h1")).to_have_text(english)
        assert opened.barriers() == [], screen
        page.get_by_role("button", name="简体中文").press("Enter")
        expect(page.locator("h1")).to_have_text(chinese)
        assert page.locator("html").get_attribute("lang") == "zh-CN"
        assert opened.barriers() == [], screen
        page.get_by_role("button", name="English").press("Enter")
    page.get_by_role("button", name="简体中文").press("Enter")
    page.reload()
    expect(page.locator("h1")).to_have_text("决策原因")
    page.get_by_role("button", name="退出登录").press("Enter")
    expect(page.locator("#address")).to_be_focused()
    assert not opened.complaints


@pytest.mark.timeout(240)
def test_the_initial_password_leads_to_choosing_one_and_to_nothing_else(
    make_lab: LabMaker, tmp_path: Path
) -> None:
    lab = make_lab(daemons=True)
    node = lab.node1
    node.service("start", "servhad", within_s=READY_S)
    node.run(
        *("servha", "cluster", "init", "--name=new", "--node=node1", "--link=private=priv0", "--profile=fast")
    )
    node.service("start", "servwebd", within_s=READY_S)
    with chromium(lab.layout.namespace("client"), tmp_path) as browser:
        opened = window(browser, language="zh-CN", dark=True, width=1280, height=720)
        page = opened.page
        page.goto(address(lab) + "#trees")
        opened.log_in("1")
        expect(page.locator("h1")).to_have_text("修改登录密码")
        assert opened.barriers() == []
        for old, chosen, again, said in (
            ("1", "correct horse", "correct house", "两次输入的密码不一致"),
            ("1", "1", "1", "新密码与初始密码相同"),
            ("2", "correct horse", "correct horse", "密码错误"),
            ("1", "correct horse", "correct horse", ""),
        ):
            for name, word in (("old", old), ("chosen", chosen), ("again", again)):
                page.locator(f"#{name}").fill(word)
            page.keyboard.press("Enter")
            if said:
                expect(page.get_by_role("alert")).to_contain_text(said)
        expect(page.locator("h1")).to_have_text("资源树")
        expect(page.get_by_text("还没有资源树")).to_be_visible()
        page.reload()
        expect(page.locator("h1")).to_have_text("资源树")
        assert not opened.complaints
