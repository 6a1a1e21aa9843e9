"""Lets a second node into the cluster: our side of a join, on port 17969.

Decides whether a stranger has proven the password or the join code, and whether there is room for it. Refuses
everything before the proof but to say which cluster this is. The new node is in the cluster at the moment the
configuration that names it is in force here, and not before it has said that it keeps that configuration
ready; a join that stops half way leaves nothing here.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import servha
from servha.config.document import LinkEnd, NodeSection, successor
from servha.core.words import Text, say
from servha.daemon import proof
from servha.daemon.arguments import needed_word, part, word
from servha.daemon.attempts import Attempts
from servha.daemon.caller import Caller
from servha.daemon.configuration import Configuration
from servha.daemon.identity import Identity
from servha.daemon.interfaces import pair
from servha.daemon.password import PasswordDesk, PasswordRecord
from servha.daemon.replicate import Replicator
from servha.daemon.shelf import Version
from servha.daemon.tls import certificate_fingerprint
from servha.wire.rpc import Args, Code, Json, Refusal, failure_as_json

_GIVEN_UP_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class _Begun:
    """A stranger has said hello and got a challenge, good for one answer."""

    nonce: str
    method: proof.Method


@dataclass(frozen=True, slots=True)
class _Proven:
    """What a caller offers who has proven that it knows the secret, and our own proof for it."""

    offer: Args
    current: Version
    method: proof.Method
    proof: str


class Admission:
    """Answers join.hello, join.look, join.prove, join.staged and join.ask."""

    def __init__(
        self,
        configuration: Configuration,
        replicator: Replicator,
        *,
        us: Callable[[], str],
        identity: Identity,
        attempts: Attempts,
        desk: PasswordDesk,
        note: Callable[[str, Text], None],
    ) -> None:
        self._configuration = configuration
        self._replicator = replicator
        self._us = us
        self._identity = identity
        self._attempts = attempts
        self._desk = desk
        self._note = note
        self._given_up: dict[str, None] = {}
        self.invitation = proof.Invitation()

    async def join(self, args: Args, caller: Caller) -> Json:
        """Answer join {step}, the one call that a stranger may make on this port."""
        match word(args, "step"):
            case "hello":
                return self._hello(args, caller)
            case "prove":
                return await self._prove(args, caller)
            case "look":
                return await self._look(args, caller)
            case "staged":
                return await self._staged(args, caller)
            case "ask":
                return await self._ask(args)
            case step:
                raise Refusal(Code.USAGE, say("a join has no step {step}", step=step))

    def invite(self) -> Json:
        """Answer cluster.invite {}: make a join code."""
        self._configuration.must_have()
        now_s = asyncio.get_running_loop().time()
        code = self.invitation.make(
            secrets.token_bytes(proof.CODE_SECRET_BYTES), self._identity.fingerprint(), now_s=now_s
        )
        return {"code": str(code), "good_for_s": self.invitation.GOOD_FOR_S}

    # --- the steps -----------------------------------------------------------------------------------------------

    def _hello(self, args: Args, caller: Caller) -> Json:
        if args.get("protocol") != proof.PROTOCOL:
            text = say(
                "{node} runs ServHA {version}, which joins in another way: install the same version on both nodes",
                node=self._us(),
                version=servha.__version__,
            )
            raise Refusal(Code.BAD_CONFIGURATION, text)
        if self._configuration.current is None:
            text = say("the node at this address is in no cluster yet: run `servha cluster init` there first")
            raise Refusal(Code.NO_SUCH, text)
        self._bounded(caller)
        document = self._configuration.current.document
        begun = _Begun(secrets.token_hex(proof.NONCE_BYTES), _method(args))
        caller.kept["join"] = begun
        record = PasswordRecord.of(document.password)
        return {
            "protocol": proof.PROTOCOL,
            "version": servha.__version__,
            "cluster": {"name": document.cluster.name, "id": document.cluster.id},
            "node": self._us(),
            "nonce": begun.nonce,
            "scrypt": {"salt": record.salt.hex(), "n": record.n, "r": record.r, "p": record.p},
        }

    async def _look(self, args: Args, caller: Caller) -> Json:
        """Show who has proven the same as for a join what the join would be; nothing changes, no code is used up."""
        seen = self._proven(args, caller)
        data, document = seen.current.data, seen.current.document
        ours = document.node(self._us())
        links = {name: ours.links[name] for name in document.links if name in ours.links} if ours else {}
        failure = None
        try:
            await self._with(seen.offer, seen.current)
        except Refusal as refusal:
            failure = failure_as_json(refusal.failure)
        near = pair(links, part(seen.offer, "interfaces"))
        return {
            "proof": seen.proof,
            "node": self._us(),
            "settings": {name: data[name] for name in ("cluster", "timing", "ports") if name in data},
            "links": [{"name": name, "nic": end.nic, "address": end.address} for name, end in links.items()],
            "paired": {name: {"nic": end.nic, "address": end.address} for name, end in near.items()},
            "failure": failure,
        }

    async def _prove(self, args: Args, caller: Caller) -> Json:
        seen = self._proven(args, caller)
        version = await self._with(seen.offer, seen.current)
        if seen.method is proof.Method.CODE:
            self.invitation.use()
        caller.kept["joining"] = version
        return {
            "proof": seen.proof,
            "cluster_key": self._identity.read_cluster_key().hex(),
            "document": version.data,
            "digest": version.digest,
        }

    def _proven(self, args: Args, caller: Caller) -> _Proven:
        """Return what is offered by a caller that knows the secret. Raises `Refusal` when it does not."""
        begun = caller.kept.pop("join", None)  # a challenge is good for one answer
        if not isinstance(begun, _Begun):
            raise Refusal(Code.USAGE, say("a join begins with hello"))
        current = self._configuration.must_have()
        self._bounded(caller)
        offer = part(args, "offer")
        transcript = proof.Transcript(
            cluster_id=current.document.cluster.id,
            admitting_certificate=self._identity.fingerprint(),
            joining_certificate=_fingerprint(word(offer, "certificate")),
            admitting_nonce=begun.nonce,
            joining_nonce=needed_word(args, "nonce"),
            method=begun.method,
            offer=offer,
        )
        record = PasswordRecord.of(current.document.password)
        secret = self._secret(begun.method, record)
        if secret is None or not transcript.is_proven(word(args, "proof"), secret, proof.Side.JOINING):
            raise self._failed(begun.method, caller)
        self._attempts.succeeded(caller.address)
        if begun.method is proof.Method.PASSWORD and record.initial and not caller.same_machine:
            text = say(
                "the cluster password is still the initial one and is not good from another machine: run `servha"
                " cluster password` on {node} first, or use a join code",
                node=self._us(),
            )
            raise Refusal(Code.NOT_PERMITTED, text)
        return _Proven(offer, current, begun.method, transcript.proof(secret, proof.Side.ADMITTING))

    async def _staged(self, args: Args, caller: Caller) -> Json:
        version = caller.kept.pop("joining", None)
        if not isinstance(version, Version) or version.digest != word(args, "digest"):
            raise Refusal(Code.USAGE, say("a join begins with hello"))
        if version.digest in self._given_up:
            raise Refusal(Code.TRY_AGAIN, say("this join was given up: begin anew"))
        outcome = await self._replicator.propose(version.data, base_generation=version.generation - 1)
        assert outcome.version.digest == version.digest
        joined = next(n.name for n in version.document.nodes if n.name != self._us())
        self._note("info", say("node {node} has joined the cluster", node=joined))
        return {"generation": outcome.version.generation}

    async def _ask(self, args: Args) -> Json:
        """Tell a node that lost us half way whether it is in. After a no it never will be, by that join."""
        wanted, digest = needed_word(args, "certificate_sha256"), needed_word(args, "digest")
        async with self._configuration.turn:
            current = self._configuration.current
            inside = current is not None and any(
                n.certificate_sha256 == wanted for n in current.document.nodes
            )
            if not inside:
                self._given_up[digest] = None
                while len(self._given_up) > _GIVEN_UP_MAX:
                    del self._given_up[next(iter(self._given_up))]
        return {"inside": inside}

    # --- how -----------------------------------------------------------------------------------------------------

    def _bounded(self, caller: Caller) -> None:
        now_s = asyncio.get_running_loop().time()
        wait_s = self._attempts.wait_s(caller.address, same_machine=caller.same_machine, now_s=now_s)
        if wait_s > 0:
            text = say("too many wrong passwords: try again in {wait} s", wait=round(wait_s + 0.5))
            raise Refusal(Code.TRY_AGAIN, text)

    def _secret(self, method: proof.Method, record: PasswordRecord) -> bytes | None:
        if method is proof.Method.PASSWORD:
            return record.hash
        return self.invitation.secret(now_s=asyncio.get_running_loop().time())

    def _failed(self, method: proof.Method, caller: Caller) -> Refusal:
        now_s = asyncio.get_running_loop().time()
        self._attempts.failed(caller.address, same_machine=caller.same_machine, now_s=now_s)
        self._note(
            "warning",
            say("a node at {address} tried to join and could not prove it may", address=caller.address),
        )
        if method is proof.Method.CODE:
            text = say(
                "this join code is not good (any more): each is good for ten minutes and one use; run `servha"
                " cluster invite` on {node} for another",
                node=self._us(),
            )
        else:
            text = say("wrong password for the cluster of {node}", node=self._us())
        return Refusal(Code.NOT_PERMITTED, text)

    async def _with(self, offer: Args, current: Version) -> Version:
        document, name = current.document, needed_word(offer, "node")
        if document.node(name) is not None:
            text = say(
                "cluster {cluster} has a node {node} already: choose another name, or remove that one on {us} with"
                " `servha node remove-offline {node}`",
                cluster=document.cluster.name,
                node=name,
                us=self._us(),
            )
            raise Refusal(Code.EXISTS, text)
        if len(document.nodes) > 1:
            text = say(
                "cluster {cluster} has two nodes already ({nodes}): remove one before another joins",
                cluster=document.cluster.name,
                nodes=", ".join(n.name for n in document.nodes),
            )
            raise Refusal(Code.EXISTS, text)
        pem = word(offer, "certificate")
        ours = document.nodes[0]
        ends = {
            link: LinkEnd(nic=word(part(asked, link), "nic"), address=word(part(asked, link), "address"))
            for asked in (part(offer, "links"),)
            for link in asked
        }
        unpaired = {link: end for link, end in ours.links.items() if link not in ends}
        newcomer = NodeSection(
            name=name,
            id=1 - ours.id,
            description=word(offer, "description"),
            certificate=pem,
            certificate_sha256=_fingerprint(pem),
            links={**ends, **pair(unpaired, part(offer, "interfaces"))},
        )
        joined = successor(document, replace(document, nodes=(*document.nodes, newcomer)))
        return await self._configuration.read(Version.of(joined).data)


def _method(args: Args) -> proof.Method:
    try:
        return proof.Method(word(args, "method"))
    except ValueError:
        raise Refusal(Code.USAGE, say("a join is proven by password or by code")) from None


def _fingerprint(pem: str) -> str:
    try:
        return certificate_fingerprint(pem)
    except ValueError:
        raise Refusal(Code.USAGE, say("the joining node has sent no certificate")) from None
