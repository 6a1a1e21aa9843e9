"""Makes a cluster of one node: cluster.init.

Decides what the very first configuration holds. Refuses on a node that is in a cluster already, and leaves
nothing behind that would look like one when a step fails.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from servha.config.document import LinkEnd
from servha.core.words import Text, say
from servha.daemon.arguments import needed_word, part, word, words
from servha.daemon.configuration import Configuration
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
    ) -> None:
        self._configuration = configuration
        self._identity = identity
        self._desk = desk
        self._interfaces = interfaces
        self._note = note

    async def init(self, args: Args) -> Version:
        """Make key, certificate, password and the first version, and put it in force.

        `args`: name, node, links {link: {nic, address}} in order of preference; and, where the defaults do
        not do, description, password, timing, policy, references, quorum_disk, language, ports. Raises `Refusal`.
        """
        self._configuration.must_have_none()
        node = needed_word(args, "node")
        ends = ends_here(part(args, "links"), self._interfaces())
        password = word(args, "password") or INITIAL_PASSWORD
        record = await chosen_password(password, self._desk, initial_allowed=True)
        await self._identity.make_certificate(node)
        async with self._configuration.turn:
            self._configuration.must_have_none()
            version = await self._configuration.read(self._first(args, node, record, ends))
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

    def _first(
        self, args: Args, node: str, record: PasswordRecord, ends: Mapping[str, LinkEnd]
    ) -> dict[str, Json]:
        cluster: dict[str, Json] = {"name": needed_word(args, "name"), "id": secrets.token_hex(16)}
        for name in ("policy", "quorum_disk", "language"):
            if word(args, name):
                cluster[name] = word(args, name)
        cluster["references"] = words(args, "references")
        ours: dict[str, Json] = {
            "name": node,
            "id": 0,
            "description": word(args, "description"),
            "certificate": self._identity.pem(),
            "certificate_sha256": self._identity.fingerprint(),
            "links": {link: {"nic": end.nic, "address": end.address} for link, end in ends.items()},
        }
        first: dict[str, Json] = {
            "format": 1,
            "generation": 1,
            "parent_digest": "",
            "cluster": cluster,
            "nodes": [ours],
            "links": list(ends),
            "password": record.as_json(),
        }
        for name in ("timing", "ports"):
            if part(args, name):
                first[name] = part(args, name)
        return first


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
