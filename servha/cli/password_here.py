"""Says whether a password is that of the cluster this node is in: what a deployment has to know before it begins.

Reads the password from standard input. Ends with 0 when it is, with 1 when it is not, with 4 when nobody can say. A
wrong one counts as a failed login from this machine, as everywhere.
"""

from __future__ import annotations

import sys
from typing import Any

from servha.cli import exits
from servha.cli.cluster_wipe import places
from servha.management import Client, LateAnswer, NotRunning
from servha.wire.rpc import Code, Refusal


def holds(password: str) -> int:
    """Return the exit status."""
    asked: dict[str, Any] = {"password": password, "from": "127.0.0.1"}
    try:
        with Client(str(places().run / "web.sock")) as client:
            client.call("login", **asked)
    except (NotRunning, LateAnswer):
        return exits.NOT_RUNNING
    except Refusal as refused:
        return exits.FAILED if refused.code is Code.NOT_PERMITTED else exits.NOT_RUNNING
    return exits.OK


if __name__ == "__main__":
    sys.exit(holds(sys.stdin.readline().rstrip("\n")))
