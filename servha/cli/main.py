"""`servha`: finds the command, runs it, turns whatever went wrong into words and an exit status.

Only the file of the noun that was typed is read: this tool is used when the machine is sick, and must be quick.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from servha import __version__
from servha.cli import exits
from servha.cli.grammar import Parser, Place
from servha.cli.screen import Screen, screen_for
from servha.core.words import Text, say
from servha.language import LANGUAGES, preferred_language
from servha.management import LateAnswer, NotRunning
from servha.wire.rpc import EXIT_STATUS, BadFrame, Failure, Refusal, Wrong, failure_as_json


@dataclass(frozen=True, slots=True)
class Noun:
    """A word that can follow `servha`, the file that declares its verbs with `add(place)`, one sentence."""

    name: str
    module: str
    text: Text


NOUNS: Final = (
    Noun("status", "servha.cli.status", say("show the whole cluster on one screen")),
    Noun("mon", "servha.cli.mon", say("show the cluster live")),
    Noun("events", "servha.cli.events", say("show what happened, newest last")),
    Noun("why", "servha.cli.why", say("explain the last decision about a resource tree")),
    Noun("metrics", "servha.cli.metrics", say("print figures for Prometheus")),
    Noun("cluster", "servha.cli.cluster", say("make a cluster, join it, change it as a whole")),
    Noun("node", "servha.cli.node", say("the two nodes")),
    Noun("heartbeat", "servha.cli.heartbeat", say("the links that heartbeats take, and their timing")),
    Noun("quorum", "servha.cli.quorum", say("the quorum disk: make it, look at it, measure it")),
    Noun("tree", "servha.cli.tree", say("resource trees: what moves together")),
    Noun("resource", "servha.cli.resource", say("the resources of a tree")),
    Noun("app", "servha.cli.app", say("applications with a ready-made tree: data moved, scripts shipped")),
    Noun("config", "servha.cli.config", say("check a configuration file")),
    Noun(
        "simulate",
        "servha.cli.simulate",
        say("play a scenario in virtual time with the daemon's own decisions"),
    ),
    Noun(
        "prove",
        "servha.cli.prove",
        say("play every sequence of a few faults against a configuration; list those that end badly"),
    ),
    Noun(
        "support-bundle",
        "servha.cli.support_bundle",
        say("collect what is needed to find out what happened, in one file"),
    ),
    Noun("token", "servha.cli.token", say("tokens with which programs use the console's interface")),
    Noun("daemon", "servha.cli.daemon", say("servhad on this node")),
    Noun(
        "lab",
        "servha.lab.commands",
        say("two real nodes on this machine, in namespaces of their own, to try things out"),
    ),
)


def make_parser(language: str = "en", *, only: str | None = None) -> Parser:
    """Return the parser. With `only`, just the verbs of that noun are read; the others are names with a sentence."""
    parser = Parser(prog="servha", language=language)
    said = parser.words
    parser.description = said(say("Keeps one application running on one of two servers."))
    parser.epilog = "\n".join(
        [
            said(say("examples:")),
            "  servha status",
            "  servha why web",
            "  servha tree move web node2",
            "",
            said(
                say("`servha NOUN --help` lists the verbs of a noun; every verb has an example in its help.")
            ),
        ]
    )
    options = parser.add_argument_group(said(say("options")))
    options.add_argument("-h", "--help", action="help", help=said(say("show this help")))
    options.add_argument(
        "--version", action="version", version=f"servha {__version__}", help=said(say("show the version"))
    )
    options.add_argument(
        "--lang", choices=LANGUAGES, help=said(say("language of the answer; else that of the locale"))
    )
    subparsers = parser.add_subparsers(
        title=said(say("nouns")), metavar=said(say("NOUN")), dest="noun", parser_class=Parser
    )
    place = Place(subparsers, language)
    for noun in NOUNS:
        if noun.name == "lab":
            _add_lab(place, noun, wanted=only in (None, "lab"))
        elif only in (None, noun.name):
            importlib.import_module(noun.module).add(place)
        else:
            place.name_only(noun.name, noun.text)
    return parser


def _add_lab(place: Place, noun: Noun, *, wanted: bool) -> None:
    """The lab declares its own verbs; an installation without it has no such noun."""
    try:
        if importlib.util.find_spec(noun.module) is None:
            return
    except ModuleNotFoundError:
        return
    if wanted:
        importlib.import_module(noun.module).add_parser(place.subparsers, place.language)
    else:
        place.name_only(noun.name, noun.text)


def language_of(argv: Sequence[str]) -> str:
    """Return the language asked for with --lang anywhere in the command, else the locale's."""
    for number, word in enumerate(argv):
        if word == "--":
            break  # what follows belongs to another program
        asked = word.partition("=")[2] if word.startswith("--lang=") else ""
        if word == "--lang" and number + 1 < len(argv):
            asked = argv[number + 1]
        if asked in LANGUAGES:
            return asked
    return preferred_language()


def noun_of(argv: Sequence[str]) -> str:
    """Return the first word that is neither an option nor the language; empty when there is none."""
    skip = False
    for word in argv:
        if skip:
            skip = False
        elif word == "--lang":
            skip = True
        elif not word.startswith("-"):
            return word
    return ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    language = language_of(words)
    noun = noun_of(words)
    alone = not words
    if not noun and not any(word in ("-h", "--help", "--version") for word in words):
        words, noun = [*words, "status"], "status"
    args = make_parser(language, only=noun).parse_args(words)
    screen = screen_for(language, as_json=getattr(args, "output", "text") == "json")
    try:
        status = int(args.run(args, screen) or 0)
    except Refusal as refusal:
        return refused(screen, refusal.failure)
    except NotRunning as absent:
        return _trouble(screen, exits.NOT_RUNNING, "not-running", absent.text)
    except LateAnswer as late:
        return _trouble(screen, exits.TIMED_OUT, "timed-out", late.text)
    except BadFrame as bad:
        text = say("servhad answered with something else than an answer: {reason}", reason=str(bad))
        return _trouble(screen, exits.FAILED, "failed", text)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever read our words has seen enough; nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK
    if alone:
        screen.line()
        screen.line(say("`servha --help` lists what else can be asked and done."))
    return status


def refused(screen: Screen, failure: Failure) -> int:
    """Show why a call was not carried out; return the exit status that says the same."""
    if screen.json:
        screen.answer({"error": failure_as_json(failure)})
    if failure.text.template:
        screen.complain(failure.text)
    for problem in failure.problems:
        screen.complain(problem_line(problem), indent=2)
    return EXIT_STATUS[failure.code]


def problem_line(problem: Wrong) -> Text:
    """Return one problem as a line: where, why, what to do."""
    if problem.remedy.template:
        return say(
            "{path}: {because}; {remedy}", path=problem.path, because=problem.because, remedy=problem.remedy
        )
    return say("{path}: {because}", path=problem.path, because=problem.because)


def _trouble(screen: Screen, status: int, code: str, text: Text) -> int:
    if screen.json:
        screen.answer({"error": {"code": code, "template": text.template, "params": dict(text.params)}})
    screen.complain(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
