"""What makes this node this node: its key and certificate, and the cluster's key, as files in one directory.

Refuses to make keys of weak stuff or to leave a half-written one. Reading and writing are small and blocking;
the daemon does them at start, at init and at join only. Making a certificate runs a short program
(certificate.py).
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from servha.core.words import say
from servha.daemon.tls import certificate_fingerprint
from servha.wire.keys import CLUSTER_KEY_BYTES
from servha.wire.rpc import Code, Refusal

_MAKE_CERTIFICATE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Identity:
    """The directory of secrets, /etc/servha on a real machine."""

    directory: Path

    @property
    def key(self) -> Path:
        """The node's private key, PEM."""
        return self.directory / "node.key"

    @property
    def certificate(self) -> Path:
        """The node's certificate, PEM."""
        return self.directory / "node.crt"

    @property
    def cluster_key(self) -> Path:
        """The cluster's key, in hexadecimal."""
        return self.directory / "cluster.key"

    def has_certificate(self) -> bool:
        """Whether key and certificate are both there."""
        return self.key.is_file() and self.certificate.is_file()

    def pem(self) -> str:
        """Return the certificate. Raises `OSError` when there is none."""
        return self.certificate.read_text(encoding="ascii").strip() + "\n"

    def fingerprint(self) -> str:
        """Return the certificate's SHA-256 in hexadecimal."""
        return _fingerprint(self.certificate, self.certificate.stat().st_mtime_ns)

    def read_cluster_key(self) -> bytes:
        """Return the cluster's 32 secret bytes. Raises `Refusal` when they are missing or damaged."""
        try:
            kept = bytes.fromhex(self.cluster_key.read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            kept = b""
        if len(kept) != CLUSTER_KEY_BYTES:
            text = say(
                "the cluster key {path} is missing or damaged: copy it from the other node, or join again",
                path=str(self.cluster_key),
            )
            raise Refusal(Code.BAD_CONFIGURATION, text)
        return kept

    def write_cluster_key(self, secret: bytes) -> None:
        """Keep the cluster's secret bytes, completely or not at all."""
        assert len(secret) == CLUSTER_KEY_BYTES
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.cluster_key.with_name("cluster.key.new")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secret.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.cluster_key)
        self._sync_directory()

    def forget_cluster_key(self) -> None:
        """Remove the cluster's key: this node is in no cluster (any more)."""
        self.cluster_key.unlink(missing_ok=True)
        if self.directory.is_dir():
            self._sync_directory()

    async def make_certificate(self, node: str) -> None:
        """Make a fresh key and certificate. Raises `Refusal` when the program that makes them fails."""
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "servha.daemon.certificate",
            "--node",
            node,
            "--out",
            str(self.directory),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_MAKE_CERTIFICATE_S):
                _, complaint = await program.communicate()
        except TimeoutError:
            program.kill()
            await program.wait()
            complaint = f"no result within {_MAKE_CERTIFICATE_S:g} s".encode()
        if program.returncode != 0 or not self.has_certificate():
            last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
            raise Refusal(
                Code.FAILED,
                say(
                    "this node's certificate could not be made in {directory}: {reason}",
                    directory=str(self.directory),
                    reason=last[0],
                ),
            )

    def _sync_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@lru_cache(maxsize=4)
def _fingerprint(certificate: Path, _changed_ns: int) -> str:
    # Asked with every call of the peer; read again only when the file is another one.
    return certificate_fingerprint(certificate.read_text(encoding="ascii"))
