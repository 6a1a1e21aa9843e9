"""The verbs of `servha lab`, declared: names, options, help. What they do is in verbs.py and demo.py.

`add_parser` is what the command line imports; it hands in its own kind of parser, whose manners we follow.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from servha.core.words import Text, say
from servha.lab import demo, verbs
from servha.lab.lab import DEFAULT_NAME
from servha.lab.layout import LINKS, NODES
from servha.lab.probe import DEFAULT_URL
from servha.lab.screen import Screen
from servha.lab.trouble import LabError
from servha.language import LANGUAGES, preferred_language, render


@dataclass(frozen=True)
class Option:
    """One argument: argparse's own settings, and one sentence; without one it is hidden."""

    names: tuple[str, ...]
    text: Text | None
    settings: dict[str, Any]


@dataclass(frozen=True)
class Verb:
    """One verb: its function, one sentence, its arguments, an example."""

    name: str
    run: Callable[[argparse.Namespace, Screen], int]
    text: Text
    example: str
    options: tuple[Option, ...] = ()
    answers: bool = False  # has -o json


def _option(*names: str, text: Text | None, **settings: Any) -> Option:
    return Option(names, text, settings)


def seconds(words: str) -> float:
    """Read a time as people write it.

    >>> seconds("500ms"), seconds("10s"), seconds("2m"), seconds("3")
    (0.5, 10.0, 120.0, 3.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|)", words)
    if not found:
        raise argparse.ArgumentTypeError(words)
    return float(found[1]) * {"ms": 0.001, "s": 1, "m": 60, "": 1}[found[2]]


_NODE = _option("node", text=say("node1 or node2"), choices=NODES, metavar="NODE")
_PROFILE = _option(
    "--profile",
    text=say("timing of the cluster: fast (a beat every 100 ms) or manual (every 2.2 s)"),
    choices=("fast", "manual"),
    default="fast",
)
_PROGRAM = _option("program", text=say("the program and its arguments"), nargs="+", metavar="CMD")

VERBS = (
    Verb(
        "demo",
        demo.demo,
        say("build a lab, keep a small web application running in it, and show what happens"),
        "servha lab demo --once",
        (
            _PROFILE,
            _option(
                "--once",
                text=say("take node1's power, move the application back, print both blackouts, and end"),
                action="store_true",
            ),
            _option(
                "--quorum",
                text=say("let a quorum disk decide; with --once also cut every link between the nodes"),
                action="store_true",
            ),
        ),
    ),
    Verb(
        "up",
        verbs.up,
        say("build two nodes, a switch and a client, and start the nodes"),
        "servha lab up --name mine",
        (
            _PROFILE,
            _option("--bare", text=say("without the product's daemons"), action="store_true"),
            _option("--service", text=None, action="append", default=[]),
        ),
    ),
    Verb("down", verbs.down, say("remove the lab, whatever state it is in"), "servha lab down --name mine"),
    Verb(
        "status",
        verbs.status,
        say("show nodes, links and services"),
        "servha lab status -o json",
        answers=True,
    ),
    Verb("list", verbs.list_, say("list the labs of this machine"), "servha lab list", answers=True),
    Verb(
        "poweroff",
        verbs.poweroff,
        say("take a node's power, suddenly: nothing more is sent or written"),
        "servha lab poweroff node1",
        (_NODE,),
        answers=True,
    ),
    Verb("boot", verbs.boot, say("give a node power"), "servha lab boot node1", (_NODE,)),
    Verb(
        "freeze",
        verbs.freeze,
        say("stop every process of a node where it is; its kernel still answers pings"),
        "servha lab freeze node1",
        (_NODE,),
    ),
    Verb("thaw", verbs.thaw, say("let a frozen node run on"), "servha lab thaw node1", (_NODE,)),
    Verb(
        "cut",
        verbs.cut,
        say("cut a link at one node's end, or at both"),
        "servha lab cut public node1 --direction out",
        (
            _option("link", text=say("public or private"), choices=LINKS, metavar="LINK"),
            _option("node", text=say("only this node's end"), choices=NODES, metavar="NODE", nargs="?"),
            _option(
                "--direction",
                text=say(
                    "in: the node hears nothing; out: it is not heard; both: the plug is out (no carrier)"
                ),
                choices=("in", "out", "both"),
                default="both",
            ),
            _option(
                "--loss",
                text=say("lose only so many percent of the packets"),
                type=int,
                choices=range(1, 101),
                default=100,
                metavar="PERCENT",
            ),
        ),
    ),
    Verb("heal", verbs.heal, say("mend every link"), "servha lab heal"),
    Verb(
        "exec",
        verbs.exec_,
        say("run a program in a node; its exit status is the command's"),
        "servha lab exec node1 -- servha status",
        (_NODE, _PROGRAM),
    ),
    Verb(
        "client",
        verbs.client,
        say("run a program at the client, which is neither node"),
        "servha lab client -- curl -s http://192.0.2.100/who",
        (_PROGRAM,),
    ),
    Verb(
        "probe",
        verbs.probe,
        say("ask from the client without a pause, and tell how long nobody answered"),
        "servha lab probe --for 10s",
        (
            _option("--url", text=say("what to ask for"), default=DEFAULT_URL, metavar="URL"),
            _option("--icmp", text=say("ping this address instead"), metavar="ADDRESS"),
            _option("--for", text=say("end after this time"), dest="for_", type=seconds, metavar="TIME"),
        ),
        answers=True,
    ),
    Verb(
        "service",
        verbs.service,
        say("start, stop, restart or show a service of a node"),
        "servha lab service node1 restart servhad",
        (
            _NODE,
            _option(
                "order",
                text=say("start, stop, restart or status"),
                choices=("start", "stop", "restart", "status"),
                metavar="VERB",
            ),
            _option("service", text=say("which one; status shows all without it"), nargs="?", default=""),
        ),
        answers=True,
    ),
)


def add_parser(subparsers: Any, language: str | None = None) -> argparse.ArgumentParser:
    """Declare `lab` and its verbs below `subparsers`, the command line's own; return the parser of `lab`."""
    language = language or preferred_language()
    kind = subparsers._parser_class  # noqa: SLF001  argparse gives it no other name
    manners = {"language": language} if "language" in inspect.signature(kind).parameters else {}
    whole = say("two real nodes on this machine, in namespaces of their own, to try things out")
    parser = _parser(subparsers, "lab", whole, language, manners)
    _basics(parser, language)
    below = parser.add_subparsers(
        title=_said(say("verbs"), language),
        metavar=_said(say("VERB"), language),
        dest="verb",
        required=True,
        parser_class=kind,
    )
    for verb in VERBS:
        _add_verb(below, verb, language, manners)
    return parser


