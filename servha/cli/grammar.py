"""How commands are declared: noun, verb, one sentence, an example, the exit codes; in the reader's language.

Decides what every help page looks like and what a mistyped command is told. Refuses to run anything: a verb only
names the function that will.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from servha.cli import columns, exits
from servha.cli.screen import Screen
from servha.core.words import Text, say
from servha.language import LANGUAGES, render

Run = Callable[[argparse.Namespace, Screen], int]
Subparsers = Any  # argparse gives the type of add_subparsers() no public name

MISTAKES: Final[tuple[tuple[re.Pattern[str], Text], ...]] = (
    (re.compile(r"the following arguments are required: (?P<a>.+)"), say("{a} is missing")),
    (re.compile(r"unrecognized arguments: (?P<a>.+)"), say("{a} is not understood here")),
    (
        re.compile(r"argument (?P<a>.+): invalid choice: (?P<b>.+) \(choose from (?P<c>.+)\)"),
        say("{b} is not one of {c}"),
    ),
    (re.compile(r"argument (?P<a>.+): expected .*argument.*"), say("{a} needs a value")),
    (re.compile(r"argument (?P<a>.+): invalid \w+ value: (?P<b>.+)"), say("{b} does not fit {a}")),
    (
        re.compile(r"argument (?P<a>.+): not allowed with argument (?P<b>.+)"),
        say("{a} and {b} exclude each other"),
    ),
)
"""What argparse says, and how we say it; anything else is passed on as it stands."""


class Layout(argparse.RawDescriptionHelpFormatter):
    """Help text wrapped by what it takes on a terminal, so that Chinese lines do not run over."""

    def __init__(self, prog: str, language: str) -> None:
        super().__init__(prog, max_help_position=30)
        self.language = language

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        """Begin with "usage: " in the reader's language."""
        own = render(say("usage: "), self.language) if prefix is None else prefix
        super().add_usage(usage, actions, groups, own)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return columns.wrap(" ".join(text.split()), max(width, 20))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines: list[str] = []
        for line in text.splitlines():
            own = line[: len(line) - len(line.lstrip())]
            lines += [indent + own + part for part in columns.wrap(line.strip(), width - len(own))]
        return "\n".join(lines)


class Parser(argparse.ArgumentParser):
    """A parser that speaks the reader's language, also about mistakes."""

    def __init__(self, *, language: str = "en", **settings: Any) -> None:
        super().__init__(
            formatter_class=lambda prog: Layout(prog, language),
            add_help=False,
            allow_abbrev=False,
            **settings,
        )
        self.language = language

    def words(self, text: Text) -> str:
        """Return `text` for argparse, in whose texts a percent sign is special."""
        return render(text, self.language).replace("%", "%%")

    def error(self, message: str) -> NoReturn:
        """Say what was not understood and where the help is; exit 2."""
        said = Text("{words}", (("words", message),))
        for pattern, text in MISTAKES:
            found = pattern.fullmatch(message)
            if found:
                said = Text(
                    text.template, tuple((k, v.replace("'", "")) for k, v in found.groupdict().items())
                )
                break
        where = render(say("`{command} --help` explains it", command=self.prog), self.language)
        print(f"{self.prog}: {render(said, self.language)}; {where}", file=sys.stderr)
        self.exit(exits.USAGE)


class Verb:
    """One verb while it is being declared: what it is about (`what`), and its options."""

    def __init__(self, parser: Parser) -> None:
        self.parser = parser
        self._what = parser.add_argument_group(parser.words(say("what")))
        self.options = parser.add_argument_group(parser.words(say("options")))
        self.options.add_argument("-h", "--help", action="help", help=parser.words(say("show this help")))
        self.options.add_argument(
            "--lang",
            choices=LANGUAGES,
            default=argparse.SUPPRESS,
            help=parser.words(say("language of the answer; else that of the locale")),
        )

    def what(self, name: str, text: Text, **settings: Any) -> None:
        """Declare a positional argument."""
        self._what.add_argument(name, help=self.parser.words(text), **settings)

    def option(self, *flags: str, text: Text, **settings: Any) -> None:
        """Declare an option."""
        self.options.add_argument(*flags, help=self.parser.words(text), **settings)

    def output(self) -> None:
        """Declare -o: this verb answers a question."""
        self.option(
            "-o",
            "--output",
            choices=("text", "json"),
            default="text",
            text=say("for people, or JSON with schema_version for programs"),
        )

    def changes(self) -> None:
        """Declare what every verb has that changes the configuration: -o, --dry-run, --yes, --alone."""
        self.output()
        self.option("--dry-run", action="store_true", text=say("show the plan and change nothing"))
        self.option(
            "-y",
            "--yes",
            action="store_true",
            text=say("do not ask, also where something running is touched"),
        )
        self.option(
            "--alone",
            action="store_true",
            text=say("although the other node cannot be reached; it takes the change over when it is back"),
        )


class Place:
    """A point of the command line where verbs can stand: the top, or below a noun."""

    def __init__(self, subparsers: Subparsers, language: str) -> None:
        self.subparsers = subparsers
        self.language = language

    def verb(
        self,
        name: str,
        run: Run,
        text: Text,
        *,
        example: str | Sequence[str],
        codes: Sequence[int],
        more: Text | None = None,
    ) -> Verb:
        """Declare a verb: the function that runs it, one sentence, examples, the exit codes it can give."""
        parser = self._parser(name, text)
        said = parser.words
        if more is not None:
            parser.description = f"{parser.description}\n\n{said(more)}"
        examples = [example] if isinstance(example, str) else example
        explained = [f"  {code:<3} {said(exits.MEANING[code])}" for code in codes]
        parser.epilog = "\n".join(
            [said(say("examples:")), *(f"  {e}" for e in examples), "", said(say("exit codes:")), *explained]
        )
        verb = Verb(parser)
        parser.set_defaults(run=run)
        return verb

    def noun(self, name: str, text: Text) -> Place:
        """Declare a noun; return the place for its verbs."""
        parser = self._parser(name, text)
        Verb(parser)
        subparsers = parser.add_subparsers(
            title=parser.words(say("verbs")),
            metavar=parser.words(say("VERB")),
            dest="verb",
            parser_class=Parser,
            required=True,
        )
        return Place(subparsers, self.language)

    def name_only(self, name: str, text: Text) -> None:
        """Declare a noun without reading the file of its verbs: enough for the list in `servha --help`."""
        self._parser(name, text)

    def _parser(self, name: str, text: Text) -> Parser:
        said = render(text, self.language)
        parser: Parser = self.subparsers.add_parser(
            name, help=said.replace("%", "%%"), description=said, language=self.language
        )
        return parser
