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


def rights(told: object) -> tuple[object, object]:
    assert isinstance(told, dict)
    return told["right"], told["choose_password"]


# --- passwords ------------------------------------------------------------------------------------------------


async def test_a_person_logs_in_with_the_password(server: Server) -> None:
    async with stranger(server.management_door()) as there:
        assert "log in first" in str(await refused(there.call("order", {})))
        told = await there.call("login", {"password": KNOWN})
        assert rights(told) == ("administrator", False)
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
        answered = 0
        while not login.done():
            await other.call("echo", {})
            answered += 1
        await refused(login)
        assert answered >= 5, f"{answered} calls were answered while a password was checked"


async def test_the_initial_password_from_elsewhere_is_good_for_choosing_only(server: Server) -> None:
    record = await PasswordDesk().keep(INITIAL_PASSWORD, salt=bytes(16))
    server.version = Version.of(replace(server.version.document, password=record.as_section()))
    elsewhere = Caller(DoorKind.MANAGEMENT, "", "198.51.100.9", same_machine=False)
    here = Caller(DoorKind.MANAGEMENT, "", "192.0.2.1", same_machine=True)
    login = Request(1, "login", {"password": INITIAL_PASSWORD})
    assert rights(await server.api.answer(login, elsewhere)) == ("choose-password", True)
    refusal = await refused(server.api.answer(Request(2, "order"), elsewhere))
    assert "choose a password first" in str(refusal)
    assert rights(await server.api.answer(login, here)) == ("administrator", True)


# --- the console ----------------------------------------------------------------------------------------------


def from_browser(address: str) -> Caller:
    """The console, as its socket shows it; whose browser asks it says with each login."""
    return Caller(DoorKind.WEB, "servha-web", "", same_machine=False)


async def test_the_console_gets_the_right_of_the_browser_it_speaks_for(server: Server) -> None:
    record = await PasswordDesk().keep(INITIAL_PASSWORD, salt=bytes(16))
    server.version = Version.of(replace(server.version.document, password=record.as_section()))
    for address, right in (
        ("127.0.0.1", "administrator"),
        ("198.51.100.9", "choose-password"),
        ("", "choose-password"),
    ):
        login = Request(1, "login", {"password": INITIAL_PASSWORD, "from": address})
        assert rights(await server.api.answer(login, from_browser(address)))[0] == right, address


async def test_a_guesser_behind_the_console_is_told_by_its_own_address_and_keeps_nobody_else_waiting(
    server: Server,
) -> None:
    guess = Request(1, "login", {"password": "guess", "from": "198.51.100.9"})
    refusals = [await refused(server.api.answer(guess, from_browser("198.51.100.9"))) for _ in range(6)]
    assert refusals[-1].code is Code.TRY_AGAIN
    assert "login from 198.51.100.9 failed" in server.notes[0]
    right = Request(1, "login", {"password": KNOWN, "from": "198.51.100.10"})
    assert rights(await server.api.answer(right, from_browser("198.51.100.10")))[0] == "administrator"


async def test_a_ticket_stands_for_the_password_on_another_connection_until_that_changes(
    server: Server,
) -> None:
    login = Request(1, "login", {"password": KNOWN, "from": "198.51.100.9"})
    told = await server.api.answer(login, from_browser("198.51.100.9"))
    assert isinstance(told, dict)
    resume = Request(2, "resume", {"ticket": told["ticket"], "from": "198.51.100.9"})
    elsewhere = Caller(DoorKind.MANAGEMENT, "", "192.0.2.2", same_machine=False)
    assert rights(await server.api.answer(resume, elsewhere)) == ("administrator", False)
    assert elsewhere.right is Right.ADMINISTRATOR

    forged = Request(3, "resume", {"ticket": str(told["ticket"])[:-2] + "AA", "from": ""})
    assert (await refused(server.api.answer(forged, from_browser("")))).code is Code.NOT_PERMITTED
    other = await PasswordDesk().keep("another password", salt=bytes(16))
    server.version = Version.of(replace(server.version.document, password=other.as_section()))
    refusal = await refused(server.api.answer(resume, from_browser("198.51.100.9")))
    assert "the password has changed" in str(refusal)


async def test_only_root_and_the_consoles_user_may_connect(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    server.api.open_web(path)
    assert mode(path) == 0o660
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(encode_request(Request(1, "order", {})))
    [frame] = await read_frames(reader, 1)
    writer.close()
    failure = decode_reply(frame).failure
    assert failure is not None
    assert "log in first" in str(failure.text), "root too: the console's socket gives no right by itself"


async def test_a_guesser_has_to_wait(server: Server) -> None:
    caller = Caller(DoorKind.MANAGEMENT, "", "198.51.100.9", same_machine=False)
    for _ in range(5):
        await refused(server.api.answer(Request(1, "login", {"password": "guess"}), caller))
    refusal = await refused(server.api.answer(Request(1, "login", {"password": KNOWN}), caller))
    assert refusal.code is Code.TRY_AGAIN
    assert caller.right is Right.STRANGER
