"""Takes this node into the cluster of another one: our side of a join.

Decides whether the node at the other end is really the one meant (it proves that it knows the same password
or code, over its own certificate) before it believes anything it sends. Refuses to be half in: the
configuration is kept ready first, comes into force when the first node says that it is in force there, and is
forgotten when that node says that it is not. When it can say neither, this node goes on asking, also after a
restart.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import servha
from servha.config.document import LinkEnd, NodeSection, Ports
from servha.core.words import Text, say
from servha.daemon import proof, tls
from servha.daemon.arguments import needed_word, part, word
from servha.daemon.configuration import Configuration
from servha.daemon.connection import Connection, Unreachable, Way, dial
from servha.daemon.identity import Identity
from servha.daemon.interfaces import Interfaces, ends_here, nearest
from servha.daemon.password import PasswordDesk, PasswordRecord
from servha.daemon.shelf import Version
from servha.wire.rpc import Args, BadFrame, Code, Json, Problem, Refusal

DIAL_S: Final = 5.0
STEP_S: Final = 20.0
ASK_TRIES: Final = 5
ASK_AGAIN_S: Final = 1.0


class Joining:
    """Answers cluster.join, and finishes a join that was cut off."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        identity: Identity,
        desk: PasswordDesk,
        interfaces: Callable[[], Interfaces],
        note: Callable[[str, Text], None],
    ) -> None:
        self._configuration = configuration
        self._identity = identity
        self._desk = desk
        self._interfaces = interfaces
        self._note = note
        self._under_way = False
        self.step = ""
        """What a join is doing now, for whoever watches: call, prove, keep or finish; empty while there is none."""

    async def join(self, args: Args) -> Version:
        """Join the cluster of the node at `address`.

        `args`: address, node, and password or code; links {link: {nic, address}} (a link that is not given is
        paired by its network); port and description where needed. Raises `Refusal`, each reason with its own
        words.
        """
        self._configuration.must_have_none()
        if self._under_way:
            raise Refusal(Code.TRY_AGAIN, say("this node is joining a cluster already: wait for the outcome"))
        self._under_way = True
        try:
            if self._configuration.staged is not None and await self.resume() is None:
                raise Refusal(Code.TRY_AGAIN, _undecided(self._configuration.staged))
            self._configuration.must_have_none()
            return await self._join(args)
        finally:
            self._under_way, self.step = False, ""

    async def look(self, args: Args) -> Json:
        """Say what `join` would be with the same `args`, and change nothing on either node.

        Answers {node, settings, links, paired, failure}: the first node's name, its cluster's settings, its links,
        the ends here that are near them, and why it would refuse this join, or None. Raises `Refusal` when it cannot
        even be asked: its one problem names what is wrong, address, password, code or links.
        """
        self._configuration.must_have_none()
        if self._under_way:
            raise Refusal(Code.TRY_AGAIN, say("this node is joining a cluster already: wait for the outcome"))
        self._under_way = True
        place, secret = "links", "code" if word(args, "code") else "password"
        try:
            node, interfaces = needed_word(args, "node"), self._interfaces()
            ends = ends_here(part(args, "links"), interfaces)
            place = secret
            async with self._first_node(args, ends, interfaces) as (there, code):
                self.step = "prove"
                if not self._identity.has_certificate():
                    await self._identity.make_certificate(node)
                offer = self._offer(node, word(args, "description"), ends, interfaces)
                seen = await self._prove(there, offer, args, code, step="look")
                return {name: value for name, value in seen.items() if name != "proof"}
        except Refusal as refusal:
            place = {"call": "address", "prove": secret}.get(self.step, place)
            raise Refusal(refusal.code, refusal.text, [Problem(place, refusal.text)]) from refusal
        finally:
            self._under_way, self.step = False, ""

    async def resume(self) -> bool | None:
        """Finish a join that was cut off: True when we are in, False when not, None when it cannot be told yet.

        To be called at start and then every few seconds, for as long as there is a staged version and none in
        force.
        """
        staged = self._configuration.staged
        if staged is None or self._configuration.current is not None:
            return self._configuration.current is not None
        ours = self._identity.fingerprint()
        first = next((n for n in staged.document.nodes if n.certificate_sha256 != ours), None)
        inside = await self._ask(first, staged, ours) if first is not None else False
        if inside is True:
            await self._settle(staged)
        elif inside is False:
            await self._undo()
        return inside

    async def _join(self, args: Args) -> Version:
        node = needed_word(args, "node")
        interfaces = self._interfaces()
        ends = ends_here(part(args, "links"), interfaces)
        async with self._first_node(args, ends, interfaces) as (there, code):
            await self._identity.make_certificate(node)
            offer = self._offer(node, word(args, "description"), ends, interfaces)
            self.step = "prove"
            granted = await self._prove(there, offer, args, code, step="prove")
            self.step = "keep"
            staged = await self._stage(there, granted)
            self.step = "finish"
            return await self._finish(there, staged)

    @asynccontextmanager
    async def _first_node(
        self, args: Args, ends: dict[str, LinkEnd], interfaces: Interfaces
    ) -> AsyncIterator[tuple[Connection, proof.JoinCode | None]]:
        """Call the node at `address`, and make sure that it made the code where there is one."""
        code = proof.JoinCode.read(word(args, "code")) if word(args, "code") else None
        self.step = "call"
        port = args.get("port")
        address = needed_word(args, "address")
        way = Way("", address, port if isinstance(port, int) else Ports().peer, source=nearest(ends, address))
        if any(way.address == a.split("/")[0] for found in interfaces.values() for a in found):
            text = say(
                "{address} is an address of this node: give one of the first node's", address=way.address
            )
            raise Refusal(Code.USAGE, text)
        async with _called(way) as there:
            if code is not None and not code.is_of(there.certificate_sha256):
                text = say(
                    "the node at {address} is not the one that made this code: check the address; if it is right,"
                    " somebody is in between",
                    address=way.address,
                )
                raise Refusal(Code.NOT_PERMITTED, text)
            yield there, code

    def _offer(
        self, node: str, description: str, ends: dict[str, LinkEnd], interfaces: Interfaces
    ) -> dict[str, Json]:
        return {
            "node": node,
            "description": description,
            "certificate": self._identity.pem(),
            "links": {link: {"nic": end.nic, "address": end.address} for link, end in ends.items()},
            "interfaces": {nic: list(found) for nic, found in interfaces.items()},
            "version": servha.__version__,
        }

    async def _prove(
        self,
        there: Connection,
        offer: dict[str, Json],
        args: Args,
        code: proof.JoinCode | None,
        *,
        step: str,
    ) -> Args:
        method = proof.Method.PASSWORD if code is None else proof.Method.CODE
        hello = await _step(there, {"step": "hello", "protocol": proof.PROTOCOL, "method": method.value})
        nonce = secrets.token_hex(proof.NONCE_BYTES)
        transcript = proof.Transcript(
            cluster_id=word(part(hello, "cluster"), "id"),
            admitting_certificate=there.certificate_sha256,
            joining_certificate=self._identity.fingerprint(),
            admitting_nonce=word(hello, "nonce"),
            joining_nonce=nonce,
            method=method,
            offer=offer,
        )
        secret = (
            code.secret if code is not None else await self._password_secret(hello, word(args, "password"))
        )
        granted = await _step(
            there,
            {
                "step": step,
                "nonce": nonce,
                "offer": offer,
                "proof": transcript.proof(secret, proof.Side.JOINING),
            },
        )
        if not transcript.is_proven(word(granted, "proof"), secret, proof.Side.ADMITTING):
            text = say(
                "the node at {address} does not know the cluster's secret itself: it is not the one you mean",
                address=there.way.address,
            )
            raise Refusal(Code.NOT_PERMITTED, text)
        return granted

    async def _password_secret(self, hello: Args, password: str) -> bytes:
        try:
            record = PasswordRecord.from_json(part(hello, "scrypt"))
        except ValueError as error:
            text = say(
                "the other node asks for a weak proof of the password and gets none: {reason}",
                reason=str(error),
            )
            raise Refusal(Code.NOT_PERMITTED, text) from None
        return await self._desk.derive(record, password)

    async def _stage(self, there: Connection, granted: Args) -> Version:
        ours = self._identity.fingerprint()
        async with self._configuration.turn:
            self._configuration.must_have_none()
            version = await self._configuration.read(part(granted, "document"))
            named = {n.certificate_sha256 for n in version.document.nodes}
            if version.digest != word(granted, "digest") or named != {ours, there.certificate_sha256}:
                text = say(
                    "the other node's configuration cannot be used here: install the same version on both nodes"
                )
                raise Refusal(Code.BAD_CONFIGURATION, text)
            try:
                self._identity.write_cluster_key(bytes.fromhex(word(granted, "cluster_key")))
                await self._configuration.stage(version)
            except (OSError, Refusal):
                self._identity.forget_cluster_key()
                raise
        return version

    async def _finish(self, there: Connection, staged: Version) -> Version:
        try:
            await _step(there, {"step": "staged", "digest": staged.digest})
        except Refusal as refusal:
            # Also after a plain no: what is in force over there counts, not what was said about it.
            return await self._settle_after(refusal, staged)
        await self._settle(staged)
        return staged

    async def _settle_after(self, refusal: Refusal, staged: Version) -> Version:
        for _ in range(ASK_TRIES):
            inside = await self.resume()
            if inside is True:
                return staged
            if inside is False:
                if not isinstance(refusal, Unreachable):
                    raise refusal
                text = say(
                    "the connection was lost in the middle of the join; nothing was changed: try again"
                )
                raise Refusal(Code.TRY_AGAIN, text) from None
            await asyncio.sleep(ASK_AGAIN_S)
        raise Refusal(Code.TRY_AGAIN, _undecided(staged)) from None

    async def _ask(self, first: NodeSection, staged: Version, ours: str) -> bool | None:
        for link in staged.document.links:
            end = first.links.get(link)
            if end is None:
                continue
            with suppress(Refusal):
                async with _called(Way(link, end.ip, staged.document.ports.peer)) as there:
                    # Only the node that we were joining may tell; anybody else at its address may not.
                    if there.certificate_sha256 != first.certificate_sha256:
                        continue
                    question = {"step": "ask", "certificate_sha256": ours, "digest": staged.digest}
                    answer = (await _step(there, question)).get("inside")
                    if isinstance(answer, bool):
                        return answer
        return None

    async def _settle(self, staged: Version) -> None:
        async with self._configuration.turn:
            if self._configuration.current is None:
                await self._configuration.commit(staged)
        name = staged.document.cluster.name
        self._note("info", say("this node has joined cluster {cluster}", cluster=name))

    async def _undo(self) -> None:
        async with self._configuration.turn:
            if self._configuration.current is None:
                await self._configuration.discard()
                self._identity.forget_cluster_key()


