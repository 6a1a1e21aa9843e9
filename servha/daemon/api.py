"""The doors into the daemon, and who may use which verb.

Decides who a caller is (root on this machine, a person with the password, the peer with its pinned
certificate, a stranger) and whether that is enough for the verb it asks for. Refuses to know what a verb
does: the table given by daemon/main.py says which method answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from servha.core.words import Text, say
from servha.daemon import tickets, tls, tokens
from servha.daemon.arguments import word, yes
from servha.daemon.attempts import Attempts
from servha.daemon.caller import BY_TOKEN, Answer, Caller, DoorKind, Method, Right
from servha.daemon.door import WEB_USER, Door, Limits
from servha.daemon.founding import Lock
from servha.daemon.identity import Identity
from servha.daemon.interfaces import is_own_address
from servha.daemon.maintenance import wall_clock_s
from servha.daemon.password import PasswordDesk, PasswordRecord
from servha.daemon.shelf import Version, peer_of
from servha.wire.rpc import Args, Code, Json, Refusal, Request

_log = logging.getLogger(__name__)
_IP_FREEBIND: Final = 15
_BACKLOG: Final = 64

Note = Callable[[str, Text], None]
"""Writes a journal line: severity (info, warning, error) and the sentence."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One row of the table: the method that answers, who may ask, and how long the answer may take.

    `within_s` bounds the method itself; what it streams afterwards is bounded by the caller's reading.
    """

    method: Method
    rights: frozenset[Right]
    within_s: float = 60.0


def for_administrators(method: Method, *, within_s: float = 60.0) -> Verb:
    """A verb for people."""
    return Verb(method, frozenset({Right.ADMINISTRATOR}), within_s)


def for_readers(method: Method, *, within_s: float = 60.0) -> Verb:
    """A verb that changes nothing and tells no secret: for people, and for every token."""
    return Verb(method, frozenset({Right.ADMINISTRATOR, *BY_TOKEN}), within_s)


def for_operators(method: Method, *, within_s: float = 60.0) -> Verb:
    """A verb that orders what runs where: for people, and for tokens of the scope operate or configure."""
    return Verb(method, frozenset({Right.ADMINISTRATOR, Right.CONFIGURER, Right.OPERATOR}), within_s)


def for_configurers(method: Method, *, within_s: float = 60.0) -> Verb:
    """A verb about the configuration: for people, and for tokens of the scope configure."""
    return Verb(method, frozenset({Right.ADMINISTRATOR, Right.CONFIGURER}), within_s)


def for_the_peer(method: Method, *, within_s: float = 30.0) -> Verb:
    """A verb for the other node."""
    return Verb(method, frozenset({Right.PEER}), within_s)


def for_strangers(method: Method, *, within_s: float = 60.0) -> Verb:
    """A verb that proves by itself who asks (login, join)."""
    return Verb(method, frozenset({Right.STRANGER}), within_s)


def for_choosers(method: Method, *, within_s: float = 60.0) -> Verb:
    """A verb that also somebody may use who has to choose a password first."""
    return Verb(method, frozenset({Right.ADMINISTRATOR, Right.CHOOSER}), within_s)


class Api:
    """Opens and closes the doors, and answers what comes in by them.

    `current` gives the configuration in force, `us` this node's name in it; `note` writes a journal line.
    `founding` gives what a console's login is compared with before there is a cluster; without it there is none then.
    """

    def __init__(
        self,
        verbs: Mapping[str, Verb],
        *,
        identity: Identity,
        current: Callable[[], Version | None],
        us: Callable[[], str],
        note: Note,
        attempts: Attempts | None = None,
        desk: PasswordDesk | None = None,
        founding: Callable[[], Awaitable[Lock]] | None = None,
    ) -> None:
        self._verbs = {
            "login": for_strangers(self._login),
            "resume": for_strangers(self._resume),
            "present": for_strangers(self._present),
            **verbs,
        }
        self._identity = identity
        self._current = current
        self._us = us
        self._note = note
        self._founding = founding
        self.attempts = attempts or Attempts()
        self._wrong_tokens = Attempts()
        self.desk = desk or PasswordDesk()
        self.doors: list[Door] = []

    def open_local(self, path: Path, *, limits: Limits | None = None) -> Door:
        """Open the unix socket, for root alone."""
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(path))
        path.chmod(0o600)  # before listen: until then nobody can connect
        listening.listen(_BACKLOG)
        return self._open(DoorKind.LOCAL, listening, None, limits)

    def open_web(self, path: Path, *, limits: Limits | None = None) -> Door:
        """Open the console's unix socket, for its user and root; both have to log in."""
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(path))
        with contextlib.suppress(KeyError):
            os.chown(path, 0, grp.getgrnam(WEB_USER).gr_gid)
        path.chmod(0o660)  # before listen: until then nobody can connect
        listening.listen(_BACKLOG)
        return self._open(DoorKind.WEB, listening, None, limits)

    def open_management(self, address: str, port: int, *, limits: Limits | None = None) -> Door:
        """Open 25792 on one address. Raises `Refusal` when the address cannot be bound."""
        return self._open(DoorKind.MANAGEMENT, _listen(address, port), self._management_tls, limits)

    def open_peer(self, address: str, port: int, *, limits: Limits | None = None) -> Door:
        """Open 17969 on one heartbeat address. Raises `Refusal` when the address cannot be bound."""
        return self._open(DoorKind.PEER, _listen(address, port), self._peer_tls, limits)

    async def close_door(self, door: Door) -> None:
        """Close one door and end everybody inside."""
        self.doors.remove(door)
        await door.close()

    async def close(self) -> None:
        """Close every door."""
        for door in list(self.doors):
            await self.close_door(door)

    async def answer(self, request: Request, caller: Caller) -> Answer:
        """Answer one request, or raise the `Refusal` to answer with."""
        verb = self._verbs.get(request.verb)
        if verb is None:
            text = say("this version of ServHA does not know the call {verb}", verb=request.verb)
            raise Refusal(Code.USAGE, text)
        self._permit(request, verb, caller)
        try:
            async with asyncio.timeout(verb.within_s):
                answer = await verb.method(request.args, caller)
        except TimeoutError:
            text = say(
                "{verb} was not answered within {limit} s: look at `servha status` before you try again",
                verb=request.verb,
                limit=verb.within_s,
            )
            raise Refusal(Code.TIMED_OUT, text) from None
        except Refusal:
            raise
        except Exception:  # noqa: BLE001 - a defect in one verb must not end the others' work
            _log.exception("the call %s ended in an error of its own", request.verb)
            text = say(
                "{verb} failed inside servhad: the journal of the service says where", verb=request.verb
            )
            raise Refusal(Code.FAILED, text) from None
        if isinstance(answer, AsyncGenerator):
            return self._while_permitted(answer, request, verb, caller)
        return answer

    def _permit(self, request: Request, verb: Verb, caller: Caller) -> None:
        """Raise `Refusal` unless the caller may ask this. What gave it its right may be gone since it came in."""
        is_out = caller.right is Right.PEER and not self._is_peer(caller)
        if is_out or (caller.right in BY_TOKEN and not self._token_is_good(caller)):
            caller.right = Right.STRANGER
        if caller.right not in verb.rights:
            raise Refusal(Code.NOT_PERMITTED, _why_not(request.verb, caller))

    async def _while_permitted(
        self, pieces: AsyncGenerator[Json, None], request: Request, verb: Verb, caller: Caller
    ) -> AsyncGenerator[Json, None]:
        """Pass on what is streamed for as long as the caller may ask for it."""
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                self._permit(request, verb, caller)
                yield piece

    def _open(
        self,
        kind: DoorKind,
        listening: socket.socket,
        tls_now: Callable[[], ssl.SSLContext] | None,
        limits: Limits | None,
    ) -> Door:
        door = Door(
            kind, listening, answer=self.answer, welcome=self._welcome, tls_now=tls_now, limits=limits
        )
        self.doors.append(door)
        return door

    def _management_tls(self) -> ssl.SSLContext:
        files = self._identity
        return tls.management_server(files.certificate, files.key, tls.changed_ns(files.certificate))

    def _peer_tls(self) -> ssl.SSLContext:
        files = self._identity
        peer = peer_of(self._current(), self._us())
        pinned = peer.certificate if peer is not None else ""
        return tls.peer_server(files.certificate, files.key, pinned, tls.changed_ns(files.certificate))

    def _welcome(self, caller: Caller) -> None:
        if caller.door is DoorKind.LOCAL:
            caller.right = Right.ADMINISTRATOR
        elif caller.door is DoorKind.PEER and caller.certificate_sha256:
            # TLS has already refused every other certificate; the comparison makes it a fact, not a belief.
            if not self._is_peer(caller):
                text = say("this certificate is not the one that the cluster knows for the other node")
                raise Refusal(Code.NOT_PERMITTED, text)
            caller.right = Right.PEER

    def _is_peer(self, caller: Caller) -> bool:
        peer = peer_of(self._current(), self._us())
        if peer is None or peer.certificate_sha256 != caller.certificate_sha256:
            return False
        caller.name = peer.name
        return True

    async def _login(self, args: Args, caller: Caller) -> Json:
        key, record = await self._lock(args, caller)
        now_s = asyncio.get_running_loop().time()
        wait_s = self.attempts.wait_s(caller.address, same_machine=caller.same_machine, now_s=now_s)
        if wait_s > 0:
            text = say("too many wrong passwords: try again in {wait} s", wait=round(wait_s + 0.5))
            raise Refusal(Code.TRY_AGAIN, text)
        if not await self.desk.is_right(record, word(args, "password")):
            now_s = asyncio.get_running_loop().time()
            self.attempts.failed(caller.address, same_machine=caller.same_machine, now_s=now_s)
            self._note("warning", say("login from {address} failed: wrong password", address=caller.address))
            raise Refusal(Code.NOT_PERMITTED, say("wrong password"))
        self.attempts.succeeded(caller.address)
        caller.name = "password"
        chooses = record.initial and not caller.same_machine
        caller.right = Right.CHOOSER if chooses else Right.ADMINISTRATOR
        ticket = tickets.issue(key, record, caller.right, now_unix_s=wall_clock_s())
        return {**self._told(caller, record), "ticket": ticket}

    async def _resume(self, args: Args, caller: Caller) -> Json:
        """resume {ticket, from, short}: the right that an earlier login gave, on a new connection or on the other node.

        With `short` a short ticket is told, and whoever comes with a short one is told the ticket it stands for.
        """
        key, record = await self._lock(args, caller)
        now_s = wall_clock_s()
        proven = tickets.read(key, record, word(args, "ticket"), now_unix_s=now_s)
        if proven is None:
            text = say("this login is over, or the password has changed since: log in again")
            raise Refusal(Code.NOT_PERMITTED, text)
        caller.name, caller.right = "password", proven.right
        told = self._told(caller, record)
        if proven.short:
            told["ticket"] = tickets.whole(key, record, proven)
        if yes(args, "short"):
            told["short"] = tickets.shorter(key, record, proven, now_unix_s=now_s)
        return told

    async def _present(self, args: Args, caller: Caller) -> Json:
        """present {token, from}: the right that a token of this cluster gives, for as long as the token is good.

        A good one always passes. Wrong ones are noted until there are too many from an address: a program that goes
        on with a removed one shall not fill the journal.
        """
        _key, record = await self._lock(args, caller)
        current = self._current()
        digest = tokens.digest_of(word(args, "token"))
        found = None if current is None else tokens.find(current.document, digest, now_unix_s=wall_clock_s())
        if isinstance(found, Text) or found is None:
            now_s = asyncio.get_running_loop().time()
            because = found or say("this node is in no cluster yet")
            if self._wrong_tokens.wait_s(caller.address, same_machine=False, now_s=now_s) <= 0:
                self._wrong_tokens.failed(caller.address, same_machine=False, now_s=now_s)
                address = caller.address
                self._note(
                    "warning", say("token from {address} refused: {reason}", address=address, reason=because)
                )
            raise Refusal(
                Code.NOT_PERMITTED,
                say("this token is not accepted: `servha token list` shows those that are good"),
            )
        caller.name, caller.right = f"token {found.name}", Right(found.scope)
        caller.kept["token"] = digest
        return self._told(caller, record)

    def _token_is_good(self, caller: Caller) -> bool:
        """Whether the token that a connection came in with is still there, of the same scope, and not over."""
        current = self._current()
        if current is None:
            return False
        found = tokens.find(current.document, str(caller.kept.get("token")), now_unix_s=wall_clock_s())
        return not isinstance(found, Text) and found.scope == caller.right.value

    def _told(self, caller: Caller, record: PasswordRecord) -> dict[str, Json]:
        current = self._current()
        cluster = current.document.cluster.name if current is not None else ""
        told = {"right": caller.right.value, "choose_password": record.initial, "cluster": cluster}
        return {**told, "node": self._us()}

    async def _lock(self, args: Args, caller: Caller) -> tuple[bytes, PasswordRecord]:
        """Return the key of tickets and the password to compare with.

        From the console it takes over whose browser it is that asks.
        """
        if caller.door not in (DoorKind.MANAGEMENT, DoorKind.WEB):
            raise Refusal(Code.USAGE, say("login belongs to the management port"))
        if caller.door is DoorKind.WEB:
            caller.address = word(args, "from")
            caller.same_machine = is_own_address(caller.address)
        current = self._current()
        if current is None and self._founding is not None and caller.door is DoorKind.WEB:
            lock = await self._founding()
            return lock.key, lock.record
        if current is None:
            text = say(
                "this node is in no cluster yet: run `servha cluster init` or `servha cluster join` on it"
            )
            raise Refusal(Code.NOT_PERMITTED, text)
        return self._identity.read_cluster_key(), PasswordRecord.of(current.document.password)


def _why_not(verb: str, caller: Caller) -> Text:
    if caller.right is Right.CHOOSER:
        return say("choose a password first: the initial one is good only on the machine itself")
    if caller.right in BY_TOKEN:
        return say(
            "{verb} is not among what this token is for ({scope}): make one with the scope that is needed",
            verb=verb,
            scope=caller.right.value,
        )
    if caller.right is Right.STRANGER and caller.door in (DoorKind.MANAGEMENT, DoorKind.WEB):
        return say("log in first")
    if caller.right is Right.STRANGER:
        return say("{verb} is only for the other node of this cluster; this caller is not it", verb=verb)
    return say("{verb} may not be asked here", verb=verb)


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The address may come later than the daemon: a cable that is out must not keep us from starting.
        listening.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        listening.bind((address, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        text = say(
            "port {port} on {address} cannot be opened: {reason}; another program may use it",
            port=port,
            address=address,
            reason=error.strerror or str(error),
        )
        raise Refusal(Code.FAILED, text) from error
    return listening
