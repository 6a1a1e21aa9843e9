"""Writes what is derived from the programs themselves: man pages, and completions for bash and zsh.

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
from servha.guard import main as guard

# program -> what makes its parser
PROGRAMS = {
    "servha": "servha.cli.main:make_parser",
    "servhad": "servha.daemon.main:parser",
    "servwebd": "servha.console.main:parser",
}


def parser_of(program: str) -> argparse.ArgumentParser:
    """The parser of a program, as the program itself makes it."""
    module, _, function = PROGRAMS[program].partition(":")
    parser = getattr(importlib.import_module(module), function)()
    if not isinstance(parser, argparse.ArgumentParser):
        sys.exit(f"{PROGRAMS[program]} makes no ArgumentParser")
    return parser


def guard_page() -> str:
    """The page of servha-guardd, which reads its few options without a parser to start sooner."""
    first, _, options = guard.USAGE.partition("\n")
    lines = [f'.TH SERVHA-GUARDD 8 "" "ServHA {__version__}" ServHA', ".SH NAME"]
    lines += [
        first.partition(". ")[0].replace(": ", " \\- "),
        ".SH SYNOPSIS",
        ".B servha-guardd",
        "[options]",
    ]
    lines += [".SH DESCRIPTION", *(str(guard.__doc__).partition("\n\n")[2].strip().splitlines())]
    lines += [".SH OPTIONS"]
    for line in options.strip().splitlines():
        option, _, meaning = line.strip().partition("  ")
        lines += [".TP", f".B {option}".replace("-", "\\-"), meaning.strip()]
    return "\n".join(lines) + "\n"


def write_pages(folder: Path) -> list[Path]:
    """Write man8/, bash/ and zsh/ below `folder`; return what was written."""
    pages = {}
    for program in PROGRAMS:
        parser = parser_of(program)
        parser.prog = program
        manpage = Manpage(parser, format="single-commands-section")
        manpage.section = "8"
        manpage.source = f"ServHA {__version__}"
        manpage.manual = "ServHA"
        manpage.description = parser.description
        pages[folder / "man8" / f"{program}.8"] = str(manpage)
        pages[folder / "bash" / program] = shtab.complete(parser, "bash")
        pages[folder / "zsh" / f"_{program}"] = shtab.complete(parser, "zsh")
    pages[folder / "man8" / "servha-guardd.8"] = guard_page()
    for page, text in pages.items():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    return list(pages)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for written in write_pages(Path(sys.argv[1])):
        print(written)
