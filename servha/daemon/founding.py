"""The password of a node that is in no cluster yet, for the console: the initial one until somebody chooses another.

Decides what a console's login is compared with, and what its tickets are sealed with, before there is a cluster.
What is chosen is kept in the state directory, becomes the cluster's unless another is named then, and is forgotten
as soon as there is a cluster. Refuses to judge passwords (password.py) and who may choose (api.py).
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from servha.core.words import say
from servha.daemon.memory import write_atomically
from servha.daemon.password import INITIAL_PASSWORD, SALT_BYTES, PasswordDesk, PasswordRecord
from servha.wire.keys import CLUSTER_KEY_BYTES
from servha.wire.rpc import Code, Refusal

FILE_NAME: Final = "founding.json"


@dataclass(frozen=True, slots=True)
class Lock:
    """What a login is compared with, and the key that seals the tickets it gives."""

    key: bytes
    record: PasswordRecord


class Founding:
    """The lock of a node without a cluster. `directory`: where the daemon keeps its state."""

    def __init__(self, directory: Path, desk: PasswordDesk) -> None:
        self._file = directory / FILE_NAME
        self._desk = desk
        self._lock: Lock | None = None
        self._one = asyncio.Lock()

    async def lock(self) -> Lock:
        """Return the lock in force: the one that was kept, else a fresh one with the initial password."""
        async with self._one:
            if self._lock is None:
                self._lock = await asyncio.to_thread(self._read) or await self._made(INITIAL_PASSWORD)
            return self._lock

    async def choose(self, record: PasswordRecord) -> None:
        """Keep another password, which makes every ticket void. Raises `Refusal` when the disk refuses."""
        async with self._one:
            lock = Lock(secrets.token_bytes(CLUSTER_KEY_BYTES), record)
            try:
                await asyncio.to_thread(self._write, lock)
            except OSError as error:
                path, reason = str(self._file), str(error)
                text = say("the password could not be kept in {path}: {reason}", path=path, reason=reason)
                raise Refusal(Code.FAILED, text) from error
            self._lock = lock

    def forget(self) -> None:
        """There is a cluster, which has a password of its own."""
        self._lock = None
        self._file.unlink(missing_ok=True)

    async def _made(self, password: str) -> Lock:
        record = await self._desk.keep(password, salt=secrets.token_bytes(SALT_BYTES))
        return Lock(secrets.token_bytes(CLUSTER_KEY_BYTES), record)

    def _read(self) -> Lock | None:
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            return Lock(bytes.fromhex(kept["key"]), PasswordRecord.from_json(kept["password"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            # Not the initial password again: whoever can spoil the file could then come in with it.
            text = say(
                "the password that was chosen for this node cannot be read from {path} ({reason}): remove the file as"
                " root, and the initial password is good again",
                path=str(self._file),
                reason=str(error),
            )
            raise Refusal(Code.BAD_CONFIGURATION, text) from error

    def _write(self, lock: Lock) -> None:
        kept = {"key": lock.key.hex(), "password": lock.record.as_json()}
        write_atomically(self._file, json.dumps(kept), sync=True)
