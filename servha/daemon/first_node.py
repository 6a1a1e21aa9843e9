"""Makes a cluster of one node: cluster.init.

Decides what the very first configuration holds, and says beforehand what it would be. Refuses on a node that is in
a cluster already, and leaves nothing behind that would look like one when a step fails.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from servha.config.document import LinkEnd
from servha.config.notes import notes
from servha.core.words import Text, as_dict, say
from servha.daemon.arguments import needed_word, part, word, words
from servha.daemon.configuration import Configuration
from servha.daemon.founding import Founding
from servha.daemon.identity import Identity
from servha.daemon.interfaces import Interfaces, ends_here
from servha.daemon.password import (
    INITIAL_PASSWORD,
    SALT_BYTES,
    PasswordDesk,
    PasswordRecord,
    password_problems,
)
from servha.daemon.shelf import Version
from servha.wire.keys import CLUSTER_KEY_BYTES
from servha.wire.rpc import Args, Code, Json, Problem, Refusal


class FirstNode:
    """Answers cluster.init."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        identity: Identity,
        desk: PasswordDesk,
        interfaces: Callable[[], Interfaces],
        note: Callable[[str, Text], None],
        founding: Founding | None = None,
    ) -> None:
        self._configuration = configuration
        self._identity = identity
        self._desk = desk
        self._interfaces = interfaces
        self._note = note
        self._founding = founding

    async def init(self, args: Args) -> Version:
        """Make key, certificate, password and the first version, and put it in force.

        `args`: name, node, links {link: {nic, address}} in order of preference, or that of `order`; and, where
        the defaults do not do, description, timing, policy, references, quorum_disk, language, ports, and password:
        without one it is what was chosen for this node before, else the initial one. Raises `Refusal`.
        """
        self._configuration.must_have_none()
        node, _ = needed_word(args, "node"), needed_word(args, "name")
        ends = ends_here(part(args, "links"), self._interfaces())
        record = await self._password(word(args, "password"))
        await self._identity.make_certificate(node)
        async with self._configuration.turn:
            self._configuration.must_have_none()
            ours = self._identity.pem(), self._identity.fingerprint()
            version = await self._configuration.read(self._first(args, node, record, ends, certificate=ours))
            try:
                self._identity.write_cluster_key(secrets.token_bytes(CLUSTER_KEY_BYTES))
                await self._configuration.put_in_force(version)
            except (OSError, Refusal):
                if self._configuration.current is None:
                    self._identity.forget_cluster_key()
                raise
        self._note(
            "info",
            say(
                "cluster {name} was made; {node} is its first node",
                name=version.document.cluster.name,
                node=node,
            ),
        )
        if record.initial:
            self._note("warning", say("the cluster password is still the initial one: choose another"))
        return version

    async def plan(self, args: Args) -> Json:
        """Say what `init` would make of the same `args`, and change nothing.

        Answers {document, plan, notes}, the latter two sentences. Raises `Refusal` (bad-configuration) with every
        problem there is, not only the first one; a link's is called links.NAME.
        """
        self._configuration.must_have_none()
        problems: list[Problem] = []
        ends: dict[str, LinkEnd] = {}
        asked, interfaces = part(args, "links"), self._interfaces()
        for link in asked:
            try:
                ends |= ends_here({link: part(asked, link)}, interfaces)
            except Refusal as refusal:
                problems.append(Problem(f"links.{link}", refusal.text))
        bad_ends = bool(problems)
        password = word(args, "password")
        if password and password != INITIAL_PASSWORD:
            problems += [Problem("password", because) for because in password_problems(password)]
        record = PasswordRecord(bytes(SALT_BYTES), bytes(32))
        draft = self._first(args, word(args, "node"), record, ends, certificate=("", ""))
        version = None
        try:
            version = await self._configuration.read(draft)
        except Refusal as refusal:
            # A link whose end is wrong has been named already: that there is none left is no news.
            found = (Problem(p.path, p.because, p.remedy) for p in refusal.problems)
            problems += [p for p in found if not (bad_ends and p.path == "links")]
        if version is None or problems:
            text = say("nothing was changed; problems: {count}", count=len(problems))
            raise Refusal(Code.BAD_CONFIGURATION, text, problems)
        hidden = ("password", "parent_digest", "format")
        return {
            "document": {name: value for name, value in version.data.items() if name not in hidden},
            "plan": [as_dict(text) for text in _steps(version)],
            "notes": [as_dict(text) for text in await self._hints(version, password)],
        }

    async def _hints(self, version: Version, password: str) -> list[Text]:
        cluster = version.document.cluster
        hints = notes(cluster.policy, cluster.quorum_disk, version.document.timing)
        initial = password in ("", INITIAL_PASSWORD)
        if not password and self._founding is not None:
            initial = (await self._founding.lock()).record.initial
        if initial:
            hints.append(say("the cluster password is still the initial one: choose another"))
        return hints

    async def _password(self, named: str) -> PasswordRecord:
        if not named and self._founding is not None:
            return (await self._founding.lock()).record
        return await chosen_password(named or INITIAL_PASSWORD, self._desk, initial_allowed=True)

    def _first(
        self,
        args: Args,
        node: str,
        record: PasswordRecord,
        ends: Mapping[str, LinkEnd],
        *,
        certificate: tuple[str, str],
    ) -> dict[str, Json]:
        cluster: dict[str, Json] = {"name": word(args, "name"), "id": secrets.token_hex(16)}
        for name in ("policy", "quorum_disk", "language"):
            if word(args, name):
                cluster[name] = word(args, name)
        cluster["references"] = words(args, "references")
        ours: dict[str, Json] = {
            "name": node,
            "id": 0,
            "description": word(args, "description"),
            "certificate": certificate[0],
            "certificate_sha256": certificate[1],
            "links": {link: {"nic": end.nic, "address": end.address} for link, end in ends.items()},
        }
        first: dict[str, Json] = {
            "format": 1,
            "generation": 1,
            "parent_digest": "",
            "cluster": cluster,
            "nodes": [ours],
            "links": _in_order(args, ends),
            "password": record.as_json(),
        }
        for name in ("timing", "ports"):
            if part(args, name):
                first[name] = part(args, name)
        return first


