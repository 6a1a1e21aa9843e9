"""What concerns the nodes themselves, in the console: other addresses, arbitration, a lost node replaced."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from servha.lab.demo import PHRASE_FILE
from tests.live.chromium import WITHIN_MS, Window, chromium, window
from tests.live.cluster import READY_S, Cluster
from tests.live.conftest import ClusterMaker

PORT = 7700
MORE = "198.51.100.22"

expect.set_options(timeout=WITHIN_MS)


@contextmanager
def nodes_screen(cluster: Cluster, scratch: Path, *, language: str) -> Iterator[Window]:
    cluster.node1.service("start", "servwebd", within_s=READY_S)
    with chromium(cluster.lab.layout.namespace("client"), scratch) as browser:
        opened = window(browser, language=language, dark=False, width=1280, height=720)
        opened.page.goto(f"https://{cluster.node1.layout.address('public')}:{PORT}/")
        opened.log_in(cluster.node1.read(PHRASE_FILE).strip())
        opened.at("nodes")
        yield opened
        assert not opened.complaints
    cluster.node1.service("stop", "servwebd", within_s=READY_S)


@pytest.mark.timeout(240)
def test_a_heartbeat_gets_another_address_while_the_tree_runs_and_goes_back(
    cluster: Cluster, tmp_path: Path
) -> None:
    number = cluster.ownership(cluster.node1)
    cluster.node2.run("ip", "address", "add", f"{MORE}/24", "dev", "priv0")
    with nodes_screen(cluster, tmp_path, language="zh-CN") as opened:
        page = opened.page
        page.get_by_role("button", name="更改IP").press("Enter")
        dialog = page.get_by_role("dialog")
        address = dialog.locator("#end-node2-private-address")
        before = address.input_value()
        address.fill("198.51.100")
        expect(address).to_have_attribute("aria-invalid", "true")
        assert opened.barriers() == []
        page.screenshot(path=tmp_path / "addresses.png")
        address.fill(before.replace("198.51.100.2", MORE))
        expect(dialog.locator(".plan li").first).to_contain_text(MORE)
        dialog.get_by_role("button", name="应用").press("Enter")
        heard = dialog.get_by_role("listitem").filter(has_text=MORE)
        expect(heard).to_contain_text("正常")
        assert opened.barriers() == []
        dialog.get_by_role("button", name="撤销").press("Enter")
        expect(dialog).to_have_count(0)
        expect(page.locator("article").nth(1)).not_to_contain_text(MORE)

        page.get_by_role("button", name="仲裁设置").press("Enter")
        dialog.get_by_label("参考IP").fill("192.0.2.254\nnowhere")
        expect(dialog.get_by_role("alert")).not_to_be_empty()
        assert opened.barriers() == []
        page.screenshot(path=tmp_path / "arbitration.png")
        dialog.get_by_role("button", name="取消").press("Enter")
    cluster.node2.run("ip", "address", "del", f"{MORE}/24", "dev", "priv0")
    cluster.await_ready(cluster.node1)
    assert cluster.ownership(cluster.node1) == number, "what ran was left alone"


@pytest.mark.timeout(240)
def test_a_lost_node_is_taken_out_and_a_new_one_invited(make_cluster: ClusterMaker, tmp_path: Path) -> None:
    cluster = make_cluster()
    with nodes_screen(cluster, tmp_path, language="en-US") as opened:
        page = opened.page
        expect(page.locator("article")).to_have_count(2)
        assert page.get_by_role("button", name="Replace").count() == 0  # nobody is replaced who is alive
        cluster.node2.poweroff()
        page.get_by_role("button", name="Replace node2").press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog.locator(".plan li").first).to_contain_text("node2")
        assert opened.barriers() == []
        dialog.get_by_role("button", name="Take it out").press("Enter")
        expect(dialog.get_by_role("alert")).to_contain_text("node2 cannot be asked")
        dialog.get_by_role("checkbox", name="here alone").press("Space")
        dialog.get_by_role("button", name="Take it out").press("Enter")
        expect(dialog.get_by_role("status")).to_contain_text("Done")
        dialog.get_by_role("button", name="Close").press("Enter")
        expect(dialog).to_have_count(0)
        page.get_by_role("button", name="Make a join code").press("Enter")
        expect(page.locator("output")).to_have_text(re.compile(r"\S{12,}"))
        assert opened.barriers() == []
        page.screenshot(path=tmp_path / "invited.png")
        assert cluster.application(cluster.node1), "it runs on"


@pytest.mark.timeout(240)
def test_a_page_whose_node_loses_power_goes_on_at_the_other_one_by_itself(
    own_cluster: Cluster, tmp_path: Path
) -> None:
    cluster = own_cluster
    cluster.node2.service("start", "servwebd", within_s=READY_S)
    cluster.node1.service("start", "servwebd", within_s=READY_S)
    with chromium(cluster.lab.layout.namespace("client"), tmp_path) as browser:
        opened = window(browser, language="zh-CN", dark=False, width=1280, height=720)
        page, there = opened.page, f"https://{cluster.node2.layout.address('public')}:{PORT}/"
        page.goto(f"https://{cluster.node1.layout.address('public')}:{PORT}/")
        opened.log_in(cluster.node1.read(PHRASE_FILE).strip())
        opened.at("trees")
        expect(page.get_by_role("heading", name="web [node1]")).to_be_visible()
        before_s = time.monotonic()
        cluster.node1.poweroff()
        expect(page.locator(".banner.other-node")).to_contain_text("已自动转到 node2 的控制台")
        print(f"at the other console after {time.monotonic() - before_s:.1f} s")
        expect(page.get_by_role("heading", name="web [node2]")).to_be_visible()
        assert page.url == f"{there}#trees", "the screen stays, and no ticket in the address"
        assert page.evaluate("history.length") <= 3
        assert opened.barriers() == []
        page.screenshot(path=tmp_path / "carried.png")
        page.get_by_role("button", name="停止", exact=True).press("Enter")  # with the right of who logged in
        page.get_by_role("dialog").get_by_role("button", name="停止", exact=True).press("Enter")
        expect(page.get_by_role("heading", name="web", exact=True)).to_be_visible()
        opened.at("overview")
        expect(page.locator(".banner")).to_have_count(0)
        page.reload()
        expect(page.locator("h1")).to_have_text("集群概览")
        assert not opened.complaints
