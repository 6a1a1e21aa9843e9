from __future__ import annotations

import json

import pytest

from servha.core.words import Text, say
from servha.language import LANGUAGES, catalogue, preferred_language, render
from tests.cli.templates import ROOT, placeholders, templates, unliteral

TRANSLATED = [language for language in LANGUAGES if language != "en"]
FOUND = templates()


def test_the_source_was_really_read() -> None:
    assert len(FOUND) > 300
    assert "it holds {held}" in FOUND, "the rules' reasons stand in table rows, not in calls of say"


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_sentence_has_a_translation(language: str) -> None:
    missing = {template: place for template, place in FOUND.items() if template not in catalogue(language)}
    assert not missing, "translate these in servha/catalogues/" + json.dumps(
        missing, ensure_ascii=False, indent=1
    )


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_translation_is_left_over(language: str) -> None:
    unused = [template for template in catalogue(language) if template not in FOUND]
    assert not unused, unused


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_mentions_the_same_values(language: str) -> None:
    different = {
        template: translation
        for template, translation in catalogue(language).items()
        if placeholders(template) != placeholders(translation)
    }
    assert not different, different


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_is_a_translation(language: str) -> None:
    same = [
        t for t, translation in catalogue(language).items() if t == translation or not translation.strip()
    ]
    assert not same, same


def test_no_sentence_is_put_together_at_run_time() -> None:
    assert not unliteral()


def test_catalogues_are_sorted_so_that_merges_are_small() -> None:
    for path in (ROOT / "catalogues").glob("*.json"):
        keys = list(json.loads(path.read_text(encoding="utf-8")))
        assert keys == sorted(keys), path.name


def test_an_inner_sentence_is_translated_too() -> None:
    outer = say("because: {because}", because=say("unknown"))
    assert render(outer, "zh-CN") == "原因：未知"


def test_a_sentence_from_a_newer_peer_is_shown_as_it_stands() -> None:
    assert render(Text("{cat} and {mouse}", (("cat", 1),)), "zh-CN") == "{cat} and {mouse}"


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh-CN"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "C", "SERVHA_LANG": "zh-CN"}, "zh-CN"),
        ({}, "en"),
    ],
)
def test_the_locale_chooses_the_language(
    variables: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SERVHA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert preferred_language() == language
