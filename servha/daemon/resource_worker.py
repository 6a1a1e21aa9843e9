"""Carries out what is asked of one resource, one action at a time, and keeps looking at it in between.

It sequences, waits until a started resource is seen running, forwards what the operating system tells at once,
and polls as an auditor of those events. Whether a stopped resource is restarted or moved it does not decide.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from servha.config.shape import Hooks
from servha.core.model import Action, Force, ResourceState
from servha.core.words import Text, say
from servha.daemon.forced_stop import stop_by_force
from servha.daemon.hooks import Hooked, Tell
from servha.daemon.looking import look
from servha.detectors import DetectorKind
from servha.host import Finding, Host, HostError, Outcome
from servha.resources.kind import Place, ResourceKind

FIRST_LOOK_S, SLOWEST_LOOK_S = 0.005, 0.5
"""After a start we look again this soon, then at twice the distance each time."""
EVENT_GRACE_S = 0.1
"""An event may still be on its way when a poll sees what it tells of; after this long it was missed."""
SECOND_LOOK_S = 1.0
"""A peaceful end is believed without a second look that takes longer than this: it may have been a mere starter's."""
ENDED_EARLY_S = 2.0
"""A start whose processes have all ended, and which is seen stopped this much later, has failed."""
HEALS_MAX, HEAL_WINDOW_S = 3, 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How patient to be with one resource."""

    check_interval_s: float = 5.0
    start_timeout_s: float = 120.0
    stop_timeout_s: float = 60.0
    unknown_count_max: int = 3


@dataclass(frozen=True, slots=True)
class _Ask:
    action: Action
    place: Place
    clean_up: bool = False
    force: Force | None = None


class ResourceWorker:
    """One resource on this node. All methods are called from the loop and none but `close` waits.

    `finished` is called once for every action that was not withdrawn: a stop during a start withdraws the
    start. `report` is called when the resource is found to be otherwise than last said, and for every healing.
    """

    def __init__(
        self,
        *,
        tree: str,
        resource: str,
        kind: ResourceKind,
        detectors: Sequence[DetectorKind],
        settings: WorkerSettings,
        host: Host,
        report: Callable[[Finding], None],
        finished: Callable[[Action, Outcome, float], None],
        hooks: Hooks = Hooks(),  # noqa: B008 - frozen
        tell: Tell = lambda _severity, _text: None,
    ) -> None:
        self.kind = kind
        self.events_missed = 0
        """How often the poll found an end that no event had told of."""
        self.last: Finding | None = None
        """What was found last, whoever found it."""
        self._detectors = tuple(detectors)
        self._settings = settings
        self._report = report
        self._finished = finished
        self._hooks = hooks
        self._hooked = Hooked(hooks, tell)
        self._place = Place(
            tree=tree,
            resource=resource,
            host=host,
            node=host.node,
            start_timeout_s=settings.start_timeout_s,
            stop_timeout_s=settings.stop_timeout_s,
            detected=bool(detectors),
        )
        self._doing: _Ask | None = None
        self._action: asyncio.Task[None] | None = None
        self._next: deque[_Ask] = deque(maxlen=2)
        self._poller: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._said: ResourceState | None = None
        self._unknowns = 0
        self._heard = 0
        """How many findings the system's own news have brought."""
        self._heals: deque[float] = deque(maxlen=HEALS_MAX)
        self.mends = True
        """Whether what somebody takes away is put back; not while the tree it belongs to is being stopped."""
        self._emptied_at: float | None = None
        self._closed = False

    # --- asked from outside ---------------------------------------------------------------------------------

    def start(self, *, ownership: int, reason: Text, address_known_free: bool = False) -> None:
        """Start it; `finished` follows when it is seen running, or cannot be."""
        place = replace(
            self._place, ownership=ownership, reason=reason, address_known_free=address_known_free
        )
        self._ask(_Ask(Action.START, place))

    def stop(
        self, *, ownership: int, reason: Text, clean_up: bool = False, force: Force | None = None
    ) -> None:
        """Stop it, or only remove what is left of a dead one; a start under way is broken off."""
        self._ask(
            _Ask(Action.STOP, replace(self._place, ownership=ownership, reason=reason), clean_up, force)
        )

    async def probe_once(self) -> Finding:
        """Look once and report to nobody but the caller."""
        self.last = await self._look(self._place)
        return self.last

    def adopt(self, *, ownership: int = 0) -> None:
        """Begin to watch and to poll what the last `probe_once` has found, without starting anything."""
        self._place = replace(self._place, ownership=ownership)
        self._said = self.last.state if self.last is not None else None
        self._attend(running=self._said is ResourceState.RUNNING)

    async def close(self) -> None:
        """Stop looking and break off what is under way; what runs stays running."""
        self._closed = True
        self._next.clear()
        tasks = [task for task in (self._action, self._poller, self._watcher) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # --- one action at a time -------------------------------------------------------------------------------

    def _ask(self, ask: _Ask) -> None:
        if self._closed:
            return
        doing = self._doing
        if ask.action is Action.STOP:
            self._next.clear()  # starts asked for earlier are withdrawn by this stop
            if doing is None:
                self._begin(ask)
            elif doing.action is Action.START and self._action is not None:
                self._action.cancel()
                self._next.append(ask)
            elif doing.clean_up and not ask.clean_up:
                self._next.append(ask)  # any other stop under way answers for this one too
        elif doing is None and not self._next:
            self._begin(ask)
        elif doing is None or doing.action is Action.STOP or self._next:
            stops = [waiting for waiting in self._next if waiting.action is Action.STOP]
            self._next.clear()
            self._next.extend([*stops, ask])

    def _begin(self, ask: _Ask) -> None:
        self._doing = ask
        self._action = asyncio.get_running_loop().create_task(
            self._carry_out(ask), name=f"{ask.action} {ask.place.tree}/{ask.place.resource}"
        )
        self._action.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._action is task:
            self._doing = None
        if not task.cancelled() and task.exception() is not None:
            log.error("worker of %s failed", self._place.resource, exc_info=task.exception())
        if self._doing is None and self._next and not self._closed:
            self._begin(self._next.popleft())

    async def _carry_out(self, ask: _Ask) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._look_away()
        self._place = ask.place
        try:
            if ask.action is Action.START:
                outcome = await self._hooked.around_start(ask.place, lambda: self._start(ask.place))
            elif ask.clean_up:
                outcome = await self.kind.clean_up(ask.place)
            else:
                outcome = await self._hooked.around_stop(ask.place, lambda: self._stop(ask))
        except HostError as error:
            outcome = Outcome(ok=False, because=error.text)
        except Exception as error:
            # the core must never wait for an answer that a mistake swallowed
            log.exception("%s of %s", ask.action, ask.place.resource)
            outcome = Outcome(ok=False, because=say("unexpected: {error}", error=repr(error)))
        self._said = None
        self._unknowns = 0
        if outcome.ok:
            self._said = ResourceState.RUNNING if ask.action is Action.START else ResourceState.STOPPED
        started = self._said is ResourceState.RUNNING
        # Nobody watched while the last hook ran.
        self._attend(running=started, soon=started and bool(self._hooks.after_start))
        # Before it is told: whoever is told may ask for the next thing at once.
        self._doing = None
        self._finished(ask.action, outcome, loop.time() - began)

    async def _start(self, place: Place) -> Outcome:
        loop = asyncio.get_running_loop()
        began = loop.time()
        outcome = await self.kind.start(place)
        if not outcome.ok:
            return outcome
        deadline = began + place.start_timeout_s
        # Watched from here on: what ends while we wait for it to be ready is noticed.
        self._emptied_at = None
        self._watcher = loop.create_task(self._note_the_end(place))
        pause_s = FIRST_LOOK_S
        seen = Finding(ResourceState.UNKNOWN, say("it was not looked at yet"), "")
        while True:  # bounded by the deadline
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    seen = self.last = await self._look(place)
            if seen.state is ResourceState.RUNNING:
                await self._look_away()
                return replace(outcome, because=outcome.because if outcome.because.template else seen.because)
            now = loop.time()
            if self._ended_early(now) and seen.state is ResourceState.STOPPED:
                return Outcome(
                    ok=False,
                    because=say("it ended again before it was ready: {why}", why=seen.because),
                )
            if now + pause_s >= deadline:
                return Outcome(
                    ok=False,
                    because=say(
                        "it was not seen running within {seconds} s: {why}",
                        seconds=round(place.start_timeout_s, 3),
                        why=seen.because,
                    ),
                )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, SLOWEST_LOOK_S)

    def _ended_early(self, now: float) -> bool:
        return self._emptied_at is not None and now - self._emptied_at >= ENDED_EARLY_S

    async def _note_the_end(self, place: Place) -> None:
        async with contextlib.aclosing(self.kind.watch(place)) as findings:
            async for finding in findings:
                if finding.state is ResourceState.STOPPED:
                    self._emptied_at = asyncio.get_running_loop().time()

    async def _stop(self, ask: _Ask) -> Outcome:
        if ask.force is not None:
            return await stop_by_force(self.kind, ask.place, ask.force, self.probe_once)
        outcome = await self.kind.stop(ask.place)
        # Seen is believed over said, both ways: a script may fail after the application is gone, and may
        # succeed although it is not.
        seen = self.last = await self._look(ask.place)
        if outcome.ok and seen.state is ResourceState.RUNNING:
            return Outcome(
                ok=False,
                because=say("the stop went through, but it still runs: {why}", why=seen.because),
            )
        if not outcome.ok and seen.state is ResourceState.STOPPED:
            return Outcome(
                ok=True,
                because=say(
                    "it is stopped ({seen}), although: {why}",
                    seen=seen.because,
                    why=outcome.because,
                ),
            )
        return outcome

    # --- looking, in between --------------------------------------------------------------------------------

    def _attend(self, *, running: bool, soon: bool = False) -> None:
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        name = f"{self._place.tree}/{self._place.resource}"
        self._poller = loop.create_task(self._poll(soon=soon), name=f"poll {name}")
        if running:
            self._watcher = loop.create_task(self._watch(self._place), name=f"watch {name}")

    async def _look_away(self) -> None:
        tasks = [task for task in (self._poller, self._watcher) if task is not None]
        self._poller = self._watcher = None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _look(self, place: Place) -> Finding:
        return (await look(self.kind, self._detectors, place)).whole

    async def _poll(self, *, soon: bool) -> None:
        """Active or standby, we look at every interval: here it must run, there it must not."""
        interval_s = self._settings.check_interval_s
        # Not all at the same moment: hundreds are adopted together, and each look holds the loop up a little.
        apart = zlib.crc32(f"{self._place.tree}/{self._place.resource}".encode()) / 2**32
        wait_s = 0.0 if soon else interval_s * (1 + apart) / 2
        while True:  # for as long as the resource is configured; every turn waits
            await asyncio.sleep(wait_s)
            wait_s = interval_s
            was, heard = self._said, self._heard
            seen = await look(self.kind, self._detectors, self._place)
            watched = self._watcher is not None and not self._watcher.done()
            if watched and was is ResourceState.RUNNING and seen.events_tell:
                await asyncio.sleep(EVENT_GRACE_S)
                if self._heard != heard:
                    continue  # the event was on its way, and is dealt with
                self.events_missed += 1
            if seen.whole.state is ResourceState.RUNNING and not watched:
                self._watcher = asyncio.get_running_loop().create_task(self._watch(self._place))
            self._take(seen.whole)

    async def _watch(self, place: Place) -> None:
        try:
            async with contextlib.aclosing(self.kind.watch(place)) as findings:
                async for finding in findings:
                    self._heard += 1
                    if finding.state is ResourceState.STOPPED:
                        await self._on_end(place, finding)
                    else:
                        self._take(finding)
        except Exception:
            # Whatever it was: the poll goes on, sees the resource, and begins to watch it again.
            log.warning("watching %s ended, the poll goes on", place.resource, exc_info=True)

    async def _on_end(self, place: Place, finding: Finding) -> None:
        """The system says it is gone: put it back if the kind can, look a second time if not, then say so."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if len(self._heals) == HEALS_MAX and began - self._heals[0] < HEAL_WINDOW_S:
            self._take(
                replace(
                    finding,
                    because=say(
                        "{why}; it was put back {count} times within {seconds} s and is not put back again",
                        why=finding.because,
                        count=HEALS_MAX,
                        seconds=round(HEAL_WINDOW_S),
                    ),
                )
            )
            return
        healed = await self.kind.heal(place) if self.mends else None
        if healed is not None and healed.ok:
            self._heals.append(began)
            because = say(
                "{why}; it was put back after {ms} ms",
                why=finding.because,
                ms=round((loop.time() - began) * 1000, 1),
            )
            self.last = Finding(ResourceState.RUNNING, because, finding.source)
            self._report(self.last)
            return
        if healed is None and not finding.violent:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SECOND_LOOK_S):
                    if (await self._look(place)).state is ResourceState.RUNNING:
                        return  # what ended was not the application itself, say its tests
        self._take(finding)

    def _take(self, finding: Finding) -> None:
        """Say what is new; too many times "cannot tell" in a row is a failure."""
        self.last = finding
        self._unknowns = self._unknowns + 1 if finding.state is ResourceState.UNKNOWN else 0
        if self._unknowns >= self._settings.unknown_count_max:
            finding = replace(
                finding,
                state=ResourceState.FAILED,
                because=say(
                    "it could not be told {count} times in a row: {why}",
                    count=self._unknowns,
                    why=finding.because,
                ),
            )
        if finding.state is not self._said:
            self._said = finding.state
            self._report(finding)
