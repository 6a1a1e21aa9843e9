"""Man pages and completions come from the parser itself; they can be made, and nothing is missing in them."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import pytest

from tools.make_pages import PROGRAMS, parser_of, write_pages


def verbs(parser: argparse.ArgumentParser) -> set[str]:
    """The words that may follow the program's name."""
    return {
        name
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name in action.choices
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    write_pages(folder)
    return folder


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_man_page_names_every_verb(program: str, folder: Path) -> None:
    page = (folder / "man8" / f"{program}.8").read_text(encoding="utf-8")
    for verb in verbs(parser_of(program)):
        assert f"{program} {verb}" in page.replace("\\", "")


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_completion_is_a_script_bash_understands(program: str, folder: Path) -> None:
    script = folder / "bash" / program
    subprocess.run(["bash", "-n", str(script)], check=True)
    for verb in verbs(parser_of(program)):
        assert verb in script.read_text(encoding="utf-8")
