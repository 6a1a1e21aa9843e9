"""Real keys and certificates, real sockets; two nodes in a network namespace that a test makes for itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from servha.config.document import ClusterSection, Document, LinkEnd, NodeSection
from servha.daemon import certificate
from servha.daemon.api import Api
from servha.daemon.identity import Identity
from servha.daemon.password import PasswordDesk
from servha.daemon.shelf import Version
from servha.lab import kernel
from tests.daemon.server import Identities, Server, verbs
from tests.daemon.two_nodes import ADDRESSES, KNOWN, TwoNodes

DEADLINE_S = 10.0


def make_identity(directory: Path, node: str) -> Identity:
    assert certificate.main(["--node", node, "--out", str(directory)]) == 0
    return Identity(directory)


@pytest.fixture(scope="session")
def identities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Identity, Identity, Identity]:
    """node1, node2 and an intruder."""
    top = tmp_path_factory.mktemp("identities")
    one, two, three = (make_identity(top / name, name) for name in ("node1", "node2", "intruder"))
    return one, two, three


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Where also others may look: pytest's own directories are closed to them."""
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        yield Path(top) / "run" / "servhad.sock"


@pytest.fixture
def own_network() -> Iterator[None]:
    """A namespace in which the addresses of both nodes, and of a stranger, are on the loopback interface."""
    here = f"/proc/{os.getpid()}/task/{os.getpid()}/ns/net"
    before = os.open(here, os.O_RDONLY)
    try:
        kernel.unshare(kernel.CLONE_NEWNET)
        ip("link", "set", "lo", "up")
        for ends in ADDRESSES.values():
            for address in ends.values():
                ip("address", "add", address, "dev", "lo")
        yield
    finally:
        kernel.setns(before, kernel.CLONE_NEWNET)
        os.close(before)


@pytest.fixture
async def nodes(own_network: None, tmp_path: Path) -> AsyncIterator[TwoNodes]:
    """Two nodes that are in no cluster yet."""
    two_nodes = TwoNodes(tmp_path)
    yield two_nodes
    await two_nodes.end()


@pytest.fixture
async def server(identities: Identities) -> AsyncIterator[Server]:
    one, two, _ = identities
    one.write_cluster_key(bytes(range(32)))
    password = await PasswordDesk().keep(KNOWN, salt=bytes(16))
    document = Document(
        cluster=ClusterSection(name="demo", id="0" * 32),
        nodes=tuple(
            NodeSection(
                name=f"node{number + 1}",
                id=number,
                certificate=identity.pem(),
                certificate_sha256=identity.fingerprint(),
                links={"private": LinkEnd(nic="eth1", address=f"192.0.2.{number + 1}/24")},
            )
            for number, identity in enumerate((one, two))
        ),
        links=("private",),
        password=password.as_section(),
    )
    notes: list[str] = []
    made: list[Server] = []
    api = Api(
        verbs(),
        identity=one,
        current=lambda: made[0].version,
        us=lambda: "node1",
        note=lambda severity, text: notes.append(f"{severity}: {text}"),
    )
    made.append(Server(identities, Version.of(document), notes, api, []))
    yield made[0]
    for channel in made[0].opened:
        await channel.close()
    await api.close()


def ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True)


async def until(claim: Callable[[], bool], what: str = "") -> None:
    """Wait for a condition, with a deadline."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DEADLINE_S
    while not claim():
        if loop.time() > deadline:
            pytest.fail(f"not within {DEADLINE_S} s: {what or claim}")
        await asyncio.sleep(0.002)
