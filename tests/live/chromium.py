"""Debian's Chromium at the lab's client, with its eyes open for everything a page should not do.

Every screen that a test looks at is judged by axe (WCAG 2.2 A and AA) as well; what the browser's console complains of
is kept for the end of the test.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

PROGRAM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
WITHIN_MS = 30_000
AXE = files("axe_playwright_python").joinpath("axe.min.js")
JUDGE = """async () => (await axe.run(document, {
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
})).violations.flatMap((found) => found.nodes.map((node) => `${found.id}: ${node.target} ${node.failureSummary}`))"""
NO_SUCH_ADDRESS = re.compile("Failed to load resource")
"""Chromium's own line for every answer that is not 200, also those that the page expects."""


@dataclass
class Window:
    """One page of the console, and what the browser complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        def heard(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not NO_SUCH_ADDRESS.match(message.text):
                self.complaints.append(message.text)

        self.page.on("console", heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def at(self, screen: str) -> None:
        """Go to a screen by its link and wait for it."""
        link = self.page.locator(f".top nav a[href='#{screen}']")
        link.focus()
        self.page.keyboard.press("Enter")
        expect(link).to_have_attribute("aria-current", "page")

    def barriers(self) -> list[str]:
        """What keeps people out, in the words of axe; also that something has to be scrolled sideways."""
        found: list[str] = self.page.evaluate(JUDGE)
        if not self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            found.append("the page is wider than the window")
        return found

    def log_in(self, password: str) -> None:
        """From the address to the overview, with the keyboard alone."""
        expect(self.page.locator("#address")).to_be_focused()
        self.page.keyboard.press("Enter")
        expect(self.page.locator("#password")).to_be_focused()
        self.page.keyboard.type(password)
        self.page.keyboard.press("Enter")


@contextmanager
def chromium(namespace: str, scratch: Path) -> Iterator[Browser]:
    """A browser inside a network namespace; `scratch` is a directory of the test's own."""
    program = scratch / "chromium"
    program.write_text(f'#!/bin/sh\nexec ip netns exec {namespace} {PROGRAM} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(program), headless=True, args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


def window(browser: Browser, *, language: str, dark: bool, width: int, height: int) -> Window:
    """A fresh browser profile with one page."""
    context = browser.new_context(
        ignore_https_errors=True,
        locale=language,
        timezone_id="Asia/Shanghai",
        color_scheme="dark" if dark else "light",
        viewport={"width": width, "height": height},
    )
    context.set_default_timeout(WITHIN_MS)
    context.add_init_script(
        AXE.read_text(encoding="utf-8")
    )  # the page's own policy would not let it in later
    opened = Window(context.new_page())
    opened.watch()
    return opened