def _steps(version: Version) -> list[Text]:
    """Return what making this first version does, in the order in which it happens."""
    document = version.document
    timing = document.timing
    return [
        say("this node gets a key and a certificate of its own"),
        say(
            "cluster {name} begins with {node} as its only node",
            name=document.cluster.name,
            node=document.nodes[0].name,
        ),
        say(
            "heartbeats are sent every {interval_ms} ms; a link is dead after {dead_s:.2f} s of silence",
            interval_ms=timing.interval_ms,
            dead_s=timing.dead_s,
        ),
        say("the other node may join from then on; nothing that runs on this machine is touched"),
    ]


def _in_order(args: Args, ends: Mapping[str, LinkEnd]) -> list[str]:
    """Return the links as `order` has them, those that it does not name after them: an object has no order in JSON."""
    named = [link for link in words(args, "order") if link in ends]
    return list(dict.fromkeys([*named, *ends]))


async def chosen_password(
    password: str, desk: PasswordDesk, *, initial_allowed: bool = False
) -> PasswordRecord:
    """Return the record of a password that a person chose; the initial one only where it is allowed.

    Raises `Refusal` with every reason why it may not be taken.
    """
    problems = password_problems(password) if not (initial_allowed and password == INITIAL_PASSWORD) else []
    if problems:
        found = [Problem("password", because) for because in problems]
        raise Refusal(
            Code.BAD_CONFIGURATION, say("this password cannot be taken: {reason}", reason=problems[0]), found
        )
    return await desk.keep(password, salt=secrets.token_bytes(SALT_BYTES))
