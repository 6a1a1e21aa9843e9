"""The cluster password: how it is kept, checked and chosen.

Decides whether a password is right and whether a new one may be taken. Refuses to count attempts
(daemon/attempts.py) and to use a password as a key for anything but the proof of a joining node. What is kept
is scrypt's answer; the work is done in a thread, one at a time, so neither the loop waits nor can many
attempts at once fill the memory (each takes 32 MiB and about 60 ms).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from servha.config.document import Password
from servha.core.words import Text, say
from servha.wire.rpc import Code, Json, Refusal

INITIAL_PASSWORD: Final = "1"  # noqa: S105 - the manual's; good only on the machine itself until it is changed
SALT_BYTES: Final = 16
_LENGTH_MAX: Final = 256
_WAITING_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class PasswordRecord:
    """What the configuration keeps of the password. `initial` while it is still the one from the manual."""

    salt: bytes
    hash: bytes
    n: int = 2**15
    r: int = 8
    p: int = 1
    initial: bool = False

    def as_json(self) -> dict[str, Json]:
        """Return the record as it stands in the configuration."""
        return {
            "salt": self.salt.hex(),
            "hash": self.hash.hex(),
            "n": self.n,
            "r": self.r,
            "p": self.p,
            "initial": self.initial,
        }

    @classmethod
    def from_json(cls, value: Json) -> PasswordRecord:
        """Return the record in `value`.

        Raises `ValueError` when there is none, or none that is safe to use.
        """
        if not isinstance(value, Mapping):
            raise ValueError("a password record is an object")  # noqa: TRY004
        n, r, p = (value.get(name) for name in ("n", "r", "p"))
        if not (isinstance(n, int) and isinstance(r, int) and isinstance(p, int)):
            raise ValueError("a password record names scrypt's n, r and p")  # noqa: TRY004
        # A record also arrives from a node that is joined: weaker figures would make guessing cheap for
        # whoever poses as that node, larger ones would fill our memory.
        if not (2**15 <= n <= 2**17 and n & (n - 1) == 0 and 8 <= r <= 16 and 1 <= p <= 4):
            raise ValueError(f"scrypt n={n} r={r} p={p} is outside what is safe")
        salt = bytes.fromhex(str(value.get("salt")))
        kept = bytes.fromhex(str(value.get("hash", "")))
        if len(salt) < SALT_BYTES:
            raise ValueError("the salt is too short")
        return cls(salt=salt, hash=kept, n=n, r=r, p=p, initial=value.get("initial") is True)

    @classmethod
    def of(cls, kept: Password | None) -> PasswordRecord:
        """Return the record that stands in the configuration. Raises `ValueError` when there is none."""
        if kept is None:
            raise ValueError("the configuration holds no password")
        return cls(
            salt=bytes.fromhex(kept.salt),
            hash=bytes.fromhex(kept.hash),
            n=kept.n,
            r=kept.r,
            p=kept.p,
            initial=kept.initial,
        )

    def as_section(self) -> Password:
        """Return the record as a part of the configuration."""
        return Password(
            salt=self.salt.hex(), hash=self.hash.hex(), n=self.n, r=self.r, p=self.p, initial=self.initial
        )

    def derive(self, password: str) -> bytes:
        """Return scrypt's answer for `password` with this record's salt and figures.

        Blocks for about 60 ms.
        """
        return hashlib.scrypt(
            password.encode()[: 4 * _LENGTH_MAX],
            salt=self.salt,
            n=self.n,
            r=self.r,
            p=self.p,
            maxmem=2 * 128 * self.n * self.r * self.p,
            dklen=32,
        )


class PasswordDesk:
    """Does the slow part of password work in a thread, one piece at a time, with a bounded queue."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()
        self._waiting = 0

    async def derive(self, record: PasswordRecord, password: str) -> bytes:
        """Return scrypt's answer. Raises `Refusal` (try-again) when too many ask at once."""
        if self._waiting >= _WAITING_MAX:
            raise Refusal(Code.TRY_AGAIN, say("too many logins are being checked: try again in a moment"))
        self._waiting += 1
        try:
            async with self._one:
                return await asyncio.to_thread(record.derive, password)
        finally:
            self._waiting -= 1

    async def is_right(self, record: PasswordRecord, password: str) -> bool:
        """Return whether `password` is the one in the record; takes the same time either way."""
        return hmac.compare_digest(await self.derive(record, password), record.hash)

    async def keep(self, password: str, *, salt: bytes) -> PasswordRecord:
        """Return the record to keep for `password`; `salt` is 16 fresh random bytes."""
        bare = PasswordRecord(salt=salt, hash=b"", initial=password == INITIAL_PASSWORD)
        return PasswordRecord(salt=salt, hash=await self.derive(bare, password), initial=bare.initial)


def password_problems(password: str) -> list[Text]:
    """Return every reason why `password` may not be chosen; empty when it may."""
    found: list[Text] = []
    if password == INITIAL_PASSWORD:
        found.append(say("the new password is the initial one: choose another"))
    elif len(password) < 8:
        found.append(
            say("the new password has {length} characters: at least 8 are needed", length=len(password))
        )
    if len(password) > _LENGTH_MAX:
        found.append(say("the new password is longer than {most} characters", most=_LENGTH_MAX))
    if any(not character.isprintable() for character in password):
        found.append(say("the new password holds a character that cannot be typed"))
    return found
