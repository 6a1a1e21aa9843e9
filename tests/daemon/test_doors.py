"""Silent, slow, loud and broken callers at the doors: each costs a slot at most, and never another caller's time."""

from __future__ import annotations

import asyncio
import socket
import ssl
import statistics
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from servha.config.document import ClusterSection, Document, LinkEnd, NodeSection
from servha.core.words import Text
from servha.daemon import tls
from servha.daemon.api import Api, Verb, for_administrators, for_strangers, for_the_peer
from servha.daemon.caller import Caller, DoorKind, Right
from servha.daemon.connection import Connection, Unreachable, Way, dial
from servha.daemon.door import LIMITS, Door
from servha.daemon.identity import Identity
from servha.daemon.password import INITIAL_PASSWORD, PasswordDesk
from servha.daemon.peer_channel import PeerAddress, PeerChannel
from servha.daemon.shelf import Version
from servha.daemon.tls import stranger_client
from servha.wire.rpc import Args, Code, FrameDecoder, Json, Reply, Request, decode_reply, encode_request
from tests.daemon.conftest import until
from tests.daemon.two_nodes import KNOWN, refused

Identities = tuple[Identity, Identity, Identity]


@dataclass
class Server:
    """node1 with a table of small verbs, its doors on 127.0.0.1."""

    identities: Identities
    version: Version
    notes: list[str]
    api: Api
    opened: list[PeerChannel]

    def peer_door(self, **limits: Any) -> Door:
        return self.api.open_peer("127.0.0.1", 0, limits=replace(LIMITS[DoorKind.PEER], **limits))

    def management_door(self, **limits: Any) -> Door:
        return self.api.open_management("127.0.0.1", 0, limits=replace(LIMITS[DoorKind.MANAGEMENT], **limits))

    def channel(
        self, door: Door, *, identity: Identity | None = None, pinned: Identity | None = None
    ) -> PeerChannel:
        """The peer's channel to this server; with another certificate of its own, or another pin, when given."""
        one, two, _ = self.identities
        there = pinned or one
        way = Way("private", *door.address)
        address = PeerAddress("node1", there.pem(), there.fingerprint(), (way,))
        channel = PeerChannel(identity=identity or two, where=lambda: address)
        self.opened.append(channel)
        return channel


async def echo(args: Args, _: Caller) -> Json:
    return args


async def who(_: Args, caller: Caller) -> Json:
    return {"name": caller.name, "right": caller.right.value, "same_machine": caller.same_machine}


async def never(_args: Args, _: Caller) -> Json:
    await asyncio.Event().wait()
    return None


async def broken(_args: Args, _: Caller) -> Json:
    raise ZeroDivisionError("a defect in a verb")


async def count(args: Args, _: Caller) -> AsyncGenerator[Json, None]:
    async def numbers() -> AsyncGenerator[Json, None]:
        upto = args.get("upto")
        for number in range(upto if isinstance(upto, int) else 0):
            yield number

    return numbers()


def verbs() -> dict[str, Verb]:
    for_all = frozenset(Right)
    return {
        "echo": Verb(echo, for_all),
        "who": Verb(who, for_all),
        "never": Verb(never, for_all, within_s=0.05),
        "hang": Verb(never, for_all),
        "broken": Verb(broken, for_all),
        "count": Verb(count, for_all),
        "order": for_administrators(echo),
        "peer.hello": for_the_peer(echo),
        "join": for_strangers(echo),
    }


@pytest.fixture
async def server(identities: Identities) -> AsyncIterator[Server]:
    one, two, _ = identities
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


@asynccontextmanager
async def stranger(door: Door) -> AsyncIterator[Connection]:
    connection = await dial(Way("", *door.address), stranger_client())
    yield connection
    connection.close(Text("the test is over"))


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


# --- who may come in ------------------------------------------------------------------------------------------


async def test_the_pinned_certificate_is_the_peer(server: Server) -> None:
    channel = server.channel(server.peer_door())
    assert await channel.call("who") == {"name": "node2", "right": "peer", "same_machine": True}


async def test_another_certificate_is_not_even_a_stranger(server: Server) -> None:
    door = server.peer_door()
    refusal = await refused(server.channel(door, identity=server.identities[2]).call("join"))
    assert isinstance(refusal, Unreachable)
    assert door.counters.requests == 0


async def test_a_server_with_another_certificate_is_not_believed(server: Server) -> None:
    door = server.peer_door()
    refusal = await refused(server.channel(door, pinned=server.identities[2]).call("echo", {"secret": 1}))
    assert "is not the one that this cluster knows for node1" in str(refusal)
    assert door.counters.requests == 0


async def test_without_a_certificate_one_may_only_ask_to_join(server: Server) -> None:
    async with stranger(server.peer_door()) as there:
        assert await there.call("join", {"a": 1}) == {"a": 1}
        for verb in ("peer.hello", "order"):
            assert (await refused(there.call(verb, {}))).code is Code.NOT_PERMITTED


