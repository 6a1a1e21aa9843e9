"""Exit statuses of `servha`, and what each means in words. The failures of a call have theirs in wire/rpc.py."""

from __future__ import annotations

from typing import Final

from servha.core.words import Text, say

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
DEGRADED: Final = 3
NOT_RUNNING: Final = 4
REFUSED: Final = 5
NO_SUCH: Final = 6
EXISTS: Final = 7
TRY_AGAIN: Final = 75
NOT_PERMITTED: Final = 77
BAD_CONFIGURATION: Final = 78
TIMED_OUT: Final = 124

MEANING: Final[dict[int, Text]] = {
    OK: say("done"),
    FAILED: say("failed; the message says what and why"),
    USAGE: say("the command was not understood"),
    DEGRADED: say("the cluster works but something is wrong"),
    NOT_RUNNING: say("servhad is not running, or there is no cluster here"),
    REFUSED: say("refused by a safety rule, which is named"),
    NO_SUCH: say("no such thing"),
    EXISTS: say("exists already"),
    TRY_AGAIN: say("not now; try again"),
    NOT_PERMITTED: say("not permitted; run it as root"),
    BAD_CONFIGURATION: say("the configuration has problems, which are listed"),
    TIMED_OUT: say("not finished in time"),
}
