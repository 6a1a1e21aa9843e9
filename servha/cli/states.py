"""The words for every state a reader may meet, and the mood (colour) each has beside its word.

Decides how good or bad a state looks. A state that is not listed, from a newer daemon, is shown as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from servha.cli.screen import Cell, Screen
from servha.core.words import Text, say

STANDING: Final[Mapping[str, tuple[Text, str]]] = {
    "joining": (say("joining"), "warn"),
    "standby": (say("standby"), "calm"),
    "active": (say("active"), "good"),
    "claiming": (say("claiming"), "warn"),
    "yielding": (say("yielding"), "warn"),
    "isolated": (say("isolated"), "bad"),
}
HEALTH: Final[Mapping[str, tuple[Text, str]]] = {
    "absent": (say("no second node"), "quiet"),
    "unheard": (say("not heard yet"), "warn"),
    "alive": (say("alive"), "good"),
    "suspect": (say("suspect"), "warn"),
    "lost": (say("lost"), "bad"),
    "left": (say("left"), "warn"),
}
LINK: Final[Mapping[str, tuple[Text, str]]] = {
    "up": (say("normal"), "good"),
    "late": (say("late"), "warn"),
    "warned": (say("warned of"), "warn"),
    "dead": (say("dead"), "bad"),
    "unknown": (say("unknown"), "quiet"),
}
PHASE: Final[Mapping[str, tuple[Text, str]]] = {
    "off": (say("off"), "calm"),
    "wanted": (say("wanted"), "warn"),
    "starting": (say("starting"), "warn"),
    "running": (say("running"), "good"),
    "stopping": (say("stopping"), "warn"),
    "stop-failed": (say("stop failed"), "bad"),
    "unknown": (say("unknown"), "quiet"),
}
STEP: Final[Mapping[str, tuple[Text, str]]] = {
    "off": (say("off"), "calm"),
    "starting": (say("starting"), "warn"),
    "on": (say("on"), "good"),
    "broken": (say("broken"), "bad"),
    "stopping": (say("stopping"), "warn"),
    "start-failed": (say("start failed"), "bad"),
    "stop-failed": (say("stop failed"), "bad"),
}
RESOURCE: Final[Mapping[str, tuple[Text, str]]] = {
    "running": (say("running"), "good"),
    "stopped": (say("stopped"), "calm"),
    "failed": (say("failed"), "bad"),
    "unknown": (say("unknown"), "quiet"),
}
FITNESS: Final[Mapping[str, tuple[Text, str]]] = {
    "fit": (say("able to run it"), "good"),
    "unfit": (say("unable to run it"), "bad"),
    "unknown": (say("ability unknown"), "quiet"),
}
READY: Final[Mapping[str, tuple[Text, str]]] = {
    "ready": (say("ready"), "good"),
    "remark": (say("ready, but"), "warn"),
    "unready": (say("(A) not ready"), "bad"),
}
PARKED: Final[Mapping[str, tuple[Text, str]]] = {
    "no": (Text(""), ""),
    "yes": (say("failed here, kept off"), "bad"),
    "alone": (say("failed here and nobody else could, waits for an order"), "bad"),
}
SEVERITY: Final[Mapping[str, tuple[Text, str]]] = {
    "info": (say("message"), "quiet"),
    "warning": (say("warning"), "warn"),
    "error": (say("error"), "bad"),
    "cleared": (say("cleared"), "good"),
}
RIGHT: Final[Mapping[str, tuple[Text, str]]] = {
    "consent": (say("with the peer's consent"), "good"),
    "granted": (say("may act alone"), "good"),
    "pending": (say("asking"), "warn"),
    "refused": (say("refused"), "bad"),
    "lost": (say("lost"), "bad"),
}
POLICY: Final[Mapping[str, tuple[Text, str]]] = {
    "none": (say("no arbitration"), "warn"),
    "reference-address": (say("reference address only"), ""),
    "quorum-disk": (say("quorum disk only"), ""),
    "reference-address-and-quorum-disk": (say("reference address and quorum disk"), ""),
}
LEASE: Final[Mapping[str, tuple[Text, str]]] = {
    "booting": (say("beginning"), "warn"),
    "free": (say("not needed"), "calm"),
    "leased": (say("held"), "good"),
    "degraded": (say("held, one source only"), "warn"),
    "ending": (say("ended: everything stops"), "bad"),
    "reset": (say("the node resets itself"), "bad"),
    "unknown": (say("unknown"), "bad"),
}
DISK: Final[Mapping[str, tuple[Text, str]]] = {
    "works": (say("works"), "good"),
    "trouble": (say("in trouble"), "bad"),
}
ENTRY: Final[Mapping[str, tuple[Text, str]]] = {
    "none": (say("not held"), "calm"),
    "want": (say("wanted"), "warn"),
    "held": (say("held"), "good"),
    "released": (say("released"), "calm"),
    "stop-failed": (say("stop failed"), "bad"),
}
GOAL: Final[Mapping[str, tuple[Text, str]]] = {
    "stop": (say("is to be stopped"), "warn"),
}
ANSWERS: Final[Mapping[str, tuple[Text, str]]] = {
    "true": (say("answers"), "good"),
    "false": (say("does not answer"), "bad"),
    "null": (say("not asked yet"), "quiet"),
}


def cell(screen: Screen, table: Mapping[str, tuple[Text, str]], state: str) -> Cell:
    """Return the word for `state` in the reader's language with its mood."""
    text, mood = table.get(state, (Text("{state}", (("state", state),)), ""))
    return Cell(screen.words(text), mood)


def answered(value: Any) -> str:
    """Return the key in ANSWERS for true, false or null."""
    return {True: "true", False: "false"}.get(value, "null") if value is not None else "null"


def for_how_long(seconds: float | None) -> Text:
    """Return a duration as people say it: one figure, the unit that fits; a dash when it is not known."""
    if seconds is None:
        return say("-")
    if seconds < 1:
        return say("{n} ms", n=round(seconds * 1000))
    if seconds < 120:
        return say("{n} s", n=f"{seconds:.1f}" if seconds < 10 else round(seconds))
    if seconds < 7200:
        return say("{n} min", n=round(seconds / 60))
    if seconds < 172800:
        return say("{n} h", n=round(seconds / 3600))
    return say("{n} d", n=round(seconds / 86400))
