"""The manual's whole chapter on the console, on two bare nodes, by keyboard and mouse, in Chinese and in English.

From the initial password to an application with address and shared disk that is switched by hand, moves when a cable
is pulled and is moved back. Whatever the pages say, an outside witness sees that never both nodes have anything.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from servha.lab.demo import DATA_DISK, make_records
from servha.lab.lab import Lab
from servha.lab.layout import PREFIX, VIRTUAL_ADDRESS
from servha.lab.node import Node
from servha.lab.node_disk import APPLICATION, MOUNT_POINT
from tests.live.chromium import WITHIN_MS, chromium
from tests.live.cluster import READY_S, TREE
from tests.live.observer import Witness, watching
from tests.live.reader import Reader
from tests.live.wait import eventually

CHOSEN = "correct horse battery"
MORE = "198.51.100.22"

expect.set_options(timeout=WITHIN_MS)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_whole_chapter_in_the_browser_alone(lab: Lab, tmp_path: Path, language: str) -> None:
    one, two = lab.nodes
    for node in lab.nodes:
        node.service("start", "servhad", within_s=READY_S)
        node.service("start", "servwebd", within_s=READY_S)
    make_records(one)  # an empty file system is the installer's business
    with chromium(lab.layout.namespace("client"), tmp_path) as browser:
        reader = Reader(browser, language)
        arrive(reader, one)
        initialise(reader, one)
        second = Reader(browser, language, phone=True)
        arrive(second, two)
        join(second, one, two)
        expect(reader.page.locator("tbody li .state.good")).to_have_count(4)
        reader.screen("13-overview")
        with watching(lab) as seen:
            build_tree(reader)
            start_and_switch(reader, seen)
            pull_a_cable(reader, lab, seen)
        maintain(reader, lab)
        change_addresses(reader, two)
        look_around(reader, second, one)
        for opened in (reader, second):
            assert not opened.window.complaints


def arrive(reader: Reader, node: Node) -> None:
    """Log in with the initial password from another machine, which leads to choosing one and to nothing else."""
    page = reader.page
    reader.open(str(node.layout.address("public")))
    expect(page.locator("#address")).to_be_focused()
    reader.screen("01-address")
    page.keyboard.press("Enter")
    page.locator("#password").fill("not this one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).not_to_be_empty()
    reader.screen("02-login")
    page.locator("#password").fill("1")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(reader.t("password.title"))
    reader.screen("03-choose-password")
    for name, word in (("old", "1"), ("chosen", CHOSEN), ("again", CHOSEN)):
        page.locator(f"#{name}").fill(word)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(reader.t("founding.title"))
    reader.screen("04-in-no-cluster")


def onward(reader: Reader, step: str) -> None:
    reader.page.locator(".wizard button.main").press("Enter")
    expect(reader.page.locator("[aria-current=step]")).to_have_text(reader.t(step))


def initialise(reader: Reader, node: Node) -> None:
    page, address = reader.page, str(node.layout.address("public"))
    reader.press("founding.init-do")
    page.locator("#init-node").fill("node 1")
    expect(page.locator("#init-node-wrong")).to_contain_text("node 1")
    page.locator("#init-node").fill("node1")
    reader.screen("05-init-node")
    onward(reader, "init.step-cluster")
    page.locator("#init-name").fill("demo")
    page.locator("#init-policy").select_option("reference-address")
    page.locator("#init-timeout_ms").fill("100")
    page.locator("#init-references").fill(address)
    expect(page.locator("fieldset .trouble").first).to_be_visible()
    page.locator(".wizard button.main").press("Enter")  # leads nowhere
    page.locator("#init-timeout_ms").fill("3000")
    reader.screen("06-init-cluster")
    onward(reader, "init.step-links")
    for name, nic in (("public", "pub0"), ("private", "priv0")):
        page.locator("#init-link-name").fill(name)
        option = page.locator("#init-link-nic option", has_text=re.compile(f"^{nic} "))
        page.locator("#init-link-nic").select_option(option.get_attribute("value"))
        reader.press("init.link-add")
    entries = page.locator(".ordered li")
    entries.nth(1).drag_to(entries.first)
    expect(entries.first).to_contain_text("private")
    reader.press("ordered.up", name="public")
    expect(entries.first).to_contain_text("public")
    reader.press("ordered.up", name="private")
    expect(entries.first).to_contain_text("private")
    reader.screen("07-init-heartbeats")

    # Whose address that is could not be known before there was a link: back to the field it is about.
    page.locator(".wizard button.main").press("Enter")
    expect(page.locator("#init-references-wrong")).to_contain_text(address)
    expect(page.locator("#init-name")).to_have_value("demo")
    page.locator("#init-references").fill("192.0.2.254")
    onward(reader, "init.step-links")
    onward(reader, "init.step-confirm")
    expect(entries.first).to_contain_text("private")
    reader.screen("08-init-summary")
    reader.press("init.finish")
    expect(page.locator("h1")).to_have_text(reader.t("screen.overview"))
    expect(page.locator(".top .name")).to_contain_text("demo")


def join(reader: Reader, first: Node, node: Node) -> None:
    page = reader.page
    reader.press("founding.join-do")
    page.locator("#join-node").fill("node2")
    page.locator("#join-password").fill("not this one")
    for wrong, field in (
        (str(node.layout.address("public")), "address"),
        (str(first.layout.address("public")), "password"),
    ):
        page.locator("#join-address").fill(wrong)
        page.locator(".wizard button.main").press("Enter")
        expect(page.locator(f"#join-{field}-wrong")).to_be_visible()
    reader.screen("09-join-cluster")
    page.locator("#join-password").fill(CHOSEN)
    onward(reader, "join.step-links")
    expect(page.locator("#pair-private")).to_have_value(re.compile("^priv0 "))
    expect(page.locator("#pair-public")).to_have_value(re.compile("^pub0 "))
    reader.press("wizard.refresh")
    expect(page.get_by_role("button", name=reader.t("wizard.refresh"))).to_be_enabled()
    reader.screen("10-join-heartbeats")
    onward(reader, "join.step-confirm")
    reader.screen("11-join-summary")
    reader.press("join.finish")
    expect(page.locator("h1")).to_have_text(reader.t("screen.overview"))
    expect(page.get_by_text("node1").first).to_be_visible()
    reader.screen("12-overview")


def build_tree(reader: Reader) -> None:
    """A tree with an address, a shared disk, and an application with two detectors that depends on both."""
    page, dialog = reader.page, reader.dialog
    reader.window.at("trees")
    reader.press("tree.create")
    dialog.locator("#tree-name").fill("no such name")
    expect(dialog.get_by_role("alert")).not_to_be_empty()
    dialog.locator("#tree-name").fill(TREE)
    expect(dialog.locator(".plan li")).to_contain_text(TREE)
    reader.screen("14-tree-create")
    reader.apply()

    create(reader, "vip", "ipv4", "15-resource-address", address=f"{VIRTUAL_ADDRESS}/{PREFIX}", nic="pub0")
    disk = {"device": DATA_DISK, "mount_point": str(MOUNT_POINT), "filesystem": "ext4"}
    create(reader, "disk", "shared_disk", "16-resource-disk", **disk)
    begin(reader, "app", "custom", start_script="start-on-disk")
    expect(dialog.locator("#setting-start_script")).to_have_attribute("aria-invalid", "true")
    scripts = {"start_script": "start-on-disk", "stop_script": "stop-on-disk", "test_script": "test"}
    for name, script in scripts.items():
        dialog.locator(f"#setting-{name}").fill(str(APPLICATION / script))
    dialog.get_by_text(reader.t("edit.detectors")).press("Enter")
    for number, (kind, field, value) in enumerate(
        (("port", "port", "80"), ("url", "url", "http://127.0.0.1/"))
    ):
        reader.press("edit.detector-add", within=dialog)
        dialog.locator(f"#detector-{number}").select_option(kind)
        dialog.locator(f"#detector-{number}-{field}").fill(value)
    reader.screen("17-resource-application")
    reader.apply()

    for onto in ("vip", "disk"):
        app, other = (page.locator(f"#tree-{TREE} [data-resource={name}]") for name in ("app", onto))
        app.drag_to(other)
        expect(dialog.locator(".plan li")).to_have_count(1)
        reader.screen("18-dependency")
        reader.apply()
    expect(page.locator(f"#tree-{TREE} tbody tr").nth(2).locator("td").nth(1)).to_have_text("vip, disk")


def begin(reader: Reader, name: str, kind: str, **settings: str) -> None:
    reader.press("resource.create-of", name=TREE)
    reader.dialog.locator("#resource-kind").select_option(kind)
    reader.dialog.locator("#resource-name").fill(name)
    for field, value in settings.items():
        reader.dialog.locator(f"#setting-{field}").fill(value)


def create(reader: Reader, name: str, kind: str, shot: str, **settings: str) -> None:
    begin(reader, name, kind, **settings)
    expect(reader.dialog.locator(".plan li").first).to_contain_text(name)
    reader.screen(shot)
    reader.apply()


def order(reader: Reader, verb: str, *, node: str = "", screen: str = "") -> None:
    """Give an order, after what it says that it will do."""
    reader.press(f"order.{verb}", node=node)
    expect(reader.dialog.get_by_role("listitem").first).to_be_visible()
    if screen:
        reader.screen(screen)
    reader.press(f"order.{verb}-do", within=reader.dialog)
    expect(reader.dialog).to_have_count(0)


def start_and_switch(reader: Reader, seen: Witness) -> None:
    page = reader.page
    order(reader, "stop")
    expect(page.locator("svg .resource.good")).to_have_count(0)
    expect(page.locator(f"#tree-{TREE} h2")).to_have_text(TREE)
    order(reader, "start", screen="19-start")
    expect(page.locator(f"#tree-{TREE} h2")).to_have_text(f"{TREE} [node1]")
    expect(page.locator("svg .resource.good")).to_have_count(3)
    expect(page.locator(".chip.standby")).to_contain_text("node2")
    reader.screen("20-tree-running")
    order(reader, "move", node="node2", screen="21-switch")
    expect(page.locator(f"#tree-{TREE} h2")).to_have_text(f"{TREE} [node2]")
    expect(page.locator("svg .resource.good")).to_have_count(3)
    for thing in ("address", "application", "disk"):
        seen.await_holders(thing, "node2")
    reader.screen("22-switched")


def pull_a_cable(reader: Reader, lab: Lab, seen: Witness) -> None:
    """The public cable of the node that has the address: watched, mended, and the tree moved back."""
    page = reader.page
    expect(page.locator(".chip.standby")).to_contain_text("node1")
    reader.window.at("overview")
    lab.cut("public", "node2")
    expect(page.locator(".card .chip.active")).to_contain_text("node1")
    expect(page.get_by_text(reader.t("link.no-carrier")).first).to_be_visible()
    seen.await_holders("address", "node1")
    seen.await_holders("application", "node1")
    expect(page.get_by_text(reader.t("problem.none"))).to_have_count(0)
    reader.screen("23-cable-pulled")
    reader.window.at("why")
    expect(page.locator("td.here[data-node=node2]").first).to_be_visible()
    reader.screen("24-why")
    lab.heal()
    reader.window.at("trees")
    expect(page.locator(".chip.standby")).to_contain_text("node2")
    order(reader, "move", node="node2")
    expect(page.locator(f"#tree-{TREE} h2")).to_have_text(f"{TREE} [node2]")
    seen.await_holders("disk", "node2")
    drill(reader)
    order(reader, "release", screen="25-release")
    expect(page.get_by_role("button", name=reader.t("order.release"), exact=True)).to_have_count(0)


def drill(reader: Reader) -> None:
    """There and back, with a report of how long users had to wait."""
    expect(reader.page.locator(".chip.standby")).to_contain_text("node1")
    reader.press("drill.button", tree=TREE)
    reader.press("drill.do", within=reader.dialog)
    expect(reader.dialog.get_by_text(reader.t("drill.well"))).to_be_visible()
    expect(reader.dialog.locator("li")).to_have_count(12)
    reader.screen("35-drill")
    with reader.page.expect_download() as saved:
        reader.press("drill.save", within=reader.dialog)
    assert "node2 → node1" in Path(saved.value.path()).read_text(encoding="utf-8")
    reader.press("button.close", within=reader.dialog)
    expect(reader.page.locator(f"#tree-{TREE} h2")).to_have_text(f"{TREE} [node2]")


def running_on(reader: Reader) -> str:
    """The node where the tree runs, by the page."""
    reader.window.at("trees")
    return reader.page.locator(f"#tree-{TREE} .chip.active strong").inner_text()


def maintain(reader: Reader, lab: Lab) -> None:
    """What dies under maintenance stays dead, and is started again when it ends."""
    page = reader.page
    reader.press("maintenance.button", name=TREE)
    reader.dialog.locator("#maintenance-reason").fill("new release")
    reader.screen("26-maintenance")
    reader.press("maintenance.begin-do", within=reader.dialog)
    expect(page.locator(".maintained")).to_contain_text("new release")
    node = lab.node(running_on(reader))
    node.run("sh", "-c", f"{APPLICATION}/stop-on-disk")
    row = page.locator(f"#tree-{TREE} tbody tr").nth(2)
    expect(row).to_contain_text(reader.t("resource.stopped"))
    reader.screen("27-maintained")
    reader.press("maintenance.end-button", name=TREE)
    reader.press("maintenance.end-do", within=reader.dialog)
    expect(row).to_contain_text(reader.t("resource.running"))


def change_addresses(reader: Reader, node: Node) -> None:
    """A heartbeat gets another address while the application runs."""
    dialog = reader.dialog
    node.run("ip", "address", "add", f"{MORE}/24", "dev", "priv0")
    reader.window.at("nodes")
    reader.screen("28-nodes")
    reader.press("addresses.change")
    address = dialog.locator("#end-node2-private-address")
    address.fill("198.51.100")
    expect(address).to_have_attribute("aria-invalid", "true")
    address.fill(MORE)
    expect(dialog.locator(".plan li").first).to_contain_text(MORE)
    reader.screen("29-addresses")
    reader.press("edit.apply", within=dialog)
    expect(dialog.get_by_role("listitem").filter(has_text=MORE)).to_contain_text(reader.t("link.up"))
    reader.press("button.close", within=dialog)
    expect(dialog).to_have_count(0)
    reader.press("arbitration.change")
    dialog.locator("textarea").first.fill("192.0.2.254\nnowhere")
    expect(dialog.get_by_role("alert")).not_to_be_empty()
    reader.screen("30-arbitration")
    reader.press("button.cancel", within=dialog)
    expect(dialog).to_have_count(0)
    expect(reader.page.locator("article").nth(1).locator("tbody .state.good")).to_have_count(2)


def look_around(reader: Reader, second: Reader, one: Node) -> None:
    """What both consoles tell of all this in the end; the second one stood by all the time, on a phone."""
    reader.window.at("events")
    expect(reader.page.locator("tbody tr").first).to_be_visible()
    reader.screen("31-events")
    owner = running_on(reader)
    reader.window.at("simulate")
    reader.press("simulate.story-power", node=owner)
    expect(reader.page.locator(".lanes .held")).to_have_count(2)
    expect(reader.page.get_by_text(reader.t("simulate.safe"))).to_be_visible()
    reader.screen("32-what-if")
    reader.open(str(one.layout.address("public")), "api")
    expect(reader.page.locator("h1")).to_have_text(reader.t("api.title"))
    expect(reader.page.locator("#type-Picture")).to_be_attached()
    reader.screen("33-interface")
    second.window.at("trees")
    expect(second.page.locator(f"#tree-{TREE} h2")).to_contain_text("node")
    second.screen("34-tree")
    assert eventually(lambda: second.page.locator("svg .resource.good").count() == 3, within_s=READY_S)
