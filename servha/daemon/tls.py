"""TLS between nodes and towards people: version 1.3, self-signed certificates, known by their fingerprint.

There is no authority and no calendar: a node trusts exactly the one certificate that stands in the
configuration. This module builds the contexts and reads the other side's fingerprint; what a fingerprint
entitles to is decided in daemon/api.py. Authority files and the machine's own trust store are never read.
"""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Final

from servha.wire.keys import fingerprint

PROTOCOL: Final = "servha/1"
HANDSHAKE_S: Final = 5.0
SHUTDOWN_S: Final = 1.0


def certificate_fingerprint(pem: str) -> str:
    """Return the SHA-256 fingerprint of a PEM certificate. Raises `ValueError` when it is none."""
    return fingerprint(ssl.PEM_cert_to_DER_cert(pem.strip()))


@lru_cache(maxsize=8)
def peer_server(certificate: Path, key: Path, pinned_pem: str, _changed_ns: int = 0) -> ssl.SSLContext:
    """Context for 17969: the peer shows the pinned certificate; a node that wants to join shows none.

    With an empty `pinned_pem` no certificate is accepted at all. `_changed_ns` tells two certificates in the
    same file apart.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_OPTIONAL
    if pinned_pem:
        context.load_verify_locations(cadata=pinned_pem)
    return context


@lru_cache(maxsize=8)
def management_server(certificate: Path, key: Path, _changed_ns: int = 0) -> ssl.SSLContext:
    """Context for 25792: people show a password, not a certificate."""
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@lru_cache(maxsize=8)
def peer_client(certificate: Path, key: Path, pinned_pem: str, _changed_ns: int = 0) -> ssl.SSLContext:
    """Context for calling the peer: we show our certificate and accept only the pinned one."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=pinned_pem)
    return context


def stranger_client() -> ssl.SSLContext:
    """Context for calling a node that we do not know yet.

    The caller must have its certificate proven otherwise.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_NONE
    return context


def shown_fingerprint(transport_info: ssl.SSLObject | None) -> str:
    """Return the fingerprint of the certificate that the other side has shown.

    Empty when it has shown none.
    """
    shown = transport_info.getpeercert(binary_form=True) if transport_info is not None else None
    return fingerprint(shown) if shown else ""


def changed_ns(path: Path) -> int:
    """Return when `path` was last written, to tell a renewed certificate from the old one."""
    return path.stat().st_mtime_ns


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([PROTOCOL])
    # The pinned certificate is the whole chain, also when it does not call itself an authority.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # nobody resumes: a pin is looked at anew each time
    return context
