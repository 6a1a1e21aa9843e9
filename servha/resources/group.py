"""What the kinds share that keep an application in its control group: killing what is left, seeing how it ended.

When something is to be killed the kinds decide; whether it died is looked up in the group, never guessed.
"""

from __future__ import annotations

import asyncio
from typing import Any

from servha.core.words import Text, say
from servha.host import Completed, Ended, HostError, Outcome
from servha.resources.kind import Place

KILL_WAIT_S = 5.0
"""How long killed processes may take to disappear before the stop counts as failed."""


async def kill_the_rest(place: Place, why: Text) -> Outcome:
    """Kill what lives in the resource's group; not ok, naming the processes, when something survives that."""
    host = place.host
    group = host.cgroup_of(place.tree, place.resource)
    count = len(host.cgroup_pids(group))
    if await host.kill_cgroup(group, timeout_s=KILL_WAIT_S):
        return Outcome(
            ok=True,
            because=say("what was left (processes: {count}) was killed: {why}", count=count, why=why),
        )
    left = " ".join(map(str, host.cgroup_pids(group)[:20]))
    return Outcome(
        ok=False,
        because=say(
            "processes {pids} survive being killed, they hang in the kernel: only a restart of the node ends"
            " them ({why})",
            pids=left,
            why=why,
        ),
    )


async def clean_up(place: Place) -> Outcome:
    """Kill what an earlier start has left in the resource's group; nothing there is fine."""
    try:
        group = place.host.cgroup_of(place.tree, place.resource)
    except HostError as error:
        return Outcome(ok=False, because=error.text)
    if not place.host.populated(group):
        return Outcome(ok=True)
    return await kill_the_rest(place, say("left over from a dead start"))


def last_words(ended: tuple[Ended, ...]) -> Text:
    """How it ended: of several processes the first that a signal or a failure ended tells most."""
    known = [one for one in ended if one.code is not None]
    for one in [one for one in known if one.code] + known:
        code = one.code or 0
        how = say("process {pid} ({name}) ended with code {code}", pid=one.pid, name=one.name, code=code)
        if code < 0:
            how = say(
                "process {pid} ({name}) was ended by signal {signal}",
                pid=one.pid,
                name=one.name,
                signal=-code,
            )
        return say("its last process ended by itself: {how}", how=how)
    return say("its last process ended by itself")


def how_it_went(path: str, done: Completed) -> Text:
    """How a program ended, with the last thing it said."""
    lines = [line.strip() for line in done.output.splitlines() if line.strip()]
    said = lines[-1][:200] if lines else ""
    if done.code is not None and done.code < 0:
        return say("{path} was ended by signal {signal}: {said}", path=path, signal=-done.code, said=said)
    return say("{path} ended with code {code}: {said}", path=path, code=done.code or 0, said=said)


async def either(emptied: asyncio.Future[tuple[Ended, ...]], one_ended: asyncio.Event) -> None:
    """Wait until the group is empty or one of its processes has ended."""
    waiting = asyncio.ensure_future(one_ended.wait())
    both: set[asyncio.Future[Any]] = {emptied, waiting}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
