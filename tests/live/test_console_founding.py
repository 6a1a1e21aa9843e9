"""From two bare nodes to a running cluster, in the browser alone: passwords, both wizards, and what they refuse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from servha.lab.lab import Lab
from servha.lab.node import Node
from tests.live.chromium import WITHIN_MS, Window, chromium, window
from tests.live.cluster import READY_S
from tests.live.wait import eventually

PORT = 7700
CHOSEN = "correct horse battery"

expect.set_options(timeout=WITHIN_MS)


def address(node: Node, link: str = "public") -> str:
    return str(node.layout.address(link))


def arrive(opened: Window, node: Node, chosen: str, titles: tuple[str, str]) -> None:
    """Log in with the initial password from another machine, which leads to choosing one and to nothing else."""
    page = opened.page
    page.goto(f"https://{address(node)}:{PORT}/")
    opened.log_in("1")
    expect(page.locator("h1")).to_have_text(titles[0])
    for name, word in (("old", "1"), ("chosen", chosen), ("again", chosen)):
        page.locator(f"#{name}").fill(word)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(titles[1])
    assert opened.barriers() == []


def onward(page: Page, step: str) -> None:
    page.locator(".wizard button.main").press("Enter")
    expect(page.locator("[aria-current=step]")).to_have_text(step)


@pytest.mark.timeout(240)
def test_two_bare_nodes_become_a_cluster_in_the_browser_alone(lab: Lab, tmp_path: Path) -> None:
    one, two = lab.nodes
    for node in lab.nodes:
        node.service("start", "servhad", within_s=READY_S)
        node.service("start", "servwebd", within_s=READY_S)
    with chromium(lab.layout.namespace("client"), tmp_path) as browser:
        opened = window(browser, language="zh-CN", dark=False, width=1280, height=720)
        page = opened.page
        arrive(opened, one, CHOSEN, ("修改登录密码", "本机尚未加入集群"))
        page.get_by_role("button", name="开始初始化").press("Enter")
        make(opened, one)
        expect(page.locator("h1")).to_have_text("集群概览")
        expect(page.locator(".top .name")).to_contain_text("demo")

        joining = window(browser, language="en-US", dark=True, width=390, height=844)
        arrive(joining, two, "another password", ("Choose a password", "This node is in no cluster yet"))
        joining.page.get_by_role("button", name="Join").press("Enter")
        join(joining, one, two)
        expect(joining.page.locator("h1")).to_have_text("Cluster")
        expect(joining.page.locator(".top .name")).to_contain_text("demo")
        for seen in (opened, joining):
            expect(seen.page.get_by_text("node2").first).to_be_visible()
            assert seen.barriers() == []
            assert not seen.complaints

    def all_links_are_heard() -> bool:
        return one.run("servha", "status", check=False).stdout.count(" normal ") == 4

    assert eventually(all_links_are_heard, within_s=READY_S)


def make(opened: Window, node: Node) -> None:
    page = opened.page
    page.locator("#init-node").fill("node 1")
    expect(page.locator("#init-node-wrong")).to_contain_text("node 1")
    page.locator("#init-node").fill("node1")
    onward(page, "初始化集群信息")
    page.locator("#init-name").fill("demo")
    page.locator("#init-timeout_ms").fill("100")
    page.locator("#init-references").fill(address(node))
    expect(page.locator("fieldset .trouble").first).to_be_visible()
    page.locator(".wizard button.main").press("Enter")
    assert opened.barriers() == []
    page.locator("#init-timeout_ms").fill("3000")
    onward(page, "心跳配置")
    for name, nic in (("public", "pub0"), ("private", "priv0")):
        page.locator("#init-link-name").fill(name)
        option = page.locator("#init-link-nic option", has_text=re.compile(f"^{nic} "))
        page.locator("#init-link-nic").select_option(option.get_attribute("value"))
        page.get_by_role("button", name="添加心跳").press("Enter")
    entries = page.locator(".ordered li")
    entries.nth(1).drag_to(entries.first)
    expect(entries.first).to_contain_text("private")
    page.get_by_role("button", name="上移 public").press("Enter")
    expect(entries.first).to_contain_text("public")
    page.get_by_role("button", name="上移 private").press("Enter")
    expect(entries.first).to_contain_text("private")
    assert opened.barriers() == []

    # Whose address that is could not be known before there was a link: back to the field it is about.
    page.locator(".wizard button.main").press("Enter")
    expect(page.locator("#init-references-wrong")).to_contain_text(address(node))
    expect(page.locator("#init-name")).to_have_value("demo")
    page.locator("#init-references").fill("")
    onward(page, "心跳配置")
    onward(page, "确认")
    expect(entries.first).to_contain_text("private")
    expect(page.get_by_text("集群 demo")).to_be_visible()
    assert opened.barriers() == []
    page.get_by_role("button", name="完成").press("Enter")


def join(opened: Window, first: Node, node: Node) -> None:
    page = opened.page
    page.locator("#join-node").fill("node2")
    page.locator("#join-password").fill("not this one")
    for wrong, field in ((address(node), "address"), (address(first), "password")):
        page.locator("#join-address").fill(wrong)
        page.locator(".wizard button.main").press("Enter")
        expect(page.locator(f"#join-{field}-wrong")).to_be_visible()
    assert opened.barriers() == []
    page.locator("#join-password").fill(CHOSEN)
    onward(page, "Pair heartbeats")
    expect(page.locator("#pair-private")).to_have_value(re.compile("^priv0 "))
    expect(page.locator("#pair-public")).to_have_value(re.compile("^pub0 "))
    page.get_by_role("button", name="Look at the interfaces again").press("Enter")
    expect(page.get_by_role("button", name="Look at the interfaces again")).to_be_enabled()
    assert opened.barriers() == []
    onward(page, "Summary")
    assert opened.barriers() == []
    page.get_by_role("button", name="Join the cluster").press("Enter")
