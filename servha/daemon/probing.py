"""Asks on the wire what the core wants to know, and brings the answers back as events.

One question of a kind is under way per moment of asking, with a time-out shorter than the period of asking is long;
how many answers are enough is decided in core/arbitration.py.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from servha.arbiters.reference_address import arbitrates, probe, probe_peer, probe_tree_addresses
from servha.core.events import Event, PeerProbed, ReferenceProbed, TreeAddressesProbed
from servha.daemon.loop import boottime_s
from servha.host import Host, HostError

log = logging.getLogger("servha.probing")

UNDER_WAY_COUNT_MAX = 64
PROBE_TIMEOUT_S = 0.1
REFERENCE_TIMEOUT_S = 0.5

Ends = Sequence[tuple[str, str]]
"""(interface, address) pairs."""


class Prober:
    """Carries out probes; each ends in one event, also when it fails."""

    def __init__(self, *, host: Host, happen: Callable[[Event], None]) -> None:
        self._host = host
        self._happen = happen
        self._tasks: set[asyncio.Task[None]] = set()
        self.references: tuple[str, ...] = ()
        self.peer_ends: Ends = ()
        self.peer_port = 0
        self.tree_ends: Mapping[str, Ends] = {}

    def ask_references(self) -> None:
        """Ask every reference address once."""
        addresses = tuple(a for a in self.references if arbitrates(a))
        for address in addresses:
            self._begin(self._ask_reference(address))

    def ask_peer(self) -> None:
        """Ask every known address of the peer's host once."""
        self._begin(self._ask_peer())

    def ask_tree_addresses(self, tree: str) -> None:
        """Ask on the wire who holds the tree's addresses."""
        self._begin(self._ask_tree(tree))

    async def close(self) -> None:
        """Break off what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2.0)

    def _begin(self, question: Coroutine[Any, Any, None]) -> None:
        if len(self._tasks) >= UNDER_WAY_COUNT_MAX:
            question.close()
            log.warning("more than %d probes under way: one is left out", UNDER_WAY_COUNT_MAX)
            return
        task = asyncio.get_running_loop().create_task(question)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a probe failed", exc_info=task.exception())

    async def _ask_reference(self, address: str) -> None:
        asked_s = boottime_s()
        (answer,) = await probe(self._host, [address], None, REFERENCE_TIMEOUT_S)
        self._happen(ReferenceProbed(boottime_s(), address, answer.answered, asked_s))

    async def _ask_peer(self) -> None:
        """Ask by ping, by ARP and by TCP: a firewall may swallow the first, a router between us the second.

        A link on which we cannot even ask says nothing; if that is so for all of them, nothing was learned.
        """
        asked_s = boottime_s()
        asked_by_arp = asyncio.gather(*(self._who_has(nic, address) for nic, address in self.peer_ends))
        knocked = asyncio.gather(*(self._knock(nic, address) for nic, address in self.peer_ends))
        ping = await probe_peer(self._host, self.peer_ends, PROBE_TIMEOUT_S)
        answers = [*await asked_by_arp, *await knocked]
        if not ping and all(answer is None for answer in answers):
            return
        # The ARP answer first, it has the MAC; how long a ping took is left out: the same answer must read the same.
        answered_by = next((a for a in answers if a), "") or ping.partition(" after ")[0]
        self._happen(PeerProbed(boottime_s(), answered_by, asked_s))

    async def _who_has(self, nic: str, address: str) -> str | None:
        try:
            mac = await self._host.who_has(nic, address, wait_s=PROBE_TIMEOUT_S)
        except HostError as trouble:
            log.debug("%s on %s: %s", address, nic, trouble)
            return None
        return f"{address} ({mac}) on {nic}" if mac else ""

    async def _knock(self, nic: str, address: str) -> str | None:
        """Begin a TCP connection to the peer's own port: accepted or refused, its kernel lives."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as line:
            try:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, nic.encode() + b"\0")
                async with asyncio.timeout(PROBE_TIMEOUT_S):
                    await asyncio.get_running_loop().sock_connect(line, (address, self.peer_port))
            except ConnectionRefusedError:
                return f"{address} by TCP on {nic}"
            except TimeoutError:
                return ""
            except OSError as trouble:
                log.debug("%s on %s: %s", address, nic, trouble)
                return "" if trouble.errno == errno.EHOSTUNREACH else None
        return f"{address} by TCP on {nic}"

    async def _ask_tree(self, tree: str) -> None:
        asked_s = boottime_s()
        held_by = await probe_tree_addresses(self._host, self.tree_ends.get(tree, ()), PROBE_TIMEOUT_S)
        self._happen(TreeAddressesProbed(boottime_s(), tree, held_by, asked_s))
