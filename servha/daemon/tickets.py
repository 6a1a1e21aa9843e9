"""What a console keeps in place of the password: a ticket that proves for some hours that somebody has shown it.

Decides whether a ticket is genuine and still good. It is sealed with a key that both nodes derive from the cluster key
and the kept password, so it is good on either node, and void on both as soon as the password changes.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from typing import Any, Final

from servha.daemon.caller import Right
from servha.daemon.password import PasswordRecord
from servha.wire.keys import hkdf_sha256, session_key

LASTS_S: Final = 12 * 3600
"""However busy the session is; a console forgets idle ones sooner."""
_NONCE_BYTES: Final = 16
_LENGTH_MAX: Final = 512


def issue(cluster_key: bytes, record: PasswordRecord, right: Right, *, now_unix_s: float) -> str:
    """Return a ticket for `right`; `now_unix_s` by the wall clock, because both nodes must understand it."""
    body = {
        "right": right.value,
        "until": round(now_unix_s) + LASTS_S,
        "nonce": secrets.token_hex(_NONCE_BYTES),
    }
    payload = _encoded(json.dumps(body, separators=(",", ":")).encode())
    return f"{payload}.{_encoded(_seal(cluster_key, record, payload))}"


def read(cluster_key: bytes, record: PasswordRecord, ticket: str, *, now_unix_s: float) -> Right | None:
    """Return the right that a ticket gives; None when it is not ours, of another password, or over."""
    payload, _, seal = ticket[:_LENGTH_MAX].partition(".")
    try:
        if not hmac.compare_digest(_decoded(seal), _seal(cluster_key, record, payload)):
            return None
        body: Any = json.loads(_decoded(payload))
        right, until = Right(body["right"]), int(body["until"])
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
    if now_unix_s >= until or right not in (Right.ADMINISTRATOR, Right.CHOOSER):
        return None
    return right


def _seal(cluster_key: bytes, record: PasswordRecord, payload: str) -> bytes:
    key = hkdf_sha256(session_key(cluster_key), record.hash + record.salt, 32)
    return hmac.digest(key, payload.encode(), "sha256")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
