"""Waiting for a condition with a deadline, instead of a sleep that hopes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PAUSE_S = 0.05


def wait_for(ask: Callable[[], Found], *, within_s: float, what: str) -> Found:
    """Ask until the answer is true-like and return it; say what was waited for when it never comes."""
    deadline_s = time.monotonic() + within_s
    while not (answer := ask()):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not within {within_s:g} s: {what} (last answer: {answer!r})")
        time.sleep(PAUSE_S)
    return answer
