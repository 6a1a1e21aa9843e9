"""Renders a `Text` in the reader's language. English is the key; zh-CN comes from a catalogue.

Decides which language a reader gets when nobody says. Refuses to hide anything: a sentence missing from the
catalogue is shown in English rather than not at all, and one that does not fit its values is shown as it stands;
a test keeps the set complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from servha.core.words import Text, as_dict, from_dict, say

LANGUAGES = ("en", "zh-CN")


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return the sentences of `language` by their English template; English itself needs none."""
    if language == "en":
        return {}
    source = Path(__file__).parent / "catalogues" / f"{language}.json"
    return dict(json.loads(source.read_text(encoding="utf-8")))


def render(text: Text, language: str = "en") -> str:
    """Return the sentence in `language`, its values filled in and its inner sentences rendered likewise.

    A template from a newer peer may name a value that did not come with it; the reader then sees the template.
    """
    values = {name: render(v, language) if isinstance(v, Text) else v for name, v in text.params}
    template = catalogue(language).get(text.template, text.template)
    try:
        return template.format(**values)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError):
        return template


def preferred_language() -> str:
    """Return the language of the caller's locale: zh-CN for any Chinese locale, else en."""
    for variable in ("SERVHA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable, "")
        if value:
            return "zh-CN" if value.lower().startswith("zh") else "en"
    return "en"


def spoken(value: Any, language: str) -> Any:
    """Return plain data with `text`, the sentence in `language`, added to every object that is a sentence."""
    if isinstance(value, Text):
        value = as_dict(value)
    if isinstance(value, Mapping):
        done = {key: spoken(inner, language) for key, inner in value.items()}
        if isinstance(value.get("template"), str):
            done["text"] = render(sentence(value), language)
        return done
    if isinstance(value, list | tuple):
        return [spoken(inner, language) for inner in value]
    return value


def sentence(value: Any) -> Text:
    """Return the sentence in an answer; an empty one where there is none."""
    if isinstance(value, Text):
        return value
    if isinstance(value, str):
        return Text("{words}", (("words", value),)) if value else Text("")
    if isinstance(value, Mapping) and isinstance(value.get("template"), str):
        try:
            return from_dict(value)
        except (KeyError, TypeError, ValueError):
            return say("{words}", words=str(value["template"]))
    return Text("")
