"""Names the resource trees that may be running on this node: what an uninstallation has to know.

Ends with 1 and their names while there are any; with 0, silently, when it is certain that there are none. Not knowing
counts as running.
"""

from __future__ import annotations

import sys
from pathlib import Path

from servha.cli import exits
from servha.cli.cluster_wipe import left_running, places
from servha.cli.order import HOLDS
from servha.cli.picture import picture_of
from servha.management import Client, NotRunning
from servha.wire.rpc import Code, Refusal

UNNAMED = "?"
"""servhad does not run, and left trees running when it went."""


def running_here(run: Path) -> list[str]:
    """Return the names of the trees; `run` is the daemon's directory for what ends with the boot."""
    try:
        with Client() as client:
            picture = picture_of(client.call("status"))
    except NotRunning:
        return [UNNAMED] if left_running(run / "phases.json") else []
    except Refusal as refused:
        if refused.code is not Code.NO_SUCH:
            return [UNNAMED]
        return []  # it runs, and is in no cluster
    return [
        tree.name
        for tree in picture.trees
        if picture.node in tree.on and tree.on[picture.node].phase in HOLDS
    ]


def main() -> int:
    """Print the names; return the exit status."""
    found = running_here(places().run)
    if found:
        print(", ".join(found))
    return exits.FAILED if found else exits.OK


if __name__ == "__main__":
    sys.exit(main())
