"""The pages of docs/reference say what the tables say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    drawn = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawn)
    return drawn


def test_the_page_of_rules_is_current() -> None:
    page = (ROOT / "docs/reference/rules.md").read_text(encoding="utf-8")
    assert page == tool("draw_rules").page(), "run `make rewrite`"


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_page_of_the_interface_is_current(language: str) -> None:
    drawn = tool("draw_api")
    page = (ROOT / drawn.PAGES[language]).read_text(encoding="utf-8")
    assert page == drawn.page(ROOT, language), "run `make rewrite`"
