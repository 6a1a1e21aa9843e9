"""Who is let in at which door, and what for: certificates, the kernel's word, passwords."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from servha.daemon.caller import Caller, DoorKind, Right
from servha.daemon.connection import Unreachable
from servha.daemon.password import INITIAL_PASSWORD, PasswordDesk
from servha.daemon.shelf import Version
from servha.wire.rpc import Code, Reply, Request, decode_reply, encode_request
from tests.daemon.conftest import until
from tests.daemon.server import Server, read_frames, stranger
from tests.daemon.two_nodes import KNOWN, refused

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
