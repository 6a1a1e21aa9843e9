"""Writes what is derived from the command line's parser: man pages and completions for bash and zsh.

    tools/make_pages.py FOLDER

The parser is the source: a verb that is added there appears here without a second description.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import shtab
from argparse_manpage.manpage import Manpage

from servha import __version__

# program -> the module whose make_parser() returns its parser
PROGRAMS = {"servha": "servha.cli.main", "servhad": "servha.daemon.main"}


def parser_of(module: str) -> argparse.ArgumentParser:
    """The parser of a program; every program has `make_parser()` beside `main()`."""
    parser = importlib.import_module(module).make_parser()
    if not isinstance(parser, argparse.ArgumentParser):
        sys.exit(f"{module}.make_parser() gives no ArgumentParser")
    return parser


def write_pages(folder: Path) -> list[Path]:
    """Write man8/, bash/ and zsh/ below `folder`; return what was written."""
    pages = {}
    for program, module in PROGRAMS.items():
        parser = parser_of(module)
        parser.prog = program
        manpage = Manpage(parser, format="single-commands-section")
        manpage.section = "8"
        manpage.source = f"ServHA {__version__}"
        manpage.manual = "ServHA"
        manpage.description = parser.description
        pages[folder / "man8" / f"{program}.8"] = str(manpage)
        pages[folder / "bash" / program] = shtab.complete(parser, "bash")
        pages[folder / "zsh" / f"_{program}"] = shtab.complete(parser, "zsh")
    for page, text in pages.items():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    return list(pages)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for written in write_pages(Path(sys.argv[1])):
        print(written)
