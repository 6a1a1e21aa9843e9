"""Two identities made once, and doors on real loopback sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from servha.daemon import certificate
from servha.daemon.identity import Identity


def make_identity(directory: Path, node: str) -> Identity:
    assert certificate.main(["--node", node, "--out", str(directory)]) == 0
    return Identity(directory)


@pytest.fixture(scope="session")
def identities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Identity, Identity, Identity]:
    """node1, node2 and an intruder: real keys, real certificates."""
    top = tmp_path_factory.mktemp("identities")
    one, two, three = (make_identity(top / name, name) for name in ("node1", "node2", "intruder"))
    return one, two, three


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "servhad.sock"


async def until(condition: object, *, within_s: float = 5.0) -> None:
    """Wait for a condition with a deadline."""
    assert callable(condition)
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - the condition is in another program or in the kernel
            await asyncio.sleep(0.005)
