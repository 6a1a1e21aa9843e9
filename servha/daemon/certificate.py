"""Makes this node's key and certificate, and ends.

`python -m servha.daemon.certificate --node NAME --out DIR` writes node.key (0600) and node.crt.

A program of its own because it is the only place that imports cryptography, 8 MB that servhad does without.
The certificate is never checked by name, authority or date, only by its fingerprint: it is valid from 1970 to
9999, so that a node whose clock is wrong can still talk to its peer.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

KEY_FILE = "node.key"
CERTIFICATE_FILE = "node.crt"


def make(node: str) -> tuple[bytes, bytes]:
    """Return a fresh private key and its self-signed certificate for `node`, both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)


def write(path: Path, content: bytes, mode: int) -> None:
    """Write a file so that it is there completely or not at all, and never for a moment open to others."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def main(arguments: list[str] | None = None) -> int:
    """Make both files in the directory given. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="servha.daemon.certificate", description="a node's certificate")
    parser.add_argument("--node", required=True, help="the node's name")
    parser.add_argument("--out", required=True, type=Path, help="directory for node.key and node.crt")
    chosen = parser.parse_args(arguments)
    private, certificate = make(chosen.node)
    chosen.out.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(chosen.out / KEY_FILE, private, 0o600)
    write(chosen.out / CERTIFICATE_FILE, certificate, 0o644)
    directory = os.open(chosen.out, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