def _add_verb(subparsers: Any, verb: Verb, language: str, manners: dict[str, Any]) -> None:
    parser = _parser(subparsers, verb.name, verb.text, language, manners)
    parser.epilog = f"{_said(say('examples:'), language)}\n  {verb.example}"
    options = _basics(parser, language)
    for option in verb.options:
        text = _said(option.text, language) if option.text else argparse.SUPPRESS
        place = options if option.names[0].startswith("-") else parser
        place.add_argument(*option.names, help=text, **option.settings)
    which = _said(say("which lab, if there are several"), language)
    if verb.name != "list":
        options.add_argument("--name", default=DEFAULT_NAME, metavar="NAME", help=which)
    if verb.answers:
        how = _said(say("for people, or JSON with schema_version for programs"), language)
        options.add_argument("-o", "--output", choices=("text", "json"), default="text", help=how)
    parser.set_defaults(run=_speaking(verb.run))


def _parser(
    subparsers: Any, name: str, text: Text, language: str, manners: dict[str, Any]
) -> argparse.ArgumentParser:
    said = _said(text, language)
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=said, description=said, **manners)
    return parser


def _basics(parser: argparse.ArgumentParser, language: str) -> Any:
    """Return the group of options, with those that every command has."""
    options = parser.add_argument_group(_said(say("options"), language))
    if not parser.add_help:
        options.add_argument("-h", "--help", action="help", help=_said(say("show this help"), language))
    which = _said(say("language of the answer; else that of the locale"), language)
    options.add_argument("--lang", choices=LANGUAGES, default=argparse.SUPPRESS, help=which)
    return options


def _said(text: Text, language: str) -> str:
    """Return `text` for argparse, in whose texts a percent sign is special."""
    return render(text, language).replace("%", "%%")


def _speaking(
    run: Callable[[argparse.Namespace, Screen], int],
) -> Callable[[argparse.Namespace, Screen], int]:
    """Let a verb's refusal end as a sentence and an exit code."""

    def speak(args: argparse.Namespace, screen: Screen) -> int:
        try:
            return run(args, screen)
        except LabError as trouble:
            if screen.json:
                code = trouble.code.name.lower().replace("_", "-")
                error = {"code": code, "template": trouble.text.template, "params": dict(trouble.text.params)}
                screen.answer({"error": error})
            screen.complain(trouble.text)
            return int(trouble.code)

    return speak
