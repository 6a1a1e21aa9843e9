"""What the console's interface answers, as types: the words of docs and document, never checked while running.

A field that servhad adds is passed on all the same; a test compares these types with the answers of a real cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from servha.console.shown_picture import Sentence
from servha.core.words import say


@dataclass
class Trouble:
    path: Annotated[str, say("the field that it is about, as in trees.web.hosts; empty: the whole")]
    because: Sentence | None
    remedy: Annotated[Sentence | None, say("what to do")]


@dataclass
class Error:
    code: Annotated[str, say("a word for programs, such as not-permitted, no-such, refused, try-again")]
    template: str
    params: dict[str, Any]
    text: Annotated[str, say("the sentence in the language that was asked for")]
    problems: list[Trouble]
    generation: Annotated[
        int, say("only where the configuration was changed meanwhile: its generation now")
    ] = 0
    maybe_done: Annotated[bool, say("whether it may have been done all the same")] = False


@dataclass
class Refused:
    error: Error


# --- sessions -------------------------------------------------------------------------------------------------


@dataclass
class OneSession:
    right: str
    choose_password: Annotated[bool, say("whether nothing can be done before a password is chosen")]
    address: Annotated[str, say("the node that was logged in to; empty: that of this console")]
    cluster: str
    node: str
    since: Annotated[str, say("date and time with zone, ISO 8601")]
    idle_s: Annotated[float, say("seconds without a request after which it ends")]
    until: Annotated[str, say("date and time with zone, ISO 8601")]
    csrf: Annotated[str, say("to be sent as X-Servha-CSRF with every change")]


@dataclass
class SessionAnswer:
    session: OneSession | None
    console: Annotated[
        str, say("a word for this run of the console: another one means that it was started again")
    ]


@dataclass
class TicketAnswer:
    ticket: Annotated[
        str, say("by which a page goes on at the other node's console: good for minutes, on both nodes")
    ]


@dataclass
class HereAnswer:
    here: Annotated[bool, say("always true: a console answers")]


@dataclass
class Version:
    generation: Annotated[int, say("number of the configuration; grows with every change")]
    digest: Annotated[str, say("first 16 hexadecimal digits of its SHA-256")]
    cluster: str
    on_both: Annotated[bool, say("whether the other node has it too")]


@dataclass
class PasswordAnswer:
    session: OneSession
    changed: Version


# --- the journal ----------------------------------------------------------------------------------------------


@dataclass
class FactShown:
    what: Sentence
    source: str
    age_s: float


@dataclass
class EntryShown:
    id: Annotated[int, say("grows by one with every entry of its node")]
    at: Annotated[str, say("date and time with zone, ISO 8601")]
    at_s: float
    node: str
    subject: str
    before: str
    after: str
    rule: Annotated[str, say("the rows of the rules that decided it; see the rules page")]
    because: Sentence
    facts: list[FactShown]
    otherwise: Annotated[Sentence, say("what would have decided it otherwise")]
    ownership: int
    took_s: float
    severity: str


@dataclass
class JournalAnswer:
    schema_version: int
    entries: list[EntryShown]


@dataclass
class WhyAnswer:
    schema_version: int
    tree: str
    entries: list[EntryShown]
    peer_missing: Annotated[bool, say("whether the other node's entries are missing")]
    waits: Annotated[dict[str, Sentence], say("tree to what it waits for now")]


# --- changes --------------------------------------------------------------------------------------------------


@dataclass
class OrderAnswer:
    number: Annotated[int, say("number of the order; the picture shows when it is in force")]


@dataclass
class ConfigAnswer:
    generation: int
    digest: str
    cluster: str
    document: dict[str, Any]


@dataclass
class ChangeAnswer:
    changes: list[Sentence]
    generation: int
    changed: bool
    against: Annotated[
        Any, say("with `dry_run`: what doing it would be refused with as things stand, or null")
    ] = None
    on_both: bool = False


@dataclass
class KindShown:
    about: Sentence
    fields: list[dict[str, Any]]


@dataclass
class KindsAnswer:
    resources: dict[str, KindShown]
    detectors: dict[str, KindShown]


@dataclass
class MaintenanceAnswer:
    generation: int
    on_both: bool


@dataclass
class InvitationAnswer:
    code: str
    good_for_s: float


@dataclass
class InterfacesAnswer:
    host: str
    interfaces: list[dict[str, Any]]
    disks: list[dict[str, Any]]


@dataclass
class EnteredAnswer:
    generation: int = 0
    digest: str = ""
    cluster: str = ""
    node: str = ""
    changes: Any = None
    document: Any = None


@dataclass
class JoiningAnswer:
    step: str
    undecided: bool


@dataclass
class HeldShown:
    from_s: float
    nodes: Annotated[list[str], say("where it runs from then on")]


@dataclass
class SimulatedEntry:
    at_s: float
    node: str
    subject: str
    before: str
    after: str
    because: Sentence
    severity: str


@dataclass
class WhatAt:
    at_s: float
    what: str


@dataclass
class TreeAt:
    at_s: float
    tree: str


@dataclass
class SimulationAnswer:
    schema_version: int
    until_s: float
    done: Annotated[list[WhatAt], say("what was done, in the words of `servha simulate`")]
    entries: list[SimulatedEntry]
    held: Annotated[dict[str, list[HeldShown]], say("where each tree ran, from when on")]
    dual_active: Annotated[list[TreeAt], say("when a tree ran on both nodes at once")]
    broken: Annotated[list[WhatAt], say("every promise that was broken")]
