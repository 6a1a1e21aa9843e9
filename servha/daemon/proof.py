"""How a node that wants to join and the node that admits it prove to each other that they know the same secret.

Pure. The secret is what scrypt makes of the cluster password, or a join code. Both proofs cover both
certificates, both random challenges and everything the joining node asks for: somebody in the middle has
another certificate, so what he hears on one side is worth nothing on the other, and what was said once is
worth nothing again.

What it does not do: a node that is tricked into calling an attacker's address shows him a proof made with the
password, and he may try passwords against it at his leisure, each at the price of one scrypt. A join code
(128 random bits, bound to the admitting node's certificate) has no such weakness.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servha.core.words import say
from servha.wire.keys import hkdf_sha256
from servha.wire.rpc import Code, Json, Refusal

PROTOCOL: Final = 1
NONCE_BYTES: Final = 32
CODE_SECRET_BYTES: Final = 16
_CODE_PIN_BYTES: Final = 16


class Method(StrEnum):
    """What the secret is."""

    PASSWORD = "password"  # noqa: S105 - a word, not a password
    CODE = "code"


class Side(StrEnum):
    """Who proves. Each side's proof is useless as the other's."""

    JOINING = "joining"
    ADMITTING = "admitting"


@dataclass(frozen=True, slots=True)
class Transcript:
    """Everything both sides have seen of each other.

    Differs as soon as anybody has changed anything on the way.
    """

    cluster_id: str
    admitting_certificate: str
    joining_certificate: str
    admitting_nonce: str
    joining_nonce: str
    method: Method
    offer: Json
    """What the joining node says of itself."""

    def proof(self, secret: bytes, side: Side) -> str:
        """Return the proof, in hexadecimal, that `side` knows `secret`."""
        told = [
            "servha join",
            PROTOCOL,
            side.value,
            self.method.value,
            self.cluster_id,
            self.admitting_certificate,
            self.joining_certificate,
            self.admitting_nonce,
            self.joining_nonce,
            self.offer,
        ]
        message = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
        key = hkdf_sha256(secret, f"servha join {self.method.value} 1".encode(), 32)
        return hmac.digest(key, message, "sha256").hex()

    def is_proven(self, proof: str, secret: bytes, side: Side) -> bool:
        """Whether `proof` is the one that `side` gives; takes the same time either way."""
        return hmac.compare_digest(self.proof(secret, side).encode(), proof.encode())


@dataclass(frozen=True, slots=True)
class JoinCode:
    """A one-time secret together with the beginning of the fingerprint of the node that made it."""

    secret: bytes
    pin: bytes

    @classmethod
    def made(cls, secret: bytes, certificate_sha256: str) -> JoinCode:
        """Return the code for 16 fresh random bytes and the certificate of this node."""
        assert len(secret) == CODE_SECRET_BYTES
        return cls(secret, bytes.fromhex(certificate_sha256)[:_CODE_PIN_BYTES])

    def __str__(self) -> str:
        letters = base64.b32encode(self.secret + self.pin).decode().rstrip("=")
        return "-".join(letters[start : start + 6] for start in range(0, len(letters), 6))

    @classmethod
    def read(cls, typed: str) -> JoinCode:
        """Return the code that a person typed or pasted. Raises `Refusal` (usage) when it is none."""
        letters = "".join(typed.upper().split()).replace("-", "").replace("0", "O").replace("1", "I")
        try:
            content = base64.b32decode(letters + "=" * (-len(letters) % 8))
        except (binascii.Error, ValueError):
            content = b""
        if len(content) != CODE_SECRET_BYTES + _CODE_PIN_BYTES:
            text = say(
                "this is not a join code: copy all of what `servha cluster invite` shows on the first node"
            )
            raise Refusal(Code.USAGE, text)
        return cls(content[:CODE_SECRET_BYTES], content[CODE_SECRET_BYTES:])

    def is_of(self, certificate_sha256: str) -> bool:
        """Whether the node with this certificate made the code."""
        return hmac.compare_digest(bytes.fromhex(certificate_sha256)[:_CODE_PIN_BYTES], self.pin)


class Invitation:
    """The one join code that is good at the moment: ten minutes, one use. A new one replaces it."""

    GOOD_FOR_S: Final = 600.0

    def __init__(self) -> None:
        self._secret = b""
        self._until_s = 0.0

    def make(self, secret: bytes, certificate_sha256: str, *, now_s: float) -> JoinCode:
        """Return a fresh code made of `secret`, 16 random bytes."""
        self._secret, self._until_s = secret, now_s + self.GOOD_FOR_S
        return JoinCode.made(secret, certificate_sha256)

    def secret(self, *, now_s: float) -> bytes | None:
        """Return the secret that a proof must be made with; None when no code is good."""
        return self._secret if self._secret and now_s < self._until_s else None

    def use(self) -> None:
        """The code has been used: it is good no more."""
        self._secret = b""
