"""Where a command gets a password from: a file, standard input, or the person at the terminal; never an argument.

An argument would stand in the process list and in the shell's history. What a password may be is decided by servhad.
"""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from servha.cli.screen import Screen
from servha.core.words import say
from servha.wire.rpc import Code, Refusal

INITIAL = "1"
BYTES_MAX = 4096


def password_from(file: str | None, screen: Screen, *, twice: bool, initial_allowed: bool) -> str:
    """Return the password: the first line of `file` ("-" is standard input), or what a person types.

    An empty answer means the initial password "1" where that is allowed (the manual's "blank = default").
    """
    if file is not None:
        return _first_line(file)
    if not sys.stdin.isatty():
        if initial_allowed:
            return INITIAL
        raise Refusal(
            Code.USAGE,
            say("a password is needed: put it into a file that only root can read, --password-file FILE"),
        )
    question = (
        say("Cluster password (empty: the initial one, 1): ")
        if initial_allowed
        else say("Cluster password: ")
    )
    typed = getpass.getpass(screen.words(question))
    if not typed and initial_allowed:
        return INITIAL
    if twice and getpass.getpass(screen.words(say("Once more: "))) != typed:
        raise Refusal(Code.USAGE, say("the two passwords are not the same; nothing was changed"))
    return typed


def _first_line(file: str) -> str:
    try:
        text = (
            sys.stdin.read(BYTES_MAX) if file == "-" else Path(file).read_text(encoding="utf-8")[:BYTES_MAX]
        )
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(
            Code.NO_SUCH,
            say("the password cannot be read from {file}: {reason}", file=file, reason=str(error)),
        ) from error
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line:
        raise Refusal(
            Code.USAGE, say("the first line of {file} is empty; the password stands there", file=file)
        )
    return line
