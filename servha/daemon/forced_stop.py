"""How a stop is made that has failed before: once more, by killing, by freeing a file system of whoever uses it.

Each step has its time limit, and none is believed: what was forced counts as stopped only when it is seen stopped.
Which step comes when is decided by core/escalation.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import assert_never

from servha.core.model import Force, ResourceState
from servha.core.words import say
from servha.host import Finding, Outcome
from servha.resources.kind import FreesHolders, Place, ResourceKind

KILL_WAIT_S = 5.0
"""How long killed processes may take to be gone."""
REST_S = 30.0
"""What a step may take beyond its stop script: killing, looking, unmounting."""


async def stop_by_force(
    kind: ResourceKind, place: Place, force: Force, look: Callable[[], Awaitable[Finding]]
) -> Outcome:
    """Carry out one step and look; ok only where it is seen stopped."""
    limit_s = place.stop_timeout_s + REST_S
    try:
        async with asyncio.timeout(limit_s):
            outcome = await _step(kind, place, force)
            seen = await look()
    except TimeoutError:
        because = say("this step had not ended within {seconds} s", seconds=round(limit_s, 3))
        return Outcome(ok=False, because=because)
    if seen.state is ResourceState.STOPPED:
        return Outcome(ok=True, because=outcome.because)
    if outcome.ok:
        because = say("the step went through, but it is not seen stopped: {why}", why=seen.because)
        return Outcome(ok=False, because=because)
    return outcome


async def _step(kind: ResourceKind, place: Place, force: Force) -> Outcome:
    match force:
        case Force.AGAIN:
            return await kind.stop(place)
        case Force.KILL:
            group = place.host.cgroup_of(place.tree, place.resource)
            if not await place.host.kill_cgroup(group, timeout_s=KILL_WAIT_S):
                return Outcome(
                    ok=False,
                    because=say(
                        "killed, {count} of its processes are still there after {seconds} s: they hang in the kernel",
                        count=len(place.host.cgroup_pids(group)),
                        seconds=round(KILL_WAIT_S),
                    ),
                )
            return await kind.clean_up(place)
        case Force.FREE:
            if isinstance(kind, FreesHolders):
                return await kind.free(place)
            return await kind.stop(place)
        case _:
            assert_never(force)
