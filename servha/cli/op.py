"""`op rm_clearup`, the manual's command to take one node out of its cluster: `servha cluster wipe` under its old name.

The manual does not ask for the node's name, so it is read from this node's own files. Every refusal of wipe holds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from servha.cli import exits, main
from servha.cli.cluster_wipe import name_here, places
from servha.core.words import say
from servha.language import preferred_language, render

VERB: Final = "rm_clearup"


def run(argv: Sequence[str] | None = None) -> int:
    """Run `op rm_clearup`; return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words != [VERB]:
        text = say("usage: op {verb} (the same as `servha cluster wipe --node NODE`)", verb=VERB)
        print(render(text, preferred_language()), file=sys.stderr)
        return exits.USAGE
    return main.main(["cluster", "wipe", "--node", name_here(places()) or "-"])


if __name__ == "__main__":
    sys.exit(run())
