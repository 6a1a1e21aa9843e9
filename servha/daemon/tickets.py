"""What a console keeps in place of the password: a ticket that proves for some hours that somebody has shown it.

Decides whether a ticket is genuine and still good. It is sealed with a key that both nodes derive from the cluster key
and the kept password, so it is good on either node, and void on both as soon as the password changes.

A page that shows the cluster also keeps a short one, by which it goes to the other node's console when its own is gone:
that one is good for minutes, and is changed there for one that ends when the login would have ended.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any, Final

from servha.daemon.caller import Right
from servha.daemon.password import PasswordRecord
from servha.wire.keys import hkdf_sha256, session_key

LASTS_S: Final = 12 * 3600
"""However busy the session is; a console forgets idle ones sooner."""
SHORT_S: Final = 180
"""Long enough for a page to find out that its console is gone, and no longer: it is kept where scripts can read it."""
_NONCE_BYTES: Final = 16
_LENGTH_MAX: Final = 512


@dataclass(frozen=True, slots=True)
class Proven:
    """What a genuine ticket says: the right it gives, until when, and when the login that it comes from is over."""

    right: Right
    until_unix_s: int
    over_unix_s: int

    @property
    def short(self) -> bool:
        """Whether it is to be changed for one that is good until the login is over."""
        return self.until_unix_s < self.over_unix_s


def issue(cluster_key: bytes, record: PasswordRecord, right: Right, *, now_unix_s: float) -> str:
    """Return a ticket for `right`; `now_unix_s` by the wall clock, because both nodes must understand it."""
    over = round(now_unix_s) + LASTS_S
    return _sealed(cluster_key, record, Proven(right, over, over))


def shorter(cluster_key: bytes, record: PasswordRecord, proven: Proven, *, now_unix_s: float) -> str:
    """Return a short ticket from a proven one."""
    until = min(round(now_unix_s) + SHORT_S, proven.over_unix_s)
    return _sealed(cluster_key, record, Proven(proven.right, until, proven.over_unix_s))


def whole(cluster_key: bytes, record: PasswordRecord, proven: Proven) -> str:
    """Return a ticket that is good until the login of a proven one is over, and not a moment longer."""
    return _sealed(cluster_key, record, Proven(proven.right, proven.over_unix_s, proven.over_unix_s))


def _sealed(cluster_key: bytes, record: PasswordRecord, proven: Proven) -> str:
    body = {
        "right": proven.right.value,
        "until": proven.until_unix_s,
        "over": proven.over_unix_s,
        "nonce": secrets.token_hex(_NONCE_BYTES),
    }
    payload = _encoded(json.dumps(body, separators=(",", ":")).encode())
    return f"{payload}.{_encoded(_seal(cluster_key, record, payload))}"


def read(cluster_key: bytes, record: PasswordRecord, ticket: str, *, now_unix_s: float) -> Proven | None:
    """Return what a ticket says; None when it is not ours, of another password, or over."""
    payload, _, seal = ticket[:_LENGTH_MAX].partition(".")
    try:
        if not hmac.compare_digest(_decoded(seal), _seal(cluster_key, record, payload)):
            return None
        body: Any = json.loads(_decoded(payload))
        proven = Proven(Right(body["right"]), int(body["until"]), int(body["over"]))
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
    if now_unix_s >= proven.until_unix_s or proven.right not in (Right.ADMINISTRATOR, Right.CHOOSER):
        return None
    return proven


def _seal(cluster_key: bytes, record: PasswordRecord, payload: str) -> bytes:
    key = hkdf_sha256(session_key(cluster_key), record.hash + record.salt, 32)
    return hmac.digest(key, payload.encode(), "sha256")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
