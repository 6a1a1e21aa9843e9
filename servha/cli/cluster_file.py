"""`servha cluster export, plan, apply`: the configuration as one file, to keep, compare and bring back.

Reads an export, or a generation kept by servhad (cluster.json.N): that is how a change is undone. Decides only
which file is meant; what may stand in it is decided in servha/config.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

from servha.cli import exits
from servha.cli.grammar import Place
from servha.cli.screen import Screen
from servha.core.words import say
from servha.management import Client
from servha.wire.rpc import Code, Refusal

SIZE_MAX: Final = 4 * 1024 * 1024
KEPT: Final = "/var/lib/servha/cluster.json.{generation}"


def add(verbs: Place) -> None:
    """Declare export, plan and apply."""
    verb = verbs.verb(
        "export",
        export,
        say("write the whole configuration as JSON"),
        example=("servha cluster export > cluster.json", "servha cluster export --out /root/cluster.json"),
        codes=(exits.OK, exits.NOT_RUNNING, exits.NO_SUCH),
        more=say("It contains the password's hash: keep it where only root can read it."),
    )
    verb.option("--out", metavar="FILE", text=say("write it there, readable by root only"))
    verb = verbs.verb(
        "plan",
        plan,
        say("say in words what applying a file would change"),
        example="servha cluster plan cluster.json",
        codes=(exits.OK, exits.NOT_RUNNING, exits.NO_SUCH, exits.BAD_CONFIGURATION),
    )
    verb.what("file", say("an export, or a kept generation (cluster.json.N)"), metavar="FILE")
    verb.output()
    verb = verbs.verb(
        "apply",
        apply,
        say("replace the configuration by that of a file"),
        example=("servha cluster apply cluster.json", "servha cluster apply /var/lib/servha/cluster.json.7"),
        codes=(exits.OK, exits.NOT_RUNNING, exits.NO_SUCH, exits.BAD_CONFIGURATION, exits.TRY_AGAIN),
    )
    verb.what("file", say("an export, or a kept generation (cluster.json.N)"), metavar="FILE")
    verb.changes()


def undo(generation: int) -> str:
    """Return the command that brings back a generation that servhad kept."""
    return "servha cluster apply " + KEPT.format(generation=generation)


def export(args: argparse.Namespace, screen: Screen) -> int:
    """Write the configuration to standard output or to a file."""
    with Client() as client:
        answer = client.call("config.get")
    document = answer.get("document", answer) if isinstance(answer, dict) else answer
    if not document:
        raise Refusal(
            Code.NO_SUCH, say("there is no cluster on this node yet; `servha cluster init` makes one")
        )
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    if args.out is None:
        print(text, end="", file=screen.out)
        return exits.OK
    try:
        descriptor = os.open(args.out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Refusal(
            Code.FAILED,
            say("{file} cannot be written: {reason}", file=args.out, reason=error.strerror or str(error)),
        ) from error
    screen.line(say("The configuration is in {file}.", file=args.out))
    return exits.OK


def plan(args: argparse.Namespace, screen: Screen) -> int:
    """Say what `apply` would change."""
    args.dry_run, args.yes, args.alone = True, True, False
    return apply(args, screen)


def apply(args: argparse.Namespace, screen: Screen) -> int:
    """Replace the configuration."""
    from servha.cli import change  # noqa: PLC0415
    from servha.config.document import parse  # noqa: PLC0415

    wanted, problems = parse(read(args.file))
    if wanted is None:
        raise change.bad(
            problems, say("{file} cannot be used; problems: {count}", file=args.file, count=len(problems))
        )
    return change.carry_out(
        args, screen, change.Change(edit=lambda _base: wanted, undo=lambda base: undo(base.generation))
    )


def read(file: str) -> Any:
    """Return the document in `file` ("-" is standard input): JSON, TOML, or a kept generation in its envelope."""
    try:
        content = sys.stdin.buffer.read(SIZE_MAX + 1) if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Refusal(
            Code.NO_SUCH,
            say("{file} cannot be read: {reason}", file=file, reason=error.strerror or str(error)),
        ) from error
    if len(content) > SIZE_MAX:
        raise Refusal(Code.BAD_CONFIGURATION, say("{file} is too large for a configuration", file=file))
    try:
        text = content.decode("utf-8")
        data = tomllib.loads(text) if file.endswith(".toml") else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(
            Code.BAD_CONFIGURATION,
            say("{file} is not a configuration file: {reason}", file=file, reason=str(error)),
        ) from error
    if isinstance(data, dict) and set(data) == {"sha256", "document"}:
        return data["document"]
    return data
