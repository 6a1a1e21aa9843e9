"""One secret per cluster, and what is derived from it for each use.

The cluster key is 32 random bytes made when the cluster is made; it never comes from a password. Each use
gets a key of its own (HKDF-SHA256, RFC 5869), so that what leaks from one use says nothing about another.
Refuses to read, write or draw anything: the bytes come from outside.

>>> hkdf_sha256(bytes([0x0B] * 22), bytes(range(0xF0, 0xFA)), 42, salt=bytes(range(13))).hex()[:32]
'3cb25f25faacd57a90434f64d0362f2a'
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

CLUSTER_KEY_BYTES: Final = 32
_HASH_BYTES: Final = 32


def hkdf_sha256(secret: bytes, info: bytes, length: int, *, salt: bytes = b"") -> bytes:
    """Return `length` bytes derived from `secret` for the use named by `info` (RFC 5869)."""
    if not 0 < length <= 255 * _HASH_BYTES:
        raise ValueError(f"HKDF-SHA256 gives 1..{255 * _HASH_BYTES} bytes, not {length}")
    extracted = hmac.digest(salt or bytes(_HASH_BYTES), secret, "sha256")
    made, block = b"", b""
    for number in range(1, -(-length // _HASH_BYTES) + 1):
        block = hmac.digest(extracted, block + info + bytes([number]), "sha256")
        made += block
    return made[:length]


def heartbeat_key(cluster_key: bytes) -> bytes:
    """K_hb: authenticates heartbeats."""
    return _key_for(cluster_key, b"servha heartbeat 1")


def disk_key(cluster_key: bytes) -> bytes:
    """K_disk: authenticates the records on the quorum disk."""
    return _key_for(cluster_key, b"servha quorum disk 1")


def rpc_key(cluster_key: bytes) -> bytes:
    """K_rpc: signs what one node promises the other outside a connection."""
    return _key_for(cluster_key, b"servha rpc 1")


def session_key(cluster_key: bytes) -> bytes:
    """K_session: seals the tickets that consoles hold."""
    return _key_for(cluster_key, b"servha session 1")


def fingerprint(certificate_der: bytes) -> str:
    """Return the SHA-256 of a certificate in lower-case hexadecimal: what a pin compares."""
    return hashlib.sha256(certificate_der).hexdigest()


def _key_for(cluster_key: bytes, info: bytes) -> bytes:
    if len(cluster_key) != CLUSTER_KEY_BYTES:
        raise ValueError(f"a cluster key has {CLUSTER_KEY_BYTES} bytes, not {len(cluster_key)}")
    return hkdf_sha256(cluster_key, info, 32)
