"""Runs a program of this machine and turns its failure into a sentence."""

from __future__ import annotations

import os
import subprocess

from servha.core.words import say
from servha.lab.trouble import LabError

LONGEST_S = 30.0
# A root shell that came from `su` has no sbin in its search path.
_SEARCH = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/local/sbin:/usr/sbin:/sbin"
_ENVIRONMENT = dict(os.environ) | {"PATH": _SEARCH, "LC_ALL": "C.UTF-8"}


def run(*argv: str, feed: str = "") -> str:
    """Run `argv`, give it `feed`, return what it printed.

    Raises:
        LabError: it is not installed, failed, or took longer than anything here should.
    """
    try:
        done = subprocess.run(
            argv, input=feed, capture_output=True, text=True, check=False, timeout=LONGEST_S, env=_ENVIRONMENT
        )
    except FileNotFoundError as error:
        problem = say('the program "{program}" is not installed', program=argv[0])
        raise LabError(problem) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(
            say("{command}: no end after {limit_s} s", command=" ".join(argv), limit_s=LONGEST_S)
        ) from error
    if done.returncode:
        said = done.stderr.strip() or f"exit status {done.returncode}"
        raise LabError(say("{command}: {said}", command=" ".join(argv), said=said))
    return done.stdout
