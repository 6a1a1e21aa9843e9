"""docs/reference/rules.md says what the tables say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_page_of_rules_is_current() -> None:
    spec = importlib.util.spec_from_file_location("draw_rules", ROOT / "tools" / "draw_rules.py")
    assert spec is not None and spec.loader is not None
    drawn = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawn)
    assert (ROOT / "docs/reference/rules.md").read_text(encoding="utf-8") == drawn.page(), (
        "run `make rewrite`"
    )
