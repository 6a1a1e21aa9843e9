"""What an OCF agent's exit code means, in words and as a state (OCF Resource Agent API 1.1, "Return codes").

Decides what a monitor's code says about the resource. Whether a 7 is believed while processes are left is decided
here too; what follows from a state is not.
"""

from __future__ import annotations

import re

from servha.core.model import ResourceState
from servha.core.words import Text, say
from servha.host import Completed

OK, ERR_GENERIC, ERR_ARGS, ERR_INSTALLED, ERR_CONFIGURED, NOT_RUNNING = 0, 1, 2, 5, 6, 7
RUNNING_PROMOTED, FAILED_PROMOTED, DEGRADED, DEGRADED_PROMOTED = 8, 9, 190, 191
MEANING: dict[int, Text] = {
    OK: say("success"),
    ERR_GENERIC: say("it failed"),
    ERR_ARGS: say("a parameter is wrong on this node"),
    3: say("the agent does not know this action"),
    4: say("the agent may not do it: permission denied"),
    ERR_INSTALLED: say("a program or file it needs is not installed here"),
    ERR_CONFIGURED: say("it is configured wrongly"),
    NOT_RUNNING: say("it is not running"),
    RUNNING_PROMOTED: say("it is running as promoted"),
    FAILED_PROMOTED: say("it has failed as promoted"),
    DEGRADED: say("it is running, but degraded"),
    DEGRADED_PROMOTED: say("it is running as promoted, but degraded"),
}
CANNOT_HERE = frozenset({ERR_ARGS, ERR_INSTALLED, ERR_CONFIGURED})
"""With these agents also say "my files lie on a disk that is not mounted here"; asked as a probe they say 7."""
PACEMAKERS = re.compile(
    r"(?:command:? |: )[\"']?(?:/\S*/)?(?P<command>crm_\w+|attrd_updater|cibadmin|crmadmin|stonith_admin)\b"
    r"|(?P<other>crm_\w+|attrd_updater|cibadmin|crmadmin|stonith_admin): (?:command )?not found"
)
"""How a shell and `check_binary` say that a command of Pacemaker's is not there."""


def said(agent: str, action: str, done: Completed) -> Text:
    """How the agent ended, what that means, and the reason it gave."""
    if done.timed_out:
        return say(
            "{agent} had not answered {action} after {seconds} s and was ended",
            agent=agent,
            action=action,
            seconds=round(done.took_s, 1),
        )
    if done.code is None or done.code < 0:
        return say(
            "{agent} was ended by signal {signal} during {action}",
            agent=agent,
            signal=-(done.code or 0),
            action=action,
        )
    meaning = MEANING.get(done.code, say("a code that the OCF standard does not know"))
    if done.code == NOT_RUNNING and action != "monitor":
        meaning = say("it is not running, which only monitor may answer: the agent breaks the OCF standard")
    answer = say(
        "{agent} answered {action} with {code}: {meaning}",
        agent=agent,
        action=action,
        code=done.code,
        meaning=meaning,
    )
    reason = reason_of(done.output) if done.code not in {OK, NOT_RUNNING} else ""
    if not reason:
        return answer
    missing = PACEMAKERS.search(done.output)
    if missing is not None:
        return say(
            "{answer}; it needs {command}, which belongs to Pacemaker: use the agent without replication or promotion",
            answer=answer,
            command=missing["command"] or missing["other"],
        )
    return say("{answer} ({reason})", answer=answer, reason=reason)


def state_of(done: Completed, count: int) -> ResourceState:
    """What a monitor's answer says of the resource, of which `count` processes live in its group."""
    match done.code:
        case 0 | 190:
            return ResourceState.RUNNING
        case 7:
            return ResourceState.FAILED if count else ResourceState.STOPPED
        case 1 | 8 | 9 | 191:  # nobody promotes anything here
            return ResourceState.FAILED
        case _:  # timed out, ended by a signal, cannot look here, not in the standard
            return ResourceState.UNKNOWN


def reason_of(output: str) -> str:
    r"""The agent's own reason, else the last thing it said.

    >>> reason_of("x\nocf-exit-reason:no such device\ny")
    'no such device'
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in reversed(lines):
        _, found, reason = line.partition("ocf-exit-reason:")
        if found:
            return reason.strip()[:200]
    return lines[-1][:200] if lines else ""
