"""The resources of this node: one worker each, made from the configuration, kept while their settings stay.

It also finds out, at start, what runs already, so that a restarted daemon adopts it. What should run is not
decided here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from servha.config.document import Document, ResourceSection, detectors_on, kind_on, settings_on
from servha.core.effects import StartResource, StopResource
from servha.core.events import ActionFinished, Event, Remembered, ResourceReported, TreeMemory
from servha.core.model import Action, JournalEntry, Order, Phase, ResourceState, Step
from servha.core.words import Text
from servha.daemon.loop import boottime_s
from servha.daemon.memory import Doing, Owned
from servha.daemon.resource_worker import ResourceWorker, WorkerSettings
from servha.host import Finding, Host, Outcome

log = logging.getLogger("servha.workers")

LOOK_TIMEOUT_S = 10.0
"""How long the look at one resource at start may take; one that does not answer is not adopted as running."""

Key = tuple[str, str]


@dataclass(frozen=True)
class _Kept:
    worker: ResourceWorker
    made_from: str


class Workers:
    """All resource workers of this node. Called in the loop's thread only."""

    def __init__(
        self,
        *,
        us: str,
        host: Host,
        happen: Callable[[Event], None],
        tell: Callable[[JournalEntry], object] = lambda _entry: None,
    ) -> None:
        self._us = us
        self._tell = tell
        self._host = host
        self._happen = happen
        self._kept: dict[Key, _Kept] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._missed_before = 0
        """Events missed by workers that were replaced: the sum may only grow."""

    @property
    def events_missed(self) -> int:
        """How often a poll found what no event had told."""
        return self._missed_before + sum(kept.worker.events_missed for kept in self._kept.values())

    def adapt(self, document: Document) -> list[Key]:
        """Make, replace and end workers so that they fit the configuration; returns those that are new."""
        wanted: dict[Key, tuple[str, ResourceSection]] = {}
        for tree in document.trees:
            if self._us in tree.hosts:
                for resource in tree.resources:
                    wanted[tree.name, resource.name] = (
                        repr((resource, settings_on(resource, self._us))),
                        resource,
                    )
        for key, kept in list(self._kept.items()):
            if key not in wanted or wanted[key][0] != kept.made_from:
                self._end(kept.worker)
                del self._kept[key]
        fresh = []
        for key, (made_from, resource) in wanted.items():
            if key not in self._kept:
                self._kept[key] = _Kept(self._make(key[0], resource), made_from)
                fresh.append(key)
        return fresh

    def attend(self, keys: list[Key]) -> None:
        """Begin to look at resources that nobody has started here."""
        for key in keys:
            if key in self._kept:
                self._kept[key].worker.adopt()

    async def look(self, document: Document, doing: dict[str, Doing], owned: dict[str, Owned]) -> None:
        """Find out what runs here already and tell the core; then begin to watch."""
        keys = list(self._kept)
        memories: list[TreeMemory] = []
        findings = dict(zip(keys, await asyncio.gather(*(self._look(key) for key in keys)), strict=True))
        for tree in document.trees:
            steps = tuple(
                (r.name, Step.ON)
                for r in tree.resources
                if (f := findings.get((tree.name, r.name))) is not None and f.state is ResourceState.RUNNING
            )
            known = owned.get(tree.name, Owned(0, Order()))
            was = doing.get(tree.name)
            phase = Phase.OFF
            if was is not None and was.phase.holds and (steps or was.phase is not Phase.RUNNING):
                phase = was.phase
            elif was is not None and was.phase.holds:
                phase = (
                    Phase.STARTING
                )  # it ran, and all of it died while nobody looked: start it again in place
            ownership = max(known.ownership, was.ownership if was is not None else 0)
            order = replace(known.order, forced=was is not None and was.forced)
            memories.append(TreeMemory(tree.name, phase, ownership, order, steps))
            for resource in tree.resources:
                if (key := (tree.name, resource.name)) in self._kept:
                    self._kept[key].worker.adopt(ownership=ownership)
        self._happen(Remembered(boottime_s(), tuple(memories)))
        for key, found in findings.items():
            if found is not None:
                self._found(key, found)

    def start(self, effect: StartResource) -> None:
        """Start a resource; the outcome comes as an event."""
        self._let_mend(effect.tree, mends=True)
        worker = self._worker(effect.tree, effect.resource)
        if worker is not None:
            worker.start(
                ownership=effect.ownership, reason=effect.reason, address_known_free=effect.address_known_free
            )

    def stop(self, effect: StopResource) -> None:
        """Stop a resource, or clean up after a dead one; the outcome comes as an event."""
        if not effect.clean_up:
            self._let_mend(effect.tree, mends=False)
        worker = self._worker(effect.tree, effect.resource)
        if worker is not None:
            worker.stop(
                ownership=effect.ownership,
                reason=effect.reason,
                clean_up=effect.clean_up,
                force=effect.force,
            )

    def _let_mend(self, tree: str, *, mends: bool) -> None:
        """While a tree is being stopped, nothing of it is put back: the guard may have taken it away for good."""
        for (name, _), kept in self._kept.items():
            if name == tree:
                kept.worker.mends = mends

    async def close(self) -> None:
        """Stop looking; what runs stays running."""
        await asyncio.gather(*(kept.worker.close() for kept in self._kept.values()), *self._closing)
        self._kept.clear()

    def _worker(self, tree: str, resource: str) -> ResourceWorker | None:
        kept = self._kept.get((tree, resource))
        return kept.worker if kept is not None else None

    def _make(self, tree: str, resource: ResourceSection) -> ResourceWorker:
        key = (tree, resource.name)

        def finished(action: Action, outcome: Outcome, took_s: float) -> None:
            self._happen(
                ActionFinished(boottime_s(), tree, resource.name, action, outcome.ok, outcome.because, took_s)
            )

        def told(severity: str, text: Text) -> None:
            self._tell(
                JournalEntry(
                    boottime_s(), self._us, f"{tree}/{resource.name}", "", "", "", text, severity=severity
                )
            )

        return ResourceWorker(
            tree=tree,
            resource=resource.name,
            kind=kind_on(resource, self._us),
            detectors=detectors_on(resource),
            settings=WorkerSettings(
                check_interval_s=resource.check_interval_s,
                start_timeout_s=resource.start_timeout_s,
                stop_timeout_s=resource.stop_timeout_s,
            ),
            host=self._host,
            report=lambda finding: self._found(key, finding),
            finished=finished,
            hooks=resource.hooks,
            tell=told,
        )

    def _found(self, key: Key, finding: Finding) -> None:
        tree, resource = key
        self._happen(
            ResourceReported(boottime_s(), tree, resource, finding.state, finding.because, finding.source)
        )

    async def _look(self, key: Key) -> Finding | None:
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                return await self._kept[key].worker.probe_once()
        except TimeoutError:
            log.warning("%s/%s did not say within %s s whether it runs", *key, LOOK_TIMEOUT_S)
            return None

    def _end(self, worker: ResourceWorker) -> None:
        self._missed_before += worker.events_missed
        task = asyncio.get_running_loop().create_task(worker.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