async def test_the_peer_may_not_give_orders_as_a_person(server: Server) -> None:
    refusal = await refused(server.channel(server.peer_door()).call("order"))
    assert refusal.code is Code.NOT_PERMITTED


async def test_a_peer_that_is_no_more_loses_its_rights_on_an_open_connection(server: Server) -> None:
    channel = server.channel(server.peer_door())
    await channel.call("peer.hello")
    server.version = Version.of(replace(server.version.document, nodes=server.version.document.nodes[:1]))
    assert (await refused(channel.call("peer.hello"))).code is Code.NOT_PERMITTED


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def open_to_all(path: Path) -> None:
    path.chmod(0o666)
    path.parent.chmod(0o755)


async def test_on_the_unix_socket_root_is_an_administrator(server: Server, socket_path: Path) -> None:
    server.api.open_local(socket_path)
    assert mode(socket_path) == 0o600
    reader, writer = await asyncio.open_unix_connection(socket_path)
    writer.write(encode_request(Request(7, "who")))
    reply = decode_reply((await read_frames(reader, 1))[0])
    assert reply == Reply(7, result={"name": "root", "right": "administrator", "same_machine": True})
    writer.close()


async def test_others_are_turned_away_from_the_unix_socket(server: Server, socket_path: Path) -> None:
    """Also when somebody has opened the file's mode: the kernel says who it is."""
    door = server.api.open_local(socket_path)
    open_to_all(socket_path)
    program = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX)\n"
        "s.connect(sys.argv[1]); print(s.recv(9))"
    )
    child = await asyncio.create_subprocess_exec(
        "/usr/bin/env",
        "python3",
        "-c",
        program,
        str(socket_path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await child.communicate()
    assert said == b"b''\n" or b"ConnectionReset" in complaint, complaint
    await until(lambda: door.counters.turned_away == 1)
    assert door.counters.accepted == 0


# --- passwords ------------------------------------------------------------------------------------------------


async def test_a_person_logs_in_with_the_password(server: Server) -> None:
    async with stranger(server.management_door()) as there:
        assert "log in first" in str(await refused(there.call("order", {})))
        assert await there.call("login", {"password": KNOWN}) == {
            "right": "administrator",
            "choose_password": False,
        }
        assert await there.call("order", {"a": 1}) == {"a": 1}


async def test_a_failed_login_becomes_a_journal_line(server: Server) -> None:
    async with stranger(server.management_door()) as there:
        refusal = await refused(there.call("login", {"password": "wrong"}))
        assert (refusal.code, str(refusal)) == (Code.NOT_PERMITTED, "wrong password")
        assert (await refused(there.call("order", {}))).code is Code.NOT_PERMITTED
    assert server.notes == ["warning: login from 127.0.0.1 failed: wrong password"]


async def test_a_login_does_not_keep_others_waiting(server: Server) -> None:
    async with stranger(server.management_door()) as there, stranger(server.management_door()) as other:
        login = asyncio.create_task(there.call("login", {"password": "wrong"}))
        loop = asyncio.get_running_loop()
        slowest_s = 0.0
        while not login.done():
            begun_s = loop.time()
            await other.call("echo", {})
            slowest_s = max(slowest_s, loop.time() - begun_s)
        await refused(login)
        assert slowest_s < 0.05, f"a call took {slowest_s:.3f} s while a password was checked"


async def test_the_initial_password_from_elsewhere_is_good_for_choosing_only(server: Server) -> None:
    record = await PasswordDesk().keep(INITIAL_PASSWORD, salt=bytes(16))
    server.version = Version.of(replace(server.version.document, password=record.as_section()))
    elsewhere = Caller(DoorKind.MANAGEMENT, "", "198.51.100.9", same_machine=False)
    here = Caller(DoorKind.MANAGEMENT, "", "192.0.2.1", same_machine=True)
    login = Request(1, "login", {"password": INITIAL_PASSWORD})
    assert await server.api.answer(login, elsewhere) == {"right": "choose-password"}
    refusal = await refused(server.api.answer(Request(2, "order"), elsewhere))
    assert "choose a password first" in str(refusal)
    assert await server.api.answer(login, here) == {"right": "administrator", "choose_password": True}


async def test_a_guesser_has_to_wait(server: Server) -> None:
    caller = Caller(DoorKind.MANAGEMENT, "", "198.51.100.9", same_machine=False)
    for _ in range(5):
        await refused(server.api.answer(Request(1, "login", {"password": "guess"}), caller))
    refusal = await refused(server.api.answer(Request(1, "login", {"password": KNOWN}), caller))
    assert refusal.code is Code.TRY_AGAIN
    assert caller.right is Right.STRANGER


# --- bounds -----------------------------------------------------------------------------------------------------


async def read_frames(reader: asyncio.StreamReader, wanted: int) -> list[bytes]:
    decoder = FrameDecoder()
    frames: list[bytes] = []
    async with asyncio.timeout(10):
        while len(frames) < wanted:
            piece = await reader.read(65536)
            assert piece, "the connection ended"
            frames += decoder.feed(piece)
    return frames


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
