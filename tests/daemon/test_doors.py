"""Silent, slow, loud and broken callers at the doors: each costs a slot, and never another caller's time."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from servha.daemon import tls
from servha.daemon.api import Verb
from servha.daemon.caller import Caller, DoorKind, Right
from servha.daemon.door import LIMITS, Door
from servha.daemon.tls import stranger_client
from servha.wire.rpc import Args, Code, Json, Request, decode_reply, encode_request
from tests.daemon.conftest import until
from tests.daemon.server import Server, read_frames, stranger
from tests.daemon.two_nodes import KNOWN, refused


@asynccontextmanager
async def silent(door: Door, count: int) -> AsyncIterator[list[socket.socket]]:
    """Callers that connect and then say nothing, not even hello to TLS."""
    loop, callers = asyncio.get_running_loop(), [socket.socket() for _ in range(count)]
    for caller in callers:
        caller.setblocking(False)  # noqa: FBT003
        await loop.sock_connect(caller, door.address)
    yield callers
    for caller in callers:
        caller.close()


async def closed_by_us(caller: socket.socket) -> bool:
    """Whether the connection ended without an answer."""
    loop = asyncio.get_running_loop()
    try:
        return await asyncio.wait_for(loop.sock_recv(caller, 1000), 5) == b""
    except ConnectionError:
        return True


# --- bounds -----------------------------------------------------------------------------------------------------


async def test_two_hundred_silent_callers_do_not_keep_the_peer_out(server: Server) -> None:
    door = server.peer_door()
    async with silent(door, 200):
        channel = server.channel(door)
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        assert await channel.call("echo", {"a": 1}) == {"a": 1}
        assert loop.time() - begun_s < 1.5
        assert door.inside <= LIMITS[DoorKind.PEER].connections_max


async def test_silent_callers_do_not_push_out_whoever_has_proven_himself(server: Server) -> None:
    door = server.peer_door()
    channel = server.channel(door)
    await channel.call("echo")
    async with silent(door, 200):
        await until(lambda: door.counters.shown_out + door.counters.turned_away > 150)
        assert channel.link == "private"
        assert await channel.call("echo", {"a": 1}) == {"a": 1}


async def test_a_silent_caller_is_shown_out_in_time(server: Server) -> None:
    async with stranger(server.management_door(stranger_s=0.1)) as there:
        await asyncio.wait_for(there.ended.wait(), 3)


async def test_a_frame_that_trickles_in_is_not_waited_for(server: Server) -> None:
    """Slow loris: one byte now and then keeps no slot, not even for somebody who is logged in."""
    door = server.management_door(frame_s=0.3)
    reader, writer = await asyncio.open_connection(*door.address, ssl=stranger_client(), server_hostname="")
    writer.write(encode_request(Request(1, "login", {"password": KNOWN})))
    assert decode_reply((await read_frames(reader, 1))[0]).ok
    trickling = asyncio.create_task(trickle(writer, encode_request(Request(2, "echo", {"x": "y" * 5000}))))
    assert await asyncio.wait_for(reader.read(100), 3) == b""
    trickling.cancel()
    writer.close()


async def trickle(writer: asyncio.StreamWriter, frame: bytes) -> None:
    for byte in frame:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)


async def test_a_caller_that_does_not_read_is_left(server: Server) -> None:
    door = server.peer_door(write_s=0.2)
    one, two, _ = server.identities
    context = tls.peer_client(two.certificate, two.key, one.pem())
    reader, writer = await asyncio.open_connection(*door.address, ssl=context, server_hostname="", limit=1024)
    writer.write(encode_request(Request(1, "count", {"upto": 10_000_000})))
    await until(lambda: door.inside == 1)
    await until(lambda: door.inside == 0, "a caller that does not read is shown out")
    writer.transport.abort()
    del reader


@pytest.mark.parametrize(
    "said",
    [
        (2**32 - 1).to_bytes(4, "big"),
        (65 * 1024).to_bytes(4, "big"),  # more than a stranger may say at once
        b"\x00\x00\x00\x02{]",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00\x00\x00\x02[]",
    ],
)
async def test_what_is_no_frame_ends_the_connection(server: Server, said: bytes) -> None:
    door = server.management_door()
    reader, writer = await asyncio.open_connection(*door.address, ssl=stranger_client(), server_hostname="")
    writer.write(said)
    assert await asyncio.wait_for(reader.read(100), 3) == b""
    assert door.counters.bad_frames == 1
    writer.close()


async def test_plain_text_to_a_tls_port_ends_the_connection(server: Server) -> None:
    door = server.management_door()
    async with silent(door, 1) as callers:
        await asyncio.get_running_loop().sock_sendall(callers[0], b"GET / HTTP/1.1\r\n\r\n")
        await until(lambda: door.counters.failed_handshakes == 1)
    await until(lambda: door.inside == 0)


async def test_an_older_tls_is_refused(server: Server) -> None:
    door = server.management_door()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection(*door.address, ssl=context, server_hostname="")


async def test_one_caller_cannot_ask_without_end(server: Server) -> None:
    door = server.management_door(requests_per_s=50.0, requests_burst=20.0)
    reader, writer = await asyncio.open_connection(*door.address, ssl=stranger_client(), server_hostname="")
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    for number in range(4):
        writer.write(b"".join(encode_request(Request(number * 10 + i, "echo")) for i in range(10)))
        await read_frames(reader, 10)
    assert loop.time() - begun_s > 0.2
    writer.close()


async def test_every_answer_finds_its_question(server: Server) -> None:
    channel = server.channel(server.peer_door())
    answers = await asyncio.gather(*(channel.call("echo", {"n": number}) for number in range(200)))
    assert answers == [{"n": number} for number in range(200)]


async def test_a_stream_arrives_complete_and_in_order(server: Server) -> None:
    channel = server.channel(server.peer_door())
    assert [n async for n in channel.stream("count", {"upto": 5000})] == list(range(5000))


async def test_a_verb_that_hangs_is_answered_for(server: Server) -> None:
    channel = server.channel(server.peer_door())
    refusal = await refused(channel.call("never"))
    assert refusal.code is Code.TIMED_OUT
    assert await channel.call("echo", {"a": 1}) == {"a": 1}


async def test_a_defect_in_a_verb_is_that_verbs_only(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    channel = server.channel(server.peer_door())
    refusal = await refused(channel.call("broken"))
    assert refusal.code is Code.FAILED
    assert "a defect in a verb" not in str(refusal)
    assert "a defect in a verb" in caplog.text
    assert await channel.call("echo", {"a": 1}) == {"a": 1}


async def test_an_answer_that_is_too_large_is_said_to_be(server: Server) -> None:
    server.api._verbs["huge"] = Verb(huge, frozenset(Right))
    refusal = await refused(server.channel(server.peer_door()).call("huge"))
    assert "too large" in str(refusal)


async def huge(_args: Args, _: Caller) -> Json:
    return "x" * (5 * 1024 * 1024)
