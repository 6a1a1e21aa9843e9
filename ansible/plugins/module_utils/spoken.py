"""Sentences that are told now and read later, in the reader's language.

Decides nothing. A sentence is data until it is read, so what a server has told can be shown in either language on the
controller.
"""

from __future__ import annotations

import unicodedata

from ansible_collections.servha.cluster.plugins.module_utils.spoken_zh import CHINESE

LANGUAGES = ("en", "zh-CN")


def told(template, **params):
    """Return a sentence as data: its English text with places in braces, and what belongs there."""
    return {"template": template, "params": params}


def said(sentence, language="en"):
    """Return a sentence as text; its parts may be sentences, and lists of them.

    >>> said(told("{path} is not there", path="/dev/sdb"))
    '/dev/sdb is not there'
    """
    if isinstance(sentence, list):
        return ("；" if language == "zh-CN" else "; ").join(said(one, language) for one in sentence)
    if not isinstance(sentence, dict):
        return str(sentence)
    template = sentence["template"]
    if language == "zh-CN":
        template = CHINESE.get(template, template)
    return template.format(**{name: said(value, language) for name, value in sentence["params"].items()})


def width(text):
    """Return how many columns a text takes on a terminal."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def padded(text, columns):
    """Return the text with blanks up to so many columns."""
    return text + " " * (columns - width(text))
