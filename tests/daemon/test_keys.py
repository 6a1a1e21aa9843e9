"""Derived keys are those of RFC 5869, and each use has its own."""

from __future__ import annotations

import pytest

from servha.wire import keys


@pytest.mark.parametrize(
    ("secret", "salt", "info", "length", "wanted"),
    [
        (
            "0b" * 22,
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            42,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            "0b" * 22,
            "",
            "",
            42,
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)
def test_the_vectors_of_the_standard(secret: str, salt: str, info: str, length: int, wanted: str) -> None:
    made = keys.hkdf_sha256(bytes.fromhex(secret), bytes.fromhex(info), length, salt=bytes.fromhex(salt))
    assert made.hex() == wanted


def test_every_use_has_a_key_of_its_own() -> None:
    derived = {make(bytes(32)) for make in (keys.heartbeat_key, keys.disk_key, keys.rpc_key)}
    assert len(derived) == 3


def test_a_short_cluster_key_is_none() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        keys.heartbeat_key(bytes(16))
