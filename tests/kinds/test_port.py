"""The port detector against real sockets and against written-down ones."""

from __future__ import annotations

import asyncio
import socket

import pytest

from servha.core.model import ResourceState
from servha.detectors import Port
from servha.host import Listener, LocalHost, Process, ScriptedHost

NGINX = Process(42, "nginx", "/usr/sbin/nginx", ("nginx: master process",))


def machine() -> ScriptedHost:
    host = ScriptedHost()
    host.listening = (Listener("tcp", "192.0.2.1", 80, 7), Listener("udp", "192.0.2.1", 53, 8))
    host.owned = {7: NGINX}
    return host


@pytest.mark.parametrize(
    ("detector", "state"),
    [
        (Port(port=80), ResourceState.RUNNING),
        (Port(port=81), ResourceState.STOPPED),
        (Port(port=80, protocol="udp"), ResourceState.STOPPED),
        (Port(port=53, protocol="udp"), ResourceState.RUNNING),
        (Port(port=80, program="nginx"), ResourceState.RUNNING),
        (Port(port=80, program="/usr/sbin/nginx"), ResourceState.RUNNING),
        (Port(port=80, program="apache2"), ResourceState.FAILED),
        (Port(port=53, protocol="udp", program="named"), ResourceState.UNKNOWN),
    ],
)
async def test_what_the_port_detector_says(detector: Port, state: ResourceState) -> None:
    assert (await detector.detect(machine())).state is state


async def test_a_stranger_on_the_port_is_named() -> None:
    found = await Port(port=80, program="apache2").detect(machine())
    assert "/usr/sbin/nginx" in str(found.because)


def test_a_program_with_blanks_around_is_refused() -> None:
    assert [problem.field for problem in Port(port=80, program=" nginx").problems()] == ["program"]


@pytest.mark.root
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_a_real_socket_is_seen_as_long_as_it_listens(
    host: LocalHost, family: socket.AddressFamily
) -> None:
    server = socket.socket(family, socket.SOCK_STREAM)
    server.bind(("", 8080))
    detector = Port(port=8080)
    assert (await detector.detect(host)).state is ResourceState.STOPPED, "bound is not listening"
    server.listen()
    assert (await detector.detect(host)).state is ResourceState.RUNNING
    server.close()
    assert (await detector.detect(host)).state is ResourceState.STOPPED


@pytest.mark.root
async def test_a_client_connection_on_the_same_port_number_is_no_listener(host: LocalHost) -> None:
    with socket.create_server(("127.0.0.1", 8081)) as server, socket.socket() as client:
        client.bind(("127.0.0.1", 8082))
        client.connect(("127.0.0.1", 8081))
        assert (await Port(port=8082).detect(host)).state is ResourceState.STOPPED
        server.accept()[0].close()


@pytest.mark.root
async def test_the_holder_of_a_real_socket_is_found(host: LocalHost) -> None:
    child = await asyncio.create_subprocess_exec(
        "python3", "-c", "import socket; s=socket.create_server(('127.0.0.1', 8080)); print(1, flush=True); s.accept()",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    await child.stdout.readline()
    try:
        assert (await Port(port=8080, program="python3").detect(host)).state is ResourceState.RUNNING
        assert (await Port(port=8080, program="nginx").detect(host)).state is ResourceState.FAILED
    finally:
        child.kill()
        await child.wait()
