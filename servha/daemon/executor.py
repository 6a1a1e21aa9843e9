"""Carries the core's effects out: one `match`, each effect in a line or two, nothing decided.

Effects that take time are handed to whoever does them and come back as events.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from servha.core.effects import (
    AskGuard,
    Clear,
    Effect,
    Farewell,
    ProbePeer,
    ProbeReferences,
    ProbeTreeAddresses,
    Raise,
    Record,
    Remember,
    SendBeat,
    StartResource,
    StopResource,
)
from servha.daemon.alarms import StandingAlarms
from servha.daemon.beats import Beats
from servha.daemon.guard_link import GuardLink
from servha.daemon.journal import Journal
from servha.daemon.memory import Owned, OwnershipFile
from servha.daemon.probing import Prober
from servha.daemon.workers import Workers

log = logging.getLogger("servha.executor")


@dataclass(frozen=True)
class Executor:
    """Everything an effect may need."""

    beats: Beats
    guard: GuardLink
    workers: Workers
    prober: Prober
    journal: Journal
    ownership: OwnershipFile
    alarms: StandingAlarms
    farewell: Callable[[], None]

    def carry_out(self, effect: Effect) -> None:
        """Do what is asked, or begin to."""
        match effect:
            case SendBeat(report=report):
                self.beats.send(report)
            case AskGuard(asking=asking):
                self.guard.ask(asking)
            case StartResource():
                self.workers.start(effect)
            case StopResource():
                self.workers.stop(effect)
            case ProbeReferences():
                self.prober.ask_references()
            case ProbePeer():
                self.prober.ask_peer()
            case ProbeTreeAddresses(tree=tree):
                self.prober.ask_tree_addresses(tree)
            case Remember(tree=tree, ownership=ownership, order=order):
                self._remember(tree, Owned(ownership, order))
            case Record(entry=entry):
                self.journal.add(entry)
            case Raise(key=key, severity=severity, text=text):
                self.alarms.raise_alarm(key, severity, text)
            case Clear(key=key):
                self.alarms.clear_alarm(key)
            case Farewell():
                self.farewell()
            case _:
                assert_never(effect)

    def _remember(self, tree: str, owned: Owned) -> None:
        try:
            self.ownership.keep(tree, owned)
        except OSError as problem:
            # A full disk must not stop a takeover: the number also travels in every beat.
            log.error("ownership of %s cannot be written: %s", tree, problem)
