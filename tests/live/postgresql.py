"""Debian's PostgreSQL as a resource of the tree, and a client outside that notes every commit it was told of.

What a commit is worth is the database's to say; here it is only made to run, and asked. The client speaks
PostgreSQL's protocol 3 itself (simple query, user without password): a client library would decide about time limits
and repetitions, and no number may ever be sent twice.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from servha.lab import kernel
from servha.lab.lab import Lab
from servha.lab.layout import NETNS, VIRTUAL_ADDRESS
from servha.lab.node import Node
from servha.lab.node_disk import MOUNT_POINT
from tests.live.cluster import TREE

PORT = 5432
DATA = MOUNT_POINT / "postgresql"
SCRIPTS = Path("/opt/postgresql")
ANSWER_S = 2.0
"""Without an answer for that long the client gives a connection up: the node may have no power any more."""
AGAIN_S = 0.05
SETTINGS = f"""
listen_addresses = '{VIRTUAL_ADDRESS}'
port = {PORT}
unix_socket_directories = '/tmp'
shared_buffers = 16MB
min_wal_size = 4MB
max_wal_size = 16MB
"""
"""Sizes for a disk of 256 MiB; what decides about durability (fsync, synchronous_commit) stays as it comes."""


class NotAnswered(Exception):
    """The connection broke, the server refused, or nothing came: whether it was done nobody knows."""


def programs() -> Path:
    """The newest installed server's own directory; Debian keeps pg_ctl and initdb out of the PATH."""
    found = [place.parent for place in Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")]
    assert found, "no PostgreSQL server here: tools/setup.sh test installs it"
    return max(found, key=lambda place: float(place.parent.name))


def install(lab: Lab, *, settings: str = "") -> None:
    """Make a database on the shared disk of node1's running tree, and let the tree run it."""
    for node in lab.nodes:
        _write_scripts(node)
    node = lab.node1
    node.run("install", "-d", "-o", "postgres", "-g", "postgres", "-m", "0700", str(DATA))
    initdb = (str(programs() / "initdb"), "--auth=trust", "--encoding=UTF8", "--locale=C", "--wal-segsize=1")
    _as_postgres(node, *initdb, "-D", str(DATA))
    node.run("sh", "-c", f"cat >>{DATA}/postgresql.conf", feed=SETTINGS + settings)
    node.run("sh", "-c", f"echo 'host all all 192.0.2.0/24 trust' >>{DATA}/pg_hba.conf")
    node.run("sync", "-f", str(DATA))  # what was written by hand only now: a power-off would take it
    scripts = [f"{order}_script={SCRIPTS / order}" for order in ("start", "stop", "test")]
    resource = ("servha", "resource", "create", f"{TREE}/db", "custom", *scripts, "user=postgres")
    node.run(*resource, "--after=vip", "--after=disk")


def _as_postgres(node: Node, *argv: str) -> None:
    node.run("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *argv)


def _write_scripts(node: Node) -> None:
    """The scripts as docs/howto/postgresql.md shows them, on the node's own disk, and down there for good."""
    bin_ = programs()
    orders = {
        "start": f"exec {bin_}/pg_ctl -D {DATA} -w -t 100 -s -l {DATA}/log start",
        "stop": f"exec {bin_}/pg_ctl -D {DATA} -w -t 50 -s -m fast stop",
        # By the local socket: through the address the standby would reach the database of the other node.
        "test": f"exec {bin_}/pg_isready -q -h /tmp -p {PORT} -t 5",
    }
    node.run("mkdir", "-p", "-m", "0755", str(SCRIPTS))
    for order, line in orders.items():
        place = SCRIPTS / order
        node.run(
            "sh", "-c", f"cat >{place} && chmod 755 {place} && sync {place}", feed=f"#!/bin/sh\n{line}\n"
        )


@dataclass(frozen=True, slots=True)
class Commit:
    """A number whose COMMIT was acknowledged; times by CLOCK_MONOTONIC."""

    number: int
    asked_s: float
    told_s: float


class Connection:
    """One connection, one simple query at a time."""

    def __init__(self, timeout_s: float = ANSWER_S) -> None:
        try:
            self._socket = socket.create_connection((VIRTUAL_ADDRESS, PORT), timeout=timeout_s)
        except OSError as error:
            raise NotAnswered(str(error)) from error
        self._bytes = self._socket.makefile("rb")
        try:
            hello = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
            self._socket.sendall(struct.pack("!I", len(hello) + 4) + hello)
            self._answer()
        except (OSError, EOFError, NotAnswered) as error:
            self.close()
            raise NotAnswered(str(error)) from error

    def query(self, text: str) -> list[str]:
        """Return the first column of every row, once the server has said that all is done.

        Raises:
            NotAnswered: an error, or no answer: it may have been done all the same.
        """
        words = text.encode() + b"\0"
        try:
            self._socket.sendall(b"Q" + struct.pack("!I", len(words) + 4) + words)
            return self._answer()
        except (OSError, EOFError) as error:
            raise NotAnswered(str(error)) from error

    def _answer(self) -> list[str]:
        """Read up to ReadyForQuery, which is sent after the commit."""
        rows: list[str] = []
        errors: list[str] = []
        while True:
            kind, body = self._message()
            match kind:
                case b"D":
                    (length,) = struct.unpack_from("!i", body, 2)
                    rows.append(body[6 : 6 + length].decode())
                case b"E":
                    errors.append(body.replace(b"\0", b" ").decode("utf-8", "replace"))
                    if body.startswith((b"SFATAL", b"SPANIC")):
                        raise NotAnswered(errors[0])
                case b"Z":
                    if errors:
                        raise NotAnswered(errors[0])
                    return rows

    def _message(self) -> tuple[bytes, bytes]:
        head = self._exactly(5)
        return head[:1], self._exactly(struct.unpack("!I", head[1:])[0] - 4)

    def _exactly(self, count: int) -> bytes:
        found = self._bytes.read(count)
        if len(found) < count:
            raise EOFError("the server closed the connection")
        return found

    def close(self) -> None:
        """Let it go, whatever state it is in."""
        for end in (self._bytes, self._socket):
            with suppress(OSError):
                end.close()


@dataclass
class Client:
    """Inserts growing numbers, each once, and notes what was acknowledged and what was not."""

    lab: Lab
    commits: list[Commit] = field(default_factory=list)
    in_doubt: list[int] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _number: int = 0

    def run(self) -> None:
        """Insert until told to end; in a thread of its own, whose network is the client's."""
        self._enter()
        connection: Connection | None = None
        while not self._ended.is_set():
            try:
                connection = connection or Connection()
                self._insert(connection)
            except NotAnswered:
                if connection:
                    connection.close()
                connection = None
                self._ended.wait(AGAIN_S)
        if connection:
            connection.close()

    def _insert(self, connection: Connection) -> None:
        self._number += 1
        self.in_doubt.append(self._number)
        asked_s = time.monotonic()
        connection.query(f"INSERT INTO acknowledged (number) VALUES ({self._number})")  # noqa: S608
        self.commits.append(Commit(self.in_doubt.pop(), asked_s, time.monotonic()))

    def _enter(self) -> None:
        place = os.open(NETNS / self.lab.layout.namespace("client"), os.O_RDONLY)
        try:
            kernel.setns(place, kernel.CLONE_NEWNET)
        finally:
            os.close(place)

    def await_commit(self, *, asked_after_s: float, within_s: float) -> Commit:
        """Wait for a commit that was asked for after that moment."""
        deadline = time.monotonic() + within_s
        while not (self.commits and self.commits[-1].asked_s > asked_after_s):
            assert time.monotonic() < deadline, (
                f"no commit within {within_s} s; the last: {self.commits[-1:]}"
            )
            time.sleep(0.01)
        return next(commit for commit in self.commits if commit.asked_s > asked_after_s)

    def blackout_s(self, since_s: float) -> float:
        """The longest time between two acknowledgements, of which the second came after `since_s`."""
        told = [commit.told_s for commit in self.commits]
        return max(later - before for before, later in pairwise(told) if later > since_s)

    def ask(self, text: str, *, timeout_s: float = 30.0) -> list[str]:
        """Put one question from the client's network and return the rows' first column.

        Raises:
            NotAnswered: no answer.
        """
        found: list[list[str] | NotAnswered] = []

        def put() -> None:
            self._enter()
            try:
                with closing(Connection(timeout_s)) as connection:
                    found.append(connection.query(text))
            except NotAnswered as error:
                found.append(error)

        thread = threading.Thread(target=put, name="question")
        thread.start()
        thread.join()
        (answer,) = found
        if isinstance(answer, NotAnswered):
            raise answer
        return answer


@contextmanager
def log_when_it_fails(lab: Lab) -> Iterator[None]:
    """Print the database's own words, read from the disk's image, when the block fails."""
    try:
        yield
    except BaseException:
        place = f"cat /{DATA.name}/log"
        told = subprocess.run(
            ["debugfs", "-R", place, str(lab.layout.lun("data"))], capture_output=True, check=False
        )
        print("PostgreSQL's log:", told.stdout[-4000:].decode("utf-8", "replace"), sep="\n")
        raise


@contextmanager
def inserting(client: Client) -> Iterator[None]:
    """Let the client insert while the block runs."""
    thread = threading.Thread(target=client.run, name="inserts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        client._ended.set()
        thread.join()
