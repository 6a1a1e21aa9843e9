"""Our way to ask the peer: it finds a link, comes back by itself and never leaves a caller hanging."""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import sys

from servha.daemon.connection import Unreachable, Way
from servha.daemon.peer_channel import PeerAddress, PeerChannel
from servha.wire.rpc import Code
from tests.daemon.conftest import until
from tests.daemon.server import Server
from tests.daemon.two_nodes import refused

# --- the channel to the peer -----------------------------------------------------------------------------------


async def test_a_caller_is_never_left_hanging(server: Server) -> None:
    channel = server.channel(server.peer_door())
    await channel.call("echo")
    refusal = await refused(channel.call("hang", timeout_s=0.1))
    assert isinstance(refusal, Unreachable)
    assert (refusal.code, refusal.maybe_done) == (Code.TIMED_OUT, True)
    assert await channel.call("echo", {"a": 1}) == {"a": 1}  # over a new connection


async def test_calls_under_way_fail_at_once_when_the_peer_goes(server: Server) -> None:
    door = server.peer_door()
    channel = server.channel(door)
    await channel.call("echo")
    waiting = [asyncio.create_task(channel.call("hang", timeout_s=30)) for _ in range(5)]
    await until(lambda: door.counters.requests == 6)
    await server.api.close_door(door)
    for refusal in await asyncio.gather(*(refused(wish) for wish in waiting)):
        assert isinstance(refusal, Unreachable)
        assert refusal.maybe_done
    refusal = await refused(channel.call("echo"))
    assert isinstance(refusal, Unreachable)
    assert not refusal.maybe_done
    assert "is servhad running on node1?" in str(refusal)


async def test_a_link_that_does_not_answer_is_left_for_the_next(server: Server) -> None:
    door, (one, two, _) = server.peer_door(), server.identities
    with socket.socket() as dead:  # bound, and nobody listens
        dead.bind(("127.0.0.1", 0))
        ways = (Way("private", *dead.getsockname()), Way("public", *door.address))
        address = PeerAddress("node1", one.pem(), one.fingerprint(), ways)
        channel = PeerChannel(identity=two, where=lambda: address)
        server.opened.append(channel)
        assert await channel.call("echo", {"a": 1}) == {"a": 1}
        assert channel.link == "public"


async def test_the_channel_comes_back_by_itself(server: Server) -> None:
    door = server.peer_door()
    channel = server.channel(door)
    channel.start()
    await until(lambda: channel.link == "private")
    port = door.address[1]
    await server.api.close_door(door)
    await until(lambda: channel.link == "")
    server.api.open_peer("127.0.0.1", port)
    await until(lambda: channel.link == "private", "the channel is back")


async def test_without_a_peer_a_call_says_so(server: Server) -> None:
    channel = PeerChannel(identity=server.identities[1], where=lambda: None)
    assert "no other node in this cluster" in str(await refused(channel.call("echo")))


async def test_a_call_on_a_kept_connection_is_quick(server: Server) -> None:
    channel = server.channel(server.peer_door())
    await channel.call("echo")
    loop, took_s = asyncio.get_running_loop(), []
    for _ in range(500):
        begun_s = loop.time()
        await channel.call("echo", {"a": 1})
        took_s.append(loop.time() - begun_s)
    median_ms, slowest_ms = statistics.median(took_s) * 1000, max(took_s) * 1000
    print(f"\ncall on a kept connection: median {median_ms:.2f} ms, slowest {slowest_ms:.1f} ms")


def test_servhad_does_without_the_library_that_makes_certificates() -> None:
    program = (
        "import sys, servha.daemon.admit, servha.daemon.api, servha.daemon.join, servha.daemon.first_node\n"
        "sys.exit('cryptography' in sys.modules or 'pysnmp' in sys.modules)"
    )
    assert subprocess.run((sys.executable, "-c", program), check=False).returncode == 0
