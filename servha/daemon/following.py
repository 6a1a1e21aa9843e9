"""Tells whoever looks on that something has changed: a picture at once, then one for each change.

Decides what counts as a change: everything but the passing of time. It looks at the core's state ten times a second,
which costs next to nothing, and draws a picture only when that state differs, when something is being started or
stopped, or once a second for the little that the state does not hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final

from servha.core.model import Phase
from servha.core.state import State
from servha.core.value import replace

LOOK_EVERY_S: Final = 0.1
DRAW_EVERY_S: Final = 1.0
TELL_EVERY_S: Final = 3.0
AGES: Final = frozenset({"since_s", "silent_s", "up_s", "left_s", "age_s", "rtt_ms", "loss", "round_ms"})
"""Fields that change by themselves: whoever shows them counts on."""
ON_ITS_WAY: Final = frozenset({Phase.WANTED, Phase.STARTING, Phase.STOPPING})

Picture = dict[str, Any]


async def following(
    draw: Callable[[], Awaitable[Picture]],
    state: Callable[[], State | None],
    also: Callable[[], object] = lambda: None,
) -> AsyncGenerator[Picture, None]:
    """Yield pictures for as long as somebody reads them. `state` None means that there is no cluster any more.

    A picture is drawn as well when what `also` returns has changed.
    """
    loop = asyncio.get_running_loop()
    told: Any = None
    told_s = drawn_s = float("-inf")
    seen: Any = None
    while (now := state()) is not None:
        now_s, looks = loop.time(), (_decisive(now), also())
        if looks != seen or now_s - drawn_s >= DRAW_EVERY_S or _is_moving(now):
            seen, drawn_s = looks, now_s
            picture = await draw()
            lasting = without_ages(picture)
            if lasting != told or now_s - told_s >= TELL_EVERY_S:
                told, told_s = lasting, now_s
                yield picture
        await asyncio.sleep(LOOK_EVERY_S)


def without_ages(value: Any) -> Any:
    """Return plain data without what changes while nothing happens.

    >>> without_ages({"name": "web", "since_s": 3.2, "links": [{"silent_s": 0.1}]})
    {'name': 'web', 'links': [{}]}
    """
    if isinstance(value, Mapping):
        return {key: without_ages(inner) for key, inner in value.items() if key not in AGES}
    if isinstance(value, list | tuple):
        return [without_ages(inner) for inner in value]
    return value


def _decisive(state: State) -> tuple[object, ...]:
    """Return what a picture is drawn from, without moments and numbers that grow with every beat."""
    report = state.membership.report
    return (
        state.trees,
        state.alarms,
        state.standing,
        state.right,
        state.peer_word,
        state.link_words,
        state.cluster,
        None if report is None else replace(report, number=0),
        None if state.view is None else (state.view.lease, state.view.disk_ok, state.view.watchdog),
    )


def _is_moving(state: State) -> bool:
    report = state.membership.report
    there = () if report is None else (tree.phase for tree in report.trees)
    return any(phase in ON_ITS_WAY for phase in (*(tree.phase for tree in state.trees), *there))