@asynccontextmanager
async def _called(way: Way) -> AsyncIterator[Connection]:
    try:
        async with asyncio.timeout(DIAL_S):
            connection = await dial(way, tls.stranger_client())
    except ConnectionRefusedError as error:
        text = say(
            "nothing listens at {address} port {port}: is servhad running there, and has `servha cluster init` been"
            " run there?",
            address=way.address,
            port=way.port,
        )
        raise Unreachable(Code.TRY_AGAIN, text, maybe_done=False) from error
    except (OSError, ssl.SSLError, TimeoutError, BadFrame) as error:
        text = say(
            "nothing that speaks ServHA answers at {address} port {port} ({reason}): is servhad running there, and"
            " does a firewall let the port through?",
            address=way.address,
            port=way.port,
            reason=getattr(error, "strerror", None) or str(error) or say("no answer in time"),
        )
        raise Unreachable(Code.TRY_AGAIN, text, maybe_done=False) from error
    try:
        yield connection
    finally:
        connection.close(say("the connection was closed on this side"))


async def _step(there: Connection, args: Args) -> Args:
    try:
        async with asyncio.timeout(STEP_S):
            answer = await there.call("join", args)
    except TimeoutError:
        text = say(
            "the node at {address} did not answer within {limit} s", address=there.way.address, limit=STEP_S
        )
        raise Unreachable(Code.TIMED_OUT, text, maybe_done=True) from None
    return answer if isinstance(answer, dict) else {}


def _undecided(staged: Version) -> Text:
    return say(
        "the first node of cluster {cluster} stopped answering at the last step of the join; this node goes on"
        " asking it and then either is in the cluster or has changed nothing: look at `servha status`",
        cluster=staged.document.cluster.name,
    )
