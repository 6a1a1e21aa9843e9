"""Somebody at the console who reads one language: presses what its words name, and keeps a picture of each screen.

The words are those of the console's own catalogue, so that one story is told in every language. A picture is kept in
`SERVHA_SCREENS`, one folder for each language, when that is set (`make screens`); each screen is judged by axe anyway.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from playwright.sync_api import Browser, Locator, expect

from tests.live.chromium import window

WORDS = Path(__file__).parent.parent.parent / "web/static/words"
PORT = 7700


class Reader:
    """One window, read in one language; a phone in the dark, or a small desktop by day."""

    def __init__(self, browser: Browser, language: str, *, phone: bool = False) -> None:
        size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 720}
        self.window = window(browser, language=language, dark=phone, **size)
        self._suffix = "-phone" if phone else ""
        self.page = self.window.page
        self._words = json.loads((WORDS / f"{language}.json").read_text(encoding="utf-8"))
        kept = os.environ.get("SERVHA_SCREENS")
        self._screens = Path(kept) / language if kept else None

    def t(self, key: str, **params: object) -> str:
        """The console's words for `key`."""
        words = str(self._words[key])
        for name, value in params.items():
            words = words.replace(f"{{{name}}}", str(value))
        return words

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def open(self, address: str, page: str = "") -> None:
        self.page.goto(f"https://{address}:{PORT}/{page}")

    def press(self, key: str, *, within: Locator | None = None, **params: object) -> None:
        """Press the button that these words name, with the keyboard, as soon as it may be."""
        place = self.page if within is None else within
        button = place.get_by_role("button", name=self.t(key, **params), exact=True)
        expect(button).to_be_enabled()
        button.press("Enter")

    def apply(self, key: str = "edit.apply") -> None:
        """Agree to the plan in the dialog, see that it is done, and close the dialog."""
        self.press(key, within=self.dialog)
        expect(self.dialog.get_by_role("status")).not_to_be_empty()
        self.press("button.close", within=self.dialog)
        expect(self.dialog).to_have_count(0)

    def screen(self, name: str) -> None:
        """What stands there now can be used by everybody, and its picture is kept if pictures are wanted."""
        assert self.window.barriers() == [], name
        if self._screens is not None:
            self._screens.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=self._screens / f"{name}{self._suffix}.png")
