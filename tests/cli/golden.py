"""Compares what a command prints with the text kept in tests/cli/golden; SERVHA_REWRITE=1 writes it anew."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def matches(name: str, printed: str) -> None:
    """Assert that `printed` is the kept text; review the diff after a rewrite."""
    path = FOLDER / name
    if os.environ.get("SERVHA_REWRITE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(printed, encoding="utf-8")
    assert printed == path.read_text(encoding="utf-8"), (
        f"SERVHA_REWRITE=1 pytest tests/cli writes {name} anew"
    )
