"""Tokens made, listed and removed: a change of the configuration, so both nodes know them and a reboot keeps them.

Decides what a token may be called and how long it lasts. Refuses to show one a second time: only its digest is kept.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Final

from servha.config.document import Document, TokenSection
from servha.config.shape import NAME_PATTERN
from servha.core.words import Text, say
from servha.daemon import tokens
from servha.daemon.api import Verb, for_administrators
from servha.daemon.arguments import needed_word, number
from servha.daemon.caller import Caller
from servha.daemon.configuration import Configuration
from servha.daemon.maintenance import WallClock, wall_clock_s
from servha.daemon.replicate import Replicator
from servha.wire.rpc import Args, Code, Json, Refusal

SCOPES: Final = ("read", "operate", "configure")
LASTS_S_MAX: Final = 10 * 366 * 86400
TOKENS_MAX: Final = 64


class TokenDesk:
    """The verbs token.create, token.list and token.remove."""

    def __init__(
        self,
        configuration: Configuration,
        replicator: Replicator,
        note: Callable[[str, Text], None],
        now_s: WallClock = wall_clock_s,
    ) -> None:
        self._configuration = configuration
        self._replicator = replicator
        self._note = note
        self._now_s = now_s

    def verbs(self) -> Mapping[str, Verb]:
        """The rows for the table of verbs."""
        return {
            "token.create": for_administrators(self.create),
            "token.list": for_administrators(self.listed),
            "token.remove": for_administrators(self.remove),
        }

    async def create(self, args: Args, caller: Caller) -> Json:
        """token.create {name, scope, for_s}: make one, tell it this once; `for_s` 0: good until it is removed."""
        name, scope, lasts_s = needed_word(args, "name"), needed_word(args, "scope"), number(args, "for_s")
        if not re.fullmatch(NAME_PATTERN, name):
            text = say(
                "{name} is no name for a token: use 1 to 64 letters, digits, _ . and -, beginning with a letter,"
                " a digit or _",
                name=name,
            )
            raise Refusal(Code.USAGE, text)
        if scope not in SCOPES:
            raise Refusal(
                Code.USAGE, say("a token is for read, operate or configure, not {scope}", scope=scope)
            )
        if not 0 <= lasts_s <= LASTS_S_MAX:
            raise Refusal(Code.USAGE, say("a token lasts from 1 s to ten years, or 0: until it is removed"))
        token, now = tokens.made(), int(self._now_s())
        who = caller.address or caller.name
        until = now + lasts_s if lasts_s else 0
        kept = {
            "name": name,
            "digest": tokens.digest_of(token),
            "by": who,
            "since_unix_s": now,
            "until_unix_s": until,
        }
        section = TokenSection(**{**kept, "scope": scope})  # type: ignore[arg-type]

        def change(base: Document) -> Document:
            if any(one.name == name for one in base.tokens):
                text = say(
                    "there is a token {name} already: remove it first, or choose another name", name=name
                )
                raise Refusal(Code.EXISTS, text)
            if len(base.tokens) >= TOKENS_MAX:
                text = say(
                    "there are {count} tokens already: remove those that nobody uses", count=TOKENS_MAX
                )
                raise Refusal(Code.REFUSED, text)
            return dataclasses.replace(base, tokens=(*base.tokens, section))

        outcome = await self._replicator.amend(change)
        self._note("info", say("token {name} ({scope}) was made by {who}", name=name, scope=scope, who=who))
        return {**_told(section), "token": token, "on_both": outcome.on_both}

    async def listed(self, _args: Args, _: Caller) -> Json:
        """token.list {}: every token with its scope, who made it, since when and until when; never the token."""
        return {"tokens": [_told(one) for one in self._configuration.must_have().document.tokens]}

    async def remove(self, args: Args, caller: Caller) -> Json:
        """token.remove {name}: whoever uses it is a stranger from now on."""
        name, who = needed_word(args, "name"), caller.address or caller.name

        def change(base: Document) -> Document:
            kept = tuple(one for one in base.tokens if one.name != name)
            if kept == base.tokens:
                raise Refusal(Code.NO_SUCH, say("there is no token {name}", name=name))
            return dataclasses.replace(base, tokens=kept)

        outcome = await self._replicator.amend(change)
        self._note("info", say("token {name} was removed by {who}", name=name, who=who))
        return {"name": name, "on_both": outcome.on_both}


def _told(section: TokenSection) -> dict[str, Json]:
    shown = ("name", "scope", "by", "since_unix_s", "until_unix_s")
    return {name: getattr(section, name) for name in shown}
